"""A long record, as of a guard that was busy for years: the orders of a real guard, again and again.

What is repeated are the records of one order from its decision to its end as a guard wrote them, each time with its own
ids and its own time, so that nothing is live afterwards; the chain of hashes holds. It is one segment without a
snapshot: the longest start that a record of this length can make.
"""

import asyncio
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from core import sample

from guard import logs
from guard.journal.entries import Segment
from guard.journal.record import encode, timestamp

STEP_US: Final = 1_000_000
REST_US: Final = 10 * 86_400 * 1_000_000
ZEROS: Final = "0" * 64
_SEQ, _AT_US, _NUMBER = 7_777_777_777_777, 7_777_777_777_000_000, 777_777_777


def lay(state: Path, *, records: int) -> None:
    """Write about so many records into a state directory that is not there yet; the last is ten days old."""
    logs.silence()
    with tempfile.TemporaryDirectory() as folder:
        members = asyncio.run(sample(Path(folder)))
    journal = state / "journal"
    state.mkdir(mode=0o700)
    journal.mkdir(mode=0o700)
    patterns, orders = [_pattern(told) for told in members], records // len(members)
    at_us, seq = members[0]["t"] - REST_US - orders * STEP_US, 1
    first = Segment(segment=1, first_seq=1, tree_size=0, compact=())
    line = encode(first, seq=1, ts_us=at_us, type_="segment", prev=ZEROS)
    path = journal / "00000001.jsonl"
    path.touch(mode=0o600)
    with path.open("wb") as file:
        file.write(line + b"\n")
        for number in range(orders):
            at_us += STEP_US
            ts = timestamp(at_us).encode()
            for pattern in patterns:
                seq += 1
                prev = sha256(line).hexdigest().encode()
                line = pattern % {b"seq": seq, b"ts": ts, b"t": at_us, b"number": number, b"prev": prev}
                file.write(line + b"\n")


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
