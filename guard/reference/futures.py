"""Futures: the multiplier and the currency that a contract is quoted in. Pure.

Source: Qot_GetFutureInfo. `contract_size` is money a point, or units of what is delivered; `quote_currency` is written
in the language of the login, so that one currency has several names.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from guard.reference.envelope import by_symbol, positive, rows_of, symbol_of

_ISO: Final = re.compile(r"[A-Z]{3}")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "HKD": ("港元", "港币", "港幣", "HONG KONG DOLLAR", "HK DOLLAR"),
    "USD": ("美元", "US DOLLAR", "U.S. DOLLAR"),
    "CNH": ("CNY", "RMB", "人民币", "人民幣", "离岸人民币", "離岸人民幣", "RENMINBI"),
    "JPY": ("日元", "日圆", "日圓", "円", "日本円", "JAPANESE YEN", "YEN"),
    "SGD": ("新加坡元", "新元", "坡元", "SINGAPORE DOLLAR"),
}
_CURRENCIES: Final = {name: word for word, names in _NAMES.items() for name in names}


class FutureTerms(Struct, frozen=True):
    """A contract's multiplier, None where the daemon names none, and its currency, "" where it cannot be told."""

    multiplier: Decimal | None
    currency: str = ""


def currency_word(value: object) -> str:
    """HKD, USD, CNH … of however the daemon writes a currency; "" for what is none."""
    if not isinstance(value, str):
        return ""
    name = value.strip().upper()
    known = _CURRENCIES.get(name)
    return known or (name if _ISO.fullmatch(name) else "")


def parse_future_info(s2c: Mapping[str, Any]) -> dict[str, FutureTerms] | None:
    """The contracts of an answer by symbol; None where it is no answer to the question."""
    rows = rows_of(s2c, "future_info_list")
    if rows is None:
        return None
    return by_symbol((symbol_of(row.get("security")), _terms(row)) for row in rows)


def _terms(row: Mapping[str, Any]) -> FutureTerms:
    return FutureTerms(positive(row.get("contract_size")), currency_word(row.get("quote_currency")))
