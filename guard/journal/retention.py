"""Which segments may be deleted: whole ones, by age alone, and none that the state still needs.

The deletion is recorded first, with the root of everything that is deleted; what is kept verifies from there on.

By a clock that is years ahead everything is old. So the record itself must show the age as well: by the times at which
its segments began, where a step between two of them counts as a week at most. If it shows less, nothing is deleted.
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
from guard.journal.resume import segment_start
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.journal.tree import Tree

STEP_MAX: Final = timedelta(days=7)  # a longer one: the guard was off for that long, or the clock was wrong
_NONE: Final = timedelta()
_SEGMENTS_KEPT: Final = 8192


class Outlived(NamedTuple):
    """The first segments that may be deleted, and those after them that are old by the clock but not by the record."""

    gone: tuple[int, ...]
    held: tuple[int, ...]


def outlived(state: Path, *, now: datetime, retention: timedelta, needed: int) -> Outlived:
    """The first segments that ended longer ago than `retention`, up to, not including, the segment `needed`.

    A segment ended when the next one began, and not before its own beginning, since the clock may have been set back in
    between. `needed`: where the last whole snapshot goes on.
    """
    numbers = segment_numbers(state)
    old = _old(state, numbers, now=now, limit=now - retention, needed=needed)
    if not old:
        return Outlived((), ())
    ages = _ages([_begun(state, number) for number in numbers[1:]], now=now)
    gone = sum(age >= retention for age in ages[: len(old)])
    return Outlived(old[:gone], old[gone:])


def prune_record(state: Path, numbers: tuple[int, ...], *, sign: Callable[[Tree], str]) -> Prune:
    """The record that stands for these segments, which are the first ones there are."""
    line = first_line(state, numbers[-1] + 1)[:-1]
    tree = segment_start(line).tree
    return Prune(tree.size + 1, tree.root().hex(), sign(tree), numbers, decode(line).ts)


def delete(state: Path, numbers: tuple[int, ...], *, disk: Disk) -> None:
    """Deletes the files, oldest first, so that what is left has no hole."""
    for number in numbers:
        disk.unlink(segment_path(state, number))
    sync_directory(disk, segment_path(state, 1).parent)


def _old(state: Path, numbers: Sequence[int], *, now: datetime, limit: datetime, needed: int) -> tuple[int, ...]:
    """The old ones by the clock. One that ended in the future was written under a wrong clock, so it counts as old."""
    found = []
    for number, following in pairwise(numbers):
        over = max(_begun(state, number), _begun(state, following))
        if number >= needed or limit <= over <= now:
            break
        found.append(number)
    return tuple(found)


def _ages(begun: Sequence[datetime], *, now: datetime) -> list[timedelta]:
    """How long ago each of these moments was, by the steps between them; later ones are never older."""
    steps = [min(max(after - before, _NONE), STEP_MAX) for before, after in pairwise((*begun, now))]
    return [*accumulate(reversed(steps))][::-1]


@lru_cache(maxsize=_SEGMENTS_KEPT)
def _begun(state: Path, number: int) -> datetime:
    """When the segment began; cached, since its first line never changes and is asked for every few seconds."""
    return datetime.fromisoformat(decode(first_line(state, number).removesuffix(b"\n")).ts)
