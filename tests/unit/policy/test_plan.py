"""Thinned rules: what a tighter one makes superfluous is not asked, and what binds now is looked up."""

import gc
from datetime import timedelta
from decimal import Decimal
from types import FunctionType, ModuleType
from typing import Any

import pytest

from guard.codes import Code
from guard.policy.budgets import MoneyBudget
from guard.policy.notation import Reset
from guard.policy.orders import MaxQty, MaxValue
from guard.policy.plan import Validity, plan_of, validity_of, within_days, without_implied
from guard.policy.rule import Proposal
from guard.terms import LEDGER_UNIT, Account, Effect, Env, Instrument, KeyLimits, Side
from tests.support.policy import FRIDAY, PAPER, REAL, asked, caller, codes, order, policies
from tests.support.worlds import position, quote, world

FX = '\n[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20'


def kept(*texts: str) -> list[tuple[str, str]]:
    """The rules of these policies that are asked, with their policies."""
    plan = policies(*texts).plan(caller(), Env.REAL, REAL, wall=FRIDAY)
    return [(rule.policy, rule.name.split(".")[-1]) for rule in (*plan.rules, *plan.reads, *plan.cancels)]


@pytest.mark.parametrize(
    ("loose", "tight"),
    [
        ('[instruments]\nmarkets = ["HK", "US"]', '[instruments]\nmarkets = ["US"]'),
        ('[instruments]\nsymbols = ["HK.*", "US.*"]', '[instruments]\nsymbols = ["US.*"]'),
        ('[instruments]\nblocked_symbols = ["US.A"]', '[instruments]\nblocked_symbols = ["US.B", "US.A"]'),
        ('[orders]\nsides = ["BUY", "SELL"]', '[orders]\nsides = ["SELL"]'),
        ('[orders]\ntypes = ["NORMAL", "MARKET"]', '[orders]\ntypes = ["NORMAL"]'),
        ('[orders]\ntime_in_force = ["DAY", "GTC"]', "[orders]\ntime_in_force = []"),
        ("[orders]\nmax_qty = 10", "[orders]\nmax_qty = 9"),
        ('[orders]\nmax_value = ["10 HKD", "5 USD"]', '[orders]\nmax_value = "10 HKD"'),
        ('[orders]\nmax_value = ["10 HKD", "5 USD"]', '[orders]\nmax_value = ["9 HKD", "5 USD"]'),
        ('[orders]\nmax_value = "10 USD"' + FX, '[orders]\nmax_value = "9 USD"' + FX),
        ('[orders]\nmax_premium = "10 USD"', '[orders]\nmax_premium = "9 USD"'),
        ('[orders]\nmax_underlying_value = "10 USD"', '[orders]\nmax_underlying_value = "9 USD"'),
        ("[orders]\nper_day = 9", "[orders]\nper_day = 8"),
        (
            "[orders]\nprice_collar_percent = { stock = 9 }\n[reference]\nprice_collar_missing = 'skip'",
            "[orders]\nprice_collar_percent = { stock = 9, option = 1 }",
        ),
        ('[budgets]\ndaily_value = "10 HKD"', '[budgets]\ndaily_value = "9 HKD"'),
        ('[budgets]\nopen_value = "10 HKD"', '[budgets]\nopen_value = "9 HKD"'),
        ("[budgets]\nopen_orders = 9", "[budgets]\nopen_orders = 8"),
        ('[rates]\nnew_orders = "9/10s"', '[rates]\nnew_orders = "8/10s"'),
        ('[rates]\nreads = "9/10s"', '[rates]\nreads = "8/10s"'),
        ('[rates]\ncancels = "9/10s"', '[rates]\ncancels = "8/10s"'),
    ],
)
def test_the_tighter_of_two_is_asked_alone(loose: str, tight: str) -> None:
    """Whichever comes first; and of two that say the same the first."""
    assert {policy for policy, _ in kept(loose, tight)} == {"p1"}
    assert {policy for policy, _ in kept(tight, loose)} == {"p0"}
    assert {policy for policy, _ in kept(tight, tight)} == {"p0"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('[instruments]\nmarkets = ["HK"]', '[instruments]\nmarkets = ["US"]'),
        ('[orders]\nmax_value = "10 HKD"', '[orders]\nmax_value = "5 USD"'),
        ('[orders]\nmax_value = ["10 HKD", "5 USD"]', '[orders]\nmax_value = ["9 HKD", "6 USD"]'),
        ('[orders]\nmax_value = "10 USD"', '[orders]\nmax_value = "9 USD"' + FX),
        ('[orders]\nmax_value = "10 USD"' + FX, '[orders]\nmax_value = ["9 USD", "9 HKD"]' + FX),
        ('[orders]\nmax_value = "10 USD"', '[orders]\nmax_premium = "9 USD"'),
        ("[orders]\nduplicate_window_s = 5", "[orders]\nduplicate_window_s = 6"),
        (
            "[orders]\nprice_collar_percent = { stock = 9 }",
            "[orders]\nprice_collar_percent = { stock = 8 }\n[reference]\nprice_collar_missing = 'skip'",
        ),
        ('[budgets]\ndaily_value = ["10 HKD", "5 USD"]', '[budgets]\ndaily_value = "10 HKD"'),
        ('[budgets]\ndaily_value = "10 HKD"', '[budgets]\nper = "account"\ndaily_value = "9 HKD"'),
        ('[budgets]\nper = "policy"\ndaily_value = "10 HKD"', '[budgets]\nper = "policy"\ndaily_value = "9 HKD"'),
        ('[budgets]\ndaily_value = "10 HKD"', '[budgets]\ndaily_value = "9 HKD"\nresets = "00:00 UTC"'),
        ("[orders]\nper_day = 9", '[orders]\nper_day = 8\n[budgets]\nresets = "00:00 UTC"'),
        ('[rates]\nnew_orders = "9/10s"', '[rates]\nnew_orders = "8/11s"'),
        ('[rates]\nnew_orders = "9/10s"', '[rates]\nchanges = "8/10s"'),
        ('[rates]\nnew_orders = "9/10s"', '[rates]\nper = "policy"\nnew_orders = "8/10s"'),
    ],
)
def test_rules_that_say_different_things_are_both_asked(one: str, other: str) -> None:
    """Another measure, another counter, another window, or each tighter somewhere."""
    assert {policy for policy, _ in kept(one, other)} == {"p0", "p1"}


