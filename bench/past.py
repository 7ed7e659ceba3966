"""A long record, as of a guard that was busy for years: a day's orders of a real guard, again and again.

What is repeated are the records of a thousand orders that differ in price and quantity, from decision to end as a guard
wrote them, each time with ids and a time of their own, so that nothing is live afterwards; the chain of hashes holds.
It lies in segments, as a guard makes them, without a snapshot: the longest start that a record of this length can make.
"""

import asyncio
import tempfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from core import SAMPLED_EACH, sample

from guard import logs
from guard.journal.entries import Segment
from guard.journal.record import encode, timestamp
from guard.journal.recordend import DAY_US
from guard.journal.tree import Tree, leaf
from guard.journal.writer import SEGMENT_BYTES_MAX

STEP_US: Final = 1_000_000
REST_US: Final = 10 * 86_400 * 1_000_000
ZEROS: Final = "0" * 64
_SEQ, _AT_US, _NUMBER = 7_777_777_777_777, 7_777_777_777_000_000, 777_777_777


def lay(state: Path, *, records: int) -> int:
    """Write about so many records into a state directory that is not there yet; the last is ten days old.

    Returns of how many orders they are.
    """
    logs.silence()
    with tempfile.TemporaryDirectory() as folder:
        sampled = asyncio.run(sample(Path(folder)))
    journal = state / "journal"
    state.mkdir(mode=0o700)
    journal.mkdir(mode=0o700)
    patterns, orders = [[_pattern(told) for told in each] for each in sampled], records // SAMPLED_EACH
    at_us = sampled[0][0]["t"] - REST_US - orders * STEP_US
    with _Record(journal) as record:
        for number in range(orders):
            at_us += STEP_US
            ts = timestamp(at_us).encode()
            for pattern in patterns[number % len(patterns)]:
                record.put(pattern, {b"ts": ts, b"t": at_us, b"number": number}, at_us=at_us)
    return orders


class _Record:
    """Chained lines in the files of a journal: a new one where the last is full, and with each UTC day."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._file: BinaryIO = BytesIO()
        self._segment = self._seq = self._bytes = self._day = 0
        self._prev, self._tree, self._leaves = ZEROS.encode(), Tree(), list[bytes]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, pattern: bytes, blanks: dict[bytes, Any], *, at_us: int) -> None:
        """The next record."""
        day = at_us // DAY_US
        if day != self._day or self._bytes + len(pattern) > SEGMENT_BYTES_MAX:
            self._day = day
            self._begin(at_us)
        self._write(pattern % {**blanks, b"seq": self._seq + 1, b"prev": self._prev})

    def _begin(self, at_us: int) -> None:
        self._file.close()
        self._tree, self._leaves = self._tree.grown_by(self._leaves), []
        self._segment, self._bytes = self._segment + 1, 0
        path = self._journal / f"{self._segment:08}.jsonl"
        path.touch(mode=0o600)
        self._file = path.open("wb")
        first = Segment(self._segment, self._seq + 1, self._tree.size, self._tree.written())
        self._write(encode(first, seq=self._seq + 1, ts_us=at_us, type_="segment", prev=self._prev.decode()))

    def _write(self, line: bytes) -> None:
        self._seq += 1
        self._bytes += self._file.write(line + b"\n")
        self._prev = sha256(line).hexdigest().encode()
        self._leaves.append(leaf(line))


def _pattern(told: dict[str, Any]) -> bytes:
    """The record as the guard would write it, with blanks for what differs: its own id, time, names and place."""
    decision = f"01{_NUMBER:024}"
    own = {"id": decision, "decision": decision, "t": _AT_US, "order_id": str(_NUMBER), "order_id_ex": f"X{_NUMBER}"}
    members = {name: own.get(name, value) for name, value in told.items() if name not in {"seq", "ts", "type", "prev"}}
    line = encode(members, seq=_SEQ, ts_us=_AT_US, type_=told["type"], prev=ZEROS).replace(b"%", b"%%")
    blanks = {
        f'"{decision}"': '"01%(number)024d"',
        f'"order_id":"{_NUMBER}"': '"order_id":"%(number)d"',
        f"X{_NUMBER}": "X%(number)d",
        f'"seq":{_SEQ}': '"seq":%(seq)d',
        f'"t":{_AT_US}': '"t":%(t)d',
        timestamp(_AT_US): "%(ts)s",
        f'"prev":"{ZEROS}"': '"prev":"%(prev)s"',
    }
    for text, blank in blanks.items():
        line = line.replace(text.encode(), blank.encode())
    return line
