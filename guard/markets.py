"""Markets, instruments, currencies: what the wire's numbers and a code's spelling mean.

Pure facts and look-ups, shared by the rooms that judge, filter or simulate instruments. Three vocabularies meet here:
the policy's words (HK, FUTURES_US, …), the trade header's `TrdMarket` with `TrdSecMarket`, and the quote side's
`QotMarket`. They share small integers with different meanings (2 is US in one and HK futures in another), so nobody
outside this module converts by hand. Source: Trd_Common and Qot_Common enums.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["stock", "option", "future"]
CODES_MAX: Final = 8192  # codes whose kind and currency are at hand


class _Row:
    """One policy market: code prefixes, currency, IANA zone, and the local time at which its day counters restart."""

    __slots__ = ("currency", "prefixes", "reset", "zone")

    def __init__(self, line: str) -> None:
        prefixes, self.currency, self.zone, self.reset = line.split()
        self.prefixes = tuple(prefixes.split(","))


# word: code prefixes, currency, zone, reset. US futures keep New York time: the daemon's US times are in it.
_TABLE: Final = {
    "HK": _Row("HK HKD Asia/Hong_Kong 08:30"),
    "US": _Row("US USD America/New_York 04:00"),
    "CN": _Row("SH,SZ CNH Asia/Shanghai 08:30"),
    "HKCC": _Row("SH,SZ CNH Asia/Shanghai 08:30"),
    "SG": _Row("SG SGD Asia/Singapore 06:00"),
    "JP": _Row("JP JPY Asia/Tokyo 06:00"),
    "AU": _Row("AU AUD Australia/Sydney 06:00"),
    "MY": _Row("MY MYR Asia/Kuala_Lumpur 06:00"),
    "CA": _Row("CA CAD America/Toronto 06:00"),
    "HK_FUND": _Row("HK HKD Asia/Hong_Kong 08:30"),
    "US_FUND": _Row("US USD America/New_York 04:00"),
    "FUTURES_HK": _Row("HK HKD Asia/Hong_Kong 06:00"),
    "FUTURES_US": _Row("US USD America/New_York 06:00"),
    "FUTURES_SG": _Row("SG SGD Asia/Singapore 06:00"),
    "FUTURES_JP": _Row("JP JPY Asia/Tokyo 06:00"),
}

MARKETS: Final = tuple(_TABLE)
"""Every market word of a policy, in the contract's order."""

FUTURES: Final = tuple(word for word in MARKETS if word.startswith("FUTURES_"))
"""What the policy word FUTURES stands for."""

MARKET_WORDS: Final = (*MARKETS, "FUTURES")
"""What a key, a policy or a trading state may be narrowed to."""

ZONE_OF: Final[Mapping[str, str]] = MappingProxyType({word: row.zone for word, row in _TABLE.items()})
"""The market's own IANA zone: trading hours and days are in it."""

RESET_OF: Final[Mapping[str, str]] = MappingProxyType({word: f"{row.reset} {row.zone}" for word, row in _TABLE.items()})
"""When the market's part of a daily budget returns to zero unless the policy says otherwise: "08:30 Asia/Hong_Kong"."""

PREFIXES_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {word: row.prefixes for word, row in _TABLE.items()}
)
"""The code prefixes that belong to a market: ("SH", "SZ") for CN."""

PREFIXES: Final = ("HK", "US", "SH", "SZ", "SG", "JP", "AU", "MY", "CA")
"""The prefixes that a canonical symbol may have."""

TRD_MARKETS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "HK": 1,
        "US": 2,
        "CN": 3,
        "HKCC": 4,
        "FUTURES": 5,
        "SG": 6,
        "AU": 8,
        "FUTURES_SIMULATE_HK": 10,
        "FUTURES_SIMULATE_US": 11,
        "FUTURES_SIMULATE_SG": 12,
        "FUTURES_SIMULATE_JP": 13,
        "JP": 15,
        "MY": 111,
        "CA": 112,
        "HK_FUND": 113,
        "US_FUND": 123,
        "SG_FUND": 124,
        "MY_FUND": 125,
        "JP_FUND": 126,
    }
)
"""Trd_Common.TrdMarket by its label. The last three have no policy word: nothing can be bought there through us."""

_WORDS_OF: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {number: (word,) for word, number in TRD_MARKETS.items() if word in MARKETS}
    | {5: FUTURES, 10: ("FUTURES_HK",), 11: ("FUTURES_US",), 12: ("FUTURES_SG",), 13: ("FUTURES_JP",)}
)

_FUTURES_HEADERS: Final = frozenset({5, 10, 11, 12, 13})

SEC_MARKET_OF: Final[Mapping[str, int]] = MappingProxyType(
    {"HK": 1, "US": 2, "SH": 31, "SZ": 32, "SG": 41, "JP": 51, "AU": 61, "MY": 71, "CA": 81}
)
"""Trd_Common.TrdSecMarket by code prefix."""

PREFIX_OF_SEC: Final[Mapping[int, str]] = MappingProxyType({number: prefix for prefix, number in SEC_MARKET_OF.items()})
"""The code prefix of a TrdSecMarket."""

QOT_MARKET_OF: Final[Mapping[str, int]] = MappingProxyType(
    {"HK": 1, "US": 11, "SH": 21, "SZ": 22, "SG": 31, "JP": 41, "AU": 51, "MY": 61, "CA": 71, "FX": 81}
)
"""Qot_Common.QotMarket by code prefix."""

PREFIX_OF_QOT: Final[Mapping[int, str]] = MappingProxyType(
    {number: prefix for prefix, number in QOT_MARKET_OF.items()} | {2: "HK"}
)
"""The code prefix of a QotMarket; 2 is the deprecated number of HK futures."""

