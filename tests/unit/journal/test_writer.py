"""The open journal: appending, waiting for the disk, rotating, closing, going on after a restart."""

import asyncio
import stat
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from guard.errors import JournalFault, StateFault
from guard.journal import Decision, Gap, Journal, JournalBounds, read_lines, replay
from guard.journal.recordend import Timed
from guard.terms import Claim
from tests.support.clock import START_US, ManualClock
from tests.support.disk import Diary, FaultyDisk, HeldDisk, open_descriptors
from tests.support.journal import decision, file_of, open_journal, outcome, types_of, verify
from tests.support.signed import verdict

SMALL: Final = JournalBounds(segment_bytes_max=1500)
RESTING: Final = JournalBounds(rest_s=60, sync_lag_s=60, sign_lag_s=60, look_s=60)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the journal will be."""
    return tmp_path / "state"


async def asleep(journal: Journal) -> None:
    """The writer thread has nothing to do: until it sleeps it takes whatever there is, also what is to rest."""
    async with asyncio.timeout(60):
        while not journal._backlog._is_asleep:  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0.001)


# ---------------------------------------------------------------- the file


async def test_a_record_is_one_line_with_the_head_of_the_contract(state: Path) -> None:
    """The first line ever is the segment's, with 64 zeros; seq counts on from it without a gap."""
    journal = open_journal(state)
    seq = journal.append("gap", Gap(reason="disk full", cancels=2))
    await journal.durable(seq)

    first, second = file_of(state).read_bytes().splitlines()
    assert first == (
        b'{"seq":1,"ts":"2026-11-22T09:46:28.123456Z","type":"segment","segment":1,"first_seq":1,'
        b'"tree_size":0,"compact":[],"prev":"%s"}' % (b"0" * 64)
    )
    assert seq == 2
    assert list(msgspec.json.decode(second)) == ["seq", "ts", "type", "reason", "cancels", "prev"]
    await journal.close()


async def test_files_and_directories_have_the_modes_of_the_contract(state: Path) -> None:
    """0700, 0700, 0600; a closed segment 0440."""
    journal = open_journal(state, bounds=SMALL)
    while file_of(state, 2).exists() is False:
        await journal.durable(journal.append("decision", decision()))
    await journal.durable(journal.append("decision", decision()))
    await journal.close()

    modes = [stat.S_IMODE(p.stat().st_mode) for p in (state, state / "journal", file_of(state), file_of(state, 2))]
    assert modes == [0o700, 0o700, 0o440, 0o600]


async def test_the_time_of_a_record_is_the_clocks_or_the_decisions_own(state: Path) -> None:
    """A decision is dated with the moment that its rules looked at."""
    journal = open_journal(state)
    journal.append("a", {})
    journal.append("b", {}, wall_us=START_US - 1)
    await journal.close()

    assert [line.ts[-8:] for line in replay(state)] == [".123456Z", ".123456Z", ".123455Z"]


async def test_several_at_once_have_their_places_and_whoever_is_left_asks_by_himself(state: Path) -> None:
    """Where a file is full the rest are left over, none of them lost and none written twice."""
    journal, seen = open_journal(state, bounds=SMALL), deque[Timed]()
    journal.append("decision", decision("01K0"))
    journal.tap(seen)
    left = [(decision(f"01K{n}"), START_US) for n in range(1, 30)]
    parts = list[int]()
    while left:
        seqs = journal.append_all("decision", left)
        parts.append(len(seqs))
        left = left[len(seqs) :]
        if left:
            assert journal.append("decision", left[0][0], wall_us=START_US) == journal.last_seq > seqs.stop
            left = left[1:]
    await journal.durable(journal.last_seq)
    await journal.close()

    assert len(parts) > 2
    assert max(parts) > 1
    assert len(seen) == 29
    lines = list(replay(state))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.members()["id"] for line in lines if line.type == "decision"] == [f"01K{n}" for n in range(30)]


