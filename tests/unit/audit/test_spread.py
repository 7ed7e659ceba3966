"""Percentiles in bounded memory."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from guard.audit.spread import Spread

NUMBERS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, places=2)


@given(numbers=st.lists(NUMBERS, min_size=1, max_size=200), percent=st.sampled_from([0, 1, 50, 95, 99, 100]))
def test_a_percentile_is_right_to_three_digits_and_never_too_small(numbers: list[Decimal], percent: int) -> None:
    """Nearest rank, by sorting them all; rounded up, never above the largest."""
    spread = Spread()
    for number in numbers:
        spread.add(number)
    exact = sorted(numbers)[max(-(-len(numbers) * percent // 100), 1) - 1]

    assert exact <= spread.percentile(percent) <= min(exact * Decimal("1.0100001"), max(numbers))
    assert (spread.count, spread.largest) == (len(numbers), max(numbers))


def test_nothing_and_less_than_nothing_count_as_zero() -> None:
    """An empty spread has no percentile but 0."""
    spread = Spread()
    assert spread.percentile(99) == 0
    spread.add(Decimal(-5))

    assert (spread.percentile(50), spread.largest, spread.count) == (Decimal(0), Decimal(0), 1)
