"""A snapshot with the records behind it tells what the whole record tells."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from guard.errors import JournalFault
from guard.journal import Counters, Journal, JournalBounds, Snapshot, Start, StateRecord, Stop, Vkey
from guard.journal import Policy as PolicyRecord
from guard.journal.segments import first_line, segment_numbers
from guard.journal.statedir import journal_dir
from guard.policychange import PolicyChangeState
from guard.recovery.readback import Recovered, fold_record, recover
from guard.recovery.snapshots import RECENT_KEPT_MAX, main, parts, put_together, resume
from guard.terms import Verdict
from guard.walk.recent import RecentDecision
from tests.support.clock import ManualClock
from tests.support.journal import SHA, file_of, outcome
from tests.support.recovered import SMALL, placed, told


def lived(state: Path, orders: range, *, bounds: JournalBounds = SMALL) -> None:
    """A run of a guard: some orders are accepted, some refused, some never heard of again."""
    journal = Journal.open(state, clock=ManualClock(), bounds=bounds)
    journal.append("start", Start(t=1, version="0", config_sha256=SHA, policy_sha256=SHA))
    journal.append("vkey", Vkey("key-of-this-log", None, "note"))
    journal.append("policy", PolicyRecord(t=1, result="applied", sha256=SHA))
    journal.append("state", StateRecord(t=1, state="reduce_only", reason="drill", by="ops", drill=True))
    for number in orders:
        journal.append("decision", placed(number))
        verdict = (Verdict.ACCEPTED, Verdict.REFUSED, None)[number % 3]
        if verdict is not None:
            told = {"order_id": str(number), "order_id_ex": f"ex{number}"} if verdict is Verdict.ACCEPTED else {}
            journal.append("outcome", outcome(f"01K{number:03d}", verdict, **told))
    journal.append("stop", Stop(t=orders.stop * 1_000_000, reason="SIGTERM"))
    journal.shut()


def appended(state: Path, at_seq: int, bodies: list[bytes]) -> None:
    """The parts of a snapshot as the guard appends them."""
    journal = Journal.open(state, clock=ManualClock(), bounds=SMALL)
    for number, body in enumerate(bodies):
        journal.append("snapshot", Snapshot(at_seq, number, number == len(bodies) - 1, Raw(body)))
    journal.shut()


def printed(state: Path, segment: int, capfdbinary: pytest.CaptureFixture[bytes]) -> tuple[int, list[bytes]]:
    """What the program prints: the seq, and the parts."""
    main(state, segment)
    first, *bodies = capfdbinary.readouterr().out.splitlines()
    return int(first), bodies


def test_the_program_folds_the_closed_segments_and_nothing_later(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What it prints is the state behind the last record of that segment."""
    state = tmp_path / "state"
    lived(state, range(60))
    for segment in segment_numbers(state)[:-1]:
        at_seq, bodies = printed(state, segment, capfdbinary)
        assert at_seq == json.loads(first_line(state, segment + 1))["seq"] - 1
        found, run = resume(state, last=segment)
        assert run is None
        assert told(put_together(bodies)) == told(found)
        assert found.records == at_seq


