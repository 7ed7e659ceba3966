"""What instruments are: static information, plates, filters, calendars, references, options, futures, warrants."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from guard.simulator.contracts import chain, expiries, find, future_terms
from guard.simulator.figures import seconds
from guard.simulator.instruments import LISTED, MARKETS, Instrument, Kind

_PLATES: Final = {"BK1001": "Internet", "BK1002": "Banks", "BK1003": "Industry"}
_INTERNET: Final = ("HK.00700", "HK.09988", "HK.03690", "HK.09999")
_BANKS: Final = ("HK.00005", "HK.00939")
MEMBERS: Final = {"BK1001": _INTERNET, "BK1002": _BANKS, "BK1003": ("HK.00001", "HK.00883")}


def _midnight(prefix: str, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(MARKETS[prefix].zone))


def expiry_stamp(instrument: Instrument, name: str, stamp_name: str) -> dict[str, Any]:
    """The expiry as text and as timestamp, under the names that a message uses; a main contract has none."""
    if instrument.expiry is None:
        return {name: ""}
    return {name: f"{instrument.expiry}", stamp_name: seconds(_midnight(instrument.prefix, instrument.expiry))}


def static(instrument: Instrument) -> dict[str, Any]:
    """Qot_Common.SecurityStaticInfo. It carries no currency, as the daemon's does not."""
    basic = {
        "security": instrument.security,
        "id": 2**40 + sum(instrument.symbol.encode()),
        "lot_size": instrument.lot,
        "sec_type": int(instrument.kind),
        "name": instrument.name,
        "list_time": "2004-06-16",
        "delisting": False,
        "exch_type": instrument.exchange,
    }
    owner = LISTED.get(instrument.owner or "")
    if instrument.kind is Kind.FUTURE:
        times = expiry_stamp(instrument, "last_trade_time", "last_trade_timestamp")
        return {"basic": basic, "future_ex_data": {**times, "is_main_contract": instrument.expiry is None}}
    if owner is None:
        return {"basic": basic}
    if instrument.kind is Kind.WARRANT:
        return {"basic": basic, "warrant_ex_data": {"type": instrument.right, "owner": owner.security}}
    option = {
        "type": instrument.right,
        "owner": owner.security,
        **expiry_stamp(instrument, "strike_time", "strike_timestamp"),
        "strike_price": instrument.strike,
        "suspend": False,
        "market": instrument.prefix,
    }
    return {"basic": basic, "option_ex_data": option}


def plates(prefix: str) -> list[dict[str, Any]]:
    """The plates of a market, as Qot_Common.PlateInfo."""
    return [
        {"plate": {"market": MARKETS[prefix].qot, "code": code}, "name": name, "plate_type": 3}
        for code, name in _PLATES.items()
    ]


def plates_of(symbol: str) -> list[dict[str, Any]]:
    """The plates that an instrument belongs to."""
    return [row for row in plates("HK") if symbol in MEMBERS[row["plate"]["code"]]]


def future_info(future: Instrument) -> dict[str, Any]:
    """Qot_GetFutureInfo.FutureInfo; `contract_size` is the multiplier."""
    terms = future_terms(future)
    return {
        "name": future.name,
        "security": future.security,
        **expiry_stamp(future, "last_trade_time", "last_trade_timestamp"),
        "owner_other": terms.name,
        "exchange": terms.exchange,
        "contract_type": "index",
        "contract_size": terms.multiplier,
        "contract_size_unit": terms.unit,
        "quote_currency": terms.currency,
        "min_var": terms.spread,
        "min_var_unit": "point",
        "trade_time": [{"begin": 555, "end": 990}],
        "time_zone": MARKETS[future.prefix].zone,
        "exchange_format_url": "",
    }


def option_chain(owner: Instrument, begin: date, end: date) -> list[dict[str, Any]]:
    """Qot_GetOptionChain: every month in the span, strikes around the money."""
    rows = []
    for expiry in expiries(begin, end):
        pairs = [{"call": static(call), "put": static(put)} for call, put in chain(owner.symbol, expiry)]
        if pairs:
            stamp = seconds(_midnight(owner.prefix, expiry))
            rows.append({"strike_time": f"{expiry}", "option": pairs, "strike_timestamp": stamp})
    return rows


def expiration_dates(owner: Instrument, today: date) -> list[dict[str, Any]]:
    """Qot_GetOptionExpirationDate: the next six months."""
    return [
        {
            "strike_time": f"{day}",
            "strike_timestamp": seconds(_midnight(owner.prefix, day)),
            "option_expiry_date_distance": (day - today).days,
            "cycle": 2,
        }
        for day in expiries(today, today + timedelta(days=182))
        if next(chain(owner.symbol, day), None) is not None
    ]


def warrant_row(warrant: Instrument, price: Decimal) -> dict[str, Any]:
    """Qot_GetWarrant.WarrantData."""
    owner = find(warrant.owner or "")
    if owner is None:
        raise AssertionError(f"{warrant.symbol} has no owner")
    zero = Decimal(0)
    return {
        "stock": warrant.security,
        "owner": owner.security,
        "type": warrant.right,
        "issuer": 1,
        "maturity_time": f"{warrant.expiry}",
        "list_time": "2025-06-16",
        "last_trade_time": f"{warrant.expiry}",
        "conversion_ratio": Decimal(100),
        "lot_size": warrant.lot,
        "strike_price": warrant.strike,
        "last_close_price": warrant.base,
        "name": warrant.name,
        "cur_price": price,
        "price_change_val": price - warrant.base,
        "change_rate": zero,
        "status": 1,
        "bid_price": price,
        "ask_price": price + warrant.spread,
        "bid_vol": warrant.lot,
        "ask_vol": warrant.lot,
        "volume": 100 * warrant.lot,
        "turnover": 100 * warrant.lot * price,
        "score": Decimal(50),
        "premium": Decimal(5),
        "break_even_point": (warrant.strike or zero) + price * 100,
        "leverage": Decimal(8),
        "ipop": zero,
        "conversion_price": price * 100,
        "street_rate": Decimal(10),
        "street_vol": 1_000_000,
        "amplitude": Decimal(2),
        "issue_size": 100_000_000,
        "high_price": price,
        "low_price": price,
        "effective_leverage": Decimal(5),
    }