async def test_the_chain_runs_on_across_segments(state: Path) -> None:
    """Each file opens with its own number and first seq; together they are one chain."""
    journal = open_journal(state, bounds=SMALL)
    for n in range(30):
        journal.append("decision", decision(f"01K{n}"))
    await journal.durable(journal.last_seq)
    await journal.close()

    lines = list(replay(state))
    openings = [line for line in lines if line.type == "segment"]
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.members()["segment"] for line in openings] == list(range(1, len(openings) + 1))
    assert [line.members()["first_seq"] for line in openings] == [line.seq for line in openings]
    assert len(openings) > 3
    assert all(file_of(state, n + 1).stat().st_size <= 1500 for n in range(len(openings)))


# ---------------------------------------------------------------- durable


async def test_many_waiters_share_few_syncs(state: Path) -> None:
    """While one batch syncs the next one gathers: a hundred records, two syncs."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk)
    first = journal.append("a", {})
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    rest = [journal.append("b", {"n": n}) for n in range(100)]
    waiting = asyncio.gather(*(journal.durable(seq) for seq in [first, *rest]))
    await asyncio.sleep(0)
    assert not waiting.done()

    disk.let.set()
    await asyncio.wait_for(waiting, 60)

    assert disk.calls["fdatasync"] == 2
    await journal.close()


async def test_what_one_turn_of_the_loop_appends_is_one_batch(state: Path) -> None:
    """However long the turn takes: the writer thread is woken when it is over, and syncs once."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk)
    await journal.durable(journal.append("a", {}))
    before, seqs = disk.calls["fdatasync"], []
    for n in range(20):
        seqs.append(journal.append("b", {"n": n}))
        time.sleep(0.001)  # noqa: ASYNC251 - time enough for a thread that was woken

    await asyncio.gather(*(journal.durable(seq) for seq in seqs))

    assert disk.calls["fdatasync"] == before + 1
    await journal.close()


def test_a_turn_that_never_ends_keeps_nothing_back(state: Path) -> None:
    """The loop was stopped in the middle of one: what it appended is written when the thread next looks around."""

    async def begun() -> Journal:
        journal = open_journal(state, bounds=JournalBounds(look_s=0.02))
        journal.append("a", {})
        return journal

    loop = asyncio.new_event_loop()
    journal = loop.run_until_complete(begun())
    end_s = time.monotonic() + 60
    while journal.written_seq < journal.last_seq and time.monotonic() < end_s:
        time.sleep(0.005)

    assert journal.written_seq == journal.last_seq == 2
    loop.close()
    journal.shut()


async def test_an_append_that_blocks_its_loop_until_it_is_durable_is_written(state: Path) -> None:
    """`flush` does not wait for the end of a turn that only ends after it."""
    journal = open_journal(state)
    seq = journal.append("a", {})

    journal.flush()

    assert len(list(read_lines(state))) == seq
    await journal.close()


