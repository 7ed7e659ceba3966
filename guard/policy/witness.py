"""An order for each loosening: refused under the old policies, let through under the new ones.

Each change is looked at by itself first: the old document with this one key as the new one has it, and only the rules
of this document. So an order is found also where the rest of the set would refuse it today (`still`). What is found was
evaluated by the very rules; where nothing is found nothing is claimed.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any, Final

from msgspec.structs import replace

from guard.policy.boundary import TICK, boundary, priced
from guard.policy.diff import BLANK, RuleChange, compare, value_of
from guard.policy.document import PolicyDoc
from guard.policy.policyset import PolicySet
from guard.policy.rows import RuleRow
from guard.policy.stand_ins import DAY, accounts_of, keys_of, markets_of, noon, order_in, principal, symbols_of
from guard.policy.table import BY_PATH, ROWS
from guard.policy.trial import TrialRequest, TrialResult, Witness, try_order
from guard.terms import Account, Env

TRIES_MAX: Final = 4_000  # requests evaluated for one change
_MOMENT: Final = timedelta(milliseconds=1)
_LIMITS: Final = tuple(row for row in ROWS if row.table not in {"policy", "applies_to", "fx"})


def confirmed(before: PolicySet, after: PolicySet) -> tuple[RuleChange, ...]:
    """Every difference, and for each that loosens an order that shows it, where one was found."""
    before, after = before.without_flags(), after.without_flags()
    return tuple(
        replace(change, witness=_witness(before, after, change)) if change.kind in {"looser", "mixed"} else change
        for change in compare(before, after)
    )


def _witness(before: PolicySet, after: PolicySet, change: RuleChange) -> Witness | None:
    if change.rule in {"cover", "require_cover"}:
        return _by_cover(before, after, change)
    row = BY_PATH.get(change.rule)
    if row is None:
        return None
    old = next((doc for doc in before.docs if doc.id == change.policy), None)
    new = next((doc for doc in after.docs if doc.id == change.policy), None)
    was, now = _pair(row, old, new)
    if was is None:
        return None
    first, second = (
        _alone(was),
        PolicySet((), flags=None, tz="UTC", require_cover=False) if now is None else _alone(now),
    )
    for ask in islice(_asks(row, was, now or replace(BLANK, id=was.id)), TRIES_MAX):
        refused = try_order(first, ask)
        if not refused.passes and try_order(second, ask).passes:
            return _told(ask, refused, try_order(after, ask))
    return None


def _pair(row: RuleRow, old: PolicyDoc | None, new: PolicyDoc | None) -> tuple[PolicyDoc | None, PolicyDoc | None]:
    """The document before, and the same with this one key as it will be; no second one where it stops binding."""
    if row.path == "policy.mode":
        return (old, None) if new is None or new.policy.mode == "shadow" else (None, None)
    if old is None:
        return (None, None) if new is None else (_with(new, row, BLANK), new)
    return old, _with(old, row, BLANK if new is None else new)


def _with(doc: PolicyDoc, row: RuleRow, other: PolicyDoc) -> PolicyDoc:
    """The document, with the row's value as the other one has it."""
    if row.path == "hours":
        return replace(doc, hours=other.hours)
    if row.table == "fx":
        return replace(doc, fx=other.fx)
    value = getattr(getattr(other, row.table), row.key)
    return replace(doc, **{row.table: replace(getattr(doc, row.table), **{row.key: value})})


def _alone(doc: PolicyDoc) -> PolicySet:
    return PolicySet((doc,), flags=None, tz="UTC", require_cover=False)


def _asks(row: RuleRow, was: PolicyDoc, now: PolicyDoc) -> Iterator[TrialRequest]:
    """Boundary requests of every kind of caller and market, the likely ones first."""
    old, new = value_of(was, row), value_of(now, row)
    for base in _bases(was, now):
        if row.table not in {"policy", "applies_to"}:
            yield from boundary(row, base, old=old, new=new, docs=(was, now))
            continue
        # Whoever is not bound any more passes what every single limit of the policy refuses.
        moved = replace(base, wall=now.policy.expires_at) if _ends(row, was, now) else base
        for limit in _LIMITS:
            value: Any = value_of(was, limit)
            if value is not None:
                yield from boundary(limit, moved, old=value, new=None, docs=(was,))


def _ends(row: RuleRow, was: PolicyDoc, now: PolicyDoc) -> bool:
    end, until = now.policy.expires_at, was.policy.expires_at
    return row.path == "policy.expires_at" and end is not None and (until is None or end < until)


def _bases(was: PolicyDoc, now: PolicyDoc) -> Iterator[TrialRequest]:
    callers = product(keys_of(was, now), (Env.REAL, Env.SIMULATE), accounts_of(was, now))
    for (key, env, acc_id), market in product(callers, markets_of(now, was)):
        account = Account(env, acc_id)
        for symbol in dict.fromkeys(symbols_of(market, now, was)):
            order = order_in(market, symbol, account)
            wall = _wall(was, now, market)
            plain = TrialRequest(principal(key), account, wall, order)
            yield _shaped(plain, now)


def _shaped(ask: TrialRequest, doc: PolicyDoc) -> TrialRequest:
    """An order that the document's lists let through."""
    order = ask.order
    if order is None:
        raise AssertionError("a base has an order")
    sides = doc.orders.sides or ("BUY",)  # "nothing" lets nothing through, whatever is asked
    types = doc.orders.types or ("NORMAL",)
    times = doc.orders.time_in_force
    kind = "NORMAL" if "NORMAL" in types else types[0]
    shaped = replace(
        order,
        side=type(order.side)[sides[0]],
        order_type=type(order.order_type)[kind],
        time_in_force=order.time_in_force if not times else type(order.time_in_force)[times[0]],
    )
    return replace(ask, order=shaped)


def _wall(was: PolicyDoc, now: PolicyDoc, market: str) -> datetime:
    """Noon of a plain day, or of that of the exchange rates; a moment before an end of one of the policies."""
    ends = [doc.policy.expires_at for doc in (was, now) if doc.policy.expires_at is not None]
    day = next((doc.fx.as_of for doc in (now, was) if doc.fx is not None), DAY)
    return min([noon(market, day), *(end - _MOMENT for end in ends)])


def _by_cover(before: PolicySet, after: PolicySet, change: RuleChange) -> Witness | None:
    """An order that nothing covered and nothing else stands against."""
    docs = tuple(doc for doc in after.docs if doc.id == change.policy or not change.policy)
    asks = (priced(base, TICK) for doc in docs for base in _bases(doc, doc))
    for ask in islice(asks, TRIES_MAX):
        refused, passed = try_order(before, ask), try_order(after, ask)
        if not refused.passes and passed.passes:
            return _told(ask, refused, passed)
    return None


def _told(ask: TrialRequest, refused: TrialResult, whole: TrialResult) -> Witness:
    return Witness(
        key=ask.principal.name,
        environment=ask.account.env.word,
        account=ask.account.acc_id,
        wall=ask.wall,
        order=ask.order,
        effect=ask.effect,
        usage=ask.usage,
        refused=refused.reasons,
        still=whole.reasons,
    )
