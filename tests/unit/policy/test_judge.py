"""The judgement: every rule, every reason, the tightest claim."""

from datetime import datetime
from typing import ClassVar

import pytest

from guard.codes import Code
from guard.policy import Judgement, cancels_account, judge_cancel, judge_read, may_touch, meters
from guard.policy.assemble import Bound
from guard.policy.notation import Rate
from guard.policy.policyset import PolicySet
from guard.policy.rates import ReadRate
from guard.policy.rule import OrderRule, Proposal, Request, Scope
from guard.terms import Account, Effect, Env, KeyLimits, OrderType, Principal, Reason
from tests.support.policy import FRIDAY, PAPER, REAL, Book, asked, caller, codes, order, policies


class Breaking(OrderRule, frozen=True):
    """A rule with a bug."""

    name: ClassVar[str] = "orders.bug"

    def judge(self, proposal: Proposal) -> Reason:
        """Raises."""
        raise ZeroDivisionError(proposal.key)


class BreakingRead(ReadRate, frozen=True):
    """A rate with a bug."""

    def judge(self, request: Request) -> Reason:
        """Raises."""
        raise KeyError(request.key)


def broken() -> PolicySet:
    """A policy whose rules raise, between two that do not."""
    rules = policies("[orders]\nmax_qty = 1", '[orders]\nsides = ["SELL"]')
    bug = Bound("buggy", (Breaking("buggy"),), reads=(BreakingRead("buggy", Rate(1, 1000), Scope("key", "buggy")),))
    rules._bounds = (rules._bounds[0], bug, rules._bounds[1])
    return rules


def test_a_rule_that_raises_refuses_the_order() -> None:
    """An exception becomes `rule_error` naming policy and rule; the other rules are still asked."""
    judgement = asked(broken())

    assert codes(judgement) == [Code.SIDE, Code.MAX_ORDER_QTY, Code.RULE_ERROR]
    error = judgement.reasons[2]
    assert (error.policy, error.rule) == ("buggy", "orders.bug")
    assert "ZeroDivisionError" in error.message


def test_a_rate_that_raises_refuses_the_read() -> None:
    """A read's rules fail closed as well."""
    (reason,) = judge_read(broken(), caller(), wall=FRIDAY).reasons

    assert (reason.code, reason.policy, reason.rule) == (Code.RULE_ERROR, "buggy", "rates.reads")


def test_all_rules_run_and_the_primary_reason_is_the_contracts() -> None:
    """Every failing rule of every policy is told, in the contract's order."""
    judgement = asked(
        policies(
            '[orders]\nmax_value = "1 HKD"\nmax_qty = 1\ntypes = []\nper_day = 0\n[rates]\nnew_orders = "0/1s"',
            '[instruments]\nmarkets = ["US"]\nsymbols = []\n[orders]\nsides = []\ntime_in_force = []',
        )
    )

    assert codes(judgement) == [
        Code.MARKET,
        Code.SYMBOL,
        Code.SIDE,
        Code.ORDER_TYPE,
        Code.TIME_IN_FORCE,
        Code.MAX_ORDER_QTY,
        Code.MAX_ORDER_VALUE,
        Code.ORDERS_PER_DAY,
        Code.RATE,
    ]


def test_claims_come_with_the_reasons() -> None:
    """A refused order's claims are known all the same, so that the refusal can tell exhausted budgets too."""
    judgement = asked('[orders]\nsides = []\n[budgets]\ndaily_value = "500 HKD"')

    assert codes(judgement) == [Code.SIDE]
    assert [reason.code for reason in Book().place(judgement)] == [Code.SIDE, Code.DAILY_VALUE]


def test_the_tightest_of_two_policies_wins() -> None:
    """Two caps on one counter become one claim, and the refusal names the policy that is tighter."""
    rules = policies('[budgets]\ndaily_value = "5000 HKD"', '[budgets]\ndaily_value = "900 HKD"', "")
    judgement = asked(rules)

    assert [claim.cap for claim in judgement.claims] == [9_000_000]
    assert [reason.policy for reason in Book().place(judgement)] == ["p1"]


def test_every_policy_whose_selectors_match_must_pass() -> None:
    """A policy for another key, environment or account says nothing."""
    rules = policies(
        '[applies_to]\nkeys = ["x"]\n[orders]\nmax_qty = 0',
        '[applies_to]\nenvironments = ["simulate"]\n[orders]\nmax_qty = 0',
        "[applies_to]\naccounts = [2]\n[orders]\nmax_qty = 0",
    )

    assert not codes(asked(rules))
    assert [reason.policy for reason in asked(rules, who=caller("x")).reasons] == ["p0"]
    assert [reason.policy for reason in asked(rules, account=PAPER).reasons] == ["p1"]
    assert [reason.policy for reason in asked(rules, account=Account(Env.REAL, 2)).reasons] == ["p2"]


