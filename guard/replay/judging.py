"""One recorded decision judged again: the same functions as live, over a ledger that the caller has folded up to it.

What policies do not decide stays as it was recorded: the caller's rights, the trading state, the readiness of the guard
(`beside`), and the claims that no policy makes (idempotency, exits, the broker's buckets).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.intent import order_of
from guard.journal import Decision, SeenWorld
from guard.journal.seen import NOT_ON_RECORD
from guard.limits import State, check_claims
from guard.policy import (
    Judgement,
    Maker,
    PolicySet,
    exits_of,
    judge,
    judge_cancel,
    judge_read,
    may_touch,
)
from guard.terms import (
    ENV_OF,
    TRADE_EFFECTS,
    Account,
    Claim,
    Effect,
    Full,
    PlaceOrder,
    Principal,
    Reason,
    Taken,
    stamp_of,
)
from guard.walk.broker import RULE as BROKER
from guard.walk.broker import BrokerLimit
from guard.walk.changing import OrderChange

TOUCH: Final = "rights.touch"
_EFFECTS: Final = {effect.value: effect for effect in TRADE_EFFECTS}
_PASSING: Final = frozenset(effect.value for effect in Effect if effect is not Effect.STREAM) - _EFFECTS.keys()
_OURS: Final = ("exits/", "broker/")
_NOTHING_SEEN: Final = SeenWorld()


class RecordedRequest(Struct, frozen=True):
    """A recorded decision that reached the judge: who asked what, when. `order` None: a cancel.

    `account` None: no trade, whatever it is; rates of reads are all that it meets.
    """

    record: Decision
    order: PlaceOrder | None
    effect: Effect
    principal: Principal
    account: Account | None
    wall: datetime


class ReplayVerdict(Struct, frozen=True):
    """What rules and ledger say of it. `short`: which of the reasons are claims that did not fit, each with its claim.

    `is_repeat`: an Idempotency-Key that another step holds on this ledger.
    """

    reasons: tuple[Reason, ...]
    claims: tuple[Claim, ...]
    used: tuple[int, ...]
    short: tuple[tuple[Reason, Claim], ...] = ()
    is_repeat: bool = False

    @property
    def unseen(self) -> tuple[Reason, ...]:
        """Reasons that nobody can know: a rule of the day did not look at what this one wants."""
        return tuple(reason for reason in self.reasons if NOT_ON_RECORD.message in reason.message)


def asked(record: Decision, principals: Mapping[str, Principal], wall: datetime) -> RecordedRequest | str:
    """The decision, which reached the judge, by one of these keys; a word where nobody knows that key any more."""
    principal = principals.get(record.key or "")
    if principal is None:
        return "key not kept"
    if is_passing(record) or record.account is None:
        return RecordedRequest(record, None, Effect.READ, principal, None, wall)
    account, effect = Account(ENV_OF[record.environment or ""], record.account), _EFFECTS[record.effect or ""]
    return RecordedRequest(record, _order(record, effect), effect, principal, account, wall)


def _order(record: Decision, effect: Effect) -> PlaceOrder | None:
    """The order as it was to be, without the guard's own stamp: its own, or that of the order which it changes."""
    if effect is Effect.ORDER_CANCEL:
        return None
    order = order_of(bytes(record.resulting or record.order))
    stamps = {stamp_of(name) for name in (record.id, record.of) if name}
    return replace(order, remark=None) if order.remark in stamps else order


def is_passing(record: Decision) -> bool:
    """It is no trade: a read, a subscription, an unlock, administration."""
    return record.effect in _PASSING


def reached(record: Decision) -> bool:
    """Rules were asked: a trade whose account was known, no earlier answer again, no part of a cancel of all.

    Or what is no trade, by a key: it passed, or claims or reasons show that rules were asked.
    """
    if is_passing(record):
        seen = record.outcome == "allow" or bool(record.claims) or any(map(is_judged, record.reasons))
        return record.key is not None and seen
    if record.effect not in _EFFECTS or record.environment not in ENV_OF or record.account is None:
        return False
    body = record.resulting if record.effect == Effect.ORDER_CHANGE.value else record.order
    return record.replays is None and record.batch is None and bool(bytes(body))


def unjudged(record: Decision) -> str:
    """Why no rule was asked of it, in words."""
    if record.code is not None:
        return record.code
    if record.key is None:
        return "no key"
    if record.replays is not None:
        return "the same request again"
    is_one_by_one = record.effect == Effect.ORDER_CANCEL.value and not bytes(record.order)
    return "cancel-all, order by order" if is_one_by_one or record.batch is not None else record.effect or "other"


