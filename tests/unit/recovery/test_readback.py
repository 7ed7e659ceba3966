"""What a start makes of a record that is wrong, and of decisions whose outcome is in no record."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

import pytest
from msgspec import Raw, Struct, to_builtins
from msgspec.json import encode as encode_json

from guard.errors import JournalFault
from guard.journal import Entry, Order, Policy, Start
from guard.journal.chain import ZEROS, digest
from guard.journal.entries import TornTail
from guard.journal.record import encode
from guard.journal.seek import latest_from
from guard.journal.segments import replay_typed
from guard.limits import Opening, find_slot, reserve
from guard.loop import heap
from guard.recovery import readback
from guard.recovery.beginning import doubt, unsigned
from guard.recovery.readback import Recovered, fold_all, fold_record, recover
from guard.terms import Account, Env, Money, Valuation, Verdict
from guard.walk.recent import RECENT_MAX
from tests.support.journal import decision, file_of, open_journal, outcome, overwrite, refusal
from tests.support.ledger import new_order, slot, sums

HERE = Account(Env.REAL, 1)


def test_what_may_have_left_is_unknown_and_what_sends_nothing_was_not_sent() -> None:
    """An order and a cancel may be at the daemon; a cancel of all that goes order by order is itself never sent."""
    found = Recovered()
    reserve(found.state, new_order("o", sums("count", "n", 1)), t_us=0)
    reserve(found.state, Opening(step="c", claims=(), of="o", account=HERE, order=b"{}"), t_us=0)
    reserve(found.state, Opening(step="all", claims=(slot("key", "digest"),), account=HERE), t_us=0)

    told = {record.decision: record.verdict for record in doubt(found, t_us=1)}

    assert told == {"o": Verdict.UNKNOWN, "c": Verdict.UNKNOWN, "all": Verdict.NOT_SENT}
    assert set(found.state.steps) == {"o", "c"}
    assert find_slot(found.state, "key", t_us=1) is None, "the same key may ask again"


@pytest.mark.parametrize(
    ("events", "signed_seq", "first"),
    [
        (((9, 7), (12, 10)), 12, 8),  # cut short twice, and nobody has told of the first
        (((12, 10), (15, 7)), 15, 8),  # what was signed least is what nobody looked at
        (((9, 7), (11, None), (14, 10)), 14, 8),  # a start that is not signed may be anybody's
        (((9, 7), (11, None), (14, 11)), 14, 12),  # one that is has told: the last that was signed when it was killed
        (((9, 7), (11, None), (15, 13)), 15, 14),
        (((9, 7), (11, None), (13, None), (16, 12)), 16, 13),  # whatever starts came after it
        (((9, 7), (11, None), (14, 11), (16, 14)), 16, 12),  # and tells of nothing that came behind it
    ],
)
def test_what_was_signed_before_anybody_told_of_it_is_told_from_its_first_record(
    tmp_path: Path, events: tuple[tuple[int, int | None], ...], signed_seq: int, first: int
) -> None:
    """Starts that were cut short sign what they find: until one that is signed itself has told, it may be anybody's.

    An event is the seq of a start, or of a torn line that was set aside, with up to where was signed then.
    """
    found = Recovered()
    for found.seq, signed in events:
        start = Start(t=0, version="", config_sha256="", policy_sha256="", pid=1)
        fold_record(found, start if signed is None else TornTail(1, "", "", signed), "")

    (told,) = unsigned(found, tmp_path, found_seq=20, signed_seq=signed_seq)

    assert told.startswith(f"records {first} to 20 were behind the last checkpoint")


MISFIT = decision("misfit", effect="order_change", of="nobody", environment="real", account=1)


@pytest.mark.parametrize(
    ("broken", "fault"), [("before", "record 2: its line is not a whole record"), ("behind", "record 3: step misfit")]
)
def test_a_record_that_does_not_fit_is_told_where_the_chain_breaks_behind_it(
    tmp_path: Path, broken: str, fault: str
) -> None:
    """Whichever comes first is what a person must look at."""
    journal = open_journal(tmp_path)
    for record in (decision("before"), MISFIT, decision("behind")):
        journal.append("decision", record)
    journal.shut()
    where = f'"id":"{broken}"'.encode()
    overwrite(file_of(tmp_path), where, where.replace(b":", b" "))

    with pytest.raises(JournalFault, match=fault):
        recover(tmp_path)


def written(state: Path, records: Iterable[tuple[str, Struct]], *, in_a_segment: int = 10_000) -> None:
    """A record of these, without `segment` lines, as fast as it goes."""
    prev, seq, lines = ZEROS, 0, list[bytes]()
    for type_, record in records:
        seq += 1
        lines.append(encode(record, seq=seq, ts_us=seq, type_=type_, prev=prev))
        prev = digest(lines[-1])
    (state / "journal").mkdir()
    for number in range(0, seq, in_a_segment):
        some = lines[number : number + in_a_segment]
        file_of(state, 1 + number // in_a_segment).write_bytes(b"".join(line + b"\n" for line in some))


def recents(found: Recovered) -> list[object]:
    """All decisions that callers may still ask for."""
    return [to_builtins(known) for known in found.recent.latest(10**6)]


def whole(state: Path) -> Recovered:
    """The record folded with every decision kept until a later one takes its place."""
    found = Recovered()
    fold_all(found, replay_typed(state))
    return found


def test_counters_that_a_start_was_telling_are_lost_until_the_change_that_names_them() -> None:
    """What had ended meanwhile is told before it: a start that is killed in between has told nothing."""
    found = Recovered()
    start = Start(t=1, version="1", config_sha256="c", policy_sha256="p", weakened=(), pid=1, batch="start 1")
    fold_record(found, start, "")
    fold_record(found, Policy(t=1, result="reverted", sha256="a", by="expiry", reason="over"), "")
    assert found.is_lost
    fold_record(found, Policy(t=1, result="applied", sha256="p", reason="start", batch="start 1"), "")
    assert not found.is_lost


@pytest.mark.parametrize("more", [0, 420, 7_000])
def test_only_decisions_that_are_recent_at_the_end_are_kept(tmp_path: Path, more: int) -> None:
    """They are those that reading all of them leaves, with what became of them; decisions of nobody are not counted."""
    records = list[tuple[str, Struct]]()
    for number in range(RECENT_MAX + more):
        records.append(("decision", refusal(f"{number:026}", key=None if number % 50 == 1 else "bot")))
        if number % 3 == 0:
            records.append(("outcome", outcome(f"{max(0, number - 9):026}", order_id=str(number))))
    written(tmp_path, records)

    found = recover(tmp_path)

    assert recents(found) == recents(whole(tmp_path))
    assert (found.recent_from > 1) == (more > 1_000), "the latest are found by how their lines begin"


def test_what_only_looks_like_decisions_costs_no_recent_one_its_place(tmp_path: Path) -> None:
    """A caller's own words stand in the record as they are."""
    alike = Raw(encode_json({"alike": [{"type": "decision", "id": ""}] * (RECENT_MAX + 99)}))
    ids = [f"{number:026}" for number in range(60)]
    records = [("decision", refusal(id_)) for id_ in ids]
    last = ("decision", decision("last", effect="order_cancel", account=1, environment="real", order=alike))
    written(tmp_path, [*records, last])
    assert latest_from(tmp_path, RECENT_MAX, last=1) > 0

    assert [known.id for known in recover(tmp_path).recent.latest(99)] == [*ids, "last"]