CURRENCIES: Final[Mapping[int, str]] = MappingProxyType(
    {1: "HKD", 2: "USD", 3: "CNH", 4: "JPY", 5: "SGD", 6: "AUD", 7: "CAD", 8: "MYR"}
)
"""Trd_Common.Currency by number, as orders and positions carry it."""


def market_words(trd_market: int) -> tuple[str, ...]:
    """The policy words that a `TrdMarket` may stand for: four for 5 (FUTURES), none for a number without a word."""
    return _WORDS_OF.get(trd_market, ())


def is_futures(trd_market: int) -> bool:
    """The trade header is one of a futures account: 5, or 10 to 13 in simulation."""
    return trd_market in _FUTURES_HEADERS


# ---------------------------------------------------------------- instruments

# An expiry as YYMMDD or YYMM; only months that exist, so that a stock's digits are not taken for a contract's.
_MONTH: Final = r"\d{2}(?:0[1-9]|1[0-2])"
_OPTION: Final = re.compile(rf"[A-Z][A-Z0-9]{{0,5}}{_MONTH}(?:0[1-9]|[12]\d|3[01])[CP]\d{{1,9}}", re.ASCII)
_FUTURE: Final = re.compile(rf"(?=\d*[A-Z])[A-Z0-9]{{1,8}}{_MONTH}", re.ASCII)
_HAS_OPTIONS: Final = frozenset({"HK", "US"})
_HAS_FUTURES: Final = frozenset({"HK", "US", "SG", "JP"})


@lru_cache(maxsize=CODES_MAX)
def kind_of(market: str, code: str) -> Kind:
    """What a code without prefix is in a policy market, by its spelling.

    HK and US options are written compactly (`TCH260129C300000`, `AAPL260116C200000`: root, YYMMDD, C or P, strike in
    thousandths), futures as root and YYMM (`HSI2606`). Everything else counts as a stock, funds too.
    """
    country = market.removeprefix("FUTURES_")
    if country in _HAS_OPTIONS and _OPTION.fullmatch(code):
        return "option"
    if country != market or (country in _HAS_FUTURES and _FUTURE.fullmatch(code)):
        return "future"
    return "stock"


_HK_DIGITS: Final = 5
# HKEX gives the dollar counters of its funds codes of their own: 3110 trades as 9110, 3433 as 9433, 2834 as 9834.
_HK_DOLLARS: Final = re.compile(r"0(?:9[014]\d\d|98[0-4]\d)", re.ASCII)
# Toronto writes what trades in US dollars with an extension: DLR.U beside DLR. Units (.UN) are in its own.
_CA_DOLLARS: Final = (".U", "-U", ".V", "-V")

# Futures are quoted in the currency of what they are on; a root that is not here is known to reference data only.
_FUTURES_CURRENCY: Final[Mapping[str, Mapping[str, str]]] = {
    "FUTURES_HK": dict.fromkeys(("HSI", "MHI", "HHI", "MCH", "HTI", "HTM", "PHS", "PHH", "VHS"), "HKD")
    | dict.fromkeys(("CUS", "CEU", "CJP", "CAU"), "CNH"),
    "FUTURES_SG": {"CN": "USD", "TWN": "USD", "NK": "JPY", "NU": "USD", "SGP": "SGD"},
}

ROOTS_ABROAD: Final = frozenset(root for roots in _FUTURES_CURRENCY.values() for root in roots)
"""Roots of futures of Hong Kong and Singapore; some are written like a share of New York, as MHI is."""


@lru_cache(maxsize=CODES_MAX)
def currency_of(market: str, code: str) -> str:
    """The currency in which an instrument is priced, "" where only reference data (`future-info`) can tell.

    HK codes 80000 to 89999 are renminbi counters and trade in CNH, as HKCC does; dollar counters of funds there, and
    what Toronto lists in US dollars, are in USD, so that dollars are not counted as if they were local ones. HK and SG
    futures follow their root; an unknown one is "", never a guess, so that a money limit refuses instead of comparing
    dollars with yen (W08).
    """
    roots = _FUTURES_CURRENCY.get(market)
    if roots is not None:
        return roots.get(code[:-4], "")
    if market == "HK" and len(code) == _HK_DIGITS and code.startswith("8"):
        return "CNH"
    if (market in {"HK", "HK_FUND"} and _HK_DOLLARS.fullmatch(code)) or (market == "CA" and code.endswith(_CA_DOLLARS)):
        return "USD"
    row = _TABLE.get(market)
    return "" if row is None else row.currency


def local_code(market: str, code: str) -> str | None:
    """The code under which the same share or fund trades in the market's own currency; None where it is that already.

    In renminbi 80700 is 00700, in dollars 09110 is 03110 and 09834 is 02834, and DLR.U is DLR.
    """
    if market == "CA" and code.endswith(_CA_DOLLARS):
        return code[: -len(_CA_DOLLARS[0])]
    if market not in {"HK", "HK_FUND"}:
        return None
    if _HK_DOLLARS.fullmatch(code):
        return f"0{'2' if code[2] == '8' else '3'}{code[2:]}"
    return f"0{code[1:]}" if len(code) == _HK_DIGITS and code.isdigit() and code.startswith("8") else None


def whole_code(prefix: str, code: str) -> str:
    """The code as exchange, daemon and record write it: one of Hong Kong with its leading zeros ("700" is "00700")."""
    return code.zfill(_HK_DIGITS) if prefix == "HK" and code.isdigit() else code


def split_symbol(symbol: str) -> tuple[str, str]:
    """Prefix and code: ("HK", "00700") of "HK.00700", ("US", "BRK.B") of "US.BRK.B", ("", symbol) without a prefix."""
    head, dot, rest = symbol.partition(".")
    return (head, rest) if dot and (head in PREFIXES or head == "CN") else ("", symbol)
