"""Records for tests of the journal, and of whatever reads one."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from guard.codes import Code
from guard.errors import JournalFault
from guard.journal import BrokenChain, Decision, Disk, Journal, JournalBounds, OutcomeRecord, read_lines
from guard.journal.chain import ChainHead, digest, walk
from guard.terms import Reason, Verdict
from tests.support.clock import ManualClock

SHA: Final = "5f" * 32


def decision(id_: str = "01K", **members: object) -> Decision:
    """An allowed decision of `trader`, with whatever else the test says."""
    given: dict[str, object] = {
        "id": id_,
        "t": 1,
        "key": "trader",
        "endpoint": "/api/order",
        "outcome": "allow",
        "code": None,
        "reasons": (),
        "policy_sha256": SHA,
        "config_sha256": SHA,
    }
    return Decision(**(given | members))  # type: ignore[arg-type]


def refusal(id_: str = "01R", code: Code = Code.RATE, **members: object) -> Decision:
    """A refused decision of `trader`."""
    reason = Reason(code, "15 new orders in 30 s are the limit", policy="desk", rule="rates.new_orders")
    return decision(id_, outcome="refuse", code=str(code), reasons=(reason,), **members)


def outcome(decision_id: str = "01K", verdict: Verdict = Verdict.ACCEPTED, **members: object) -> OutcomeRecord:
    """What became of a decision."""
    return OutcomeRecord(decision=decision_id, t=2, verdict=verdict, **members)  # type: ignore[arg-type]


def open_journal(state: Path, *, disk: Disk | None = None, bounds: JournalBounds | None = None) -> Journal:
    """A journal with a clock that stands still."""
    return Journal.open(state, clock=ManualClock(), disk=disk, bounds=bounds)


def slow_disk(journal: Journal) -> asyncio.Event:
    """From now on nobody hears of a record on the disk before this is set."""
    go, when_durable, waiting = asyncio.Event(), journal.when_durable, set[asyncio.Task[None]]()

    def slowly(seq: int, told: Callable[[JournalFault | None], None]) -> None:
        async def later() -> None:
            await go.wait()
            when_durable(seq, told)

        waiting.add(asyncio.ensure_future(later()))

    journal.when_durable = slowly  # type: ignore[method-assign]
    return go


def once_durable(journal: Journal, then: Callable[[], object]) -> None:
    """From now on this happens whenever a record has come to the disk, before anybody hears of it."""
    when_durable = journal.when_durable

    def after(seq: int, told: Callable[[JournalFault | None], None]) -> None:
        def heard(fault: JournalFault | None) -> None:
            then()
            told(fault)

        when_durable(seq, heard)

    journal.when_durable = after  # type: ignore[method-assign]


def file_of(state: Path, number: int = 1) -> Path:
    """A segment's file."""
    return state / "journal" / f"{number:08d}.jsonl"


def verify(lines: Iterable[bytes]) -> tuple[ChainHead, BrokenChain | None]:
    """How far the chain holds from its first line on, and why no further; no fault: every line is in its place."""
    head = ChainHead()
    try:
        for line in walk(lines):
            head = ChainHead(line.seq, digest(line.raw))
    except BrokenChain as broken:
        return head, broken
    return head, None


def types_of(state: Path) -> list[str]:
    """The types of all records, after a check of the chain."""
    lines = list(read_lines(state))
    assert verify(lines)[1] is None
    return [line.split(b'"type":"', 1)[1].split(b'"', 1)[0].decode() for line in lines]


def overwrite(path: Path, old: bytes, new: bytes) -> None:
    """The first `old` in a file becomes `new`, of the same length, in its place: whoever appends to it goes on."""
    assert len(old) == len(new)
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(old))
        file.write(new)


@contextlib.contextmanager
def no_room_for_what_passes() -> Iterator[None]:
    """A queue that is full for each decision that lets something out; everything else is still recorded."""
    append, append_all = Journal.append, Journal.append_all

    def full(journal: Journal, type_: str, members: Any, **how: Any) -> int:
        if type_ == "decision" and getattr(members, "outcome", "") == "allow":
            raise JournalFault("the journal's queue is full")
        return append(journal, type_, members, **how)

    def full_for_all(journal: Journal, type_: str, records: Any, **how: Any) -> range:
        if type_ == "decision":
            raise JournalFault("the journal's queue is full")
        return append_all(journal, type_, records, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", full)
        patch.setattr(Journal, "append_all", full_for_all)
        yield
