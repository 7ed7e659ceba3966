"""Exact windows: what counts, what is forgotten, when there is room again."""

from array import array
from collections import Counter
from itertools import combinations_with_replacement

import pytest

from guard.limits import windows
from guard.limits.state import Log


def log_of(*stamps: int, widest_us: int = 100) -> Log:
    """A log with these stamps."""
    return windows.log_of(stamps, widest_us)


@pytest.mark.parametrize(
    ("t_us", "expected"),
    [(10, 2), (19, 2), (20, 0), (21, 0)],
    ids=["at the stamp", "a microsecond before it leaves", "exactly one window later", "after"],
)
def test_a_window_is_open_at_its_old_end(t_us: int, expected: int) -> None:
    """A stamp at s counts in (t-w, t]: at s itself, and no more at s+w."""
    assert windows.count(log_of(10, 10), t_us=t_us, window_us=10) == expected


def test_a_window_sees_no_further_than_the_log_is_kept() -> None:
    """A stamp that may be forgotten at any time does not count in a window nobody had claimed."""
    log = log_of(1, 50, widest_us=100)
    assert windows.count(log, t_us=120, window_us=10_000) == 1
    assert windows.stamps_in(log, t_us=120, window_us=10_000) == [50]


def test_no_log_is_no_stamps() -> None:
    """A cell that nobody stamped counts nothing and gives nothing back."""
    assert windows.count(None, t_us=5, window_us=10) == 0
    assert windows.stamps_in(None, t_us=5, window_us=10) == []
    windows.remove(None, stamp_us=5)


def test_counting_does_not_prune() -> None:
    """A read long after leaves the log as it was."""
    log = log_of(1, 2, 3)
    assert windows.count(log, t_us=10_000, window_us=10) == 0
    assert windows.stamps_in(log, t_us=10_000, window_us=10) == []
    assert list(log.stamps) == [1, 2, 3]


def test_adding_forgets_what_the_widest_window_has_left() -> None:
    """A stamp older than the widest window goes, one within it stays although a narrow claim came last."""
    log = log_of(1, 50, widest_us=100)
    windows.add(log, t_us=101, window_us=10)
    assert list(log.stamps) == [50, 101]
    assert log.widest_us == 100


def test_forgetting_waits_until_an_eighth_is_over() -> None:
    """One old stamp of nine stays for now and does not count; with a second one both go."""
    log = log_of(1, 2, *range(50, 57))
    windows.add(log, t_us=101, window_us=10)
    assert list(log.stamps) == [1, 2, *range(50, 57), 101]
    assert windows.count(log, t_us=101, window_us=100) == 9
    windows.add(log, t_us=102, window_us=10)
    assert list(log.stamps) == [*range(50, 57), 101, 102]


def test_a_log_is_hardly_longer_than_its_window_is_full() -> None:
    """However long it goes on: memory of a steady rate does not swing between once and twice what counts."""
    log, most = log_of(widest_us=1000), 0
    for t_us in range(10_000):
        windows.add(log, t_us=t_us, window_us=10)
        most = max(most, len(log.stamps))
    assert 1000 <= most <= 1000 * 8 / 7 + 1


def test_a_wider_window_does_not_bring_back_what_had_left() -> None:
    """What waits to be forgotten is forgotten before the log is widened."""
    log = log_of(1, 50, 60)
    windows.add(log, t_us=101, window_us=1000)
    assert log == windows.log_of([50, 60, 101], 1000)


def test_a_rate_that_ran_empty_remembers_its_widest_window() -> None:
    """A narrow claim of somebody else must not shorten what a wide window counts later."""
    log = log_of(1, widest_us=100)
    for t_us in (101, 120):
        windows.add(log, t_us=t_us, window_us=10)
    assert log == windows.log_of([101, 120], 100)


def test_a_duplicate_mark_that_ran_empty_begins_anew() -> None:
    """Its cell is forgotten then, and whether it was must not show."""
    log = windows.log_of([1], 100, is_rate=False)
    windows.add(log, t_us=101, window_us=10)
    assert log == windows.log_of([101], 10, is_rate=False)


