"""Budget days: when a counter's period began, and when the next one begins.

A period is named by its first day and its reset, and that name is part of the counter's name, so nothing has to happen
when a day rolls over. Days of 23 and 25 hours are right: period D begins at the instant that the reset's wall clock
shows for date D (the first of two, where clocks are set back; where they are set forward over it, as much later as
they were moved: PEP 495, fold 0), and `wall` belongs to the last period that has begun.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from guard import markets
from guard.policy.notation import Reset, read_reset
from guard.terms import EPOCH, zone_of

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


def _reset(text: str) -> Reset:
    reset = read_reset(text)
    if isinstance(reset, Reset):
        return reset
    raise AssertionError(f"the table of markets holds {reset.message}")


RESET_OF: Final = {market: _reset(text) for market, text in markets.RESET_OF.items()}


# Where the market alone does not say the currency: renminbi and dollar counters, and futures by what they are on.
_BY_CODE: Final = {
    "HK": ("HKD", "CNH", "USD"),
    "HK_FUND": ("HKD", "USD"),
    "SG": ("SGD", "USD"),
    "CA": ("CAD", "USD"),
    "FUTURES_HK": ("HKD", "CNH", "USD"),
    "FUTURES_SG": ("SGD", "USD", "JPY"),
}


def currencies_of(market: str) -> tuple[str, ...]:
    """What is traded in a market, its plain currency first."""
    return _BY_CODE.get(market) or (markets.currency_of(market, ""),)


def _by_currency() -> dict[str, tuple[Reset, ...]]:
    found: dict[str, set[Reset]] = {}
    for market, reset in RESET_OF.items():
        for currency in currencies_of(market):
            found.setdefault(currency, set()).add(reset)
    return {currency: tuple(sorted(resets)) for currency, resets in found.items()}


# A budget without a reset of its own is the sum of these parts, each of which returns to zero at its own reset.
RESETS_OF_CURRENCY: Final = _by_currency()
RESETS: Final = tuple(sorted(set(RESET_OF.values())))


def begins(reset: Reset, day: date) -> datetime:
    """The instant, in UTC, at which the period of this day begins."""
    local = datetime.combine(day, time(reset.minute // 60, reset.minute % 60), tzinfo=zone_of(reset.zone))
    return local.astimezone(UTC)


def period_of(reset: Reset, wall: datetime) -> date:
    """The first day of the period that `wall` belongs to."""
    day = wall.astimezone(zone_of(reset.zone)).date() + _DAY
    while wall < begins(reset, day):
        day -= _DAY
    return day


def period_name(reset: Reset, wall: datetime) -> str:
    """The part of a counter's name that says which period it counts: "2026-11-20@08:30 Asia/Hong_Kong"."""
    return _name_in(reset, minute_of(wall))


def minute_of(wall: datetime) -> int:
    """The minute since 1970. Clocks are set to whole minutes, so a period never turns within one."""
    return (wall - EPOCH) // _MINUTE


def wall_of(minute: int) -> datetime:
    """The instant at which the minute begins."""
    return EPOCH + minute * _MINUTE


def turned_at(reset: Reset | None, wall: datetime) -> int:
    """The minute in which a period began last: of this reset, or of any market's own.

    Until the next one begins, whatever is named after periods has the same name as then.
    """
    return _turned_at(reset, minute_of(wall))


@lru_cache(maxsize=64)
def _turned_at(reset: Reset | None, minute: int) -> int:
    wall = wall_of(minute)
    return max(minute_of(begins(part, period_of(part, wall))) for part in (RESETS if reset is None else (reset,)))


@lru_cache(maxsize=64)
def between(resets: tuple[Reset, ...], minute: int) -> tuple[datetime, datetime] | None:
    """From the last to the next beginning of a period of any of these, as of that minute; None without any."""
    wall = wall_of(minute)
    if not resets:
        return None
    since = max(begins(reset, period_of(reset, wall)) for reset in resets)
    return since, min(next_reset(reset, wall) for reset in resets)


@lru_cache(maxsize=1024)
def _name_in(reset: Reset, minute: int) -> str:
    return f"{period_of(reset, wall_of(minute))}@{reset}"


def next_reset(reset: Reset, wall: datetime) -> datetime:
    """The instant, in UTC, at which the period of `wall` ends."""
    return begins(reset, period_of(reset, wall) + _DAY)
