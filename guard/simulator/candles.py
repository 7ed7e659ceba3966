"""Candles, minutes and ticks: the made-up past of an instrument, ending now."""

from datetime import datetime, timedelta
from typing import Any, Final

from guard.simulator import sessions
from guard.simulator.figures import seconds, tidy
from guard.simulator.instruments import Instrument
from guard.simulator.quotes import ROWS_MAX, count_of, one, subject
from guard.simulator.reading import Body
from guard.simulator.refusals import BadBody
from guard.simulator.tape import CANDLE_SPAN, Candle, noise
from guard.simulator.world import World

_DAY: Final = 2  # KLType


def ticker(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetTicker: one tick a second, the last one now."""
    instrument, rows = one(world, c2s), count_of(c2s, "max_ret_num", 100)
    candles = world.tape.candles(instrument, 1, until=world.now(), count=rows)
    ticks = [_tick(world, instrument, candle, place=rows - place) for place, candle in enumerate(candles, 1)]
    return subject(instrument) | {"ticker_list": ticks}


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
    return subject(instrument) | {"rt_list": rows}


def _minute(instrument: Instrument, moment: datetime) -> int:
    here = sessions.local(instrument.prefix, moment)
    return here.hour * 60 + here.minute


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
    return subject(instrument) | {"kl_list": [_candle(instrument, candle) for candle in candles]}


def history_kline(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_RequestHistoryKL: candles within [begin_time, end_time], by default the newest."""
    instrument, rows = one(world, c2s), count_of(c2s, "max_ack_kl_num", 100)
    candles = world.tape.candles(instrument, _kl_type(c2s), until=world.now(), count=ROWS_MAX)
    begin, end = str(c2s.get("begin_time") or ""), str(c2s.get("end_time") or "9999")
    listed = [row for row in (_candle(instrument, candle) for candle in candles) if begin <= row["time"] <= f"{end}~"]
    return subject(instrument) | {"kl_list": listed[-rows:], "next_req_key": None}
