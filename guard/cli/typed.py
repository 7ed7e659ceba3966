"""What people type behind a flag, as values; what is none is wrong usage that says what to write. Pure."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import jiter
import typer

from guard.access.fields import WrongField, read_time

_SPAN: Final = re.compile(r"([0-9]{1,5})([dhm])", re.ASCII)
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def words(text: str | None) -> list[str] | None:
    """Between commas. An empty text is an empty list, which the file's own check refuses as ambiguous."""
    return None if text is None else [word.strip() for word in text.split(",")] if text.strip() else []


def numbers(flag: str, text: str | None) -> list[int] | None:
    """Whole numbers between commas."""
    found = words(text)
    if found is not None and not all(word.isascii() and word.isdigit() for word in found):
        raise typer.BadParameter(f"{flag}: write numbers, separated by commas")
    return None if found is None else [int(word) for word in found]


def number(flag: str, text: str | None) -> int | Decimal | None:
    """As JSON writes it, exact."""
    if text is None:
        return None
    try:
        found = jiter.from_json(text.encode(), float_mode="decimal", allow_inf_nan=False)
    except ValueError:
        found = None
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise typer.BadParameter(f"{flag}: {text!r} is not a plain number")
    return found


def span(flag: str, text: str) -> timedelta:
    """How long: 24h, 30m, 2d."""
    found = _span(text)
    if found is None:
        raise typer.BadParameter(f"{flag}: write 24h, 30m or 2d")
    return found


def end(flag: str, text: str, *, now: datetime) -> datetime:
    """A time to come, as itself or by how long it is away."""
    try:
        away = _span(text)
        found = read_time(text) if away is None else now + away
    except (WrongField, OverflowError):
        raise typer.BadParameter(
            f"{flag}: {text!r} is no duration like 30d and no time like 2026-12-01T17:00:00Z"
        ) from None
    if found <= now:
        raise typer.BadParameter(f"{flag}: {text!r} is not in the future")
    return found


def _span(text: str) -> timedelta | None:
    match = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