@pytest.mark.parametrize(
    ("log", "is_over", "is_forgettable"),
    [
        (windows.log_of([], 60_000_000), True, True),
        (windows.log_of([], 60_000_001), True, False),
        (windows.log_of([5], 60_000_000), False, False),
        (windows.log_of([5], 100, is_rate=False), True, True),
        (windows.log_of([150], 100, is_rate=False), False, False),
    ],
    ids=["empty rate", "empty wide rate", "live rate", "over", "live"],
)
def test_what_may_be_forgotten(log: Log, is_over: bool, is_forgettable: bool) -> None:
    """A log without which everything would count the same; a wide rate's window would be lost with it."""
    assert windows.is_over(log, t_us=200) == is_over
    assert windows.is_forgettable(log, t_us=200) == is_forgettable


def test_a_rate_is_kept_for_a_minute_whatever_is_claimed() -> None:
    """A reload from a second to a minute starts from the minute that was."""
    log = windows.new_log(t_us=0, window_us=1_000_000, is_rate=True)
    windows.add(log, t_us=59_000_000, window_us=1_000_000)
    assert windows.count(log, t_us=59_999_999, window_us=60_000_000) == 2


@pytest.mark.parametrize("is_rate", [True, False])
@pytest.mark.parametrize("window_us", [1, 60_000_000, 60_000_001])
def test_a_new_log_is_what_a_first_stamp_makes_of_an_empty_one(window_us: int, *, is_rate: bool) -> None:
    """A log that was forgotten and one that only ran empty go on alike."""
    log = windows.log_of((), windows.KEPT_MIN_US if is_rate else 7, is_rate=is_rate)
    windows.add(log, t_us=9, window_us=window_us)
    assert windows.new_log(t_us=9, window_us=window_us, is_rate=is_rate) == log


def test_a_narrower_claim_on_a_duplicates_mark_forgets_nothing_that_a_wider_one_counts() -> None:
    """As long as a stamp of it is left, the mark is kept for the widest window that was claimed on it."""
    log = windows.log_of((0, 50), 60, is_rate=False)
    windows.add(log, t_us=61, window_us=5)
    assert windows.count(log, t_us=62, window_us=60) == 2


def test_a_wider_claim_widens_the_log() -> None:
    """The log remembers the widest window claimed."""
    log = log_of(1, widest_us=10)
    windows.add(log, t_us=5, window_us=50)
    assert log == windows.log_of([1, 5], 50)


@pytest.mark.parametrize(("stamp_us", "left"), [(2, [1, 2, 3]), (3, [1, 2, 2]), (9, [1, 2, 2, 3]), (0, [1, 2, 2, 3])])
def test_removing_takes_one_stamp_of_that_time(stamp_us: int, left: list[int]) -> None:
    """One of equal stamps goes; a stamp that is not there any more is no error."""
    log = log_of(1, 2, 2, 3)
    windows.remove(log, stamp_us=stamp_us)
    assert list(log.stamps) == left


@pytest.mark.parametrize(("cap", "expected"), [(3, 11), (2, 15), (1, 16), (0, None)])
def test_free_at_is_when_one_more_fits(cap: int, expected: int | None) -> None:
    """With cap 1 all must leave, with cap 3 of three the oldest; with cap 0 it never fits."""
    assert windows.free_at([1, 5, 6], cap=cap, window_us=10) == expected


def test_a_union_has_every_stamp_as_often_as_where_it_is_more_often() -> None:
    """All pairs of short ascending lists; neither is changed or handed on."""
    lists = [list(some) for size in range(5) for some in combinations_with_replacement(range(4), size)]
    for first in lists:
        for second in lists:
            found = windows.union(first, second)
            assert found == sorted((Counter(first) | Counter(second)).elements())
            assert found is not first
            assert found is not second


class _Uncountable(int):
    """A stamp that raises where it is counted."""

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("known", [[], [3], [2, 3], [1, 2, 3]])
def test_stamps_that_end_alike_are_not_counted_however_they_are_kept(known: list[int]) -> None:
    """What is to be counted comes as a list from a record, and the log is a row of numbers: equal all the same."""
    told = [_Uncountable(stamp) for stamp in (1, 2, 3)]
    assert windows.union(told, array("q", known)) == [1, 2, 3]
    assert windows.union(array("q", known), told) == [1, 2, 3]
