"""What a stretch of the record comes to."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.audit.controls import CONTROLS, findings
from guard.audit.events import gaps, outcomes, policies
from guard.audit.facts import LISTED_MAX, Facts, decimal, named
from guard.audit.sections import limits, refused
from guard.journal import Line, read_lines
from guard.journal.search import FoundRecord, RecordReader
from tests.support.reviewed import reviewed

DAYS = 3
TS = "2026-11-22T09:00:00.000000Z"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days."""
    return reviewed(tmp_path_factory.mktemp("record") / "state", days=DAYS)


def facts_of(state: Path, since: str | None = None, until: str | None = None) -> Facts:
    """All of it, or a part."""
    facts = Facts(since, until)
    facts.take(RecordReader().read(read_lines(state)))
    return facts


def records(state: Path) -> list[dict[str, Any]]:
    """The record as plain values."""
    return [json.loads(line) for line in read_lines(state)]


def test_counts_are_those_of_the_record(state: Path) -> None:
    """Requests by outcome, key and code; outcomes; sums; nothing twice."""
    facts, all_ = facts_of(state), records(state)
    decisions = [one for one in all_ if one["type"] == "decision"]

    assert facts.records == len(all_)
    assert sum(sum(one.values()) for one in facts.hours.values()) == len(decisions)
    assert facts.codes == Counter(one["code"] for one in decisions if one["code"])
    assert {key: one["allow"] + one["refuse"] for key, one in facts.keys.items()} == Counter(
        one["key"] for one in decisions
    )
    assert facts.outcomes == Counter(one["verdict"] for one in all_ if one["type"] == "outcome")
    orders = {one["id"] for one in decisions if one.get("effect") in {"order_new", "order_change"}}
    assert facts.order_outcomes == Counter(
        one["verdict"] for one in all_ if one["type"] == "outcome" and one["decision"] in orders
    )
    assert facts.reads == {"agent-research": 900 + 901 + 902}
    assert facts.summed == {"203.0.113.9": 4000 * DAYS, "agent-research": 12 * DAYS}
    assert (facts.outside.total, facts.states.total, facts.reloads.total, facts.gaps.total) == (1, 4, 2, 2)
    assert [(one["symbol"], one["status"]) for one in facts.outside.shown] == [("US.GME", "working")]


def test_a_doubt_is_followed_to_its_end(state: Path) -> None:
    """Those that evidence settled say so, the one that nothing settled is open."""
    facts = facts_of(state)

    assert [doubt.decision for doubt in facts.doubts.values() if doubt.settled is None] == ["01U"]
    assert {doubt.source for doubt in facts.doubts.values() if doubt.settled} == {"order list"}
    assert facts.doubts_total == facts.outcomes["unknown"] == len(facts.doubts)


def test_only_the_time_asked_for_counts(state: Path) -> None:
    """`since` is inclusive, `until` is not."""
    facts = facts_of(state, "2026-11-03", "2026-11-04")

    assert facts.days == {"2026-11-03"}
    assert facts.records == sum(one["ts"].startswith("2026-11-03") for one in records(state))


def test_a_limit_is_held_against_its_use() -> None:
    """Percent of the cap by day, a refusal beyond it as a hit; what has no cap or belongs to the walk is left out."""
    facts = Facts()
    claims = [
        {"kind": "spend", "counter": "daily_value/key=bot;real|HKD|2026-11-02@08:30 X", "amount": 10, "cap": 100},
        {"kind": "working", "counter": "exits/account=real:1|HK.00700|BUY", "amount": 1, "cap": 5},
        {"kind": "rate", "counter": "new_orders/key=bot", "amount": 1},
    ]
    order = {"effect": "order_new", "key": "bot", "endpoint": "/api/order", "claims": claims, "outcome": "allow"}
    facts.decision("2026-11-02T09:00:00", order | {"used": [40, 0, 0]})
    facts.decision("2026-11-02T10:00:00", order | {"used": [95, 0, 0], "outcome": "refuse", "code": "daily_value"})
    facts.decision("2026-11-03T10:00:00", order | {"used": [5, 0, 0]})

    ((name, use),) = facts.uses.items()
    assert name == ("daily_value", "key=bot;real", "HKD")
    assert use.peaks == {"2026-11-02": Decimal(95), "2026-11-03": Decimal(15)}
    assert (use.hits, use.peak, use.percent.count) == (Counter({"2026-11-02": 1}), Decimal(95), 3)
    assert named("new_orders/key=bot") == ("new_orders", "key=bot", "")
    assert named("odd") is None


