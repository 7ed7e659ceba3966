"""Which instrument an order is for: code, trade header and `sec_market` must tell the same story (W03).

The daemon trusts a code's prefix before the header, so an order could name HK in the header and trade US. Here the
three must agree, and what comes out is the only reading there is. A code is never repaired: `HK.700`, `us.aapl`, a
padded OCC symbol and a main-contract alias (`HSImain`, which stands for another contract every month) are refused with
the spelling that would pass.
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from guard.intent.fields import choices
from guard.markets import PREFIX_OF_SEC, PREFIXES, PREFIXES_OF, SEC_MARKET_OF, kind_of, market_words, whole_code

SEC_MARKETS: Final = choices(
    {"HK": 1, "US": 2, "CN_SH": 31, "CN_SZ": 32, "SG": 41, "JP": 51, "AU": 61, "MY": 71, "CA": 81}
)
_CODE_CHARACTERS_MAX: Final = 32
_CODE: Final = re.compile(r"[A-Z0-9]+(?:[.-][A-Z0-9]+)*", re.ASCII)
_PREFIX_WORDS: Final = frozenset({*PREFIXES, "CN", "BJ"})  # the daemon strips these eleven
_FUNDS: Final = frozenset({"HK_FUND", "US_FUND"})
_ALIASES: Final = ("main", "current", "next")
_PADDED_OPTION: Final = re.compile(r"([A-Z][A-Z0-9]{0,5}\d{6}[CP])0+(\d+)", re.ASCII)
_STOCK: Final = {
    "HK": re.compile(r"\d{5}", re.ASCII),
    "US": re.compile(r"[A-Z][A-Z0-9]{0,6}(?:[.-][A-Z0-9]{1,6})*", re.ASCII),
    "SH": re.compile(r"\d{6}", re.ASCII),
    "SZ": re.compile(r"\d{6}", re.ASCII),
    "JP": re.compile(r"\d[0-9A-Z]\d[0-9A-Z]", re.ASCII),
}
_SH_BEGINS: Final = ("5", "6", "9")
_SZ_BEGINS: Final = ("0", "1", "2", "3")


class TradedInstrument(Struct, frozen=True):
    """What is traded: the policy's market word, symbol with prefix, code without, and the daemon's `sec_market`."""

    market: str
    symbol: str
    code: str
    sec_market: int | None


class NoInstrument(Struct, frozen=True):
    """No instrument, and why."""

    why: str


def instrument(code: str, *, trd_market: int, sec_market: int | None) -> TradedInstrument | NoInstrument:
    """The one instrument that code, header and `sec_market` all name. Funds keep no `sec_market` of their own."""
    return _odd_spelling(code) if len(code) > _CODE_CHARACTERS_MAX else _agreed(code, trd_market, sec_market)


@lru_cache(maxsize=4096)  # programs trade few symbols, over and over; a code that gets here is short
def _agreed(code: str, trd_market: int, sec_market: int | None) -> TradedInstrument | NoInstrument:
    if not _CODE.fullmatch(code):
        return _odd_spelling(code)
    words = market_words(trd_market)
    if not words:
        return NoInstrument(f"trd_market {trd_market} takes no orders here")
    prefix, bare = _split(code)
    if _split(bare)[0]:
        return NoInstrument(f"a code has one prefix: {bare} has one of its own")
    said = "" if sec_market is None else PREFIX_OF_SEC[sec_market]
    if said and prefix not in {"", "CN", said}:
        return NoInstrument(f"sec_market says {said}, the code says {prefix}")
    if prefix in {"", "CN"}:
        prefix = said or _derived(bare, words, is_china=prefix == "CN")
    if not prefix:
        prefixes = dict.fromkeys(prefix for word in words for prefix in PREFIXES_OF[word])
        spellings = " or ".join(f"{prefix}.{bare}" for prefix in prefixes)
        return NoInstrument(f"{bare} alone could be of several markets: write its prefix, {spellings}")
    market = next((word for word in words if prefix in PREFIXES_OF[word]), "")
    if not market:
        return NoInstrument(
            f"{prefix} is not traded under trd_market {trd_market}: header, code and sec_market must agree"
        )
    why = _contract(market, prefix, bare) or _stock(market, prefix, bare)
    if why:
        return NoInstrument(why)
    return TradedInstrument(market, f"{prefix}.{bare}", bare, None if market in _FUNDS else SEC_MARKET_OF[prefix])


def _split(code: str) -> tuple[str, str]:
    """Prefix and code, as the daemon would take a prefix off."""
    head, dot, rest = code.partition(".")
    return (head, rest) if dot and head in _PREFIX_WORDS else ("", code)


def _odd_spelling(code: str) -> NoInstrument:
    capitals = code[:_CODE_CHARACTERS_MAX].upper()
    if len(code) > _CODE_CHARACTERS_MAX or not code.isascii() or not _CODE.fullmatch(capitals):
        return NoInstrument(
            f"a code is capital letters and digits, at most {_CODE_CHARACTERS_MAX} characters, without spaces"
        )
    if code.endswith(_ALIASES):
        return NoInstrument(f"{code} stands for another contract each month: name the contract itself")
    return NoInstrument(f"a code is written in capitals: {capitals}")


def _derived(bare: str, words: tuple[str, ...], *, is_china: bool) -> str:
    """The prefix that a code without one must have under its header, "" where there are several."""
    prefixes = {prefix for word in words for prefix in PREFIXES_OF[word]}
    if is_china or "SH" in prefixes:
        return "SH" if bare.startswith(_SH_BEGINS) else "SZ" if bare.startswith(_SZ_BEGINS) else ""
    return prefixes.pop() if len(prefixes) == 1 else ""


def _contract(market: str, prefix: str, bare: str) -> str:
    """Why the code is no contract of this market, "" where it is one or is none at all."""
    kind = kind_of(prefix, bare)
    if market.startswith("FUTURES_"):
        wanted = "a futures account trades contracts written as root and YYMM, as in HSI2606"
        return "" if kind == "future" else f"{bare} is not one of them: {wanted}"
    if kind == "future":
        return f"{bare} is a futures contract: its trd_market is FUTURES"
    written = kind_of("US", bare)
    if kind == "stock" and written != "stock":
        told = "an option" if written == "option" else "a futures contract"
        return f"{bare} is written like {told}, and of {prefix} none are known: it would be taken for one share"
    padded = _PADDED_OPTION.fullmatch(bare)
    return f"an option's strike has no leading zeros: {padded[1]}{padded[2]}" if padded else ""


def _stock(market: str, prefix: str, bare: str) -> str:
    """Why the code is no stock of this market, "" where it is one or is something else."""
    grammar = _STOCK.get(prefix)
    if market in _FUNDS and grammar is not None:
        is_listed = kind_of(prefix, bare) != "stock" or grammar.fullmatch(whole_code(prefix, bare))
        return f"{bare} is no fund, it is listed: its trd_market is {prefix}" if is_listed else ""
    if grammar is None or kind_of(market, bare) != "stock" or grammar.fullmatch(bare):
        return ""
    whole = whole_code(prefix, bare)
    if whole != bare:
        return f"HK codes have five digits: {whole}"
    return f"{bare} is not a code of {prefix}"