@pytest.mark.parametrize(
    ("rules", "who", "is_covered"),
    [
        (policies(require_cover=True), caller(), False),
        (policies('[budgets]\ndaily_value = "1000000 HKD"', require_cover=True), caller(), False),
        (policies('[orders]\nmax_value = "1000000 HKD"', require_cover=True), caller(), True),
        (policies(require_cover=True), caller(limits=KeyLimits(max_order_value=order().qty * 10)), True),
        (policies(require_cover=True, flags=KeyLimits(max_order_value=order().qty * 10)), caller(), True),
        (
            policies('[applies_to]\nenvironments = ["simulate"]\n[orders]\nmax_value = "1 HKD"', require_cover=True),
            caller(),
            False,
        ),
        (
            policies(
                '[policy]\nexpires_at = 2026-11-20T04:00:00Z\n[orders]\nmax_value = "9999 HKD"', require_cover=True
            ),
            caller(),
            False,
        ),
        (policies(), caller(), True),
    ],
)
@pytest.mark.parametrize("effect", [Effect.ORDER_NEW, Effect.ORDER_CHANGE])
def test_a_trade_needs_cover(rules: PolicySet, who: Principal, effect: Effect, *, is_covered: bool) -> None:
    """Without a money limit on single orders that binds, new orders and changes are refused `no_policy`."""
    assert (Code.NO_POLICY in codes(asked(rules, who=who, effect=effect))) is not is_covered


def test_a_missing_datum_is_told_once() -> None:
    """Three money limits want the same price: one reason, from the first of them."""
    rules = policies('[orders]\nmax_value = "1 HKD"\n[budgets]\ndaily_value = "1 HKD"', '[orders]\nmax_value = "1 HKD"')

    judgement = asked(rules, order(order_type=OrderType.MARKET))
    assert [(reason.code, reason.policy, reason.rule) for reason in judgement.reasons] == [
        (Code.PRICE_UNAVAILABLE, "p0", "orders.max_value")
    ]


def test_b09_only_a_rate_may_be_told_as_too_many_requests() -> None:
    """B09: a list or a cap answers 403; 429 is for what comes back by waiting."""
    rules = policies('[orders]\nsides = []\nmax_value = "1 HKD"\nper_day = 0\n[budgets]\ndaily_value = "0 HKD"')

    assert Code.RATE not in codes(asked(rules))


@pytest.mark.parametrize(
    ("texts", "owner", "effect", "is_allowed"),
    [
        ((), "bot-a", Effect.ORDER_CHANGE, True),
        ((), "bot-b", Effect.ORDER_CHANGE, False),
        ((), "bot-b", Effect.ORDER_CANCEL, False),
        ((), None, Effect.ORDER_CHANGE, False),
        ((), None, Effect.ORDER_CANCEL, True),
        (('touch = "account"',), "bot-b", Effect.ORDER_CHANGE, True),
        (('touch = "account"',), "bot-b", Effect.ORDER_CANCEL, True),
        (('touch = "account"',), None, Effect.ORDER_CHANGE, True),
        (('touch = "account"', 'touch = "own"'), "bot-b", Effect.ORDER_CANCEL, False),
        (('touch = "account"', 'see = "account"'), "bot-b", Effect.ORDER_CANCEL, True),
    ],
)
def test_whose_orders_a_key_may_touch(
    texts: tuple[str, ...], owner: str | None, effect: Effect, *, is_allowed: bool
) -> None:
    """Its own always; another's only under "account", where no policy says "own"; nobody's may be cancelled."""
    rules = policies(*(f"[rights]\n{text}" for text in texts))
    reason = may_touch(rules, caller(), owner=owner, effect=effect, account=REAL, wall=FRIDAY)

    assert (reason is None) is is_allowed
    if reason is not None:
        assert (reason.code, reason.rule) == (Code.NOT_YOUR_ORDER, "rights.touch")


def test_a_right_for_another_account_is_none() -> None:
    """Selectors choose rights as they choose limits."""
    rules = policies('[applies_to]\naccounts = [2]\n[rights]\ntouch = "account"')

    assert may_touch(rules, caller(), owner="x", effect=Effect.ORDER_CANCEL, account=REAL, wall=FRIDAY)


@pytest.mark.parametrize(
    ("texts", "is_everybodys"),
    [
        ((), False),
        (('cancel_all = "own"',), False),
        (('cancel_all = "account"',), True),
        (('cancel_all = "account"', 'cancel_all = "own"'), False),
        (('cancel_all = "account"', 'touch = "own"'), True),
        (('touch = "account"',), False),
    ],
)
def test_what_a_cancel_of_all_means(texts: tuple[str, ...], *, is_everybodys: bool) -> None:
    """One's own orders, unless a policy says "account" and none says "own"; touch is another right."""
    rules = policies(*(f"[rights]\n{text}" for text in texts))

    assert cancels_account(rules, caller(), account=REAL, wall=FRIDAY) is is_everybodys