def test_the_most_that_a_rule_met_is_told_in_each_currency() -> None:
    """The larger number of two currencies is not the larger of the other one; limits have theirs beside them."""
    facts = Facts()
    for observed, limit, unit in (("300000", "100000", "HKD"), ("30000", "12500", "USD"), ("20000", "12500", "USD")):
        reason = {"code": "max_order_value", "policy": "desk", "rule": "orders.max_value"}
        reason |= {"observed": observed, "limit": limit, "unit": unit}
        decision = {"outcome": "refuse", "code": "max_order_value", "effect": "order_new", "reasons": [reason]}
        facts.decision("2026-11-02T09:00:00", decision)

    rule = facts.rules["desk", "orders.max_value"]
    assert rule.highest == {"HKD": Decimal(300_000), "USD": Decimal(30_000)}
    assert rule.limits == {"100000 HKD", "12500 USD"}
    assert '>100,000 HKD, 12,500 USD</td><td class="n">300,000 HKD, 30,000 USD</td>' in refused(facts)


def test_what_was_accepted_of_orders_is_told_without_cancels() -> None:
    """A cancel that the daemon accepts is no order: with it more orders were accepted than allowed."""
    allowed = {"outcome": "allow", "key": "bot", "endpoint": "/api/order"}
    lines = [
        {"seq": 1, "ts": "2026-11-02T09", "type": "decision", "id": "1", "effect": "order_new", **allowed},
        {"seq": 2, "ts": "2026-11-02T09", "type": "decision", "id": "2", "effect": "order_cancel", **allowed},
        {"seq": 3, "ts": "2026-11-02T09", "type": "outcome", "decision": "1", "verdict": "accepted"},
        {"seq": 4, "ts": "2026-11-02T09", "type": "outcome", "decision": "2", "verdict": "accepted"},
    ]
    facts = Facts()
    facts.take(RecordReader().read(json.dumps(line | {"prev": "0" * 64}).encode() + b"\n" for line in lines))

    assert (facts.effects["order_new_allow"], facts.outcomes["accepted"], facts.order_outcomes["accepted"]) == (1, 2, 1)


def test_orders_are_drawn_apart_from_all_other_requests() -> None:
    """A day of ten thousand reads and three orders is no day of ten thousand orders."""
    facts = Facts()
    for effect, outcome, count in (("order_new", "allow", 2), ("order_change", "refuse", 1), ("read", "allow", 5)):
        for _ in range(count):
            facts.decision("2026-11-02T09:00:00", {"effect": effect, "outcome": outcome, "key": "bot"})

    assert facts.hours == {"2026-11-02T09": Counter(order_allow=2, order_refuse=1, other_allow=5)}


def test_a_limit_is_shown_in_its_own_measure() -> None:
    """A day of 900,000 HKD that dollars count towards was 9,000,000,000 of nothing, two rates of one key were one."""
    facts = Facts()
    claims = [
        {"counter": "daily_value/key=bot;real|HKD+USD|2026-11-22@08:30 X", "amount": 9 * 10**8, "cap": 9 * 10**9},
        {"counter": "orders/key=bot", "amount": 1, "cap": 20, "window_ms": 60_000},
        {"counter": "new_orders/key=bot", "amount": 1, "cap": 4, "window_ms": 1_500},
        {"counter": "new_orders/key=bot", "amount": 1, "cap": 200, "window_ms": 3_600_000},
    ]
    order = {"effect": "order_new", "key": "bot", "outcome": "allow", "claims": claims, "used": [0, 0, 0, 0]}
    facts.decision("2026-11-22T09:00:00", order)

    shown = limits(facts)
    assert ">900,000 HKD with USD</td>" in shown
    assert "Rate of orders and changes" in shown
    assert [cap for cap in (">20 in 60 s<", ">4 in 1.5 s<", ">200 in 3600 s<") if cap not in shown] == []


def test_an_answer_that_was_given_again_is_no_order() -> None:
    """Nothing was sent: a program that repeats itself places nothing, and its orders are worth no more."""
    worth = {"valuation": {"value": {"amount": "20000", "currency": "HKD"}}}
    order = {"outcome": "allow", "key": "bot", "endpoint": "/api/order", "effect": "order_new", **worth}
    facts = Facts()
    facts.decision("2026-11-02T09:00:00", order)
    facts.decision("2026-11-02T09:00:01", order | {"replays": "1"})

    assert (facts.effects["order_new_allow"], facts.keys["bot"]["order_allow"], facts.keys["bot"]["allow"]) == (1, 1, 2)
    assert facts.values["HKD"].count == 1


