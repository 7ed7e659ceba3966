"""Snapshots: the whole picture of an instrument, with the multiplier of options and the settlement of futures."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from guard.simulator.contracts import find
from guard.simulator.figures import seconds
from guard.simulator.instruments import Instrument, Kind
from guard.simulator.listings import expiry_stamp
from guard.simulator.quotes import many
from guard.simulator.reading import Body
from guard.simulator.world import World


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
