"""Each call to the disk, failed and failed-but-it-happened: nobody is told *durable* of what may not be.

After every fault the bytes that are left are a chain, later appends are refused, and a restart goes on from there.
"""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from guard.errors import JournalFault
from guard.journal import Journal, JournalBounds, read_lines, replay
from guard.journal.backlog import Backlog
from guard.journal.space import ballast_path
from tests.support.disk import NO_SPACE, FaultyDisk, PagedDisk
from tests.support.journal import decision, file_of, open_journal, types_of, verify
from tests.support.signed import verdict

ROOT: Final = Path(__file__).parents[2]
EIO: Final = OSError(errno.EIO, "Input/output error")
EROFS: Final = OSError(errno.EROFS, "Read-only file system")
EDQUOT: Final = OSError(errno.EDQUOT, "Disk quota exceeded")

CHANGING: Final = ("open", "write", "pwrite", "fdatasync", "fsync", "rename", "unlink", "fchmod")

Break = Callable[[FaultyDisk, Path], object]


def replaced(_: FaultyDisk, state: Path) -> None:
    """What a log rotation or an editor does: the same name, another file."""
    copy = state / "copy"
    copy.write_bytes(file_of(state).read_bytes())
    copy.rename(file_of(state))


def swapped(path: Path) -> None:
    """An empty file under the same name."""
    path.rename(path.with_name("copy"))
    path.touch()


FAULTS: Final[dict[str, Break]] = {
    "write fails": lambda disk, _: disk.fails.update(write=EIO),
    "write fails but it happened": lambda disk, _: disk.anyway.update(write=EIO),
    "disk full at once": lambda disk, _: setattr(disk, "write_bytes_left", 0),
    "disk full within a line": lambda disk, _: setattr(disk, "write_bytes_left", 40),
    "disk full after a line": lambda disk, _: setattr(disk, "write_bytes_left", 700),
    "fsync fails": lambda disk, _: disk.fails.update(fdatasync=EIO),
    "fsync fails but it happened": lambda disk, _: disk.anyway.update(fdatasync=EIO),
    "disk quota": lambda disk, _: disk.fails.update(write=EDQUOT),
    "read-only remount": lambda disk, _: disk.fails.update(dict.fromkeys(CHANGING, EROFS)),
    "fsync finds no space": lambda disk, _: disk.fails.update(fdatasync=NO_SPACE),
    "file deleted": lambda _, state: file_of(state).unlink(),
    "file moved away": lambda _, state: file_of(state).rename(state / "moved"),
    "file replaced": replaced,
    "file truncated": lambda _, state: os.truncate(file_of(state), 50),
    "directory gone": lambda _, state: (state / "journal").rename(state / "elsewhere"),
}


async def _begun(state: Path) -> tuple[Journal, FaultyDisk, int]:
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk)
    seq = journal.append("decision", decision("01A"))
    await journal.durable(seq)
    return journal, disk, seq


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_waiter_is_told_durable_wrongly_and_the_journal_stays_closed(tmp_path: Path, fault: str) -> None:
    """Every waiter of the batch gets the fault, later appends are refused, the disk is not asked again."""
    journal, disk, seq = await _begun(tmp_path / "state")
    FAULTS[fault](disk, tmp_path / "state")
    seqs = [journal.append("decision", decision(f"01B{n}")) for n in range(3)]

    told = await asyncio.wait_for(asyncio.gather(*map(journal.durable, seqs), return_exceptions=True), 60)

    assert [type(answer) for answer in told] == [JournalFault] * 3
    assert journal.failed
    await journal.durable(seq)  # it was durable before, and that is still true
    disk.fails.clear()
    disk.anyway.clear()
    disk.write_bytes_left = None
    calls = disk.calls.total()
    with pytest.raises(JournalFault, match="until a restart"):
        journal.append("decision", decision("01C"))
    with pytest.raises(JournalFault, match="until a restart"):
        await journal.durable(seqs[0])
    assert not journal.has_room(1)
    await journal.close()
    assert disk.calls.total() == calls


@pytest.mark.parametrize("fault", [name for name in FAULTS if not name.startswith(("file", "directory"))])
async def test_what_survives_a_fault_is_a_chain_and_the_restart_goes_on(tmp_path: Path, fault: str) -> None:
    """The record has the acknowledged decision; of the later ones a prefix, perhaps; and then whatever comes next."""
    state = tmp_path / "state"
    journal, disk, seq = await _begun(state)
    FAULTS[fault](disk, state)
    seqs = [journal.append("decision", decision(f"01B{n}")) for n in range(3)]
    await asyncio.wait_for(asyncio.gather(*map(journal.durable, seqs), return_exceptions=True), 60)
    await journal.close()

    head, broken = verify(read_lines(state))
    assert broken is None or broken.is_torn
    assert seq <= head.seq <= seqs[-1]

    again = open_journal(state)
    next_seq = again.append("gap", {"reason": fault, "cancels": 0})
    await again.durable(next_seq)
    await again.close()
    lines = list(replay(state))
    assert [line.seq for line in lines] == list(range(1, next_seq + 1))
    assert next(line.members().get("id") for line in lines if line.type == "decision") == "01A"
    assert ("recovered" in types_of(state)) == bool(broken)
    assert verdict(state) == "ok"