def test_a_record_of_strange_values_is_counted_and_stops_nothing() -> None:
    """Somebody may have edited it: no shape of a member raises."""
    facts = Facts()
    odd: tuple[Any, ...] = (None, 1, "x", [], [1], {}, {"value": {"amount": "NaN"}}, {"value": []})
    for value in odd:
        members = dict.fromkeys(
            ("claims", "used", "reasons", "valuation", "key", "code", "count", "endpoint", "verdict", "duration_us"),
            value,
        )
        for effect in ("order_new", None):
            facts.decision("2026-11-02T09", members | {"outcome": "refuse", "effect": effect})
        facts.outcome("2026-11-02T09", members)
        facts.sums("", members)
        facts.start("2026-11-02T09", {"weakened": value})
        facts.order("2026-11-02T09", {"filled_qty": value})
    assert decimal("sNaN") is None
    assert facts.days == {"2026-11-02"}


def test_lists_are_bounded_and_say_how_much_more_there_was() -> None:
    """A year of orders from elsewhere does not make a page of a gigabyte."""
    facts = Facts()
    for n in range(LISTED_MAX + 5):
        facts.order("2026-11-02", {"decision": "", "owner": "manual", "order_id": n})

    assert (facts.outside.total, len(facts.outside.shown)) == (LISTED_MAX + 5, LISTED_MAX)


def test_every_control_has_evidence_and_none_claims_compliance(state: Path) -> None:
    """C1 to C18, in order, also for an empty record."""
    for facts in (facts_of(state), Facts()):
        told = [one.evidence(facts) for one in CONTROLS]
        assert [one.id for one in CONTROLS] == [f"C{n}" for n in range(1, 19)]
        assert all(told)
        assert "compl" not in "".join([*told, *(one.supports for one in CONTROLS)]).lower()


def test_findings_name_what_a_reviewer_should_look_at(state: Path) -> None:
    """The open doubt, the order from elsewhere, the gap, the clock, what never binds, what is weakened."""
    told = {sentence: (kind, where) for kind, sentence, where in findings(facts_of(state))}

    assert told["1 order whose outcome is still unknown"] == ("bad", "outcomes")
    assert told["1 order at the broker that did not pass the guard"] == ("bad", "outside")
    assert told["2 cancels passed while the journal could not be written"] == ("bad", "gaps")
    assert told["The clock of the host stepped 1 time"] == ("look", "gaps")
    assert told["3 limits never used to a tenth: too wide to bind"] == ("look", "limits")
    assert told["Weakened at the last start: ops open"] == ("look", "gaps")
    assert list(findings(Facts())) == []


def test_a_report_over_pruned_days_says_that_it_lacks_them(state: Path) -> None:
    """A page of noughts for days that are gone is no finding; for a time that is kept whole nothing is lacking."""
    lines = list(read_lines(state))[20:]
    ts = json.loads(lines[0])["ts"]
    for since, is_told in ((None, True), ("2020-01-01T00:00:00.000000Z", True), (ts, False)):
        facts = Facts(since)
        facts.take(RecordReader().read(lines))
        told = [sentence for _, sentence, where in findings(facts) if where == "proof"]
        assert told == [f"Records 1 to 20 are pruned: what was before {ts[:19]}Z is not in this report"] * is_told
    assert not [one for one in findings(facts_of(state)) if "pruned" in one[1]]


def test_a_change_by_two_persons_is_told_with_both_and_its_end() -> None:
    """Who asked for it, with which key and why stands beside who approved it; of a temporary one, its end."""
    asked = {"asked_by": "Ada", "asked_reason": "larger lots", "until": "2026-11-22T17:00:00Z"}
    row = {"result": "applied", "sha256": "b" * 64, "by": "Bob", "reason": "agreed", **asked}
    facts = Facts()
    facts.take([FoundRecord(Line(1, TS, "policy", "", b""), row)])
    page = str(policies(facts, lambda *_: ()))

    for words in ("Bob", "agreed", "asked for by Ada: larger lots", "until 2026-11-22 17:00:00, then back by itself"):
        assert words in page, words
    row |= {"key": "risk", "asked_key": "desk@2"}
    facts.take([FoundRecord(Line(2, TS, "policy", "", b""), row)])
    page = str(policies(facts, lambda *_: ()))
    for words in ("Bob, with key risk", "asked for by Ada, with key desk@2: larger lots"):
        assert words in page, words


