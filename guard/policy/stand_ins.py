"""Things that stand for a whole class when an order has to be made up: a symbol of a market, a key of a pattern.

Whatever is made up here is only ever evaluated, by the same rules as live; a poor choice finds nothing, it proves
nothing wrong.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from guard.markets import FUTURES, MARKETS, PREFIXES_OF, TRD_MARKETS, ZONE_OF, currency_of, kind_of
from guard.policy.document import PolicyDoc
from guard.policy.notation import blocking, matches
from guard.policy.schema import expanded
from guard.terms import (
    Account,
    Exchange,
    Header,
    Instrument,
    OrderType,
    PlaceOrder,
    Principal,
    Quote,
    Side,
    World,
    zone_of,
)

DAY: Final = date(2026, 11, 18)  # a Wednesday on which nothing special happens
SATURDAY: Final = date(2026, 11, 21)
SOMEBODY: Final = "somebody"
OPTION: Final = "AAPL260116C200000"
_CODES: Final = {
    "HK": "00700",
    "US": "AAPL",
    "SH": "600519",
    "SZ": "000001",
    "SG": "D05",
    "JP": "7203",
    "AU": "BHP",
    "MY": "1155",
    "CA": "SHOP",
}
_FUTURE: Final = "CL2612"
_FILL: Final = "1"


def principal(name: str) -> Principal:
    """A key that may trade in both environments and brings no limits of its own."""
    return Principal(name, name, frozenset({"trade:real", "trade:simulate"}))


def keys_of(*docs: PolicyDoc) -> tuple[str, ...]:
    """Names for every pattern of these documents, and one that none of them means."""
    patterns = [
        text for doc in docs for field in ("keys", "except_keys") for text in getattr(doc.applies_to, field) or ()
    ]
    return tuple(dict.fromkeys((*(_filled(text) for text in patterns), SOMEBODY)))


def accounts_of(*docs: PolicyDoc) -> tuple[int, ...]:
    """Account ids of these documents, and one more."""
    listed = [acc_id for doc in docs for acc_id in doc.applies_to.accounts or ()]
    return tuple(dict.fromkeys((*listed, max(listed, default=0) + 1)))


def markets_of(*docs: PolicyDoc) -> tuple[str, ...]:
    """The markets that these documents name, else all."""
    named = [market for doc in docs for market in expanded(doc.instruments.markets or ())]
    return tuple(dict.fromkeys((*named, *MARKETS)))


def symbols_of(market: str, *docs: PolicyDoc) -> Iterator[str]:
    """Symbols of a market that the documents' patterns stand for, and its best known one."""
    prefixes = PREFIXES_OF[market]
    for prefix in prefixes:
        yield f"{prefix}.{_FUTURE if market in FUTURES else _CODES[prefix]}"
    for doc in docs:
        for text in (*(doc.instruments.symbols or ()), *blocking(doc.instruments.blocked_symbols or ())):
            prefix, _, code = text.upper().partition(".")
            if text == "*":
                continue
            known = _CODES.get(prefix, "")
            own = next((p for p in prefixes if matches(p, (prefix,))), None)
            if own is not None:
                yield f"{own}.{known if matches(known, (code,)) else _filled(code)}"


def _filled(pattern: str) -> str:
    """A name that the pattern stands for."""
    return pattern.replace("*", _FILL).replace("?", _FILL)


def noon(market: str, day: date = DAY) -> datetime:
    """Noon of a day by the market's own clock."""
    return at_minute(market, 12 * 60, day)


def at_minute(market: str, minute: int, day: date = DAY) -> datetime:
    """A minute of a day by the market's own clock."""
    local = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone_of(ZONE_OF[market]))
    return local.astimezone(UTC)


def order_in(market: str, symbol: str, account: Account) -> PlaceOrder:
    """A limit buy of one, at one."""
    trd_market = TRD_MARKETS["FUTURES" if market in FUTURES else market]
    return PlaceOrder(
        header=Header(account.env, account.acc_id, None, trd_market),
        market=market,
        symbol=symbol,
        code=symbol.partition(".")[2],
        side=Side.BUY,
        order_type=OrderType.NORMAL,
        qty=Decimal(1),
        price=Decimal(1),
    )


def world_of(order: PlaceOrder, *, price: Decimal, wall: datetime, strike: Decimal = Decimal(1)) -> World:
    """An open market in which everything costs `price`; one contract stands for one unit."""
    kind = kind_of(order.market, order.code)
    currency = currency_of(order.market, order.code)
    instrument = Instrument(order.symbol, kind, currency, strike=strike if kind == "option" else None)
    day = wall.astimezone(zone_of(ZONE_OF[order.market])).date()
    return World(
        instrument=instrument,
        quote=Quote(order.symbol, last=price, bid=price, ask=price, is_current=True, session="continuous"),
        exchange=Exchange(order.market, "continuous", day=day, is_trading_day=True, was_trading_day=True),
        underlying=Quote("US.AAPL", last=Decimal("0.001"), is_current=True, session="continuous")
        if kind == "option"
        else None,
    )
