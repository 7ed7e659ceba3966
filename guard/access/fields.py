"""The fields of a key record, one check each: what a value must be, or a sentence saying what to write instead.

Input comes from a strict JSON parse, so numbers are `int` or `Decimal` and never text. Every check takes the value as
parsed and returns it typed, or raises `WrongField`; the caller collects, so that all errors are told at once. `null`
never reaches a check: it equals a field left out. Times are those of RFC 3339.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

from guard.access.scopes import SCOPES
from guard.markets import MARKET_WORDS, PREFIXES, split_symbol, whole_code
from guard.terms import LEDGER_MAX, LEDGER_UNIT

SIDES: Final = ("BUY", "SELL", "SELL_SHORT", "BUY_BACK")
NOTE_CHARS_MAX: Final = 1000
OWNER_CHARS_MAX: Final = 128
ORDERS_PER_MINUTE_MAX: Final = 100_000  # the bound of every rate: more would load, and then fit no policy set

_ID: Final = re.compile(r"([A-Za-z0-9._-]{1,64})(?:@[1-9][0-9]{0,8})?", re.ASCII)
_NOTHINGS: Final = hashlib.sha256(b"").digest()
_HASH: Final = re.compile(r"(?:sha256:)?([0-9A-Fa-f]{64})", re.ASCII)
_SYMBOL: Final = re.compile(rf"(?:{'|'.join(PREFIXES)})\.[A-Za-z0-9._-]{{1,40}}", re.ASCII)
_CARD: Final = re.compile(r"[0-9]{4}|[0-9]{16}", re.ASCII)
_HOURS: Final = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9])", re.ASCII)
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_DIGITS_MAX: Final = 20

_T = TypeVar("_T")


class WrongField(ValueError):
    """A value that a field does not take; the sentence says what to write. It never leaves this room's parser."""


def name_of(key_id: str) -> str:
    """The principal's name: the id before '@'. Records alike in it share one set of counters."""
    return key_id.partition("@")[0]


def read_id(value: object) -> str:
    """1 to 64 of [A-Za-z0-9._-], optionally followed by @ and a number, from 1, written in one way."""
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise WrongField(
            "write 1 to 64 of A-Z a-z 0-9 . _ - and nothing else; @N may follow, N from 1 without leading zeros, "
            "as rotate writes it"
        )
    return value


def read_hash(value: object) -> bytes:
    """The SHA-256 of the plaintext: `sha256:` and 64 hex digits, or the bare digits."""
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongField('write "sha256:" and the 64 hex digits of the key\'s SHA-256; the key itself never goes here')
    digest = bytes.fromhex(match[1])
    if digest == _NOTHINGS:
        raise WrongField("this is the SHA-256 of nothing, so no key: make one with `guard keys new`")
    return digest


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise WrongField("write a list")
    if not value:
        raise WrongField(
            "an empty list is ambiguous (everything, or nothing?): leave the field out, or list what is meant"
        )
    return value