def test_a_reload_of_keys_is_told_in_one_column() -> None:
    """What was added, removed and changed; a table of seven columns did not fit a screen, and hid the last of them."""
    rows = [
        {"result": "applied", "by": "Ada", "added": ["bot-2"], "changed": ["bot-1", "bot-3"]},
        {"result": "refused", "by": "Ada", "reason": "a new bot", "errors": ["keys[4]: id"]},
    ]
    facts = Facts()
    facts.take(FoundRecord(Line(seq, TS, "keys", "", b""), row) for seq, row in enumerate(rows))
    page = str(policies(facts, lambda *_: ()))

    assert page.count('<th scope="col">') == 4
    for words in ("added bot-2", "changed bot-1, bot-3", "a new bot", "keys[4]: id"):
        assert words in page, words


def test_what_is_counted_is_counted_beyond_what_is_listed() -> None:
    """Of a year the first are shown; what a reviewer is told of drills, stops, reasons, gaps and doubts is of all."""
    rows: list[tuple[str, dict[str, Any]]] = [
        *(("state", {"state": "active"}) for _ in range(LISTED_MAX)),
        *(("state", {"state": "locked", "drill": True}), ("state", {"state": "cancel_only", "by": "breaker"})),
        *(("policy", {"result": "applied", "by": "Ada", "reason": "why"}) for _ in range(LISTED_MAX + 1)),
        *(("policy", {"result": "applied", "reason": why}) for why in ("SIGHUP", "the files changed")),
        ("policy", {"result": "applied", "by": "Ada"}),
        *(("policy", {"result": result, "reason": "why"}) for result in ("refused", "pending", "reverted", "refused")),
        ("policy", {"result": "applied", "reason": "start"}),
        *(("prune", {}) for _ in range(LISTED_MAX)),
        *(("gap", {"cancels": 3}), ("clock", {"step_us": 1})),
        *(("outcome", {"verdict": "unknown", "decision": str(number)}) for number in range(LISTED_MAX + 1)),
    ]
    facts = Facts()
    facts.take(FoundRecord(Line(seq, TS, kind, "", b""), row) for seq, (kind, row) in enumerate(rows, 1))
    evidence = {control.id: control.evidence(facts) for control in CONTROLS}
    told = [sentence for _, sentence, _ in findings(facts)]

    assert evidence["C8"] == "1 stop by a breaker"
    assert "1 in drills" in evidence["C12"]
    made = f"{LISTED_MAX + 4} reloads of policies took effect, {LISTED_MAX + 1} by a person with a reason"
    assert evidence["C14"] == f"{made}; 1 at a start, 1 ended by themselves, 2 refused"
    assert f"{LISTED_MAX + 1} orders whose outcome is still unknown" in told
    assert "3 cancels passed while the journal could not be written" in told
    assert "The clock of the host stepped 1 time" in told


@pytest.mark.parametrize(("many", "told"), [(1, "1 cancel from"), (2, "2 cancels from")])
def test_a_gap_tells_how_many_cancels_passed(many: int, told: str) -> None:
    """And from when to when, and why."""
    facts = Facts()
    row = {"cancels": many, "since": TS, "until": TS, "reason": "disk full"}
    facts.take([(FoundRecord(Line(1, TS, "gap", "", b""), row))])

    assert told in str(gaps(facts))
    assert "disk full" in str(gaps(facts))


def test_starts_and_stops_are_told_so_that_a_crash_is_seen() -> None:
    """Each start with what it ran without, each stop with its reason; two starts in a row are a crash."""
    rows: list[tuple[str, dict[str, Any]]] = [
        ("start", {"version": "0.1.0", "weakened": ["ops open"]}),
        ("start", {"version": "0.1.1"}),
        ("stop", {"reason": "SIGTERM", "unfinished": ["01U"]}),
    ]
    facts = Facts()
    facts.take(FoundRecord(Line(seq, TS, kind, "", b""), row) for seq, (kind, row) in enumerate(rows, 1))
    page = str(gaps(facts))

    assert [one["what"] for one in facts.runs.shown] == ["start", "start", "stop"]
    for words in ("0.1.0", "ops open", "0.1.1", "SIGTERM", "01U"):
        assert words in page, words


