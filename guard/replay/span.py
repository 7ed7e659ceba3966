"""Where in a state directory to begin, and its lines from there on.

Of a record whose beginning is pruned the ledger is not known at each of its segments: only behind those that a kept
snapshot tells.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Line, decode, replay
from guard.journal.chain import BrokenChain
from guard.journal.runs import behind, runs
from guard.journal.segments import bytes_in, first_line, head_of, no_journal, segment_numbers
from guard.recovery.readback import Recovered
from guard.recovery.snapshots import NOT_KNOWN, put_together, resume

WARM_UP: Final = timedelta(days=2)  # before `since`: the budget day that it lies in, wherever its reset is


class Span(Struct, frozen=True):
    """The ledger before the segment `first`; `size`: the bytes from there on.

    `pruned`: records that are gone from the beginning. `unknown`: the first segments that are kept, and of which it is
    not known what stood on the counters: they are before `first`, though they were asked for.
    """

    found: Recovered
    first: int
    size: int
    pruned: int = 0
    unknown: tuple[int, ...] = ()


def earlier(since: str) -> str:
    """When counters begin to be whole at `since`."""
    return (datetime.fromisoformat(since) - WARM_UP).isoformat().replace("+00:00", "Z")


def span_from(state: Path, since: str) -> Span:
    """The ledger before the segment that `since` lies in, or the first one later of which it is known."""
    numbers = _numbers(state)
    asked = _segment_of(state, numbers, since)
    pruned = head_of(state, numbers[0]).seq
    found, first = _known(state, numbers, asked, pruned=pruned)
    beyond = tuple(number for number in numbers if asked <= number < first)
    return Span(found, first, bytes_in(state, (n for n in numbers if n >= first)), pruned, beyond)


def lines_of(state: Path, first: int, last: int | None = None) -> Iterator[Line]:
    """The lines from the segment `first` on, up to and with `last`."""
    bounds = {} if last is None else {"last": last}
    return replay(state, first=first, head=head_of(state, first), **bounds)


def lines_since(state: Path, since: str) -> Iterator[Line]:
    """All lines from the segment on that `since` lies in; from the first one that is kept where that is later."""
    return lines_of(state, _segment_of(state, _numbers(state), since))


def whole(lines: Iterator[Line]) -> Iterator[Line]:
    """Without the line that a running guard is writing."""
    try:
        yield from lines
    except BrokenChain as broken:
        if not broken.is_torn:
            raise


def begins(state: Path, number: int) -> str:
    """When a segment was begun; never, where nothing whole is in it yet."""
    try:
        return decode(first_line(state, number).removesuffix(b"\n")).ts
    except ValueError:
        return "9"


def _known(state: Path, numbers: list[int], first: int, *, pruned: int) -> tuple[Recovered, int]:
    if first == numbers[0] and not pruned:
        return Recovered(), first
    before = list(takewhile(lambda number: number < first, numbers))
    if before and (not pruned or any(run.at_seq >= pruned for run in runs(state, last=before[-1]))):
        return resume(state, last=before[-1])[0], first
    oldest = min((run for run in runs(state) if run.at_seq >= pruned), key=lambda run: run.at_seq, default=None)
    if oldest is None:
        raise JournalFault(NOT_KNOWN.format(pruned))
    return put_together(oldest.bodies), behind(state, oldest.at_seq).segment


def _numbers(state: Path) -> list[int]:
    numbers = segment_numbers(state)
    if not numbers:
        raise no_journal(state)
    return numbers


def _segment_of(state: Path, numbers: list[int], since: str) -> int:
    """The last segment that nothing later than `since` is before.

    So where a clock was set back for a while and a segment was begun then, those before it count as well. One that was
    begun later than the last one was begun under a clock that was ahead, and says nothing of those before it.
    """
    begun = [(number, begins(state, number)) for number in numbers]
    believed = [(number, ts) for number, ts in begun if ts <= begun[-1][1]]
    return max((number for number, _ in takewhile(lambda one: one[1] <= since, believed)), default=numbers[0])