def test_meters_name_what_a_key_meets() -> None:
    """Every counter that an order of the key would claim on, with the tightest cap, once."""
    rules = policies(
        '[orders]\nper_day = 9\n[budgets]\ndaily_value = "1000 HKD"\n'
        '[rates]\nnew_orders = "15/30s"\nreads = "5/1s"\ncancels = "7/1s"',
        '[budgets]\ndaily_value = "500 HKD"',
        '[budgets]\nper = "account"\ndaily_value = ["800 HKD"]\nresets = "00:00 UTC"',
    )
    who = caller(acc_ids=frozenset({1}))
    found = {meter.counter: meter for meter in meters(rules, who, wall=FRIDAY)}
    order_claims = asked(rules, who=who).claims
    others = (
        *judge_cancel(rules.on(who, REAL, wall=FRIDAY), account=REAL, wall=FRIDAY).claims,
        *judge_read(rules, who, wall=FRIDAY).claims,
    )

    assert {claim.counter for claim in (*order_claims, *others)} <= {
        name for meter in found.values() for name in (meter.counter, *meter.also)
    }
    day = next(
        meter for meter in found.values() if meter.rule == "budgets.daily_value" and meter.subject.endswith("real")
    )
    assert (day.policy, day.cap, day.unit) == ("p1", 5_000_000, "HKD")
    assert [reset.isoformat() for reset in day.resets] == ["2026-11-20T22:00:00+00:00", "2026-11-21T00:30:00+00:00"]
    rate = found["new_orders/key=bot-a"]
    assert (rate.subject, rate.cap, rate.unit, rate.window_ms) == ("key=bot-a", 15, "orders/30s", 30_000)
    account = next(meter for meter in found.values() if meter.subject == "account=real:1")
    assert account.resets == (datetime.fromisoformat("2026-11-21T00:00:00+00:00"),)


@pytest.mark.parametrize("texts", [("500 HKD", "1000 HKD"), ("1000 HKD", "500 HKD")])
def test_of_two_caps_on_one_counter_the_meter_is_the_tighter_ones(texts: tuple[str, str]) -> None:
    """In whichever order they stand, also where a policy for some accounts keeps them from being thinned."""
    budgets = [f'[budgets]\ndaily_value = "{text}"' for text in texts]
    rules = policies(*budgets, "[applies_to]\naccounts = [1]\n[orders]\nmax_qty = 5")
    found = [meter for meter in meters(rules, caller(), wall=FRIDAY) if meter.rule == "budgets.daily_value"]

    assert [(meter.policy, meter.cap) for meter in found] == [(f"p{texts.index('500 HKD')}", 5_000_000)] * 2


def test_meters_of_a_reader_are_its_reads() -> None:
    """A key that may not trade meets no order limits."""
    rules = policies('[budgets]\ndaily_value = "1 HKD"\n[rates]\nreads = "5/1s"')
    reader = Principal(id="reader", name="reader", scopes=frozenset({"qot:read"}))

    assert [meter.rule for meter in meters(rules, reader, wall=FRIDAY)] == ["rates.reads"]


def test_meters_per_account_are_those_of_the_selectors() -> None:
    """A policy for some accounts names them; a restricted key sees its own among them."""
    rules = policies('[applies_to]\naccounts = [1, 2]\n[budgets]\nper = "account"\ndaily_value = "1 HKD"')
    anyone, restricted = caller(), caller(acc_ids=frozenset({2, 3}))

    assert {meter.subject for meter in meters(rules, anyone, wall=FRIDAY)} == {
        f"account={env}:{acc_id}" for env in ("real", "simulate") for acc_id in (1, 2)
    }
    assert {meter.subject for meter in meters(rules, restricted, wall=FRIDAY)} == {
        "account=real:2",
        "account=simulate:2",
    }


@pytest.mark.parametrize("acc_ids", [None, frozenset({1})])
@pytest.mark.parametrize(("named", "told"), [("", {4, 5}), ("[applies_to]\naccounts = [1, 2, 4]\n", {4})])
def test_meters_per_account_of_a_key_for_cards_are_those_that_it_may_see(
    acc_ids: frozenset[int] | None, named: str, told: set[int]
) -> None:
    """Which these are the list says; what others that a policy names have used is not for it."""
    rules = policies(f'{named}[budgets]\nper = "account"\ndaily_value = "1 HKD"')
    who = caller(card_nums=frozenset({"5678"}), acc_ids=acc_ids)
    seen = tuple(Account(Env.REAL, acc_id) for acc_id in (4, 5))

    found = meters(rules, who, wall=FRIDAY, listed=seen)
    assert {meter.subject for meter in found} == {f"account=real:{acc_id}" for acc_id in told}
    assert meters(rules, who, wall=FRIDAY) == ()


def test_a_keys_bare_daily_value_has_a_meter_in_every_currency() -> None:
    """Each currency is counted by itself."""
    who = caller(limits=KeyLimits(max_daily_value=order().qty))
    found = meters(policies(), who, wall=FRIDAY)

    assert {meter.unit for meter in found} == {"HKD", "USD", "CNH", "JPY", "SGD", "AUD", "CAD", "MYR"}
    assert {meter.cap for meter in found} == {1_000_000}


def test_nothing_said_is_nothing_found() -> None:
    """Without policies there are no reasons and no claims."""
    found = asked(policies())

    assert found == Judgement(proposal=found.proposal)
