"""Should it happen? Every rule of every policy that binds is asked, and every "no" is told.

`judge` answers reasons and claims. Where there are no reasons the claims still have to fit: the ledger looks, and for
each one that does not, `makers[i].refuse(claims[i], shortfall)` says why. A rule that raises refuses the order. What
adds risk is judged by everything; a read and a cancel meet only the rate that is written for them (W09).
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Final

from msgspec.structs import replace

from guard.codes import Code
from guard.policy.breaker import BreakerLimit
from guard.policy.combining import BY_NO_RULE, AnyRule, Judgement, Refused, all_answers, collect, first_refusal
from guard.policy.orderclass import NOTHING_GRANTED, RuleSet
from guard.policy.plan import Plan
from guard.policy.policyset import Binding, PolicySet
from guard.policy.prices import UNPRICED, ValueTerms
from guard.policy.reducing import reducible
from guard.policy.rule import Answer, Granting, Proposal, Request
from guard.policy.valuation import value
from guard.terms import (
    Account,
    Claim,
    Effect,
    Instrument,
    Missing,
    PlaceOrder,
    Position,
    Principal,
    Quote,
    Reason,
    Verdict,
    World,
)

RULES_VERSION: Final = 12  # raised whenever the same order could be judged otherwise: a replay tells such records apart
_NO_COVER: Final = Reason(
    Code.NO_POLICY,
    "no policy with orders.max_value covers this order; ask for one, or for a limit on the key",
    rule="require_cover",
)
_Kept = Callable[[tuple[Claim, ...]], tuple[Claim, ...]]
_UNTOLD: Final = Missing(Code.PRICE_UNAVAILABLE, "no price is known")


class KeptReading(Binding, frozen=True):
    """What every read of a key claims: nothing of it hangs on the read. `kept`: as what its claims are."""

    judgement: Judgement
    kept: _Kept


def judge(  # noqa: PLR0913 - an order is judged by everything at once
    plan: Plan,
    order: PlaceOrder,
    *,
    effect: Effect,
    account: Account,
    wall: datetime,
    mark: str,
    world: World | None,
    exits: Decimal,
) -> Judgement:
    """A new order, or (ORDER_CHANGE) an order as it will be after a change, at its full new value.

    `plan` is what binds its key on this account (`PolicySet.on`), `wall` an aware time, `mark` what makes a repeat
    deliberate (a hash of the Idempotency-Key, else ""). `order.remark` is the caller's own, None where it gave none.
    `exits`: what other working orders of account, symbol and side take off a position (`exits_claim`).
    """
    worth = value(order, world, terms=plan.terms)
    proposal = Proposal(plan.key, effect, account, wall, order, worth, mark)
    if world is not None:
        proposal = _in_world(proposal, world, exits=exits, terms=plan.terms)
    currency = "" if isinstance(proposal.worth, Missing) else proposal.worth.value.currency
    place = (effect, account, order.market, order.time_in_force, currency)
    shape = (place, order.symbol, order.side, order.order_type)
    # Once a shape has passed, the rules that hang on it alone are not asked again, unless the instrument is known.
    is_known = world is not None and isinstance(world.instrument, Instrument)
    known_class = None if is_known else plan.passed.get(shape)
    if plan.converting:
        proposal = _converted(proposal, plan)
    asked, known = (plan.orders, NOTHING_GRANTED) if known_class is None else known_class.of(proposal)
    found: Granting | Refused = known
    if plan.lacks_cover:
        found = BY_NO_RULE
    elif asked.rules:
        found = first_refusal(asked.rules, proposal, known=known)
    if not isinstance(found, Refused):
        if known_class is None and not is_known:
            plan.has_passed(shape)
        elif known_class is not None and not (known_class.is_learned or proposal.is_reducing):
            known_class.learn(found, currency)
        return Judgement((), found[0], found[1], (), proposal)
    answers = _with_implied(plan, asked, proposal, said=found)
    if known_class is None and not (is_known or any(rule.is_of_shape for rule, _ in answers)):
        plan.has_passed(shape)
    return collect([*answers, (None, _NO_COVER)] if plan.lacks_cover else answers, proposal, known=known)


def _with_implied(
    plan: Plan, asked: RuleSet, proposal: Proposal, *, said: Refused
) -> list[tuple[AnyRule[Proposal], Answer]]:
    """What each rule says, in the order of the policies. What another one implies is asked where that one refuses."""
    answers = all_answers(asked.rules, proposal, said=said)
    found, implied = answers, asked.implied
    while more := [
        other
        for rule, why in found
        if isinstance(why, Reason)
        for other in chain.from_iterable(implied.get(id(rule), ()))
    ]:
        found = all_answers(more, proposal, said=BY_NO_RULE)
        answers = [*answers, *found]
        if found:
            place = {id(rule): n for n, rule in enumerate(plan.all_rules)}
            answers.sort(key=lambda answer: place[id(answer[0])])
    return answers


def _in_world(proposal: Proposal, world: World, *, exits: Decimal, terms: ValueTerms) -> Proposal:
    """The order before the world. One that only reduces is counted at an old price, its position's or its limit."""
    order, worth = proposal.order, proposal.worth
    most = reducible(order, world.position, exits=exits)
    if isinstance(worth, Missing) and worth.code in UNPRICED and 0 < order.qty <= most:
        any_age = replace(terms, price_age_max_ms=None)
        old = value(order, world, terms=any_age)
        if isinstance(old, Missing) and isinstance(world.held, Quote):
            old = value(order, replace(world, quote=world.held), terms=any_age)
        shown = _shown(world.position)
        if isinstance(old, Missing) and shown is not None:
            old = value(order, replace(world, quote=shown), terms=any_age)
        if isinstance(old, Missing):  # at least at its limit, where it has one
            old = value(order, replace(world, quote=_UNTOLD, held=None), terms=any_age)
        worth = worth if isinstance(old, Missing) else old
    return replace(proposal, world=world, terms=terms, reducible=most, worth=worth)


