"""Options and futures, read from their codes; and `find`, which knows every instrument there is.

Option codes are root, expiry (yymmdd), C or P and strike in thousandths; the compact, OCC-19 and OCC-21 spellings name
the same contract. Futures are root and month (yymm), or root and `main` or `current`. Any well-formed code of a known
root is a contract: the simulated world lists all strikes and all months.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from guard.simulator.instruments import LISTED, MARKETS, PREFIX_OF_SEC, PREFIX_OF_TRD, Instrument, Kind


class Future(NamedTuple):
    """What all months of one future share. `multiplier` is money per point."""

    prefix: str
    name: str
    exchange: str
    multiplier: Decimal
    unit: str
    spread: Decimal
    base: Decimal
    currency: str


FUTURES: Final = {
    "HSI": Future("HK", "Hang Seng", "HKEX", Decimal(50), "HKD/point", Decimal(1), Decimal(25000), "HKD"),
    "MHI": Future("HK", "Mini Hang Seng", "HKEX", Decimal(10), "HKD/point", Decimal(1), Decimal(25000), "HKD"),
    "HHI": Future("HK", "H-shares", "HKEX", Decimal(50), "HKD/point", Decimal(1), Decimal(9000), "HKD"),
    "ES": Future("US", "E-mini S&P 500", "CME", Decimal(50), "USD/point", Decimal("0.25"), Decimal(5800), "USD"),
    "MES": Future("US", "Micro S&P 500", "CME", Decimal(5), "USD/point", Decimal("0.25"), Decimal(5800), "USD"),
    "NQ": Future("US", "E-mini Nasdaq", "CME", Decimal(20), "USD/point", Decimal("0.25"), Decimal(20000), "USD"),
    "MNQ": Future("US", "Micro Nasdaq", "CME", Decimal(2), "USD/point", Decimal("0.25"), Decimal(20000), "USD"),
    "CL": Future("US", "Crude oil", "NYMEX", Decimal(1000), "USD/barrel", Decimal("0.01"), Decimal(70), "USD"),
    "GC": Future("US", "Gold", "COMEX", Decimal(100), "USD/ounce", Decimal("0.1"), Decimal(2700), "USD"),
    "CN": Future("SG", "FTSE China A50", "SGX", Decimal(1), "USD/point", Decimal(1), Decimal(13000), "USD"),
    "NK": Future("SG", "Nikkei 225", "SGX", Decimal(500), "JPY/point", Decimal(5), Decimal(39000), "JPY"),
    "NK225": Future("JP", "Nikkei 225", "OSE", Decimal(1000), "JPY/point", Decimal(10), Decimal(39000), "JPY"),
    "NK225M": Future("JP", "Mini Nikkei 225", "OSE", Decimal(100), "JPY/point", Decimal(5), Decimal(39000), "JPY"),
}
_EXCHANGES: Final = {"HKEX": 3, "CME": 12, "NYMEX": 9, "COMEX": 10, "SGX": 17, "OSE": 18}
_OPTION_ROOTS: Final = {"TCH": "HK.00700", "ALB": "HK.09988", "HEX": "HK.00388"}
_OPTION: Final = re.compile(r"([A-Z.]{1,6}) {0,5}(\d{6})([CP])(\d{1,8})")
_FUTURE: Final = re.compile(r"([A-Z]+\d*?M?)(\d{4}|main|current)")
_STRIKES: Final = 5  # each side of the money in a chain


def option_root(owner: str) -> str | None:
    """The root of the owner's option codes; None where it has no options."""
    for root, symbol in _OPTION_ROOTS.items():
        if symbol == owner:
            return root
    listed = LISTED.get(owner)
    has_options = listed is not None and listed.prefix == "US" and "." not in listed.code
    return listed.code if listed is not None and has_options else None


def _day(text: str) -> date | None:
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None


