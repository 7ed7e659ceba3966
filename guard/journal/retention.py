"""Which segments may go: whole ones, by age alone, and none that the state still needs.

Their deletion is recorded first, with the root of everything that is gone; what is kept verifies from there on.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from guard.journal.disk import Disk, sync_directory
from guard.journal.entries import Prune
from guard.journal.record import decode, timestamp
from guard.journal.resume import opening
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.journal.tree import Tree
from guard.terms import us_of


def outlived(state: Path, *, before: datetime, needed: int) -> tuple[int, ...]:
    """The first segments that were over before that moment, up to, not including, the segment `needed`.

    A segment was over when the next one began, and not before it began itself: the clock may have been set back in
    between. `needed` is where the last whole snapshot goes on.
    """
    limit = timestamp(us_of(before))
    numbers = segment_numbers(state)
    found = []
    for number, following in pairwise(numbers):
        if number >= needed or max(_begun(state, number), _begun(state, following)) >= limit:
            break
        found.append(number)
    return tuple(found)


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


def _begun(state: Path, number: int) -> str:
    return decode(first_line(state, number).removesuffix(b"\n")).ts
