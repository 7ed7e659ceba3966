"""Names of orders, in less room."""

from hypothesis import example, given
from hypothesis import strategies as st

from guard.limits.holder import slim

NAMES = st.text() | st.integers(0, 10**25).map(str) | st.from_regex(r"[0-9]{1,22}", fullmatch=True)


@given(NAMES)
@example("0")
@example("007")
@example("²")
@example("٣")
@example("-1")
@example("9" * 5000)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    """So two are equal where their short forms are."""
    assert str(slim(name)) == name


def test_numbers_are_numbers() -> None:
    """What the daemon counts its orders by."""
    assert (slim("900000000000000001"), slim("7")) == (900_000_000_000_000_001, 7)
