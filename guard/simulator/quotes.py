"""Market data of single instruments: quotes, books, brokers, capital, market state, static information.

Answers hold the required members of the official messages. A security that is not known is `Declined`; a request that
names none is answered for the first listed one (quirk `fills_blanks`), lists that are empty with an empty list.
"""

from typing import Any, Final

from guard.simulator import sessions
from guard.simulator.contracts import find
from guard.simulator.figures import seconds
from guard.simulator.instruments import PREFIX_OF_QOT, Instrument, Kind
from guard.simulator.listings import static
from guard.simulator.reading import Body
from guard.simulator.refusals import BadBody, Declined
from guard.simulator.tape import Level, noise
from guard.simulator.world import World

NO_STOCK: Final = 3001
ROWS_MAX: Final = 1000
_DEPTH: Final = 10
_BLANK: Final = "HK.00700"


def instrument_of(security: Body) -> Instrument:
    """The instrument of a security {market, code}."""
    found = find(f"{PREFIX_OF_QOT.get(security['market'])}.{security['code']}")
    if found is None:
        raise Declined(f"unknown stock {security['code']}", NO_STOCK)
    return found


def one(world: World, c2s: Body, name: str = "security") -> Instrument:
    """The instrument that a request is about."""
    if name in c2s:
        return instrument_of(c2s[name])
    blank = find(_BLANK) if world.quirks.fills_blanks else None
    if blank is None:
        raise BadBody(f"missing field: {name}")
    return blank


def many(c2s: Body) -> list[Instrument]:
    """The instruments that a request lists."""
    return [instrument_of(security) for security in c2s.get("security_list") or []]


def count_of(c2s: Body, name: str, default: int) -> int:
    """A number of rows, within what the daemon gives."""
    value = c2s.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadBody(f"invalid {name}: an integer is expected")
    return max(1, min(value, ROWS_MAX))


def subject(instrument: Instrument) -> dict[str, Any]:
    """What an answer is about."""
    return {"security": instrument.security, "name": instrument.name}


def quote(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetBasicQot."""
    return {"basic_qot_list": [world.quote(instrument) for instrument in many(c2s)]}


# ---------------------------------------------------------------- books and brokers


def _level(level: Level) -> dict[str, Any]:
    return {"price": level.price, "volume": level.volume, "oreder_count": 1, "detail_list": []}


def orderbook(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetOrderBook."""
    instrument, depth = one(world, c2s), min(count_of(c2s, "num", _DEPTH), _DEPTH)
    return subject(instrument) | {
        "order_book_ask_list": [_level(row) for row in world.tape.levels(instrument, depth, is_bid=False)],
        "order_book_bid_list": [_level(row) for row in world.tape.levels(instrument, depth, is_bid=True)],
        "svr_recv_time_bid": sessions.stamp(instrument.prefix, world.now()),
        "svr_recv_time_bid_timestamp": seconds(world.now()),
        "svr_recv_time_ask": sessions.stamp(instrument.prefix, world.now()),
        "svr_recv_time_ask_timestamp": seconds(world.now()),
    }


def broker(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetBroker."""
    instrument = one(world, c2s)
    rows = [{"id": 1000 + place, "name": f"Broker {place}", "pos": place} for place in range(1, 6)]
    return subject(instrument) | {"broker_ask_list": rows, "broker_bid_list": rows}


# ---------------------------------------------------------------- capital and state


def capital_flow(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetCapitalFlow."""
    instrument = one(world, c2s)
    flow = noise(world.tape.seed, instrument.symbol, "flow") % 10_000_000 - 5_000_000
    at = sessions.stamp(instrument.prefix, world.now())
    return {
        "flow_item_list": [{"in_flow": flow, "time": at, "timestamp": seconds(world.now()), "main_in_flow": flow // 2}],
        "last_valid_time": at,
        "last_valid_timestamp": seconds(world.now()),
    }


def capital_distribution(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetCapitalDistribution."""
    instrument = one(world, c2s)
    sides = {
        f"capital_{way}_{size}": 1_000_000 + noise(world.tape.seed, instrument.symbol, way, size) % 9_000_000
        for way in ("in", "out")
        for size in ("super", "big", "mid", "small")
    }
    return sides | {
        "update_time": sessions.stamp(instrument.prefix, world.now()),
        "update_timestamp": seconds(world.now()),
    }


def market_state(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetMarketState."""
    rows = []
    for instrument in many(c2s):
        is_future = instrument.kind is Kind.FUTURE
        state = sessions.state(instrument.prefix, world.now(), mode=world.mode, is_future=is_future)
        rows.append(subject(instrument) | {"market_state": state})
    return {"market_info_list": rows}


def static_info(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetStaticInfo; neither list nor market is refused, as the daemon does since its answer had 28 MB."""
    listed = many(c2s)
    if not listed and "market" in c2s:
        prefix = PREFIX_OF_QOT.get(c2s["market"])
        wanted = c2s.get("sec_type")
        listed = [row for row in world.listed() if row.prefix == prefix and wanted in {None, int(row.kind)}]
    elif not listed:
        raise BadBody("security_list must not be empty")
    return {"static_info_list": [static(instrument) for instrument in listed]}
