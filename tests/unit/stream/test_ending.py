"""The ways to end."""

import re

from websockets.frames import Close

from guard.stream.ending import End


def test_every_ending_has_a_word_of_its_own_and_can_be_told() -> None:
    """Words are metric labels, told apart; codes and reasons fit a close frame (RFC 6455 §5.5, §7.4)."""
    words = [end.value.word for end in End]

    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z_]+", word) for word in words)
    for end in End:
        if end.value.code is not None:
            assert end.value.text
            assert len(Close(end.value.code, end.value.text).serialize()) <= 125
