"""The bounds of the stream."""

from guard.stream.bounds import StreamBounds
from guard.stream.ending import End


def test_b03_a_revoked_key_is_gone_within_a_second() -> None:
    """The longest wait for a sweep and the longest wait for the caller add up to less than a second."""
    assert StreamBounds().sweep_s + End.REVOKED.value.linger_s < 1.0