def is_judged(reason: Reason) -> bool:
    """The reason is a rule's or the ledger's, not one of rights or of the guard's own state."""
    if reason.code is Code.NOT_YOUR_ORDER:
        return False
    return bool(reason.policy) or reason.rule in {"require_cover", BROKER}


def decided(policies: PolicySet, one: RecordedRequest, state: State, *, is_of_the_day: bool) -> ReplayVerdict:
    """What these policies say of it over this ledger."""
    judgement = judgement_of(policies, one, is_of_the_day=is_of_the_day)
    return _looked(state, one, judgement, own=own_of(one.record))


def own_of(record: Decision) -> tuple[tuple[Claim, Maker], ...]:
    """The claims on record that no policy made, each with who says why it does not fit."""
    own = [claim for claim in record.claims if claim.kind == "slot" or claim.counter.startswith(_OURS)]
    return tuple((claim, _broker(claim)) for claim in own)


def claimed(policies: PolicySet, one: RecordedRequest, state: State) -> ReplayVerdict:
    """What these policies claim of it, whatever they say: it went out. The reasons tell what was not on record."""
    judgement = judgement_of(policies, one, is_of_the_day=False)
    return ReplayVerdict(judgement.reasons, _of_change(one, judgement, state), ())


def judgement_of(policies: PolicySet, one: RecordedRequest, *, is_of_the_day: bool) -> Judgement:
    """What the rules say of it. `is_of_the_day`: what no rule looked at then is not looked at."""
    record, order, account = one.record, one.order, one.account
    if account is None:
        return judge_read(policies, one.principal, wall=one.wall)
    plan = policies.on(one.principal, account, wall=one.wall)
    if order is None:
        return judge_cancel(plan, account=account, wall=one.wall)
    seen = record.world
    if seen is None and not is_of_the_day:
        seen = _NOTHING_SEEN
    world = None if seen is None else seen.world()
    return judge(
        plan,
        order,
        effect=Effect.ORDER_NEW if record.anew else one.effect,
        account=account,
        wall=one.wall,
        mark=(record.idempotency or "")[:32],
        world=world,
        exits=exits_of(0 if seen is None else seen.exits),
    )


def _looked(
    state: State, one: RecordedRequest, judgement: Judgement, *, own: tuple[tuple[Claim, Maker], ...]
) -> ReplayVerdict:
    """With the ledger's word on every claim."""
    makers = (*(maker for _, maker in own), *judgement.makers)  # what goes with a change has none, and no cap
    holder = one.record.of if one.effect is Effect.ORDER_CHANGE else None
    reasons = judgement.reasons
    claims = (*(claim for claim, _ in own), *_of_change(one, judgement, state))
    found = check_claims(state, claims, t_us=one.record.t, holder=holder)
    if isinstance(found, Taken):
        return ReplayVerdict(reasons, claims, (), is_repeat=True)
    shortfalls = found.shortfalls if isinstance(found, Full) else ()
    short = tuple((makers[s.index].refuse(claims[s.index], s), claims[s.index]) for s in shortfalls)
    return ReplayVerdict((*reasons, *(reason for reason, _ in short)), claims, found.used, short)


def _of_change(one: RecordedRequest, judgement: Judgement, state: State) -> tuple[Claim, ...]:
    """The claims, of a change with what the ledger knows of its order."""
    holder = state.holders.get(one.record.of or "") if one.effect is Effect.ORDER_CHANGE else None
    change = OrderChange(holder, one.order, judgement.worth, comes_back=one.record.anew)
    ruled = change.claims(judgement.claims)
    return (*ruled, *change.carried(ruled))


def touch(policies: PolicySet, one: RecordedRequest, state: State) -> Reason | None:
    """Why these policies would not let the key touch the order that is meant, where it is a live one."""
    holder, account = state.holders.get(one.record.of or ""), one.account
    if holder is None or account is None:
        return None
    return may_touch(
        policies, one.principal, owner=holder.key or None, effect=one.effect, account=account, wall=one.wall
    )


def _broker(claim: Claim) -> Maker:
    whose = "this account" if claim.counter.rpartition("/")[2].startswith("account=") else "this login"
    return BrokerLimit(whose, claim.window_ms // 1000)
