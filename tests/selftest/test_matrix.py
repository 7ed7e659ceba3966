"""The bypass matrix holds; and without any one hook or rule the cases that stand for it do not."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import fields, replace

from guard.catalogue import find
from guard.clock import SystemClock
from guard.intent import parse
from guard.policy import (
    PolicySet,
    breaker,
    budgets,
    collar,
    compile_set,
    hours,
    instruments,
    keylimits,
    parse_policy,
    rates,
    working,
)
from guard.policy import orders as order_rules
from guard.policy.rule import Rule
from guard.selftest import CASES, ELSEWHERE, Case, CaseRow, drill
from guard.selftest.drill import ROLES, policies
from guard.selftest.words import account, cancel, order
from guard.stream import SEEING, Seeing
from guard.terms import Endpoint, Intent, Outcome, Refusal, Verdict
from guard.walk import door, judging
from guard.walk.answerview import AnswerView
from guard.walk.carrier import CARRYING
from guard.walk.desk import Desk
from guard.walk.hooks import HOOKS, Hooks
from guard.walk.judging import Assessment
from guard.walk.visit import Situation, Visit

REFERENCE: Final = Path(__file__).parents[2] / "docs/bypass-matrix.md"
BUGS: Final = [f"B{n:02}" for n in range(1, 35)] + [f"W{n:02}" for n in range(1, 21)]
LINE: Final = {"symbols": ["HK.00700"], "sub_types": [1]}
USUAL: Final[dict[str, dict[str, Any]]] = {
    "/api/order": order(),
    "/api/modify-order": cancel(order_id_ex="1"),
    "/api/cancel-all-order": account(),
    "/api/unlock-trade": {"unlock": False},
    "/api/subscribe": LINE,
    "/api/unsubscribe": LINE,
    "/api/orders": account(),
    "/api/funds": account(),
}


def failed(rows: list[CaseRow]) -> set[str]:
    """The cases that did not hold."""
    return {row.case for row in rows if row.result != "held"}


def proving(name: str) -> list[Case]:
    """The cases that stand for this hook or rule."""
    return [case for case in CASES if name in case.proves]


@pytest.fixture(scope="module")
def rows() -> dict[str, CaseRow]:
    """The whole table, run once."""
    return {row.case: row for row in asyncio.run(drill())}


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_way_around_is_closed(case: Case, rows: dict[str, CaseRow]) -> None:
    """Tried through the guard's own doors, against a daemon that would fall for it."""
    assert (rows[case.id].result, rows[case.id].told) == ("held", "")


def test_every_bug_and_weakness_of_the_reference_is_in_the_table() -> None:
    """As a case, or as one that stands elsewhere or stays open, with the reason; names are used once."""
    named = {bug for case in CASES for bug in case.bugs} | {each.bug for each in ELSEWHERE}
    assert [bug for bug in BUGS if bug not in named] == []
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(re.fullmatch(r"[BWG]\d\d", bug) for case in CASES for bug in case.bugs)


@pytest.mark.parametrize("each", [each for each in ELSEWHERE if each.test], ids=lambda each: each.bug)
def test_what_stands_elsewhere_stands_there(each: Any) -> None:
    """The test that is named exists."""
    path, _, name = each.test.partition("::")
    assert f"def {name}(" in (Path(__file__).parents[2] / path).read_text()


# ---------------------------------------------------------------- a guard of which one hook is not connected


def _lenient_find(method: str, path: str) -> Endpoint | Refusal:
    """What is not known is taken for a quote, as the daemon once did."""
    found = find(method, path)
    return found if isinstance(found, Endpoint) else _endpoint(find("POST", "/api/quote"))


def _endpoint(found: Endpoint | Refusal) -> Endpoint:
    assert isinstance(found, Endpoint)
    return found


def _anybody(visit: Visit) -> None:
    """Whoever has no good key is taken for the first one in the file, and scopes are not asked for."""
    _ = door.identify(visit)
    if visit.principal is None:
        visit.principal = next(iter(visit.config.keyring.principals.values()))


def _lenient_parse(endpoint: Endpoint, body: bytes) -> Intent | Refusal:
    """What is not understood is taken for what is usually meant."""
    found = parse(endpoint, body)
    if not isinstance(found, Refusal):
        return found
    return parse(endpoint, json.dumps(USUAL.get(endpoint.path, {})).encode())


