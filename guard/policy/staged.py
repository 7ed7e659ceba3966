"""One case of a test put on the stage: caller, order, world and usage, as the rules will see them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Final, TypeVar

from guard.codes import Code
from guard.markets import FUTURES, PREFIXES_OF, TRD_MARKETS, ZONE_OF, currency_of, kind_of
from guard.policy import notation
from guard.policy.casefile import Age, Case, CaseFile, KnownInstrument, Order, Texts, Used
from guard.policy.document import did_you_mean
from guard.policy.notation import Bad
from guard.policy.trial import TrialRequest, Usage
from guard.terms import (
    Account,
    Effect,
    Env,
    Exchange,
    Header,
    Instrument,
    KeyLimits,
    Missing,
    OrderType,
    PlaceOrder,
    Position,
    Principal,
    Quote,
    Side,
    TimeInForce,
    World,
    zone_of,
)

EFFECTS: Final = {
    "new": Effect.ORDER_NEW,
    "change": Effect.ORDER_CHANGE,
    "cancel": Effect.ORDER_CANCEL,
    "read": Effect.READ,
}
_WITHOUT_ORDER: Final = frozenset({"cancel", "read"})
STAMPS_MAX: Final = 100_000
_MANY: Final = re.compile(r"(?:([0-9]{1,6}) x )?([0-9]{1,6}(?:\.[0-9]{1,3})?)")
_TRAILS: Final = {"RATIO": 1, "AMOUNT": 2}
_DAY: Final = timedelta(days=1)
_E = TypeVar("_E", bound=IntEnum)


class BadCase(Exception):
    """What of a case means nothing."""


def staged(file: CaseFile, case: Case) -> TrialRequest | str:
    """The request of this case, or what is wrong with it."""
    try:
        return _ask(file, case)
    except BadCase as odd:
        return str(odd)


def _ask(file: CaseFile, case: Case) -> TrialRequest:
    given = file.given
    name, wall = case.key or given.key, case.now or given.now
    unknown = next((word for word in file.market if word not in ZONE_OF), None)
    if unknown is not None:
        raise BadCase(f"market.{unknown} is no market; {did_you_mean(unknown, tuple(ZONE_OF))}")
    env = Env.REAL if (case.environment or given.environment) == "real" else Env.SIMULATE
    account = Account(env, case.account or given.account)
    if case.order is None and case.action not in _WITHOUT_ORDER:
        raise BadCase(f"a case with action {case.action} wants an order")
    if case.order is not None and case.action in _WITHOUT_ORDER:
        raise BadCase(f"a case with action {case.action} takes no order")
    order = None if case.order is None else order_of(case.order, account)
    return TrialRequest(
        principal=principal(name, file.keys.get(name)),
        account=account,
        wall=wall.astimezone(UTC),
        order=order,
        effect=EFFECTS[case.action],
        world=None if order is None else world_of(file, order, wall=wall),
        usage=usage_of(case.usage),
    )


def principal(name: str, limits: KeyLimits | None = None) -> Principal:
    """A key that may trade in both environments, with these limits of its own."""
    scopes = frozenset({"trade:real", "trade:simulate"})
    return Principal(name, name.split("@", maxsplit=1)[0], scopes, limits=limits or KeyLimits())


def order_of(order: Order, account: Account) -> PlaceOrder:
    """The order as the rules see it."""
    prefix, _, code = order.symbol.upper().partition(".")
    market = order.market or _market(prefix, code)
    if market not in PREFIXES_OF or prefix not in PREFIXES_OF[market]:
        raise BadCase(
            f"{order.symbol} is no symbol of {market}: write prefix, dot, code, and market where that is not enough"
        )
    trd_market = TRD_MARKETS["FUTURES" if market in FUTURES else market]
    return PlaceOrder(
        header=Header(account.env, account.acc_id, None, trd_market),
        market=market,
        symbol=f"{prefix}.{code}",
        code=code,
        side=_word(Side, order.side, "side"),
        order_type=_word(OrderType, order.type, "type"),
        qty=order.qty,
        price=order.price,
        time_in_force=_word(TimeInForce, order.time_in_force, "time_in_force"),
        aux_price=order.aux_price,
        trail_type=_TRAILS.get(order.trail_type or ""),
        trail_value=order.trail_value,
        trail_spread=order.trail_spread,
        adjust_side_and_limit=order.adjust_side_and_limit,
        remark=order.remark,
    )


def _market(prefix: str, code: str) -> str:
    """The market that a prefix means unless the case says another one: CN for SH and SZ, no fund, no future."""
    if not code:
        raise BadCase(f"{prefix!r} is no symbol: write prefix, dot, code")
    found = next((market for market, prefixes in PREFIXES_OF.items() if prefix in prefixes), None)
    if found is None:
        raise BadCase(f"{prefix!r} is no prefix of a symbol")
    return found


def _word(kind: type[_E], text: str, what: str) -> _E:
    if text in kind.__members__:
        return kind[text]
    raise BadCase(f"{what}: {text!r} is not known; {did_you_mean(text, tuple(kind.__members__))}")


def world_of(file: CaseFile, order: PlaceOrder, *, wall: datetime) -> World:
    """What the file says of the order's symbol, what it is on, and its market; the rest is not known."""
    known = file.reference.get(order.symbol)
    instrument = _instrument(order, known)
    behind = instrument.underlying if isinstance(instrument, Instrument) else None
    return World(
        instrument=instrument,
        quote=_quote(order.symbol, known),
        exchange=_exchange(file, order.market, wall),
        underlying=None if behind is None else _quote(behind, file.reference.get(behind)),
        position=_position(order.symbol, known),
    )


