"""Should it happen? Every rule of every policy that binds is asked, and every "no" is told.

`judge` answers reasons and claims. Where there are no reasons the claims still have to fit: the ledger looks, and for
each one that does not, `makers[i].refuse(claims[i], shortfall)` says why. A rule that raises refuses the order. What
adds risk is judged by everything; a read and a cancel meet only the rate that is written for them (W09).
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from guard.codes import Code
from guard.policy.assemble import Bound
from guard.policy.compile import PolicySet
from guard.policy.rates import RateLimit
from guard.policy.rule import Answer, Maker, Meter, OrderRule, Proposal, Reach, Request
from guard.terms import Account, Claim, Effect, Env, Missing, PlaceOrder, Principal, Reason, Valuation, in_order


class Judgement(Struct, frozen=True):
    """The reasons against it (the primary one first), and the claims with who made each of them."""

    reasons: tuple[Reason, ...] = ()
    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker, ...] = ()


def judge(  # noqa: PLR0913 - an order is judged by everything at once
    policies: PolicySet,
    principal: Principal,
    order: PlaceOrder,
    *,
    effect: Effect,
    account: Account,
    worth: Valuation | Missing,
    wall: datetime,
    mark: str,
) -> Judgement:
    """A new order, or (ORDER_CHANGE) an order as it will be after a change, at its full new value.

    `worth` is the order's value; `wall` an aware time; `mark` what makes a repeat deliberate (a hash of the
    Idempotency-Key, else ""). `order.remark` is the caller's own, None where it gave none.
    """
    proposal = Proposal(
        key=principal.name, effect=effect, account=account, wall=wall, order=order, worth=worth, mark=mark
    )
    bounds = [bound for bound in policies.binding(principal, account.env, wall) if bound.reaches(account)]
    reasons: list[Reason] = []
    if policies.require_cover and not any(bound.covers for bound in bounds):
        message = "no policy with orders.max_value covers this order; ask for one, or for a limit on the key"
        reasons.append(Reason(Code.NO_POLICY, message, rule="require_cover"))
    return _collect([(rule, _ask(rule, proposal)) for bound in bounds for rule in bound.rules], reasons, worth)


def judge_read(policies: PolicySet, principal: Principal, *, wall: datetime) -> Judgement:
    """A request that changes nothing: `rates.reads` of the policies whose key selectors match."""
    request = Request(key=principal.name, effect=Effect.READ, account=None, wall=wall)
    bounds = policies.binding(principal, None, wall)
    return _collect([(rule, _ask_rate(rule, request)) for bound in bounds for rule in bound.reads], [])


def judge_cancel(policies: PolicySet, principal: Principal, *, account: Account, wall: datetime) -> Judgement:
    """A cancel: `rates.cancels` and nothing else, whatever limits, hours or budgets say."""
    request = Request(key=principal.name, effect=Effect.ORDER_CANCEL, account=account, wall=wall)
    bounds = [bound for bound in policies.binding(principal, account.env, wall) if bound.reaches(account)]
    return _collect([(rule, _ask_rate(rule, request)) for bound in bounds for rule in bound.cancels], [])


def may_touch(
    policies: PolicySet,
    principal: Principal,
    *,
    owner: str | None,
    effect: Effect,
    account: Account,
    wall: datetime,
) -> Reason | None:
    """Whether the key may change or cancel an order whose owner is `owner` (None: nobody's, placed elsewhere).

    "own", also where no policy says: its own orders, and cancels of nobody's. "account": every order of the account.
    """
    if owner == principal.name or (owner is None and effect is Effect.ORDER_CANCEL):
        return None
    bounds = policies.binding(principal, account.env, wall)
    words = {bound.touch: bound.policy for bound in bounds if bound.touch is not None and bound.reaches(account)}
    if set(words) == {"account"}:
        return None
    whose = "placed elsewhere" if owner is None else "another key's"
    message = f'the order is {whose}; rights.touch = "own" lets a key touch its own orders only'
    return Reason(Code.NOT_YOUR_ORDER, message, words.get("own", ""), "rights.touch")


def meters(policies: PolicySet, principal: Principal, *, wall: datetime) -> tuple[Meter, ...]:
    """Every counter that the key meets now, one each with the tightest cap.

    Counters per account are named for the accounts that the key or the policy is restricted to; others are not known
    without an order.
    """
    asked: list[Meter] = []
    for env in Env:
        if f"trade:{env.word}" not in principal.scopes:
            continue
        for bound in policies.binding(principal, env, wall):
            reach = Reach(key=principal.name, envs=(env,), accounts=_accounts(bound, principal, env), wall=wall)
            asked += [meter for rule in (*bound.rules, *bound.cancels) for meter in rule.meters(reach)]
    reach = Reach(key=principal.name, envs=(), accounts=(), wall=wall)
    for bound in policies.binding(principal, None, wall):
        asked += [meter for rule in bound.reads for meter in rule.meters(reach)]
    found: dict[tuple[str, int], Meter] = {}
    for meter in asked:
        place = (meter.counter, meter.window_ms)
        if place not in found or meter.cap < found[place].cap:
            found[place] = meter
    return tuple(found.values())


def _accounts(bound: Bound, principal: Principal, env: Env) -> tuple[Account, ...]:
    ids = principal.acc_ids if bound.applies_to.accounts is None else frozenset(bound.applies_to.accounts)
    allowed = (ids or frozenset()) & (principal.acc_ids or ids or frozenset())
    return tuple(Account(env, acc_id) for acc_id in sorted(allowed))


def _ask(rule: OrderRule, proposal: Proposal) -> Answer:
    try:
        return rule.judge(proposal)
    except Exception as error:  # noqa: BLE001 - a rule that breaks must refuse, whatever broke it
        return _broken(rule, error)


def _ask_rate(rule: RateLimit, request: Request) -> Answer:
    try:
        return rule.judge(request)
    except Exception as error:  # noqa: BLE001 - as above
        return _broken(rule, error)


def _broken(rule: OrderRule | RateLimit, error: Exception) -> Reason:
    message = f"rule {rule.name} of policy {rule.policy} failed: {type(error).__name__}"
    return Reason(Code.RULE_ERROR, message, rule.policy, rule.name)


def _collect(
    answers: Iterable[tuple[Maker, Answer]], reasons: list[Reason], worth: Valuation | Missing | None = None
) -> Judgement:
    """Reasons in the contract's order, and one claim for each cell and window: the tightest, with its maker."""
    kept: dict[tuple[str, int], tuple[Claim, Maker]] = {}
    for maker, answer in answers:
        if isinstance(answer, Reason):
            reasons.append(answer)
            continue
        for claim in answer or ():
            place = (claim.counter, claim.window_ms)
            if place not in kept or _cap(claim) < _cap(kept[place][0]):
                kept[place] = (claim, maker)
    claims = tuple(claim for claim, _ in kept.values())
    return Judgement(in_order(_told_once(reasons, worth)), claims, tuple(maker for _, maker in kept.values()))


def _cap(claim: Claim) -> int:
    if claim.cap is None:
        raise AssertionError(f"a policy's claim without a cap on {claim.counter}")
    return claim.cap


def _told_once(reasons: list[Reason], worth: Valuation | Missing | None) -> list[Reason]:
    """A datum that is missing is missing for every money limit; it is told for the first of them."""
    if not isinstance(worth, Missing):
        return reasons
    is_same = [reason.code is worth.code and reason.message == worth.message for reason in reasons]
    first = is_same.index(True) if True in is_same else -1
    return [reason for place, reason in enumerate(reasons) if place == first or not is_same[place]]