SIGNING: Final[dict[str, Break]] = {
    "pwrite fails": lambda disk, _: disk.fails.update(pwrite=EIO),
    "pwrite fails but it happened": lambda disk, _: disk.anyway.update(pwrite=EIO),
    "no space for it": lambda disk, _: disk.fails.update(pwrite=NO_SPACE),
    "fsync fails": lambda disk, _: disk.fails.update(fsync=EIO),
    "fsync fails but it happened": lambda disk, _: disk.anyway.update(fsync=EIO),
    "read-only remount": lambda disk, _: disk.fails.update(dict.fromkeys(CHANGING, EROFS)),
    "checkpoints deleted": lambda _, state: (state / "checkpoints").unlink(),
    "checkpoints replaced": lambda _, state: swapped(state / "checkpoints"),
}


@pytest.mark.parametrize("fault", SIGNING)
async def test_a_record_that_cannot_be_signed_is_not_gone_on_with(tmp_path: Path, fault: str) -> None:
    """Who waits is told, the journal is closed, what was durable is; and the next start signs all of it."""
    state = tmp_path / "state"
    journal, disk, _ = await _begun(state)
    await journal.checkpoint()
    seq = journal.append("decision", decision("01B"))
    await journal.durable(seq)
    SIGNING[fault](disk, state)

    with pytest.raises(JournalFault):
        await asyncio.wait_for(journal.checkpoint(), 60)
    assert journal.failed
    await journal.close()
    again = open_journal(state)
    await again.durable(again.append("decision", decision("01C")))
    await again.close()
    assert verdict(state) == "ok"
    assert verify(read_lines(state))[0].seq == seq + 1


async def test_short_writes_are_no_fault(tmp_path: Path) -> None:
    """A disk that takes seven bytes at once gets all of them."""
    journal, disk, _ = await _begun(tmp_path / "state")
    disk.write_bytes_max = 7
    await journal.durable(journal.append("decision", decision("01B")))
    await journal.close()

    assert types_of(tmp_path / "state") == ["segment", "decision", "decision"]


@pytest.mark.parametrize("how", ["fails", "anyway"])
@pytest.mark.parametrize("call", ["open", "fsync", "fdatasync", "write"])
async def test_a_rotation_that_fails_closes_the_journal(tmp_path: Path, call: str, how: str) -> None:
    """Or that was done and told as failed: the old segment stays whole, and the next start goes on behind the last."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(segment_bytes_max=1000))
    await journal.durable(journal.append("decision", decision("01A")))
    getattr(disk, how)[call] = EIO
    seqs = [journal.append("decision", decision(f"01B{n}")) for n in range(6)]

    told = await asyncio.wait_for(asyncio.gather(*map(journal.durable, seqs), return_exceptions=True), 60)
    await journal.close()

    assert {type(answer) for answer in told} == {JournalFault}
    assert journal.failed == str(EIO)
    assert disk.calls[call]
    again = open_journal(state)
    await again.durable(again.append("decision", decision("01C")))
    await again.close()
    ids = [str(line.members()["id"]) for line in replay(state) if line.type == "decision"]
    assert (ids[0], ids[-1]) == ("01A", "01C")
    assert ids == sorted(ids)
    assert verdict(state) == "ok"


@pytest.mark.parametrize("how", ["fails", "anyway"])
async def test_a_lost_chmod_of_a_closed_segment_closes_the_journal(tmp_path: Path, how: str) -> None:
    """What cannot be sealed, or is told so, is reported, not passed over; what was durable before stays so."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(segment_bytes_max=1000))
    await journal.durable(journal.append("decision", decision("01A")))
    getattr(disk, how)["fchmod"] = EIO
    seqs = [journal.append("decision", decision(f"01B{n}")) for n in range(4)]

    told = await asyncio.gather(*map(journal.durable, seqs), return_exceptions=True)
    assert isinstance(told[-1], JournalFault)
    assert journal.failed == str(EIO)
    await journal.close()
    open_journal(state).shut()
    assert verdict(state) == "ok"


LONG: Final = {"said": "x" * 10_000}


@pytest.mark.parametrize("how", ["fails", "anyway"])
async def test_what_a_failed_sync_left_in_the_cache_alone_outlives_the_power_once_it_is_gone_on_from(
    tmp_path: Path, how: str
) -> None:
    """The next start reads pages that the kernel takes for clean: it writes them again, or the record had a hole."""
    state, disk = tmp_path / "state", PagedDisk()
    journal = open_journal(state, disk=disk)
    await journal.durable(journal.append("decision", decision("01A")))
    await journal.checkpoint()
    getattr(disk, how)["fdatasync"] = EIO
    with pytest.raises(JournalFault):
        await journal.durable(journal.append("a", LONG))
    await journal.close()
    getattr(disk, how).clear()

    again = open_journal(state, disk=disk)
    await again.durable(again.append("decision", decision("01B")))
    await again.close()
    disk.cut_power(file_of(state))
    assert verdict(state) == "ok"
    assert [line.type for line in replay(state)] == ["segment", "decision", "a", "decision"]