def _unasked(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
    """No rule and no counter says anything."""
    look = judging.judge_trade(desk, visit, situation)
    look.reasons, look.taken = [], None
    return look


def _raw(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
    """The caller's own bytes go to the daemon."""
    look = judging.judge_trade(desk, visit, situation)
    if look.outbound is not None:
        look.outbound = replace(look.outbound, body=visit.call.body)
    return look


def _unheld(recorder: Any, sending: Any, opening: Any) -> None:
    """Nothing is reserved."""
    sending.visit.outcome = "allowed"


def _at_once(_recorder: Any, _sending: Any, told: Any) -> None:
    """Nobody waits for the disk."""
    told(None)


def _believing(desk: Any, sending: Any, result: Any) -> Outcome:
    """Whatever was answered is a yes."""
    return Outcome(Verdict.ACCEPTED, status=200, ret_type=0, order_id="1", order_id_ex="1")


def _passing(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
    """Whatever is no trade may pass."""
    look = judging.judge_passing(desk, visit, situation)
    look.reasons = []
    return look


async def _sent_as_it_is(desk: Desk, situation: Situation, outbound: Any) -> Any:
    """Passwords are tried, and told of."""
    return await desk.daemon.send(outbound)


def _nothing(*_: Any, **__: Any) -> Any:
    return []


def _none(*_: Any) -> Any:
    return None


WITHOUT: Final[dict[str, Hooks]] = {
    "find": replace(HOOKS, find=_lenient_find),
    "identify": replace(HOOKS, identify=_anybody),
    "parse": replace(HOOKS, parse=_lenient_parse),
    "own_orders_only": replace(HOOKS, own_orders_only=_none),
    "revoked": replace(HOOKS, revoked=_none),
    "judge": replace(HOOKS, judge=_raw),
    "rights": replace(HOOKS, rights=_nothing),
    "ownership": replace(HOOKS, ownership=_nothing),
    "in_the_way": replace(HOOKS, in_the_way=_none),
    "state": replace(HOOKS, state=_nothing),
    "hold": replace(HOOKS, hold=_unheld),
    "when_recorded": replace(HOOKS, carrying=replace(CARRYING, when_recorded=_at_once)),
    "verdict": replace(HOOKS, carrying=replace(CARRYING, verdict=_believing)),
    "judge_passing": replace(HOOKS, judge_passing=_passing),
    "pass_on": replace(HOOKS, pass_on=_sent_as_it_is),
    "answer_view": replace(HOOKS, answer_view=lambda *_, answer: AnswerView(answer)),
}


def test_every_hook_of_the_walk_is_tried() -> None:
    """The table of hooks and the table of disconnected guards name the same ones."""
    names = {field.name for field in fields(Hooks)} - {"carrying"} | {field.name for field in fields(type(CARRYING))}
    assert names == set(WITHOUT)


@pytest.mark.parametrize("name", sorted(WITHOUT))
async def test_a_hook_that_is_not_connected_is_noticed(name: str) -> None:
    """Every case that stands for it fails."""
    cases = proving(name)
    assert failed(await drill(cases=cases, hooks=WITHOUT[name])) == {case.id for case in cases} != set()


async def test_a_guard_that_asks_no_rule_is_noticed() -> None:
    """Every case that a rule's refusal closes fails."""
    names = {rule for case in CASES for rule in case.proves} & set(RULES) - {"rates.reads"}
    cases = [case for case in CASES if names & set(case.proves)]
    assert failed(await drill(cases=cases, hooks=replace(HOOKS, judge=_unasked))) == {case.id for case in cases}


@pytest.mark.parametrize(
    ("name", "seeing"),
    [
        ("may_see", replace(SEEING, may_see=lambda *_: True)),
        ("may_see_order", replace(SEEING, may_see_order=lambda *_, **__: True)),
    ],
)
async def test_a_stream_that_is_not_filtered_is_noticed(name: str, seeing: Seeing) -> None:
    """By scope, account and market; and by owner."""
    cases = proving(name)
    assert failed(await drill(cases=cases, seeing=seeing)) == {case.id for case in cases} != set()


# ---------------------------------------------------------------- a guard of which one rule is not asked


def _rules() -> dict[str, type[Rule]]:
    """Every rule that a policy or a key can bring, by its key path."""
    rooms = (breaker, budgets, collar, hours, instruments, keylimits, order_rules, rates, working)
    kinds = [kind for room in rooms for _, kind in inspect.getmembers(room, inspect.isclass) if issubclass(kind, Rule)]
    return {kind.name: kind for kind in kinds if kind.name}


# Not asked of an order by name: the sum of a key's own limits, and what stops a key after the fact.
UNASKED: Final = {"limits", "breaker.unknowns", "breaker.daemon_refusals"}
RULES: Final = {name: kind for name, kind in _rules().items() if name not in UNASKED}


def _without(rule: str) -> Hooks:
    """A guard that hears everything but this rule."""

    def silent(judge: Callable[[Desk, Visit, Situation], Assessment]) -> Callable[[Desk, Visit, Situation], Assessment]:
        def judged(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
            look = judge(desk, visit, situation)
            look.reasons = [reason for reason in look.reasons if reason.rule != rule]
            return look

        return judged

    return replace(HOOKS, judge=silent(judging.judge_trade), judge_passing=silent(judging.judge_passing))


@pytest.mark.parametrize("name", sorted(RULES))
async def test_a_rule_that_is_not_asked_is_noticed(name: str) -> None:
    """Every rule has a case, and every case that stands for it fails without it."""
    cases = proving(name)
    assert failed(await drill(cases=cases, hooks=_without(name))) == {case.id for case in cases} != set()


def test_the_drill_has_every_limit_of_a_policy() -> None:
    """Its policies load, and every rule of them stands in the table of cases."""
    docs = []
    for file, text in policies(SystemClock().wall()).items():
        doc = parse_policy(text, file=file)
        assert not isinstance(doc, list), doc
        docs.append(doc)
    found = compile_set(docs, keys={}, flags=None, tz="UTC", require_cover=True, now=SystemClock().wall())
    assert isinstance(found, PolicySet)
    used = {step.who for case in CASES for step in case.steps if hasattr(step, "who") and step.who}
    assert used == set(ROLES) - {"operator"}
