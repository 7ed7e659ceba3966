"""Market data of single instruments: quotes, snapshots, books, candles, ticks, brokers, capital, market state.

Answers hold the required members of the official messages. A security that is not known is `Declined`; a request that
names none is answered for the first listed one (quirk `fills_blanks`), lists that are empty with an empty list.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from guard.simulator import sessions
from guard.simulator.contracts import find
from guard.simulator.instruments import PREFIX_OF_QOT, Instrument, Kind
from guard.simulator.listings import expiry_stamp, static
from guard.simulator.orders import seconds, tidy
from guard.simulator.reading import Body
from guard.simulator.refusals import BadBody, Declined
from guard.simulator.tape import CANDLE_SPAN, Candle, Level, noise
from guard.simulator.world import World

NO_STOCK: Final = 3001
_DAY: Final = 2
_ROWS_MAX: Final = 1000
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
    return max(1, min(value, _ROWS_MAX))


def _subject(instrument: Instrument) -> dict[str, Any]:
    return {"security": instrument.security, "name": instrument.name}


def quote(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetBasicQot."""
    return {"basic_qot_list": [world.quote(instrument) for instrument in many(c2s)]}


def snapshot(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetSecuritySnapshot, with the multiplier of options and the settlement of futures."""
    return {"snapshot_list": [_snapshot(world, instrument) for instrument in many(c2s)]}


def _snapshot(world: World, instrument: Instrument) -> dict[str, Any]:
    tape, now = world.tape, world.now()
    shown = world.quote(instrument)
    basic = {name: shown[name] for name in ("security", "name", "list_time", "price_spread", "update_time")}
    basic |= {name: shown[name] for name in ("high_price", "open_price", "low_price", "last_close_price", "cur_price")}
    basic |= {name: shown[name] for name in ("volume", "turnover", "turnover_rate", "amplitude", "sec_status")}
    basic |= {
        "type": int(instrument.kind),
        "is_suspend": False,
        "lot_size": instrument.lot,
        "update_timestamp": seconds(now),
        "ask_price": tape.ask(instrument),
        "bid_price": tape.bid(instrument),
        "ask_vol": tape.levels(instrument, 1, is_bid=False)[0].volume,
        "bid_vol": tape.levels(instrument, 1, is_bid=True)[0].volume,
        "enable_margin": instrument.kind is Kind.EQUITY,
        "enable_short_sell": False,
    }
    return {"basic": basic} | _EXTRA.get(instrument.kind, _no_extra)(world, instrument)


def _no_extra(_: World, __: Instrument) -> dict[str, Any]:
    return {}


def _option_extra(world: World, option: Instrument) -> dict[str, Any]:
    owner = find(option.owner or "")
    return {
        "option_ex_data": {
            "type": option.right,
            "owner": owner.security if owner else None,
            **expiry_stamp(option, "strike_time", "strike_timestamp"),
            "strike_price": option.strike,
            "contract_size": int(option.multiplier),
            "contract_size_float": option.multiplier,
            "contract_multiplier": option.multiplier,
            "contract_nominal_value": world.tape.price(owner) * option.multiplier if owner else None,
            "open_interest": 1000,
            "implied_volatility": Decimal(30),
            "premium": Decimal(5),
            "delta": Decimal("0.5") if option.right == 1 else Decimal("-0.5"),
            "gamma": Decimal("0.01"),
            "vega": Decimal("0.1"),
            "theta": Decimal("-0.05"),
            "rho": Decimal("0.02"),
            "option_area_type": 1,
        }
    }


def _future_extra(world: World, future: Instrument) -> dict[str, Any]:
    times = expiry_stamp(future, "last_trade_time", "last_trade_timestamp")
    return {
        "future_ex_data": {
            "last_settle_price": world.tape.price(future),
            "position": 1000,
            "position_change": 10,
            "is_main_contract": future.expiry is None,
            **times,
        }
    }


def _equity_extra(_: World, instrument: Instrument) -> dict[str, Any]:
    shares = 1_000_000_000
    return {
        "equity_ex_data": {
            "issued_shares": shares,
            "issued_market_val": shares * instrument.base,
            "outstanding_shares": shares,
            "outstanding_market_val": shares * instrument.base,
            "pe_rate": Decimal(20),
            "pb_rate": Decimal(3),
            "pe_ttm_rate": Decimal(19),
        }
    }


_EXTRA: Final[dict[Kind, Callable[[World, Instrument], dict[str, Any]]]] = {
    Kind.OPTION: _option_extra,
    Kind.FUTURE: _future_extra,
    Kind.EQUITY: _equity_extra,
}


# ---------------------------------------------------------------- books, brokers, ticks


def _level(level: Level) -> dict[str, Any]:
    return {"price": level.price, "volume": level.volume, "oreder_count": 1, "detail_list": []}


def orderbook(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetOrderBook."""
    instrument, depth = one(world, c2s), min(count_of(c2s, "num", _DEPTH), _DEPTH)
    return _subject(instrument) | {
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
    return _subject(instrument) | {"broker_ask_list": rows, "broker_bid_list": rows}


def ticker(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetTicker: one tick a second, the last one now."""
    instrument, rows = one(world, c2s), count_of(c2s, "max_ret_num", 100)
    candles = world.tape.candles(instrument, 1, until=world.now(), count=rows)
    ticks = [_tick(world, instrument, candle, place=rows - place) for place, candle in enumerate(candles, 1)]
    return _subject(instrument) | {"ticker_list": ticks}


def _tick(world: World, instrument: Instrument, candle: Candle, *, place: int) -> dict[str, Any]:
    at = world.now() - timedelta(seconds=place)
    return {
        "time": sessions.stamp(instrument.prefix, at),
        "sequence": int(at.timestamp()),
        "dir": 1 + noise(instrument.symbol, at) % 3,
        "price": candle.close,
        "volume": candle.volume,
        "turnover": tidy(candle.volume * candle.close),
        "timestamp": seconds(at),
    }


def rt(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetRT: the last thirty minutes."""
    instrument = one(world, c2s)
    rows = [
        {
            "time": sessions.stamp(instrument.prefix, candle.end),
            "minute": _minute(instrument, candle.end),
            "is_blank": False,
            "price": candle.close,
            "last_close_price": candle.opened,
            "avg_price": candle.close,
            "volume": candle.volume,
            "timestamp": seconds(candle.end),
        }
        for candle in world.tape.candles(instrument, 1, until=world.now(), count=30)
    ]
    return _subject(instrument) | {"rt_list": rows}


def _minute(instrument: Instrument, moment: datetime) -> int:
    here = sessions.local(instrument.prefix, moment)
    return here.hour * 60 + here.minute


# ---------------------------------------------------------------- candles


def _candle(instrument: Instrument, candle: Candle) -> dict[str, Any]:
    return {
        "time": sessions.stamp(instrument.prefix, candle.end),
        "is_blank": False,
        "high_price": candle.high,
        "open_price": candle.opened,
        "low_price": candle.low,
        "close_price": candle.close,
        "last_close_price": candle.opened,
        "volume": candle.volume,
        "turnover": tidy(candle.volume * candle.close),
        "timestamp": seconds(candle.end),
    }


def _kl_type(c2s: Body) -> int:
    kl_type: int = c2s.get("kl_type", _DAY)
    if kl_type not in CANDLE_SPAN:
        raise BadBody(f"invalid kl_type: {kl_type}")
    return kl_type


def kline(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetKL."""
    instrument, rows = one(world, c2s), count_of(c2s, "req_num", 100)
    candles = world.tape.candles(instrument, _kl_type(c2s), until=world.now(), count=rows)
    return _subject(instrument) | {"kl_list": [_candle(instrument, candle) for candle in candles]}


def history_kline(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_RequestHistoryKL: candles within [begin_time, end_time], by default the newest."""
    instrument, rows = one(world, c2s), count_of(c2s, "max_ack_kl_num", 100)
    candles = world.tape.candles(instrument, _kl_type(c2s), until=world.now(), count=_ROWS_MAX)
    begin, end = str(c2s.get("begin_time") or ""), str(c2s.get("end_time") or "9999")
    listed = [row for row in (_candle(instrument, candle) for candle in candles) if begin <= row["time"] <= f"{end}~"]
    return _subject(instrument) | {"kl_list": listed[-rows:], "next_req_key": None}


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
        rows.append(_subject(instrument) | {"market_state": state})
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
