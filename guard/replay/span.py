"""Where in a state directory to begin, and its lines from there on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from guard.journal import Line, decode, replay
from guard.journal.chain import BrokenChain, Head
from guard.journal.segments import bytes_in, first_line, no_journal, segment_numbers
from guard.recovery import Recovered
from guard.snapshots import resume

WARM_UP: Final = timedelta(days=2)  # before `since`: the budget day that it lies in, wherever its reset is


def earlier(since: str) -> str:
    """When counters begin to be whole at `since`."""
    return (datetime.fromisoformat(since) - WARM_UP).isoformat().replace("+00:00", "Z")


def lines_from(state: Path, since: str) -> tuple[Recovered, Iterator[Line], int]:
    """The ledger before the segment that `since` lies in, and all lines from there on, with their size in bytes."""
    numbers = segment_numbers(state)
    if not numbers:
        raise no_journal(state)
    begun = [number for number in numbers if _begins(state, number) <= since]
    if not begun or begun[-1] == numbers[0]:
        return Recovered(), replay(state), bytes_in(state, numbers)
    first = begun[-1]
    line = decode(first_line(state, first).removesuffix(b"\n"))
    found, _ = resume(state, last=numbers[numbers.index(first) - 1])
    lines = replay(state, first=first, head=Head(line.seq - 1, line.prev))
    return found, lines, bytes_in(state, numbers[numbers.index(first) :])


def whole(lines: Iterator[Line]) -> Iterator[Line]:
    """Without the line that a running guard is writing."""
    try:
        yield from lines
    except BrokenChain as broken:
        if not broken.is_torn:
            raise


def _begins(state: Path, number: int) -> str:
    try:
        return decode(first_line(state, number).removesuffix(b"\n")).ts
    except ValueError:
        return "9"