def test_a_person_who_settled_a_doubt_is_told_with_the_key() -> None:
    """The caller's key stands beside its order; records of earlier versions name no other."""
    doubt = {"decision": "01U", "verdict": "unknown", "key": "bot", "message": "reset"}
    end = {"decision": "01U", "verdict": "refused", "source": "person", "by": "Ada", "reason": "asked", "key": "bot"}
    for more, told in (({}, "person · Ada · asked"), ({"by_key": "desk@2"}, "person · Ada, with key desk@2 · asked")):
        facts = Facts()
        facts.take(
            [
                FoundRecord(Line(1, TS, "outcome", "", b""), doubt),
                FoundRecord(Line(2, TS, "reconciled", "", b""), end | more),
            ]
        )
        assert told in str(outcomes(facts))


@pytest.mark.parametrize(
    "end",
    [
        {"verdict": "refused", "source": "order list"},
        {"verdict": "accepted", "source": "order list", "order_id_ex": "78"},
        {"verdict": "refused", "source": "person", "by": "Ada", "reason": "asked"},
    ],
)
def test_a_doubt_that_is_settled_is_told_once_with_its_own_cause(end: dict[str, str]) -> None:
    """Whoever settles it: what went wrong stays what it was, and one order in doubt is one."""
    doubt = {"decision": "01U", "verdict": "unknown", "key": "bot", "message": "reset"}
    facts = Facts()
    facts.take(
        [
            FoundRecord(Line(1, TS, "outcome", "", b""), doubt),
            FoundRecord(Line(2, TS, "reconciled", "", b""), {"decision": "01U", "key": "bot", **end}),
        ]
    )

    assert facts.doubts_total == 1
    (told,) = facts.doubts.values()
    assert (told.why, told.verdict, told.settled) == ("reset", end["verdict"], TS)


@pytest.mark.parametrize("verdict", ["accepted", "refused"])
def test_what_lists_settled_of_an_earlier_doubt_is_no_persons_word(verdict: str) -> None:
    """The doubt counts with the time in which it arose; its end alone does not make another."""
    facts, end = Facts(), {"decision": "01U", "key": "bot", "verdict": verdict, "order_id_ex": "78"}
    facts.take([FoundRecord(Line(9, TS, "reconciled", "", b""), {**end, "source": "order list"})])

    assert (facts.doubts_total, facts.doubts) == (0, {})


def test_an_accepted_order_that_a_person_gave_up_is_told_beside_the_doubts() -> None:
    """It was never unknown, and yet a person's word alone freed what it held."""
    order = {"decision": "01A", "key": "bot", "symbol": "HK.00700", "order_id_ex": "77"}
    end = order | {"verdict": "refused", "source": "person", "by": "Ada", "by_key": "desk", "reason": "asked"}
    facts = Facts()
    facts.take(
        [
            FoundRecord(Line(1, TS, "outcome", "", b""), order | {"verdict": "accepted"}),
            FoundRecord(Line(2, TS, "reconciled", "", b""), end),
        ]
    )
    page = str(outcomes(facts))
    assert facts.doubts_total == len(facts.doubts) == 1
    for words in ("01A", "accepted, and in no list", "person · Ada, with key desk · asked"):
        assert words in page, words


def test_an_accepted_order_that_a_person_named_is_told_beside_the_doubts() -> None:
    """It was never unknown, and yet it is followed by the id that a person told; a doubt is told once."""
    order = {"decision": "01A", "key": "bot", "symbol": "HK.00700"}
    end = {"verdict": "accepted", "source": "person", "by": "Ada", "by_key": "desk", "reason": "asked"}
    for verdict, told in (("accepted", "listed as 78, a person said"), ("unknown", "reset")):
        facts = Facts()
        facts.take(
            [
                FoundRecord(Line(1, TS, "outcome", "", b""), order | {"verdict": verdict, "message": "reset"}),
                FoundRecord(Line(2, TS, "reconciled", "", b""), order | end | {"order_id_ex": "78"}),
            ]
        )
        page = str(outcomes(facts))
        assert facts.doubts_total == len(facts.doubts) == 1
        for words in ("01A", told, "accepted, ", "person · Ada, with key desk · asked"):
            assert words in page, words


def test_an_order_that_was_only_listed_is_no_fill() -> None:
    """C13 told a reviewer of five fills where nothing had been filled."""
    facts = Facts()
    for filled in (None, "0", "100"):
        facts.order(TS, {"status": "submitted", "filled_qty": filled})

    assert facts.fills == 1