@pytest.mark.parametrize("how", ["fails", "anyway"])
@pytest.mark.parametrize("call", ["pwrite", "fsync"])
async def test_a_start_that_cannot_write_it_again_takes_no_order_and_is_no_end(
    tmp_path: Path, call: str, how: str
) -> None:
    """As with any disk that fails: the doors open, for cancels; the start after it has everything."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = open_journal(state)
    journal.append("decision", decision("01A"))
    await journal.close()
    (state / "checkpoints").unlink()
    getattr(disk, how)[call] = EIO
    again = open_journal(state, disk=disk)
    assert again.failed == str(EIO)
    assert not again.has_room(1)
    await again.close()

    open_journal(state).shut()
    assert types_of(state) == ["segment", "decision"]


def test_the_ballast_makes_room_for_what_is_written_again(tmp_path: Path) -> None:
    """Where a write in place needs new blocks: copy on write, a thin volume, pages that a full disk never took."""
    state = tmp_path / "state"

    class Full(FaultyDisk):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            if ballast_path(state).exists():
                raise NO_SPACE
            return super().pwrite(fd, data, offset)

    journal = open_journal(state)
    journal.append("decision", decision("01A"))
    journal.shut()
    (state / "checkpoints").unlink()
    ballast_path(state).write_bytes(b"0")
    again = open_journal(state, disk=Full())
    assert again.failed is None
    again.append("decision", decision("01B"))
    again.shut()
    assert types_of(state) == ["segment", "decision", "decision"]


def test_what_could_not_be_written_again_is_never_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the journal is shut in the moment in which its thread looks at the space."""
    state, disk, take = tmp_path / "state", FaultyDisk(), Backlog.take
    journal = open_journal(state)
    journal.append("decision", decision("01A"))
    journal.shut()
    (state / "checkpoints").unlink()

    def shut_meanwhile(self: Backlog, left_s: Callable[[], float | None]) -> object:
        taken = take(self, left_s)
        self.is_closing = True
        disk.fails.clear()
        return taken

    monkeypatch.setattr(Backlog, "take", shut_meanwhile)
    disk.fails["fsync"] = EIO
    again = open_journal(state, disk=disk)
    assert again.failed == str(EIO)
    again._thread.join(10)
    assert not (state / "checkpoints").exists()


async def test_a_sync_that_fails_with_nobody_waiting_is_known_at_the_next_append(tmp_path: Path) -> None:
    """Lazy records have no waiter; the fault is not lost for that."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(sync_lag_s=0.001))
    disk.fails["fdatasync"] = EIO
    journal.append("outcome", {"decision": "01A"}, lazy=True)

    with pytest.raises(JournalFault):
        journal.flush()
    assert journal.failed == str(EIO)
    await journal.close()


async def test_a_bug_in_the_writer_thread_is_a_fault_too(tmp_path: Path) -> None:
    """A thread that dies unheard would leave every waiter waiting."""

    class Bug(FaultyDisk):
        def fdatasync(self, fd: int) -> None:
            raise ZeroDivisionError

    journal = open_journal(tmp_path / "state", disk=Bug())
    seq = journal.append("a", {})

    with pytest.raises(JournalFault, match="ZeroDivisionError"):
        await asyncio.wait_for(journal.durable(seq), 60)
    await journal.close()


CHILD: Final = """
import asyncio, sys
from pathlib import Path
from guard.clock import SystemClock
from guard.journal import Journal, JournalBounds

async def work(journal, name):
    while True:
        seq = journal.append("decision", {"by": name}, lazy=False)
        await journal.durable(seq)
        print(seq, flush=True)
        journal.append("outcome", {"decision": str(seq)}, lazy=True)

async def main():
    journal = Journal.open(Path(sys.argv[1]), clock=SystemClock(), bounds=JournalBounds(segment_bytes_max=20_000))
    await asyncio.gather(*(work(journal, n) for n in range(8)))

asyncio.run(main())
"""


def test_sigkill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every seq that the dying process had called durable is in the record, and the next start goes on."""
    state = tmp_path / "state"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", CHILD, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(400)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.readlines()

    acknowledged = {int(line) for line in told if line.endswith("\n")}
    journal = open_journal(state)
    last = journal.append("start", {"after": "SIGKILL"})
    journal.shut()
    types = {line.seq: line.type for line in replay(state)}
    assert len(acknowledged) >= 400
    assert {types.get(seq) for seq in acknowledged} == {"decision"}
    assert sorted(types) == list(range(1, last + 1))
    assert file_of(state, 2).exists()