async def test_nothing_is_durable_before_the_sync_has_returned(state: Path) -> None:
    """Written is not yet safe."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk)
    seq = journal.append("a", {})
    waiter = asyncio.ensure_future(journal.durable(seq))
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    await asyncio.sleep(0.01)

    assert b'"type":"a"' in file_of(state).read_bytes()
    assert not waiter.done()
    disk.let.set()
    await asyncio.wait_for(waiter, 60)
    await journal.close()


async def test_waiters_that_went_away_disturb_nobody(state: Path) -> None:
    """A cancelled wait is passed over; the record is written all the same."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk)
    seq = journal.append("a", {})
    gone, stays = (asyncio.ensure_future(journal.durable(seq)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    disk.let.set()

    await asyncio.wait_for(stays, 60)
    assert gone.cancelled()
    await journal.close()
    assert types_of(state) == ["segment", "a"]


async def test_waiting_twice_and_out_of_order_is_fine(state: Path) -> None:
    """What is durable stays so; a later seq implies the earlier ones."""
    journal = open_journal(state)
    first, second = journal.append("a", {}), journal.append("b", {})
    await journal.durable(second)
    await journal.durable(first)
    await journal.durable(second)
    await journal.close()
    await journal.durable(first)
    assert types_of(state) == ["segment", "a", "b"]


async def test_waiting_for_what_was_never_appended_is_a_bug(state: Path) -> None:
    """It would wait for ever."""
    journal = open_journal(state)

    with pytest.raises(AssertionError, match="never appended"):
        await journal.durable(99)
    await journal.close()


async def test_a_lazy_record_is_written_and_synced_soon(state: Path) -> None:
    """Nobody waits for it, but it does not wait for the next record either."""
    journal = open_journal(state, bounds=JournalBounds(sync_lag_s=0.01))
    seq = journal.append("outcome", outcome(), lazy=True)

    await asyncio.wait_for(journal.durable(seq), 60)
    await journal.close()
    assert types_of(state) == ["segment", "outcome"]


async def test_a_lazy_record_rests_until_one_comes_that_somebody_waits_for(state: Path) -> None:
    """The outcome of an order is written with the decision on the next: the thread is woken once for both."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=RESTING)
    await journal.durable(journal.append("decision", decision()))
    await asleep(journal)
    before = disk.calls["write"]
    seq = journal.append("outcome", outcome(), lazy=True)
    await asyncio.sleep(0.02)
    assert (disk.calls["write"], journal.queue_records) == (before, 1)

    await journal.durable(journal.append("decision", decision()))
    assert (disk.calls["write"], journal.queue_records) == (before + 1, 0)
    assert journal.written_seq == seq + 1
    await journal.close()


async def test_a_lazy_record_alone_is_written_when_it_has_rested(state: Path) -> None:
    """Nothing has to follow it; and what comes then rests as long again."""
    journal = open_journal(state, bounds=replace(RESTING, rest_s=0.01))
    for _ in range(3):
        await asleep(journal)
        seq = journal.append("outcome", outcome(), lazy=True)
        assert journal.written_seq < seq
        async with asyncio.timeout(60):
            while journal.written_seq < seq:  # noqa: ASYNC110 - a thread writes
                await asyncio.sleep(0.001)
    await journal.close()


async def test_a_lazy_record_rests_as_long_also_where_one_before_it_was_taken_early(state: Path) -> None:
    """The rest that one had begun is not the next one's: that is written with what comes in all of its own time."""
    journal = open_journal(state, bounds=replace(RESTING, rest_s=0.1))
    journal.append("outcome", outcome(), lazy=True)
    await journal.durable(journal.append("decision", decision()))
    await asyncio.sleep(0.05)
    await asleep(journal)

    began_s = time.monotonic()
    seq = journal.append("outcome", outcome(), lazy=True)
    async with asyncio.timeout(60):
        while journal.written_seq < seq:  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(0.001)
    assert time.monotonic() - began_s > 0.095
    await journal.close()


async def test_a_disk_that_fills_while_an_outcome_rests_stops_the_next_order(state: Path) -> None:
    """Nobody waits for it, so nobody would hear of it: the journal is closed, and what comes next is told why."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=replace(RESTING, rest_s=0.01))
    await journal.durable(journal.append("decision", decision()))
    disk.write_bytes_left = 0
    lost = journal.append("outcome", outcome(), lazy=True)
    async with asyncio.timeout(60):
        while journal.failed is None:  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(0.001)

    with pytest.raises(JournalFault, match="closed until a restart"):
        journal.append("decision", decision())
    with pytest.raises(JournalFault):
        await journal.durable(lost)
    await journal.close()
    assert types_of(state) == ["segment", "decision"]


async def test_lazy_records_ride_on_the_next_sync(state: Path) -> None:
    """A hundred outcomes cost no sync of their own; the decision after them covers all."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=RESTING)
    lazy = [journal.append("outcome", outcome(), lazy=True) for _ in range(100)]
    await journal.durable(journal.append("decision", decision()))

    assert disk.calls["fdatasync"] == 1
    await journal.durable(lazy[-1])
    await journal.close()


async def test_closing_syncs_what_is_lazy(state: Path) -> None:
    """A clean stop leaves nothing in the kernel's hands."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk, bounds=RESTING)
    seq = journal.append("outcome", outcome(), lazy=True)
    await journal.close()

    assert disk.calls["fdatasync"] == 1
    await journal.durable(seq)


async def test_each_sync_is_told_to_the_metrics_on_the_loop(state: Path) -> None:
    """The seconds arrive in the loop's own thread."""
    journal, seen = open_journal(state), list[tuple[float, int]]()
    journal.on_sync = lambda seconds: seen.append((seconds, threading.get_ident()))
    await journal.durable(journal.append("a", {}))

    assert seen == [(journal.last_sync_s, threading.get_ident())]
    assert journal.last_sync_s > 0
    await journal.close()


async def test_who_hears_of_a_sync_and_breaks_keeps_nobody_waiting(state: Path) -> None:
    """The loop is told of the fault; who waits for the record, or for a checkpoint, goes on."""
    journal, faults = open_journal(state), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def break_(_: object) -> None:
        raise LookupError

    journal.on_sync = journal.on_checkpoint = break_
    async with asyncio.timeout(60):
        await journal.durable(journal.append("a", {}))
        await journal.checkpoint()

    assert [type(fault) for fault in faults] == [LookupError] * 2
    await journal.close()


# ---------------------------------------------------------------- bounds and refusals


async def test_a_full_queue_refuses_and_burns_no_seq(state: Path) -> None:
    """By count and by bytes; the next record that is taken follows the last one that was."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(queue_records_max=8, queue_bytes_max=1500))
    journal.append("a", {})
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    last = [journal.append("b", {}) for _ in range(8)][-1]
    with pytest.raises(JournalFault, match="queue is full: 8 records"):
        journal.append("c", {})
    assert (journal.last_seq, journal.queue_records, journal.failed) == (last, 8, None)

    disk.let.set()
    await journal.durable(last)
    assert journal.append("d", {}) == last + 1
    await journal.close()
    assert types_of(state) == ["segment", "a", *["b"] * 8, "d"]


async def test_a_queue_is_full_by_bytes_too(state: Path) -> None:
    """One large record is always taken, a second one waits for the disk."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(queue_bytes_max=4096))
    journal.append("a", {})
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    journal.append("large", {"text": "x" * 10_000})

    with pytest.raises(JournalFault, match="bytes wait for the disk"):
        journal.append("more", {})
    disk.let.set()
    await journal.close()
    assert types_of(state) == ["segment", "a", "large"]


async def test_room_leaves_a_quarter_to_outcomes_and_cancels(state: Path) -> None:
    """New orders are refused before the settlement of old ones could not be recorded."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(queue_records_max=8))
    journal.append("a", {})
    await asyncio.to_thread(disk.is_syncing.wait, 60)
    assert journal.has_room(6)
    assert not journal.has_room(7)
    for _ in range(6):
        journal.append("b", {})

    assert not journal.has_room(1)
    journal.append("outcome", outcome())
    disk.let.set()
    await journal.close()
    assert not journal.has_room(1)


async def test_a_record_that_cannot_be_written_is_refused_alone(state: Path) -> None:
    """The journal goes on, and no seq is missing."""
    journal = open_journal(state)
    with pytest.raises(JournalFault, match="cannot be written"):
        journal.append("a", {"text": "\ud800"})
    with pytest.raises(JournalFault, match="cannot be written"):
        journal.append("a", {"seq": 1})

    assert journal.failed is None
    await journal.durable(journal.append("b", {}))
    await journal.close()
    assert types_of(state) == ["segment", "b"]


async def test_a_closed_journal_takes_nothing(state: Path) -> None:
    """Closing twice is harmless."""
    journal = open_journal(state)
    await journal.close()
    await journal.close()

    with pytest.raises(JournalFault, match="closed"):
        journal.append("a", {})


def test_records_are_in_order_when_several_threads_append(state: Path) -> None:
    """Each thread's records keep their order, and the chain holds."""
    journal = open_journal(state, bounds=JournalBounds(segment_bytes_max=5000))

    def work(name: str) -> None:
        for n in range(50):
            journal.append("a", {"by": name, "n": n}, lazy=n % 2 == 0)

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.shut()

    members = [line.members() for line in replay(state) if line.type == "a"]
    assert len(members) == 200
    for name in "0123":
        assert [m["n"] for m in members if m["by"] == name] == list(range(50))


async def test_counters_are_plain_numbers(state: Path) -> None:
    """For the metrics: records since the start, what waits, what is free."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk)
    await journal.durable(journal.append("a", {}))

    assert (journal.records_total, journal.queue_records, journal.free_bytes()) == (2, 0, disk.free)
    await journal.close()


# ---------------------------------------------------------------- starting again


def test_a_restart_goes_on_in_the_chain(state: Path) -> None:
    """Seq and prev follow from the last record of the last run."""
    for name in ("a", "b", "c"):
        journal = open_journal(state)
        journal.append(name, {})
        journal.shut()

    assert types_of(state) == ["segment", "a", "b", "c"]


def test_w10_a_restart_finds_every_claim_and_its_time_again(state: Path) -> None:
    """What counters are made of is in the record: a process that ends takes none of it along."""
    claim = Claim("spend", "daily_value/key=trader|HKD", 300_000_000, cap=2_000_000_000)
    journal = open_journal(state)
    journal.append("decision", decision(t=77, claims=(claim,), used=(5,)))
    journal.shut()

    again = open_journal(state)
    record = next(line.typed() for line in replay(state) if line.type == "decision")
    again.shut()
    assert isinstance(record, Decision)
    assert (record.t, record.claims, record.used) == (77, (claim,), (5,))


def test_a_torn_tail_is_recorded_as_recovered(state: Path) -> None:
    """The record says how much was set aside, and where it is."""
    journal = open_journal(state)
    journal.append("a", {})
    journal.shut()
    with file_of(state).open("ab") as file:
        file.write(b'{"seq":3,"ts"')

    journal = open_journal(state)
    assert types_of(state) == ["segment", "a", "recovered"]
    journal.shut()
    *_, line = replay(state)
    assert (line.members()["bytes"], line.members()["file"]) == (13, "00000001.jsonl.torn")


def test_a_crash_between_two_segments_goes_on_in_the_old_one(state: Path) -> None:
    """An empty new file was no record yet."""
    journal = open_journal(state)
    journal.append("a", {})
    journal.shut()
    file_of(state, 2).touch(mode=0o600)

    journal = open_journal(state)
    journal.append("b", {})
    journal.shut()
    assert types_of(state) == ["segment", "a", "b"]
    assert not file_of(state, 2).exists()


def test_a_second_journal_on_the_same_state_is_refused_until_the_first_is_shut(state: Path) -> None:
    """Two writers would fork the chain."""
    first = open_journal(state)
    with pytest.raises(StateFault, match="in use"):
        open_journal(state)
    first.shut()

    open_journal(state).shut()


@pytest.mark.parametrize("reason", ["unsafe", "broken", "unreadable", "linked"])
def test_a_refused_start_lets_go_of_the_lock(state: Path, reason: str) -> None:
    """What was wrong can be put right and tried again in the same process."""
    open_journal(state).shut()
    journal = open_journal(state)
    journal.append("a", {})
    journal.shut()
    good = file_of(state).read_bytes()
    disk = FaultyDisk()
    if reason == "unsafe":
        state.chmod(0o755)
    if reason == "broken":
        file_of(state).write_bytes(good + b"{}\n{}\n")
    if reason == "unreadable":
        file_of(state).unlink()
        file_of(state).symlink_to(state / "elsewhere")
    if reason == "linked":
        file_of(state).rename(state / "elsewhere")
        file_of(state).symlink_to(state / "elsewhere")

    with pytest.raises((StateFault, JournalFault)):
        open_journal(state, disk=disk)

    state.chmod(0o700)
    file_of(state).unlink()
    file_of(state).write_bytes(good)
    open_journal(state).shut()


def test_a_start_on_a_disk_that_cannot_record_the_recovery_takes_no_record(state: Path) -> None:
    """Cancels need a guard that starts; whatever has to be recorded is refused, and the next start is a whole one."""
    journal = open_journal(state)
    journal.append("a", {})
    journal.shut()
    with file_of(state).open("ab") as file:
        file.write(b"torn")
    disk = FaultyDisk()
    disk.fails["fdatasync"] = OSError(5, "Input/output error")

    journal = open_journal(state, disk=disk)
    assert journal.failed is not None
    assert "Input/output error" in journal.failed
    assert not journal.has_room(1)
    with pytest.raises(JournalFault, match="Input/output error"):
        journal.append("a", {})
    journal.shut()
    open_journal(state).shut()


def test_a_disk_that_hangs_does_not_hang_the_shutdown(state: Path) -> None:
    """The lock stays taken: the thread may still write."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk, bounds=JournalBounds(close_timeout_s=0.01))
    journal.append("a", {})
    assert not journal.shut()

    with pytest.raises(StateFault, match="in use"):
        open_journal(state)
    disk.let.set()
    journal._thread.join(5)


def test_the_whole_journal_works_without_an_event_loop(state: Path) -> None:
    """Tools append, flush and read it as they are."""
    journal = Journal.open(state, clock=ManualClock())
    journal.append("a", {})
    journal.flush()

    assert verify(read_lines(state))[0].seq == 2
    journal.shut()


def test_a_journal_serves_one_event_loop(state: Path) -> None:
    """A waiter on another loop would never be woken: that is a bug."""
    disk = HeldDisk()
    journal = open_journal(state, disk=disk)
    seq = journal.append("a", {})

    async def wait() -> None:
        await asyncio.wait_for(journal.durable(seq), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    with pytest.raises(AssertionError, match="one event loop"):
        asyncio.run(wait())
    disk.let.set()
    journal.shut()  # the first loop is closed: telling it is no fault
    assert journal.failed is None


def test_a_thread_that_cannot_be_had_allows_no_start(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as any other reason, nothing stays open, and the directory is free for the next start."""

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    open_journal(state).shut()
    before, disk = open_descriptors(), Diary()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(StateFault, match="the journal cannot be opened: can't start new thread"):
            open_journal(state, disk=disk)
    assert disk.left == {}
    assert open_descriptors() == before
    open_journal(state).shut()


@pytest.mark.parametrize("how", ["fails", "anyway"])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_key_whose_record_may_not_be_there_does_not_take_over(state: Path, call: str, how: str) -> None:
    """Failed, or done and told as failed: the old one signs on, and whoever trusts it verifies all that is there."""
    disk = FaultyDisk()
    journal = open_journal(state, disk=disk)
    journal.append("vkey", journal.introduction())
    journal.flush()
    key = (state / "journal.key").read_bytes()
    getattr(disk, how)[call] = OSError(5, "Input/output error")
    with pytest.raises(JournalFault, match="Input/output error"):
        journal.rotate_key()
    journal.shut()

    assert (state / "journal.key").read_bytes() == key
    again = open_journal(state)
    again.append("decision", decision())
    again.shut()
    assert verdict(state) == "ok"


def test_a_key_that_cannot_be_recorded_does_not_take_over(state: Path) -> None:
    """The journal is closed already: nothing was appended, and one key signs."""
    journal = open_journal(state)
    journal.append("vkey", journal.introduction())
    journal.shut()
    with pytest.raises(JournalFault, match="the journal is closed"):
        journal.rotate_key()
    assert types_of(state) == ["segment", "vkey"]