def _instrument(order: PlaceOrder, known: KnownInstrument | None) -> Instrument | Missing:
    kind = kind_of(order.market, order.code)
    if known is None:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"the test says nothing of {order.symbol}")
    return Instrument(
        symbol=order.symbol,
        kind=known.kind or kind,
        currency=known.currency or currency_of(order.market, order.code),
        multiplier=known.multiplier,
        lot_size=known.lot_size,
        strike=known.strike,
        underlying=known.underlying,
    )


def _quote(symbol: str, known: KnownInstrument | None) -> Quote | Missing:
    if known is None or (known.last, known.bid, known.ask, known.prev_close) == (None, None, None, None):
        return Missing(Code.PRICE_UNAVAILABLE, f"the test says no price of {symbol}")
    return Quote(
        symbol,
        last=known.last,
        bid=known.bid,
        ask=known.ask,
        prev_close=known.prev_close,
        age_ms=int(known.age_s * 1000),
        is_current=True,
        is_suspended=known.suspended,
        session=known.session,
    )


def _exchange(file: CaseFile, market: str, wall: datetime) -> Exchange:
    row = file.market.get(market)
    if row is None:
        return Exchange(market)
    day = wall.astimezone(zone_of(ZONE_OF[market])).date()
    was = row.was_trading_day
    return Exchange(
        market,
        state=row.state,
        day=day,
        is_trading_day=row.trading_day,
        is_half_day=row.half_day,
        is_afternoon_only=row.afternoon_only,
        was_trading_day=(day - _DAY).weekday() < 5 if was is None else was,  # noqa: PLR2004 - Saturday
    )


def _position(symbol: str, known: KnownInstrument | None) -> Position | None:
    return None if known is None or known.position is None else Position(symbol, known.position)


def usage_of(used: Used) -> Usage:
    """What was used before, in the units that are compared."""
    return Usage(
        daily_value=_moneys(used.daily_value, "daily_value"),
        open_value=_moneys(used.open_value, "open_value"),
        per_day=used.per_day,
        open_orders=used.open_orders,
        new_orders_ms=_ages(used.new_orders_s_ago),
        changes_ms=_ages(used.changes_s_ago),
        cancels_ms=_ages(used.cancels_s_ago),
        reads_ms=_ages(used.reads_s_ago),
        same_order_ms=_ages(used.same_order_s_ago),
    )


def _moneys(texts: Texts, what: str) -> dict[str, Decimal]:
    found = notation.read_moneys((texts,) if isinstance(texts, str) else texts) if texts else {}
    if isinstance(found, Bad):
        raise BadCase(f"usage.{what}: {found.message}; {found.hint}")
    return found


def _ages(entries: Iterable[Age]) -> tuple[int, ...]:
    ages: list[int] = []
    for entry in entries:
        match = _MANY.fullmatch(str(entry))
        if match is None or int(match[1] or 1) > STAMPS_MAX:
            raise BadCase(
                f"usage: {entry!r} is no time; write how many seconds ago it was, or 14 x 1.5 for many at once"
            )
        ages += [int(Decimal(match[2]) * 1000)] * int(match[1] or 1)
    return tuple(ages)