def _shown(position: Position | Missing | None) -> Quote | None:
    """The price at which the account's own positions show what is to be sold or bought back."""
    if not isinstance(position, Position) or position.price is None:
        return None
    return Quote(position.symbol, last=position.price, age_ms=position.age_ms)


def _converted(proposal: Proposal, plan: Plan) -> Proposal:
    """With every exchange rate that the order's value met written into it."""
    if isinstance(proposal.worth, Missing):
        return proposal
    met = dict.fromkeys(conversion for rule in plan.converting for conversion in rule.conversions(proposal))
    return replace(proposal, worth=replace(proposal.worth, fx=tuple(met))) if met else proposal


def breaker_limits(plan: Plan, verdict: Verdict) -> tuple[BreakerLimit, ...]:
    """The limits of [breaker] that an outcome of this kind meets. The walk posts `limit.claim(name)` of each.

    Then it asks `limit.tripped(count)` what the window has come to; a reason stops the key.
    """
    return tuple([limit for limit in plan.breaker if limit.verdict is verdict]) if plan.breaker else ()


def judge_read(policies: PolicySet, principal: Principal, *, wall: datetime, kept: _Kept = tuple) -> Judgement:
    """A request that changes nothing: `rates.reads` of the policies whose key selectors match.

    `kept`: as what the claims are kept for all reads to come.
    """
    known: KeptReading | None = policies.readings.get(principal.name)
    if known is not None and known.kept is kept and known.binds(principal.limits, wall):
        return known.judgement
    plan = policies.plan(principal, None, None, wall=wall)
    request = Request(plan.key, Effect.READ, None, wall)
    found = first_refusal(plan.reads, request)
    if isinstance(found, Refused):
        return collect(all_answers(plan.all_reads, request, said=found))
    judgement = Judgement((), kept(found[0]) if found[0] else (), found[1])
    policies.keep_reading(principal.name, KeptReading(principal.limits, policies.validity(wall), judgement, kept))
    return judgement


def judge_cancel(plan: Plan, *, account: Account, wall: datetime) -> Judgement:
    """A cancel: `rates.cancels` and nothing else, whatever limits, hours or budgets say."""
    request = Request(plan.key, Effect.ORDER_CANCEL, account, wall)
    found = first_refusal(plan.cancels, request)
    return (
        collect(all_answers(plan.all_cancels, request, said=found))
        if isinstance(found, Refused)
        else Judgement((), *found)
    )