def test_an_exit_is_counted_in_its_currency_whatever_another_policy_has_no_limit_for() -> None:
    """The policy in dollars alone refuses an order in another currency, but not one that only reduces a position."""
    rules = policies('[budgets]\ndaily_value = ["1000 HKD", "100 USD"]', '[budgets]\ndaily_value = "100 USD"')
    held = world(quote("10"), position=position(1))
    (claim,) = asked(rules, order("1", "10", side=Side.SELL), world=held).claims

    assert (claim.counter.split("|")[1], claim.cap) == ("HKD", None)
    assert codes(asked(rules, order("1", "10"))) == [Code.FX_UNAVAILABLE]


def test_counters_of_their_own_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that count each for itself, or by another reset, cost as many looks as there are, not their square."""
    compared: list[str] = []
    implies = MoneyBudget.implies

    def noted(self: MoneyBudget, other: MoneyBudget) -> bool:
        compared.append(other.policy)
        return implies(self, other)

    monkeypatch.setattr(MoneyBudget, "implies", noted)
    alone = [f'[budgets]\nper = "policy"\ndaily_value = "{n} HKD"\nopen_value = "{n} HKD"' for n in range(1, 101)]
    resets = [f'[budgets]\ndaily_value = "1 HKD"\nresets = "00:{n:02} UTC"' for n in range(60)]
    assert len(kept(*alone, *resets)) == 260
    assert not compared

    assert len(kept(*(text.replace('per = "policy"', "") for text in alone))) == 2
    assert len(compared) == 2 * 99


def test_two_hundred_policies_cost_as_much_as_what_they_limit() -> None:
    """The same limits with other numbers: one rule of a kind is asked, and the refusal names all that refuse."""
    texts = [f'[orders]\nmax_value = "{1000 + n} HKD"\nmax_qty = {1000 + n}' for n in range(200)]
    rules = policies(*texts)
    plan = rules.plan(caller(), Env.REAL, REAL, wall=FRIDAY)

    assert [(rule.policy, rule.name) for rule in plan.rules] == [("p0", "orders.max_qty"), ("p0", "orders.max_value")]
    assert not codes(asked(rules, order("100", "10")))
    refused = asked(rules, order("1", "1099.5"))
    assert len(refused.reasons) == 100
    assert set(codes(refused)) == {Code.MAX_ORDER_VALUE}


def test_a_keys_own_limits_stand_beside_those_of_policies() -> None:
    """They are told by their own name, however much tighter a policy is."""
    who = caller(limits=KeyLimits(max_order_value=Decimal(100)))
    rules = policies('[orders]\nmax_value = "50 HKD"')

    assert [reason.policy for reason in asked(rules, order("11", "10"), who=who).reasons] == ["p0", "key:bot-a"]
    assert [reason.policy for reason in asked(rules, order("6", "10"), who=who).reasons] == ["p0"]


def test_a_keys_limits_and_the_flags_are_of_one_kind() -> None:
    """The tighter of the two is asked alone, and all that refuse are told."""
    flags, who = KeyLimits(max_order_value=Decimal(50)), caller(limits=KeyLimits(max_order_value=Decimal(100)))
    rules = policies(flags=flags)

    assert [rule.policy for rule in rules.plan(who, Env.REAL, REAL, wall=FRIDAY).rules] == ["flags"]
    assert [reason.policy for reason in asked(rules, order("11", "10"), who=who).reasons] == ["key:bot-a", "flags"]


def test_keys_with_the_same_policies_share_their_plan() -> None:
    """The rules are thinned once, not for every key."""
    rules = policies('[orders]\nmax_value = "50 HKD"', '[applies_to]\nkeys = ["x*"]\n[orders]\nmax_qty = 1')
    plans = [rules.plan(caller(name), Env.REAL, REAL, wall=FRIDAY) for name in ("a", "b", "x1", "x2")]

    assert plans[0].rules[0] is plans[1].rules[0]
    assert len(rules._shared) == 2


def test_a_key_adds_to_the_plan_that_it_shares_as_little_as_it_has_of_its_own() -> None:
    """The collector looks through what is young: a thousand policies named anew for each key took it 4 ms in one go."""
    rules = policies(*(f'[orders]\nmax_value = "{1000 + n} HKD"\n[rates]\nreads = "9/10s"' for n in range(300)))
    made: list[dict[int, object]] = []
    for name in ("a", "b"):
        who = caller(name, limits=KeyLimits(max_order_value=Decimal(5000)))
        assert not codes(asked(rules, order("1", "10"), who=who))
        refused = asked(rules, order("1", "6000"), who=who)
        assert (len(refused.reasons), refused.reasons[-1].policy) == (301, f"key:{name}")
        made.append(reached(rules._plans[name, Env.REAL, 0], {}))
        assert len(rules._plans[name, Env.REAL, 0].plan.all_reads) == 300
    wide = {count for it in made[1].keys() - made[0].keys() if (count := len(gc.get_referents(made[1][it]))) > 100}
    assert not wide


def reached(thing: object, found: dict[int, object]) -> dict[int, object]:
    """All that the collector comes to from here but types, modules and functions; by identity."""
    left = [thing]
    while left:
        it = left.pop()
        if id(it) in found or isinstance(it, type | ModuleType | FunctionType):
            continue
        found[id(it)] = it
        left += gc.get_referents(it)
    return found


def test_what_binds_follows_account_environment_and_time() -> None:
    """A plan is for one account, one environment, and the time between two expiries; the clock may go back."""
    rules = policies(
        "[policy]\nexpires_at = 2026-11-20T04:00:01Z\n[orders]\nmax_qty = 1",
        "[policy]\nexpires_at = 2026-11-20T04:00:03Z\n[orders]\nmax_qty = 2",
        "[applies_to]\naccounts = [2]\n[orders]\nmax_qty = 3",
        '[applies_to]\nenvironments = ["simulate"]\n[orders]\nmax_qty = 4',
    )

    def caps(account: Account, seconds: int) -> list[str | None]:
        wall = FRIDAY + timedelta(seconds=seconds)
        return [reason.limit for reason in asked(rules, order("9"), account=account, wall=wall).reasons]

    for _ in range(2):
        assert caps(REAL, 0) == ["1", "2"]
        assert caps(REAL, 1) == ["2"]
        assert caps(REAL, 3) == []
        assert caps(Account(Env.REAL, 2), 3) == ["3"]
        assert caps(PAPER, 2) == ["2", "4"]


def test_the_cache_of_plans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its size the oldest makes room for the next: to let go of 32,768 plans at once took 37 ms of the loop.

    Were it the newest, callers that are long gone would keep all room, and nobody's plan were at hand who came later.
    """
    rules = policies('[applies_to]\nkeys = ["a*"]\n[orders]\nmax_qty = 1', "[orders]\nmax_qty = 2")
    monkeypatch.setattr("guard.policy.policyset.MATCHES_MAX", 2)
    monkeypatch.setattr("guard.policy.policyset.SHARED_MAX", 1)

    for name in ("a1", "b1", "a2", "b2", "a3"):
        assert [r.limit for r in asked(rules, order("9"), who=caller(name)).reasons] == (
            ["1", "2"] if name.startswith("a") else ["2"]
        )
    assert [name for name, *_ in rules._plans] == ["b2", "a3"]
    assert [name for name, _ in rules._matches] == ["b2", "a3"]
    assert len(rules._shared) == 1


