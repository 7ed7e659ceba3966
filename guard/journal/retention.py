"""Which segments may go: whole ones, by age alone, and none that the state still needs.

Their deletion is recorded first, with the root of everything that is gone; what is kept verifies from there on.

A clock that is years ahead, also at a start, says that everything is old. So the record itself must show the age too:
the times at which its segments began, one after the other, in which a step counts as a week at most. Where it shows
less, everything stays.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, NamedTuple

from guard.journal.disk import Disk, sync_directory
from guard.journal.entries import Prune
from guard.journal.record import decode
from guard.journal.resume import opening
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.journal.tree import Tree

STEP_MAX: Final = timedelta(days=7)  # nobody used the guard for so long, or the clock was wrong
_NONE: Final = timedelta()
_SEGMENTS_KEPT: Final = 8192


class Outlived(NamedTuple):
    """The first segments that may go, and those behind them that are old by the clock and not by the record."""

    gone: tuple[int, ...]
    held: tuple[int, ...]


def outlived(state: Path, *, now: datetime, retention: timedelta, needed: int) -> Outlived:
    """The first segments that were over so long ago, up to, not including, the segment `needed`.

    A segment was over when the next one began, and not before it began itself: the clock may have been set back in
    between. `needed` is where the last whole snapshot goes on.
    """
    numbers = segment_numbers(state)
    old = _old(state, numbers, now=now, limit=now - retention, needed=needed)
    if not old:
        return Outlived((), ())
    ages = _ages([_begun(state, number) for number in numbers[1:]], now=now)
    gone = sum(age >= retention for age in ages[: len(old)])
    return Outlived(old[:gone], old[gone:])


def prune_record(state: Path, numbers: tuple[int, ...], *, vouch: Callable[[Tree], str]) -> Prune:
    """The record that stands for these segments, which are the first ones there are."""
    line = first_line(state, numbers[-1] + 1)[:-1]
    tree = opening(line).tree
    return Prune(tree.size + 1, tree.root().hex(), vouch(tree), numbers, decode(line).ts)


def delete(state: Path, numbers: tuple[int, ...], *, disk: Disk) -> None:
    """The files go, oldest first, so that what is left has no hole."""
    for number in numbers:
        disk.unlink(segment_path(state, number))
    sync_directory(disk, segment_path(state, 1).parent)


def _old(state: Path, numbers: Sequence[int], *, now: datetime, limit: datetime, needed: int) -> tuple[int, ...]:
    """By the clock. One that was over in what is now to come was written under a wrong one: its age tells nothing."""
    found = []
    for number, following in pairwise(numbers):
        over = max(_begun(state, number), _begun(state, following))
        if number >= needed or limit <= over <= now:
            break
        found.append(number)
    return tuple(found)


def _ages(begun: Sequence[datetime], *, now: datetime) -> list[timedelta]:
    """How long ago each of these moments was, by what the record shows between them. Never more for a later one."""
    steps = [min(max(after - before, _NONE), STEP_MAX) for before, after in pairwise((*begun, now))]
    return [*accumulate(reversed(steps))][::-1]


@lru_cache(maxsize=_SEGMENTS_KEPT)
def _begun(state: Path, number: int) -> datetime:
    """A segment's first line never changes, and years of them are looked at every few seconds."""
    return datetime.fromisoformat(decode(first_line(state, number).removesuffix(b"\n")).ts)
