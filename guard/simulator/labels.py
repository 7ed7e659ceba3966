"""Enum fields: each value as integer or as name, with or without the protocol's prefix, in any case.

`TrdSide_Buy`, `BUY`, `buy` and 1 are one value. A name that is not known is a malformed enum (400); an integer that is
not known is one too for the fields that decide a trade, and passes elsewhere.
"""

from types import MappingProxyType
from typing import Final

from guard.simulator.refusals import BadBody

_TABLE: Final = {
    "trd_env": "SIMULATE 0, REAL 1",
    "trd_market": "HK 1, US 2, CN 3, HKCC 4, FUTURES 5, SG 6, AU 8, FUTURES_SIMULATE_HK 10, FUTURES_SIMULATE_US 11,"
    " FUTURES_SIMULATE_SG 12, FUTURES_SIMULATE_JP 13, JP 15, MY 111, CA 112, HK_FUND 113, US_FUND 123, SG_FUND 124,"
    " MY_FUND 125, JP_FUND 126",
    "sec_market": "HK 1, US 2, CN_SH 31, SH 31, CN_SZ 32, SZ 32, SG 41, JP 51, AU 61, MY 71, CA 81, FX 91",
    "trd_side": "BUY 1, SELL 2, SELL_SHORT 3, BUY_BACK 4",
    "order_type": "NORMAL 1, LIMIT 1, MARKET 2, ABSOLUTE_LIMIT 5, AUCTION 6, AUCTION_LIMIT 7, SPECIAL_LIMIT 8,"
    " SPECIAL_LIMIT_ALL 9, STOP 10, STOP_LIMIT 11, MARKET_IF_TOUCHED 12, LIMIT_IF_TOUCHED 13, TRAILING_STOP 14,"
    " TRAILING_STOP_LIMIT 15, TWAP_MARKET 16, TWAP_LIMIT 17, VWAP_MARKET 18, VWAP_LIMIT 19",
    "time_in_force": "DAY 0, GTC 1",
    "modify_order_op": "NORMAL 1, CANCEL 2, DISABLE 3, ENABLE 4, DELETE 5",
    "trail_type": "RATIO 1, AMOUNT 2",
    "session": "NONE 0, RTH 1, ETH 2, ALL 3, OVERNIGHT 4",
    "currency": "HKD 1, USD 2, CNH 3, JPY 4, SGD 5, AUD 6, CAD 7, MYR 8",
    "kl_type": "1M 1, 1MIN 1, DAY 2, WEEK 3, MONTH 4, YEAR 5, 5M 6, 5MIN 6, 15M 7, 15MIN 7, 30M 8, 30MIN 8, 60M 9,"
    " 60MIN 9, 3M 10, 3MIN 10, QUARTER 11",
    "rehab_type": "NONE 0, FORWARD 1, BACKWARD 2",
    "sub_type": "BASIC 1, QUOTE 1, ORDER_BOOK 2, TICKER 4, RT 5, KL_DAY 6, KL_5MIN 7, KL_15MIN 8, KL_30MIN 9,"
    " KL_60MIN 10, KL_1MIN 11, KL_WEEK 12, KL_MONTH 13, BROKER 14, KL_QURATER 15, KL_YEAR 16, KL_3MIN 17",
    "qot_market": "HK 1, HK_SECURITY 1, HK_FUTURE 2, US 11, US_SECURITY 11, SH 21, CNSH_SECURITY 21, SZ 22,"
    " CNSZ_SECURITY 22, SG 31, JP 41, AU 51, MY 61, CA 71, FX 81",
    "trade_date_market": "HK 1, US 2, CN 3, NT 4, ST 5, JP_FUTURE 6, SG_FUTURE 7",
    "plate_set_type": "ALL 0, INDUSTRY 1, REGION 2, CONCEPT 3, OTHER 4",
    "reference_type": "WARRANT 1, FUTURE 2",
    "option_type": "CALL 1, PUT 2",
    "reminder_op": "ADD 1, SET_ADD 1, DEL 2, SET_DEL 2, ENABLE 3, DISABLE 4, MODIFY 5, DEL_ALL 6",
    "reminder_freq": "ALWAYS 1, ONCE_A_DAY 2, ONLY_ONCE 3",
    "watchlist_op": "ADD 1, DEL 2, MOVE_OUT 3",
}
_PROTO_NAMES: Final = ("trdside", "trdenv", "trdmarket", "trdsecmarket", "ordertype", "timeinforce", "modifyorderop")
_STRICT: Final = frozenset({"trd_env", "trd_market", "trd_side", "order_type", "time_in_force", "modify_order_op"})


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _read(text: str) -> MappingProxyType[str, int]:
    pairs = (pair.split() for pair in text.split(","))
    return MappingProxyType({_bare(name): int(number) for name, number in pairs})


_LABELS: Final = {field: _read(text) for field, text in _TABLE.items()}


def label(field: str, value: object) -> int:
    """The integer of an enum value given as integer or name."""
    known = _LABELS[field]
    if isinstance(value, int) and not isinstance(value, bool):
        if field in _STRICT and value not in known.values():
            raise BadBody(f"invalid {field}: {value}")
        return value
    if not isinstance(value, str):
        raise BadBody(f"invalid type for {field}: an integer or a name is expected")
    name = _bare(value)
    for prefix in ("", *_PROTO_NAMES, "kltype", "k", "subtype", "qotmarket", "setpricereminderop"):
        number = known.get(name.removeprefix(prefix))
        if number is not None:
            return number
    raise BadBody(f"invalid {field}: {value!r}")