def _listed(value: object, read: Callable[[object], _T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(read(item) for item in _items(value)))


def _word(known: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise WrongField(f"{value!r:.80} is not one of {', '.join(known)}")
        return value

    return read


def read_scopes(value: object) -> frozenset[str]:
    """Words of the closed set. `trade` is the daemon's own umbrella and no scope of a key."""
    if value == []:
        raise WrongField(f"a key without a scope may do nothing: list one or more of {', '.join(SCOPES)}")
    items = _items(value)
    if "trade" in items:
        raise WrongField("'trade' is too wide to be granted: write trade:simulate, trade:real, or both")
    return frozenset(_listed(items, _word(SCOPES)))


def read_markets(value: object) -> tuple[str, ...]:
    """The policy's market words; FUTURES stands for all four futures markets."""
    return _listed(value, _word(MARKET_WORDS))


def read_sides(value: object) -> tuple[str, ...]:
    """BUY, SELL, SELL_SHORT, BUY_BACK, in exactly this spelling."""
    return _listed(value, _word(SIDES))


def _symbol(value: object) -> str:
    if not isinstance(value, str) or _SYMBOL.fullmatch(value) is None:
        raise WrongField(
            f"{value!r:.80} is no exact PREFIX.CODE such as US.AAPL or SH.600519; patterns belong into a policy"
        )
    prefix, code = split_symbol(value)
    whole = whole_code(prefix, code)
    if whole != code:
        raise WrongField(f"{value!r:.80} is no symbol, HK codes have five digits: write HK.{whole}")
    return value


def read_symbols(value: object) -> tuple[str, ...]:
    """Exact `MARKET.CODE`; no patterns, as in the daemon."""
    return _listed(value, _symbol)


def _acc_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**64:
        raise WrongField("write account ids as positive whole numbers without quotes")
    return value


def read_acc_ids(value: object) -> frozenset[int]:
    """Account ids, unsigned 64-bit."""
    return frozenset(_listed(value, _acc_id))


def _card_num(value: object) -> str:
    if not isinstance(value, str) or _CARD.fullmatch(value) is None:
        raise WrongField("write card numbers as text of 16 digits, or of their last 4")
    return value


def read_card_nums(value: object) -> frozenset[str]:
    """Card numbers: 16 digits, or the last four. They are resolved against the daemon's account list at each use."""
    return frozenset(_listed(value, _card_num))


def read_money(value: object) -> Decimal:
    """An amount of at least 0 with at most 4 decimals that the ledger can hold; 0 allows nothing."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise WrongField("write a plain number without quotes")
    amount = Decimal(value)
    parts = amount.as_tuple()
    # Bounded before any arithmetic: the parser hands over 1E+999999 as it stands.
    if len(parts.digits) > _DIGITS_MAX or amount.adjusted() > _DIGITS_MAX or amount.adjusted() < -_DIGITS_MAX:
        raise WrongField("the number is out of range")
    if amount < 0:
        raise WrongField("an amount cannot be negative; 0 allows nothing")
    ledger = amount * LEDGER_UNIT
    if ledger != ledger.to_integral_value():
        raise WrongField("at most 4 decimals")
    if ledger > LEDGER_MAX:
        raise WrongField(f"an amount above {LEDGER_MAX // LEDGER_UNIT} cannot be counted exactly")
    return Decimal(f"{amount.normalize():f}") if amount else Decimal(0)


def read_orders_per_minute(value: object) -> int:
    """A whole number of at least 0; 0 allows nothing."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= ORDERS_PER_MINUTE_MAX:
        raise WrongField(f"write a whole number from 0 to {ORDERS_PER_MINUTE_MAX} without quotes")
    return value


def read_hours(value: object) -> str:
    """`HH:MM-HH:MM`, the end exclusive; it may cross midnight, in the zone of `keys.tz`."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongField('write "HH:MM-HH:MM", such as "09:30-16:00" or "22:00-05:00"')
    if match[1] == match[2]:
        raise WrongField("the window begins and ends at the same minute: leave the field out for the whole day")
    return match[0]


def read_time(value: object) -> datetime:
    """An RFC 3339 time with its zone, as UTC; digits beyond microseconds are cut."""
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise WrongField('write a time with its zone, such as "2027-01-31T18:00:00Z"')
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongField("there is no such time") from None


def read_note(value: object) -> str:
    """Free text."""
    if not isinstance(value, str) or len(value) > NOTE_CHARS_MAX:
        raise WrongField(f"write text of at most {NOTE_CHARS_MAX} characters")
    return value


def read_owner(value: object) -> str:
    """The person who answers for the key."""
    if not isinstance(value, str) or not value.strip() or len(value) > OWNER_CHARS_MAX or not value.isprintable():
        raise WrongField(f"name the person who answers for this key, in 1 to {OWNER_CHARS_MAX} printable characters")
    return value


def read_machines(value: object) -> tuple[str, ...]:
    """Machine fingerprints; the guard cannot verify them, so a record that has the field (even empty) is disabled."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongField("write a list of fingerprints, or leave the field out; with it the key is disabled here")
    return tuple(value)


LIMITS: Final[Mapping[str, Callable[[object], object]]] = {
    "allowed_markets": read_markets,
    "allowed_symbols": read_symbols,
    "allowed_trd_sides": read_sides,
    "allowed_acc_ids": read_acc_ids,
    "allowed_card_nums": read_card_nums,
    "max_order_value": read_money,
    "max_daily_value": read_money,
    "max_orders_per_minute": read_orders_per_minute,
    "hours_window": read_hours,
}
"""Limits: flat on the record, or all of them under "limits"."""

IDENTITY: Final[Mapping[str, Callable[[object], object]]] = {
    "id": read_id,
    "hash": read_hash,
    "scopes": read_scopes,
    "allowed_machines": read_machines,
    "created_at": read_time,
    "expires_at": read_time,
    "note": read_note,
    "owner": read_owner,
}
"""Fields that stand on the record itself in both layouts."""

REQUIRED: Final = ("id", "hash", "scopes")
