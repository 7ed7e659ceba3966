"""The small notations inside policy strings: money, rates, windows, resets, patterns.

Every reader takes text and gives a value or a `Bad` that says what to write instead; none raises. Amounts are
`Decimal` and exact: a cap that the ledger could not hold (above 2**53 units of 1/10,000) is refused here, at load.
"""

import re
from collections.abc import Sequence
from decimal import Clamped, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fnmatch import translate
from functools import lru_cache
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from guard import markets
from guard.terms import LEDGER_MAX, LEDGER_UNIT, Money, zone_of

CURRENCIES: Final = tuple(markets.CURRENCIES.values())
RATE_COUNT_MAX: Final = 100_000  # a window is an exact log: one stamp a request
RATE_WINDOW_S_MAX: Final = 86_400
PATTERN_CHARS_MAX: Final = 64
UNITS_MAX: Final = 4096  # amounts whose ledger units are known: programs send the same sizes over and over
DAY_MIN: Final = 1440

# Products of three numbers of 15 digits fit; whatever does not is an error rather than a rounded amount.
_UNIT: Final = Decimal(LEDGER_UNIT)
EXACT: Final = Context(prec=60, Emax=60, Emin=-60, traps=[Inexact, Overflow, InvalidOperation, DivisionByZero, Clamped])

_MONEY: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,4}))? ([A-Z]{3})")
_RATE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})s")
_WINDOW: Final = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_RESET: Final = re.compile(r"([0-9]{2}):([0-9]{2}) ([A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2})")
_KEY_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?-]+")
_SYMBOL_PATTERN: Final = re.compile(r"\*|([A-Za-z*?]+)\.([A-Za-z0-9._*?-]+)")


class Bad(Struct, frozen=True):
    """A text that means nothing: a stable `code`, what is wrong, and what to write instead."""

    code: str
    message: str
    hint: str = ""


class Rate(Struct, frozen=True):
    """At most `count` in any window (t - window, t]."""

    count: int
    window_ms: int

    @property
    def span(self) -> str:
        """The window as units write it: "30s"."""
        return f"{self.window_ms // 1000}s"


class Window(Struct, frozen=True, order=True):
    """Minutes of a local day, [start, end); an end before the start is on the next day."""

    start_min: int
    end_min: int

    @property
    def minutes(self) -> tuple[range, ...]:
        """The minutes of the day that are inside, as one range or two."""
        if self.start_min < self.end_min:
            return (range(self.start_min, self.end_min),)
        return (range(self.start_min, DAY_MIN), range(self.end_min))

    def __str__(self) -> str:
        return f"{clock_text(self.start_min)}-{clock_text(self.end_min)}"


class Reset(Struct, frozen=True, order=True):
    """The local minute of the day at which a budget returns to zero, and the zone of that clock."""

    minute: int
    zone: str

    def __str__(self) -> str:
        return f"{clock_text(self.minute)} {self.zone}"