def test_a_shape_that_passed_is_not_asked_again_until_its_instrument_is_known() -> None:
    """Sides, symbols and the like are asked once a shape; what the daemon says of an instrument is looked at anew."""
    rules = policies('[instruments]\nblocked_symbols = ["HK.00700"]\n[orders]\nsides = ["BUY"]\nmax_qty = 100')
    plan, warrant = rules.plan(caller(), Env.REAL, REAL, wall=FRIDAY), order(code="09988")
    assert [rule.name for rule in plan.others] == ["orders.max_qty"]

    assert not codes(asked(rules, warrant))
    assert len(plan.passed) == 1
    assert not codes(asked(rules, warrant))
    known = Instrument(warrant.symbol, "warrant", "HKD", underlying="HK.00700")
    assert codes(asked(rules, warrant, world=world(what=known))) == [Code.SYMBOL]
    assert codes(asked(rules, order(code="09988", side=Side.SELL))) == [Code.SIDE]
    assert codes(asked(rules, order("101", code="09988"))) == [Code.MAX_ORDER_QTY]


@pytest.mark.parametrize("in_each", ["20", "30", "40"])
@pytest.mark.parametrize("in_hkd", ["20", "30", "40"])
@pytest.mark.parametrize("price", ["2", "2.5", "3.5", "5"])
def test_of_limits_on_one_measure_the_tightest_is_left_for_an_order_in_its_currency(
    in_each: str, in_hkd: str, price: str
) -> None:
    """The key's one number and the policy's amount are one limit to an order in dollars of Hong Kong, not in others."""
    text = f'[orders]\nmax_value = "{in_hkd} HKD"\n[budgets]\ndaily_value = ["{in_hkd} HKD", "70 USD"]'
    limits = KeyLimits(max_order_value=Decimal(in_each), max_daily_value=Decimal(in_each))
    rules, who = policies(text), caller(limits=limits)
    assert not codes(asked(rules, order("10", "0.1"), who=who))
    (alike,) = rules.plan(who, Env.REAL, REAL, wall=FRIDAY).passed.values()
    assert len(alike.full.rules) == 2

    first, again = asked(policies(text), order("10", price), who=who), asked(rules, order("10", price), who=who)
    assert again.reasons == first.reasons
    assert again.claims == first.claims
    if not again.reasons:
        assert [claim.cap for claim in again.claims] == [int(min(in_each, in_hkd)) * LEDGER_UNIT]
    assert codes(asked(rules, order("9", "1", market="US", code="AAPL"), who=who)) == [Code.FX_UNAVAILABLE]