def orders(count: int) -> Iterator[tuple[str, Struct]]:
    """So many orders as they are sent, of which every fourth works on and one is changed while the next has ended."""
    many = {"effect": "order_new", "environment": "real", "account": 1, "market": "HK", "symbol": "HK.00700"}
    head = b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":1},"header":{"trd_env":1,"acc_id":1},"trd_side":1,"qty":'
    for number in range(count):
        name = f"{number:026}"
        body = head + b'%d,"price":3,"remark":"g:%b","time_in_force":0}}' % (number, name.encode())
        yield "decision", decision(name, order=Raw(body), claims=(sums("count", "n", 1),), **many)
        yield "outcome", outcome(name, order_id=str(number + 1))
        if number == 5:
            changed = head.replace(b"trd_side", b"changed") + b"7}}"
            yield "decision", decision("change", effect="order_change", of=f"{4:026}", resulting=Raw(changed))
            yield "outcome", outcome("change")
        if number % 4:
            yield "order", Order(decision=name, t=number, status="filled_all", source="orders", ended=True)


def test_orders_have_the_bodies_that_they_have_live(tmp_path: Path) -> None:
    """Those that work and those that have ended lately, however many were opened meanwhile, changed ones too."""
    written(tmp_path, orders(4_000))
    live = Recovered()
    for entry in chain.from_iterable(replay_typed(tmp_path)):
        fold_record(live, entry, entry.ts)

    found = recover(tmp_path)

    here, there = ({**each.state.holders, **each.state.ended} for each in (found, live))
    bodies = {name: (order.about, order.own, order.order) for name, order in here.items()}
    assert bodies == {name: (order.about, order.own, order.order) for name, order in there.items()}
    assert len(bodies) == 1_000 + 500
    assert all(b"packet_id" not in body and b"remark" not in body for _, _, body in bodies.values())
    assert b"changed" in found.state.holders[f"{4:026}"].order
    kept = [amounts for order in found.state.holders.values() for amounts in (order.holds, *order.bases)]
    assert all(isinstance(amounts.figures, bytes) for amounts in kept), "in the form that takes least memory"


def test_a_valuation_that_is_no_number_is_told_at_the_start(tmp_path: Path) -> None:
    """Not by the first list that shows a fill: the guard would do without its lists from then on."""
    many = {"effect": "order_new", "environment": "real", "account": 1, "market": "HK", "symbol": "HK.00700"}
    worth = Valuation(Money(Decimal(300), "HKD"), Decimal(3), "limit price")
    written(tmp_path, [("decision", decision("d", order=Raw(b"{}"), claims=(), valuation=worth, **many))])
    overwrite(file_of(tmp_path), b'"price":"3"', b'"price":"x"')

    with pytest.raises(JournalFault, match="decision d was valued at 'x', which is no number"):
        recover(tmp_path)


@pytest.mark.parametrize(("grown", "gathered"), [(1, 1), (300, 1), (400, 0)])
def test_tables_that_have_grown_go_into_large_pages_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grown: int, gathered: int
) -> None:
    """Each of these takes milliseconds, and what a start holds until then is small."""
    written(tmp_path, islice(orders(400), 399))
    asked = list[None]()
    monkeypatch.setattr(readback, "GROWN", grown)
    monkeypatch.setattr(heap, "gather", lambda: asked.append(None))

    recover(tmp_path)

    assert len(asked) == gathered


def test_no_more_than_the_latest_orders_have_their_bodies_as_they_were_sent(tmp_path: Path) -> None:
    """They take several times the memory, and there may be 100,000."""
    written(tmp_path, orders(4_000))
    found, raw = Recovered(), list[int]()

    def looked_at() -> Iterator[list[Entry]]:
        for some in replay_typed(tmp_path):
            raw.append(sum(not order.about.form for order in found.state.holders.values()))
            yield some

    fold_all(found, looked_at())

    assert len(found.state.holders) == 1_000
    assert 0 < max(raw[len(raw) // 2 :]) < 900