def clock_text(minute: int) -> str:
    """The minute of a day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def plain(number: Decimal) -> str:
    """A number for people and records: no exponent, no trailing zeros."""
    text = str(number)  # faster than a format by far
    if "E" in text:
        text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=UNITS_MAX)
def ledger_units(amount: Decimal) -> int:
    """The amount in 1/10,000, rounded up. Raises a decimal signal where it cannot be held exactly before rounding."""
    return ceil(EXACT.multiply(amount, _UNIT))


@lru_cache(maxsize=UNITS_MAX)
def cap_units(cap: Decimal) -> int:
    """A cap in 1/10,000: policies have few of them, and they are asked for with every order."""
    return ledger_units(cap)


def from_units(units: int) -> Decimal:
    """Ledger units as an amount."""
    return Decimal(units).scaleb(-4, EXACT)


def read_money(text: str) -> Money | Bad:
    """Money like "100000 HKD": zero or more, at most four decimals, a known currency, no more than the ledger holds."""
    match = _MONEY.fullmatch(text)
    if match is None:
        return Bad("bad_money", f"{text!r} is not an amount", 'write a number, a space, a currency: "100000 HKD"')
    whole, part, currency = match.groups()
    if currency not in CURRENCIES:
        return Bad("bad_money", f"{currency} is not a currency of the daemon", f"known: {', '.join(CURRENCIES)}")
    amount = Decimal(f"{whole}.{part}" if part else whole)
    if ledger_units(amount) > LEDGER_MAX:
        return Bad("bad_money", f"{text!r} is more than a counter can hold", f"the most is {LEDGER_MAX // LEDGER_UNIT}")
    return Money(amount, currency)


def read_moneys(texts: tuple[str, ...]) -> dict[str, Decimal] | Bad:
    """One amount per currency."""
    if not texts:
        return Bad("bad_value", "an empty list of amounts", 'write "0 HKD" to allow nothing, or leave the key out')
    amounts: dict[str, Decimal] = {}
    for text in texts:
        money = read_money(text)
        if isinstance(money, Bad):
            return money
        if money.currency in amounts:
            return Bad("bad_money", f"{money.currency} is given twice", "one amount per currency")
        amounts[money.currency] = money.amount
    return amounts


def read_rate(text: str) -> Rate | Bad:
    """A rate like "15/30s": a count, and a window in seconds."""
    match = _RATE.fullmatch(text)
    if match is None:
        return Bad("bad_rate", f"{text!r} is not a rate", 'write count/seconds: "15/30s"')
    count, window_s = int(match[1]), int(match[2])
    if count > RATE_COUNT_MAX or not 0 < window_s <= RATE_WINDOW_S_MAX:
        return Bad(
            "bad_rate",
            f"{text!r} is out of bounds",
            f"at most {RATE_COUNT_MAX} in a window of 1 to {RATE_WINDOW_S_MAX} seconds",
        )
    return Rate(count, window_s * 1000)


def read_rates(texts: tuple[str, ...]) -> tuple[Rate, ...] | Bad:
    """Rates with different windows."""
    if not texts:
        return Bad("bad_value", "an empty list of rates", 'write "0/60s" to allow nothing, or leave the key out')
    rates: list[Rate] = []
    for text in texts:
        rate = read_rate(text)
        if isinstance(rate, Bad):
            return rate
        if any(other.window_ms == rate.window_ms for other in rates):
            return Bad("bad_rate", f"two rates for a window of {rate.span}", "keep the tighter one")
        rates.append(rate)
    return tuple(rates)


def _minute(hour: str, minute: str, *, last: int) -> int | None:
    at = int(hour) * 60 + int(minute)
    return at if int(minute) < 60 and at <= last else None  # noqa: PLR2004 - minutes in an hour


def read_window(text: str) -> Window | Bad:
    """A window like "09:30-12:00", local time, [start, end); "24:00" ends a day, an earlier end is on the next day."""
    match = _WINDOW.fullmatch(text)
    start = _minute(match[1], match[2], last=DAY_MIN - 1) if match else None
    end = _minute(match[3], match[4], last=DAY_MIN) if match else None
    if start is None or end is None:
        return Bad("bad_hours", f"{text!r} is not a window", 'write "09:30-12:00", or "always"')
    if start == end % DAY_MIN and not (start == 0 and end == DAY_MIN):
        return Bad("bad_hours", f"{text!r} begins where it ends", 'write "always" for the whole day, [] for never')
    return Window(start, end)


def read_windows(texts: tuple[str, ...]) -> tuple[Window, ...] | Bad:
    """Windows of one day that do not overlap."""
    windows: list[Window] = []
    taken: set[int] = set()
    for text in texts:
        window = read_window(text)
        if isinstance(window, Bad):
            return window
        minutes = {minute for span in window.minutes for minute in span}
        if minutes & taken:
            return Bad("bad_hours", f"{text!r} overlaps another window", "let windows end where the next begins")
        taken |= minutes
        windows.append(window)
    return tuple(sorted(windows))


def read_zone(name: str) -> ZoneInfo | Bad:
    """An IANA zone."""
    try:
        return zone_of(name)
    except (KeyError, ValueError, OSError):
        return Bad("bad_zone", f"{name!r} is not a time zone", 'write an IANA name: "Asia/Hong_Kong"')


def read_reset(text: str) -> Reset | Bad:
    """A reset like "08:30 Asia/Hong_Kong": when a budget returns to zero."""
    match = _RESET.fullmatch(text)
    minute = _minute(match[1], match[2], last=DAY_MIN - 1) if match else None
    if match is None or minute is None:
        return Bad("bad_reset", f"{text!r} is not a reset", 'write time and zone: "08:30 Asia/Hong_Kong"')
    zone = read_zone(match[3])
    return zone if isinstance(zone, Bad) else Reset(minute, match[3])


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text))


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """One of the patterns stands for the whole text; upper and lower case differ."""
    return any(_pattern(pattern).match(text) for pattern in patterns)


def check_key_pattern(text: str) -> Bad | None:
    """A key id, where `*` and `?` stand for any characters and any one character."""
    if len(text) <= PATTERN_CHARS_MAX and _KEY_PATTERN.fullmatch(text):
        return None
    return Bad("bad_pattern", f"{text!r} matches no key id", "letters, digits, . _ - and the wildcards * and ?")


def check_symbol_pattern(text: str, prefixes: frozenset[str]) -> Bad | None:
    """A symbol like "US.AAPL": prefix, dot, code, where `*` and `?` are wildcards. Upper and lower case are one."""
    match = _SYMBOL_PATTERN.fullmatch(text) if len(text) <= PATTERN_CHARS_MAX else None
    if match is None:
        return Bad("bad_pattern", f"{text!r} is not a symbol", 'write prefix, dot, code: "HK.00700", "US.*"')
    prefix = match[1] or "*"
    if not set(prefix) & set("*?") and prefix.upper() not in prefixes:
        return Bad("unknown_market", f"{prefix!r} is not a symbol's prefix", f"known: {', '.join(sorted(prefixes))}")
    return None


def check_listed_symbol(text: str, prefixes: frozenset[str]) -> Bad | None:
    """The same, and a Hong Kong code has all its digits: orders have, so a block of another would block nothing."""
    prefix, _, code = text.upper().rpartition(".")
    whole = markets.whole_code(prefix, code)
    if whole != code:
        return Bad("bad_pattern", f"{text!r} is no symbol: HK codes have five digits", f"write HK.{whole}")
    return check_symbol_pattern(text, prefixes)


def blocking(texts: Sequence[str]) -> tuple[str, ...]:
    """A list of what is blocked with the shares of those counters in other currencies that it names one by one."""
    return tuple(dict.fromkeys((*texts, *(share for text in texts if (share := _share_of(text)) is not None))))


def _share_of(text: str) -> str | None:
    """What "HK.09110" is a counter of: "HK.03110"; None for a symbol that is none, or a pattern."""
    prefix, _, code = text.upper().partition(".")
    local = None if set(text) & set("*?") else markets.local_code(prefix, code)
    return None if local is None else f"{prefix}.{local}"