def _option(prefix: str, code: str) -> Instrument | None:
    match = _OPTION.fullmatch(code)
    if match is None:
        return None
    root, digits, right, strike = match.groups()
    owner = LISTED.get(_OPTION_ROOTS.get(root, f"{prefix}.{root}"))
    expiry = _day(digits)
    if owner is None or owner.prefix != prefix or expiry is None or option_root(owner.symbol) is None:
        return None
    price = Decimal(int(strike)) / 1000
    return Instrument(
        symbol=f"{prefix}.{root}{digits}{right}{int(strike)}",
        name=f"{owner.name} {digits} {price.normalize():f}{right}",
        lot=1,
        spread=Decimal("0.01"),
        base=owner.base / 50,
        currency=owner.currency,
        kind=Kind.OPTION,
        exchange=3 if prefix == "HK" else 8,
        multiplier=Decimal(100),
        owner=owner.symbol,
        strike=price,
        expiry=expiry,
        right=1 if right == "C" else 2,
    )


def _future(prefix: str, code: str) -> Instrument | None:
    match = _FUTURE.fullmatch(code)
    terms = FUTURES.get(match.group(1)) if match is not None else None
    if match is None or terms is None or terms.prefix != prefix:
        return None
    month = match.group(2)
    return Instrument(
        symbol=f"{prefix}.{code}",
        name=f"{terms.name} {month}",
        lot=1,
        spread=terms.spread,
        base=terms.base,
        currency=terms.currency,
        kind=Kind.FUTURE,
        exchange=_EXCHANGES[terms.exchange],
        multiplier=terms.multiplier,
        expiry=_day(f"{month}28") if month.isdigit() else None,
    )


def future_terms(instrument: Instrument) -> Future:
    """The terms that all months of this future share."""
    match = _FUTURE.fullmatch(instrument.code)
    if match is None:
        raise AssertionError(f"{instrument.symbol} is no future")
    return FUTURES[match.group(1)]


@lru_cache(maxsize=4096)
def find(symbol: str) -> Instrument | None:
    """The instrument of a symbol with prefix, in any of its spellings; None where there is none."""
    prefix, _, code = symbol.partition(".")
    if prefix == "HK" and code.isdigit() and len(code) < 5:  # noqa: PLR2004 (the exchange pads codes to five digits)
        code = code.zfill(5)
    listed = LISTED.get(f"{prefix}.{code}")
    return listed or _option(prefix, code) or _future(prefix, code)


def traded(code: str, *, sec_market: int | None, trd_market: int) -> Instrument | None:
    """What an order really trades: the code's prefix first, then the futures table, `sec_market`, the header (§3.6)."""
    prefix, _, rest = code.partition(".")
    if rest and (prefix in MARKETS or prefix == "CN"):
        return find(f"SH.{rest}" if prefix == "CN" else code)
    match = _FUTURE.fullmatch(code)
    if match is not None and match.group(1) in FUTURES:
        return find(f"{FUTURES[match.group(1)].prefix}.{code}")
    home = PREFIX_OF_SEC.get(sec_market or 0) or PREFIX_OF_TRD.get(trd_market, "HK")
    found = find(f"{home}.{code}")
    return found or (find(f"SZ.{code}") if home == "SH" and not sec_market else None)


def expiries(begin: date, end: date) -> Iterator[date]:
    """The last weekday but one of every month in [begin, end]."""
    year, month = begin.year, begin.month
    while date(year, month, 1) <= end:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)  # noqa: PLR2004 (months of a year)
        day, weekdays = date(year, month, 1), 0
        while weekdays < 2:  # noqa: PLR2004 (the last but one)
            day -= timedelta(days=1)
            weekdays += day.weekday() < 5  # noqa: PLR2004 (Saturday)
        if begin <= day <= end:
            yield day


def chain(owner: str, expiry: date) -> Iterator[tuple[Instrument, Instrument]]:
    """Calls and puts around the money for one expiry; nothing where the owner has no options."""
    root, listed = option_root(owner), LISTED.get(owner)
    if root is None or listed is None:
        return
    step = max(Decimal("0.5"), (listed.base / 40).quantize(Decimal("0.5")))
    for place in range(-_STRIKES, _STRIKES + 1):
        strike = int((listed.base + step * place) * 1000)
        call, put = (find(f"{listed.prefix}.{root}{expiry:%y%m%d}{right}{strike}") for right in "CP")
        if call is not None and put is not None:
            yield call, put