def test_a_start_from_a_snapshot_is_a_start_from_the_whole_record(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Wherever it is taken, however often, and with the old segments gone."""
    state = tmp_path / "state"
    lived(state, range(40))
    at_seq = 0
    for round_ in range(1, 4):
        at_seq, bodies = printed(state, segment_numbers(state)[-2], capfdbinary)
        appended(state, at_seq, bodies)
        lived(state, range(40 * round_, 40 * round_ + 40))
        found, run = resume(state)
        assert run is not None
        assert (run.at_seq, run.bodies) == (at_seq, ())  # what was read is not kept for as long as the guard runs
        assert told(found) == told(recover(state))
        assert found.records < recover(state).records

    expected = told(recover(state))
    for number in segment_numbers(state):
        if json.loads(first_line(state, number))["seq"] <= at_seq:
            file_of(state, number).unlink()
    assert told(resume(state)[0]) == expected


@pytest.mark.parametrize("spoilt", [b'{"type":"mood"}', b'{"type":"time"}', b"[]"])
def test_a_snapshot_of_another_version_is_passed_over(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], spoilt: bytes
) -> None:
    """An older one, or the whole record, tells the same."""
    state = tmp_path / "state"
    lived(state, range(40))
    good = printed(state, 1, capfdbinary)
    appended(state, good[0], good[1])
    at_seq, bodies = printed(state, segment_numbers(state)[-2], capfdbinary)
    appended(state, at_seq, [*bodies[:-1], spoilt])

    found, run = resume(state)
    assert run is not None
    assert run.at_seq == good[0]
    assert told(found) == told(recover(state))


@pytest.mark.parametrize("digits", [b"9", b"99999999999999999999"])
def test_a_snapshot_that_was_damaged_stops_the_start(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], digits: bytes
) -> None:
    """A number that grew, also beyond what a counter can hold: the chain tells it, and nothing else is raised."""
    state = tmp_path / "state"
    lived(state, range(40))
    appended(state, *printed(state, segment_numbers(state)[-2], capfdbinary))
    path = next(path for path in journal_dir(state).iterdir() if b'"stamps":[' in path.read_bytes())
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"stamps":[', b'"stamps":[' + digits + b","))
    with pytest.raises(JournalFault, match="record"):
        resume(state)


def test_without_beginning_and_without_snapshot_there_is_no_start(tmp_path: Path) -> None:
    """Half a record is not guessed at."""
    state = tmp_path / "state"
    lived(state, range(40))
    file_of(state, 1).unlink()

    with pytest.raises(JournalFault, match=r"records 1 to [0-9]+ are gone"):
        resume(state)


def test_an_edit_behind_the_snapshot_stops_the_start(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The chain is checked from where the folding begins."""
    state = tmp_path / "state"
    lived(state, range(40))
    at_seq, bodies = printed(state, 1, capfdbinary)
    appended(state, at_seq, bodies)
    path = file_of(state, 2)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"qty":100', b'"qty":900', 1))

    with pytest.raises(JournalFault):
        resume(state)


def test_a_segment_that_is_not_closed_has_no_snapshot(tmp_path: Path) -> None:
    """Its state is not yet what it will be."""
    state = tmp_path / "state"
    lived(state, range(3))

    with pytest.raises(JournalFault):
        main(state, segment_numbers(state)[-1])


def test_no_field_of_what_is_recovered_is_forgotten() -> None:
    """A new field needs a place in the parts, or a snapshot would lose it.

    `over` and `ends` are what a start makes of `policy_change`, `ts` is the last part's own, `cut_short` is told by the
    start of the run that made the snapshot, and `recent_from` is only for a record that is read without one.
    """
    basics = {"policy_sha256", "vkey", "t_us", "is_crashed", "policy_change", "config_sha256", "is_lost"}

    assert set(Recovered.__struct_fields__) == basics | {"state", "recent", "begun"} | {
        "records",
        "ended",
        "built_on",
        "ts",
        "seq",
        "cut_short",
        "told_seq",
        "recent_from",
        "are_raw",
    }


def test_every_basic_comes_back_as_it_was() -> None:
    """A set that ends by itself, say: forgotten, what is looser for an hour would stay."""
    waits, ends = (PolicyRecord(t=1, result=result, sha256=SHA) for result in ("pending", "applied"))
    found = Recovered(t_us=7, policy_sha256="a" * 64, config_sha256="b" * 64, vkey="key-of-this-log")
    found.is_crashed, found.is_lost = True, True
    found.policy_change = PolicyChangeState(waits, ends, "c" * 64)

    back = put_together(parts(found))

    basics = ("t_us", "policy_sha256", "config_sha256", "vkey", "is_crashed", "is_lost", "policy_change")
    assert [getattr(back, name) for name in basics] == [getattr(found, name) for name in basics]


def test_parts_of_a_change_that_was_not_in_force_yet_are_kept() -> None:
    """A segment may end between them and the change; a start from the snapshot behind it puts all of them on."""
    found = Recovered()
    for line, number in enumerate((1, 2)):
        part = {"spent": {f"day/key=trader|{number}": 7}}
        fold_record(found, Counters(line, "a", Raw(msgspec.json.encode(part))), "2026-11-22T00:00:00Z")
    again = put_together(parts(found))
    assert again.begun == found.begun
    for each in (found, again):
        fold_record(each, PolicyRecord(t=9, result="applied", sha256=SHA, batch="a"), "2026-11-22T00:00:00Z")
        assert each.state.sums == {"day/key=trader|1": 7, "day/key=trader|2": 7}
        assert each.begun.parts == []


@pytest.mark.parametrize(
    "between",
    [
        Counters(2, "b", Raw(b"{}")),
        Start(t=2, version="0", config_sha256=SHA, policy_sha256=SHA),
    ],
    ids=["another change", "a start"],
)
def test_parts_of_a_change_that_never_came_are_forgotten(between: Counters | Start) -> None:
    """Neither the next change nor the next start takes them up."""
    found = Recovered()
    fold_record(found, Counters(1, "a", Raw(b'{"spent":{"day":7}}')), "2026-11-22T00:00:00Z")
    fold_record(found, PolicyRecord(t=1, result="refused", sha256=SHA), "2026-11-22T00:00:00Z")
    fold_record(found, between, "2026-11-22T00:00:00Z")
    fold_record(found, PolicyRecord(t=3, result="applied", sha256=SHA, batch="a"), "2026-11-22T00:00:00Z")
    assert found.state.sums == {}


def test_of_recent_decisions_the_latest_are_kept() -> None:
    """Bounded, in small parts, oldest first."""
    found = Recovered()
    for number in range(RECENT_KEPT_MAX + 10):
        found.recent.put(RecentDecision(f"01K{number}", "bot", "2026-11-22T00:00:00Z", "/api/order", "allow"))
    bodies = list(parts(found))

    again = put_together(bodies).recent.latest(10**6)
    assert [known.id for known in again] == [f"01K{number}" for number in range(10, RECENT_KEPT_MAX + 10)]
    assert max(map(len, bodies)) < 64 * 1024
