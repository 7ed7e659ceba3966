"""Counting by group and period."""

from collections import Counter
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from guard.walk.tally import Tally

SECOND: Final = 1_000_000


def test_a_period_is_told_once_it_is_over() -> None:
    """By the next one of the same group, by `close` with a later time, or by `close` without one."""
    told: list[tuple[str, int, int]] = []
    tally = Tally(SECOND, groups_max=9, other="other", tell=lambda *what: told.append(what))

    assert [tally.add("a", wall_us=at) for at in (0, 1, 999_999)] == [1, 2, 3]
    tally.close(999_999)
    assert told == []
    assert tally.add("a", wall_us=SECOND) == 1
    assert told == [("a", 0, 3)]
    tally.close(2 * SECOND)
    tally.add("b", wall_us=7 * SECOND)
    tally.close()
    tally.close()

    assert told == [("a", 0, 3), ("a", SECOND, 1), ("b", 7 * SECOND, 1)]


@given(met=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5 * SECOND)), max_size=60))
def test_nothing_is_lost_and_the_table_does_not_grow(met: list[tuple[str, int]]) -> None:
    """Whatever comes in whatever order of time: the sums are the counts, in at most one group more than allowed."""
    told: list[tuple[str, int, int]] = []
    tally = Tally(SECOND, groups_max=3, other="other", tell=lambda *what: told.append(what))
    for group, at_us in met:
        tally.add(group, wall_us=at_us)
        assert len(tally._counts) <= 4
    tally.close()

    assert sum(count for _, _, count in told) == len(met)
    by_second = Counter[int]()
    for _, began_us, count in told:
        by_second[began_us // SECOND] += count
    assert by_second == Counter(at_us // SECOND for _, at_us in met)