def test_what_a_rule_stands_for_is_asked_only_where_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of policies alike each kind has one rule asked; once that says no, those that it stands for are, and in turn."""
    asks: dict[str, int] = {"value": 0, "qty": 0}

    def counted(kind: type[MaxValue | MaxQty], word: str) -> None:
        judged = kind.judge

        def judge(rule: Any, proposal: Proposal) -> Any:
            asks[word] += 1
            return judged(rule, proposal)

        monkeypatch.setattr(kind, "judge", judge)

    texts = [f'[orders]\nmax_value = "{100 + n} HKD"\nmax_qty = {20 + n}' for n in range(30)]
    rules = policies(*reversed(texts))
    counted(MaxValue, "value")
    counted(MaxQty, "qty")

    assert codes(asked(rules, order("10", "10.5"))) == [Code.MAX_ORDER_VALUE] * 5
    assert asks["qty"] <= 2
    assert asks["value"] == 30
    told = asked(rules, order("22", "1")).reasons
    assert [(reason.code, reason.policy) for reason in told] == [
        (Code.MAX_ORDER_QTY, policy) for policy in ("p28", "p29")
    ]
    assert asks["value"] <= 32


def test_a_limit_of_another_measure_is_left() -> None:
    """Another reset, another subject, another sum of currencies, the value of one order: each has its own counter."""
    budget = '[budgets]\ndaily_value = "{} HKD"'
    sources = (
        budget.format(50),
        budget.format(60) + '\nresets = "08:30 Asia/Hong_Kong"',
        budget.format(70) + '\nper = "account"',
        budget.format(80) + '\n[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20',
        '[budgets]\nopen_value = "90 HKD"\n[orders]\nmax_value = "40 HKD"',
    )
    rules = policies(*sources)
    for _ in range(2):
        assert len({claim.counter for claim in asked(rules, order("1", "1")).claims}) == len(sources)
    (alike,) = rules.plan(caller(), Env.REAL, REAL, wall=FRIDAY).passed.values()
    assert len(alike.full.rules) == len(sources) + 1


def test_the_memory_for_shapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its size it starts anew, and answers the same."""
    monkeypatch.setattr("guard.policy.plan.SHAPES_MAX", 2)
    rules = policies('[orders]\nsides = ["BUY"]')
    plan = rules.plan(caller(), Env.REAL, REAL, wall=FRIDAY)

    for code in ("00001", "00002", "00003", "00001"):
        assert not codes(asked(rules, order(code=code)))
        assert len(plan.passed) <= 2


