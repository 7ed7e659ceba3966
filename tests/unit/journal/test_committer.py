"""When the record is signed: in time, before a new segment, on request, at the end, and never ahead of the disk."""

import asyncio
import time
from pathlib import Path

import pytest

from guard.errors import JournalFault
from guard.journal import Journal, JournalBounds, read_lines
from guard.journal.checkpoints import checkpoints_path, largest, read_notes
from guard.journal.note import Checkpoint, Note, Verifier
from guard.journal.tree import Tree, TreeHead, leaf
from tests.support.clock import START_US, ManualClock
from tests.support.disk import NO_SPACE, FaultyDisk, HeldDisk
from tests.support.journal import decision, file_of, open_journal, outcome

PATIENT = JournalBounds(sign_lag_s=60)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the journal will be."""
    return tmp_path / "state"


def head_of(state: Path) -> TreeHead:
    """The tree of all lines that are in the files."""
    tree = Tree()
    for line in read_lines(state):
        tree = tree.grown(leaf(line[:-1]))
    return TreeHead(tree.size, tree.root())


async def signed(state: Path, size: int) -> None:
    """Waits until a checkpoint is over that many records."""
    async with asyncio.timeout(60):
        while (found := largest(state)) is None or found.size < size:  # noqa: ASYNC110 - a thread signs
            await asyncio.sleep(0.005)


async def test_the_last_record_before_a_pause_is_signed_too(state: Path) -> None:
    """Pitfall 10: the signature has a timer of its own; nothing has to follow."""
    journal, began_s = open_journal(state, bounds=JournalBounds(sign_lag_s=0.05)), time.monotonic()
    await journal.durable(journal.append("decision", decision()))
    is_signed = largest(state) is not None
    assert not is_signed or time.monotonic() - began_s >= 0.05, "not at once"

    await signed(state, 2)
    assert largest(state) == head_of(state)
    await journal.close()


async def test_a_signature_is_due_no_later_than_the_contract_says(state: Path) -> None:
    """By the writer's own reckoning, which no busy machine makes late."""
    journal = open_journal(state, bounds=PATIENT)
    await journal.durable(journal.append("decision", decision()))
    assert journal._committer._sign_due_s <= time.monotonic() + PATIENT.sign_lag_s
    await journal.close()


async def test_a_lazy_record_is_signed_in_time_as_well(state: Path) -> None:
    """It is synced first: a checkpoint is never over what a power cut could take."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(sign_lag_s=0.02, sync_lag_s=60))
    seq = journal.append("outcome", outcome(), lazy=True)

    await signed(state, seq)
    assert disk.calls["fdatasync"] == 1
    await journal.durable(seq)
    await journal.close()


async def test_a_stream_of_records_is_signed_again_and_again(state: Path) -> None:
    """The timer runs from the first record that no checkpoint covers, not from the last."""
    journal = open_journal(state, bounds=JournalBounds(sign_lag_s=0.02))
    notes: list[str] = []
    journal.on_checkpoint = notes.append
    for n in range(60):
        await journal.durable(journal.append("decision", decision(f"01K{n}")))
        await asyncio.sleep(0.002)
    await journal.close()
    await asyncio.sleep(0)

    sizes = [Checkpoint.read(Note.read(note).text).head.size for note in dict.fromkeys(notes)]
    assert len(sizes) > 3
    assert sizes == sorted(sizes)
    assert sizes[-1] == 61


async def test_a_checkpoint_never_covers_what_is_not_synced(state: Path) -> None:
    """The disk stands still within a sync: what is written already is not signed."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(sign_lag_s=0.001))
    seq = journal.append("decision", decision())
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    asked = asyncio.ensure_future(journal.checkpoint())
    await asyncio.sleep(0.05)
    assert journal.written_seq == seq
    assert largest(state) is None
    assert not asked.done()

    disk.let.set()
    assert Checkpoint.read(Note.read(await asked).text).head == head_of(state)
    await journal.close()


