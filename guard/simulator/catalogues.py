"""The endpoints behind `listings`: plates, filters, calendars and derivatives."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from guard.simulator import listings, sessions
from guard.simulator.contracts import FUTURES, find
from guard.simulator.figures import seconds
from guard.simulator.instruments import PREFIX_OF_QOT, Instrument, Kind
from guard.simulator.quotes import count_of, many, one
from guard.simulator.reading import Body
from guard.simulator.refusals import BadBody
from guard.simulator.world import World

_CHAIN_SPAN: Final = timedelta(days=31)
_CALENDARS: Final = {1: "HK", 2: "US", 3: "SH", 4: "SH", 5: "SH", 6: "JP", 7: "SG"}
_SPAN_MAX: Final = timedelta(days=366)
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_CUR_PRICE: Final = 3  # StockField
_FUTURE_REFERENCE: Final = 2


def _day(c2s: Body, name: str, default: date) -> date:
    given = c2s.get(name)
    if given is None:
        return default
    try:
        day = date.fromisoformat(str(given)[:10])
    except ValueError:
        raise BadBody(f"invalid {name}: {given!r}; YYYY-MM-DD is expected") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise BadBody(f"invalid {name}: between {_FIRST_YEAR} and {_LAST_YEAR} is expected")
    return day


def _span(world: World, c2s: Body, *, forward: timedelta) -> tuple[date, date]:
    today = world.now().astimezone(UTC).date()
    begin = _day(c2s, "begin_time", today)
    end = _day(c2s, "end_time", begin + forward)
    if not begin <= end <= begin + _SPAN_MAX:
        raise BadBody("invalid time span: at most a year, begin_time first")
    return begin, end


def prefix_of(c2s: Body) -> str:
    """The prefix of the market asked for, Hong Kong unless it says otherwise."""
    prefix = PREFIX_OF_QOT.get(c2s.get("market", 1))
    if prefix is None:
        raise BadBody(f"invalid market: {c2s.get('market')}")
    return prefix


def statics(rows: list[Instrument]) -> dict[str, Any]:
    """Static information of these."""
    return {"static_info_list": [listings.static(row) for row in rows]}


def plate_set(_: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetPlateSet."""
    return {"plate_info_list": listings.plates(prefix_of(c2s))}


def plate_security(_: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetPlateSecurity."""
    members = listings.MEMBERS.get((c2s.get("plate") or {}).get("code", "BK1001"), ())
    return statics([row for row in map(find, members) if row is not None])


def owner_plate(_: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetOwnerPlate."""
    rows = [
        {"security": row.security, "name": row.name, "plate_info_list": listings.plates_of(row.symbol)}
        for row in many(c2s)
    ]
    return {"owner_plate_list": rows}


def stock_filter(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_StockFilter: equities of a market with their price; filters are taken and not applied."""
    rows = [row for row in world.listed() if row.prefix == prefix_of(c2s) and row.kind is Kind.EQUITY]
    begin, num = c2s.get("begin", 0), count_of(c2s, "num", 200)
    page = rows[begin : begin + num]
    data = [
        {
            "security": row.security,
            "name": row.name,
            "base_data_list": [{"field_name": _CUR_PRICE, "value": world.tape.price(row)}],
        }
        for row in page
    ]
    return {"last_page": begin + num >= len(rows), "all_count": len(rows), "data_list": data}


def suspend(_: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetSuspend: nothing is suspended."""
    return {"security_suspend_list": [{"security": row.security, "suspend_list": []} for row in many(c2s)]}


def trading_days(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_RequestTradeDate: weekdays, without holidays."""
    prefix = one(world, c2s).prefix if "security" in c2s else _CALENDARS.get(c2s.get("market", 1))
    if prefix is None:
        raise BadBody(f"invalid market: {c2s.get('market')}")
    days = sessions.trading_days(*_span(world, c2s, forward=timedelta(days=30)))
    noon = (datetime.combine(day, datetime.min.time(), UTC) for day in days)
    rows = [{"time": f"{at:%Y-%m-%d}", "timestamp": seconds(at), "trade_date_type": 0} for at in noon]
    return {"trade_date_list": rows}


def code_change(_: World, __: Body) -> dict[str, Any]:
    """Qot_GetCodeChange: no code changed."""
    return {"code_change_list": []}


def ipo_list(_: World, __: Body) -> dict[str, Any]:
    """Qot_GetIpoList: nobody goes public."""
    return {"ipo_list": []}


# ---------------------------------------------------------------- derivatives


def future_info(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetFutureInfo: those named, else the main contracts."""
    named = many(c2s)
    if not named and world.quirks.fills_blanks:
        mains = (find(f"{terms.prefix}.{root}main") for root, terms in FUTURES.items())
        named = [row for row in mains if row is not None]
    return {"future_info_list": [listings.future_info(row) for row in named if row.kind is Kind.FUTURE]}


def option_chain(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetOptionChain."""
    owner = one(world, c2s, "owner")
    begin, end = _span(world, c2s, forward=_CHAIN_SPAN)
    return {"option_chain": listings.option_chain(owner, begin, end)}


def option_expiration_date(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetOptionExpirationDate."""
    owner = one(world, c2s, "owner")
    return {"date_list": listings.expiration_dates(owner, sessions.local(owner.prefix, world.now()).date())}


def reference(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetReference: warrants of an owner, or the futures of an index."""
    owner = one(world, c2s)
    if c2s.get("reference_type", 1) == _FUTURE_REFERENCE:
        mains = (find(f"{owner.prefix}.{root}main") for root, terms in FUTURES.items() if terms.prefix == owner.prefix)
        return statics([row for row in mains if row is not None])
    return statics([row for row in world.listed() if row.kind is Kind.WARRANT and row.owner == owner.symbol])


def warrant(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetWarrant."""
    owner = one(world, c2s, "owner").symbol if "owner" in c2s else None
    rows = [row for row in world.listed() if row.kind is Kind.WARRANT and owner in {None, row.owner}]
    data = [listings.warrant_row(row, world.tape.price(row)) for row in rows]
    return {"last_page": True, "all_count": len(data), "warrant_data_list": data}


def rehab(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_RequestRehab: one dividend."""
    instrument = one(world, c2s)
    factor = 1 - Decimal(1) / 100
    row = {"time": "2025-05-20", "company_act_flag": 64, "fwd_factor_a": factor, "fwd_factor_b": 0}
    return {"rehab_list": [row | {"bwd_factor_a": 1, "bwd_factor_b": 0, "dividend": instrument.base / 100}]}


def holding_change(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_GetHoldingChangeList: nobody bought or sold."""
    return {"security": one(world, c2s).security, "holding_change_list": []}