def test_a_change_meets_the_thinned_rules_too() -> None:
    """Two rates on changes: the tighter claims, the looser is implied."""
    rules = policies('[rates]\nchanges = "9/10s"', '[rates]\nchanges = "8/10s"')
    (claim,) = asked(rules, effect=Effect.ORDER_CHANGE).claims

    assert claim.cap == 8


def test_nothing_is_thinned_to_nothing() -> None:
    """No policies, no rules; without expiries a plan holds for ever."""
    assert without_implied(()) == ()
    assert plan_of(()).rules == ()
    assert validity_of((), FRIDAY).holds(FRIDAY + timedelta(days=10_000))


def test_a_rule_stands_in_a_plan_once() -> None:
    """Who refuses, and what stands behind it, is told by identity: a rule that stood twice would be told twice."""
    bounds = policies("[orders]\nmax_qty = 1").binding(caller(), Env.REAL, FRIDAY)
    with pytest.raises(AssertionError, match="twice"):
        plan_of((*bounds, *bounds))


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, (-210, 1230)),
        (timedelta(minutes=-5), timedelta(minutes=5), (-5, 5)),
        (timedelta(days=-2), timedelta(days=2), (-210, 1230)),
    ],
)
def test_a_plan_holds_while_neither_a_policy_nor_a_day_ends(
    since: timedelta | None, until: timedelta | None, expected: tuple[int, int]
) -> None:
    """On both sides: a clock that was set back finds none of after an expiry, nor of the day that follows."""
    validity = Validity(None if since is None else FRIDAY + since, None if until is None else FRIDAY + until)
    found = within_days(validity, (Reset(510, "Asia/Hong_Kong"),), FRIDAY)

    begins, ends = (FRIDAY + timedelta(minutes=minutes) for minutes in expected)
    assert (found.since, found.until) == (begins, ends)
    assert (found.holds(begins), found.holds(begins - timedelta(seconds=1)), found.holds(ends)) == (True, False, False)