async def test_who_asks_in_the_middle_of_a_turn_has_it_signed_once(state: Path) -> None:
    """What was asked for is taken at once, though the turn goes on; nothing is signed again and again until it ends."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=PATIENT)
    journal.append("a", {})
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    before = disk.calls["fsync"]
    journal.append("b", {})
    journal.sign_soon()
    journal.append("c", {})
    disk.let.set()
    end_s = time.monotonic() + 60
    while journal.written_seq < 4 and time.monotonic() < end_s:
        time.sleep(0.001)  # noqa: ASYNC251 - the turn goes on
    time.sleep(0.1)  # noqa: ASYNC251 - and on, so that it could sign again

    assert journal.written_seq == journal.last_seq == 4
    assert disk.calls["fsync"] - before <= 2, "the file of checkpoints and the directory that it is new in"
    await journal.close()


async def test_a_disk_that_is_full_in_the_middle_of_a_turn_lets_nobody_wait(state: Path) -> None:
    """More was put in while the disk stood still in a sync, and then it is full: all hear, nothing more is kept."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=PATIENT)
    first = asyncio.ensure_future(journal.durable(journal.append("decision", decision("01K1"))))
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    disk.fails["fdatasync"] = NO_SPACE
    second = asyncio.ensure_future(journal.durable(journal.append("decision", decision("01K2"))))
    disk.let.set()
    heard = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 60)

    assert [type(fault) for fault in heard] == [JournalFault, JournalFault]
    with pytest.raises(JournalFault, match="closed until a restart"):
        journal.append("decision", decision("01K3"))
    assert not any(b"01K2" in line or b"01K3" in line for line in read_lines(state))
    await journal.close()


async def test_a_full_segment_is_signed_before_the_next_is_written(state: Path) -> None:
    """Whatever is lost later, the closed one is vouched for to its last line."""
    clock = ManualClock()
    journal = Journal.open(state, clock=clock, bounds=JournalBounds(sign_lag_s=60, segment_bytes_max=1500))
    n = 0
    while not file_of(state, 2).exists():
        await journal.durable(journal.append("decision", decision(f"01K{n}")))
        n += 1

    first = next(read_lines(state, first=2))
    found = largest(state)
    assert found is not None
    assert f'"tree_size":{found.size},'.encode() in first
    await journal.close()


async def test_what_nobody_had_signed_is_not_signed_ahead_of_the_first_record_of_a_run(state: Path) -> None:
    """That record tells of it: were the guard killed between the two, nobody would ever be told."""
    journal = open_journal(state)
    journal.append("a", {})
    await journal.close()
    checkpoints_path(state).unlink()
    clock, disk = ManualClock(), FaultyDisk()
    clock.advance(s=24 * 3600)

    journal = Journal.open(state, clock=clock, disk=disk)
    disk.fails["write"] = OSError(5, "Input/output error")
    with pytest.raises(JournalFault, match="Input/output error"):
        await journal.durable(journal.append("start", {}))
    await journal.close()
    assert file_of(state, 2).exists()
    assert largest(state) is None


async def test_a_new_day_begins_a_new_segment(state: Path) -> None:
    """By the UTC date of the records; a clock that goes back begins none."""
    clock = ManualClock()
    journal = Journal.open(state, clock=clock, bounds=PATIENT)
    journal.append("a", {})
    clock.advance(s=14 * 3600 + 13 * 60 + 31)  # 23:59:59
    journal.append("b", {})
    clock.advance(s=1)
    journal.append("c", {})
    clock.step_wall(s=-3600)
    journal.append("d", {})
    await journal.close()
    assert [line.split(b'"type":"')[1][:1] for line in read_lines(state, first=2)] == [b"s", b"c", b"d"]

    again = Journal.open(state, clock=clock, bounds=PATIENT)
    again.append("e", {})
    clock.advance(s=25 * 3600)
    again.append("f", {})
    again.shut()
    assert [path.name for path in sorted((state / "journal").iterdir())] == [f"0000000{n}.jsonl" for n in (1, 2, 3)]


async def test_who_asks_gets_a_checkpoint_over_everything_so_far(state: Path) -> None:
    """Without waiting for the timer; a second question is answered at once."""
    journal = open_journal(state, bounds=PATIENT)
    journal.append("outcome", outcome(), lazy=True)

    note = await asyncio.wait_for(journal.checkpoint(), 60)
    assert Checkpoint.read(Note.read(note).text).head == head_of(state)
    assert Note.read(note).signers([Verifier.read(journal.vkey)])
    assert await journal.checkpoint() == note == read_notes(checkpoints_path(state))[-1]
    await journal.close()


async def test_questions_while_it_signs_are_not_forgotten(state: Path) -> None:
    """Each asker's own records are covered, however the thread was busy."""
    journal = open_journal(state, bounds=PATIENT)

    async def ask(n: int) -> bool:
        seq = journal.append("decision", decision(f"01K{n}"))
        await asyncio.sleep(n % 7 / 1000)
        return Checkpoint.read(Note.read(await journal.checkpoint()).text).head.size >= seq

    assert all(await asyncio.wait_for(asyncio.gather(*map(ask, range(50))), 60))
    await journal.close()


async def test_a_signature_can_be_asked_for_without_waiting(state: Path) -> None:
    """A reload does not stand still for it."""
    journal = open_journal(state, bounds=PATIENT)
    seq = journal.append("policy", {})
    journal.sign_soon()

    await signed(state, seq)
    head = largest(state)
    await journal.close()
    assert head is not None
    assert head.size == seq


def test_the_end_is_signed(state: Path) -> None:
    """A drain leaves nothing uncovered, lazy records included; a run without records signs nothing."""
    journal = open_journal(state, bounds=JournalBounds(sign_lag_s=60, sync_lag_s=60))
    journal.append("decision", decision())
    journal.append("outcome", outcome(), lazy=True)
    journal.shut()
    before = checkpoints_path(state).read_bytes()
    assert largest(state) == head_of(state)

    open_journal(state).shut()
    assert checkpoints_path(state).read_bytes() == before


async def test_a_checkpoint_before_the_first_record_is_refused(state: Path) -> None:
    """There is nothing to sign."""
    journal = open_journal(state)
    with pytest.raises(JournalFault, match="no record yet"):
        await journal.checkpoint()
    await journal.close()
    assert largest(state) is None


async def test_the_metrics_know_when_it_was_last_signed(state: Path) -> None:
    """Wall clock, 0 before the first."""
    journal = open_journal(state)
    assert journal.signed_us == 0
    journal.append("a", {})
    await journal.checkpoint()

    assert journal.signed_us == START_US
    await journal.close()


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
async def test_a_checkpoint_that_cannot_be_kept_closes_the_journal(state: Path, call: str) -> None:
    """A record that cannot be proved is not gone on with; who waits for the checkpoint is told."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=PATIENT)
    journal.append("decision", decision())
    await journal.durable(journal.last_seq)
    disk.fails[call] = OSError(5, "Input/output error")

    with pytest.raises(JournalFault):
        await asyncio.wait_for(journal.checkpoint(), 60)
    assert journal.failed is not None
    with pytest.raises(JournalFault, match="until a restart"):
        journal.append("decision", decision())
    await journal.close()


async def test_whoever_waits_is_not_kept_for_what_nobody_waits_for(tmp_path: Path) -> None:
    """What is awaited is synced at once, however long records that are not may lie."""
    disk = FaultyDisk()
    journal = open_journal(tmp_path / "state", disk=disk, bounds=JournalBounds(sync_lag_s=3600, sign_lag_s=3600))
    for name in ("01A", "01B"):
        before = disk.calls["fdatasync"]
        seq = journal.append("decision", decision(name))
        await asyncio.wait_for(journal.durable(seq), 60)
        assert disk.calls["fdatasync"] > before
    await journal.close()
