"""The flags that commands share: settings on top of the file, and the reference's own start-up limits."""

import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from guard.errors import SettingsFault
from guard.settings import Overrides, Settings, load

_PANEL = "Limits that bind everyone (policy `flags`)"

Config = Annotated[Path | None, typer.Option(help="Settings file; guard.toml where it exists.", show_default=False)]
Listen = Annotated[str | None, typer.Option(envvar="GUARD_LISTEN", help="Data listener, host:port.")]
Ops = Annotated[str | None, typer.Option(envvar="GUARD_OPS", help="Ops listener, host:port or unix:PATH.")]
DaemonUrl = Annotated[str | None, typer.Option(envvar="GUARD_DAEMON", help="The daemon's URL.")]
Keys = Annotated[str | None, typer.Option(envvar="GUARD_KEYS", help="keys.json.")]
Policies = Annotated[str | None, typer.Option(envvar="GUARD_POLICIES", help="Policy directory.")]
State = Annotated[str | None, typer.Option(envvar="GUARD_STATE", help="State directory: journal, lock, HALT.")]
Trading = Annotated[
    bool | None,
    typer.Option("--enable-trading/--disable-trading", envvar="GUARD_ENABLE_TRADING", help="Let orders through."),
]
Markets = Annotated[str | None, typer.Option(envvar="GUARD_ALLOWED_MARKETS", help="HK,US,…", rich_help_panel=_PANEL)]
Symbols = Annotated[str | None, typer.Option(envvar="GUARD_ALLOWED_SYMBOLS", help="HK.00700,…", rich_help_panel=_PANEL)]
Sides = Annotated[str | None, typer.Option(envvar="GUARD_ALLOWED_TRD_SIDES", help="BUY,SELL", rich_help_panel=_PANEL)]
OrderValue = Annotated[
    str | None,
    typer.Option(envvar="GUARD_MAX_ORDER_VALUE", help="One order, in its own currency.", rich_help_panel=_PANEL),
]
DailyValue = Annotated[
    str | None, typer.Option(envvar="GUARD_MAX_DAILY_VALUE", help="A day, each currency.", rich_help_panel=_PANEL)
]
OrdersPerMinute = Annotated[
    int | None,
    typer.Option(envvar="GUARD_MAX_ORDERS_PER_MINUTE", min=0, help="New orders and changes.", rich_help_panel=_PANEL),
]
Hours = Annotated[
    str | None, typer.Option(envvar="GUARD_HOURS_WINDOW", help="HH:MM-HH:MM in keys.tz.", rich_help_panel=_PANEL)
]


def words(text: str | None) -> tuple[str, ...] | None:
    """A comma-separated list; None where the flag was not given. An empty one is ambiguous and refused."""
    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise SettingsFault(["an empty list is ambiguous: leave the flag out for everything"])
    return found


def amount(text: str | None, flag: str) -> Decimal | None:
    """Money as an exact decimal."""
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise SettingsFault([f"{flag}: {text!r} is no amount"])
    return value


def settings(config: Path | None, over: Overrides) -> Settings:
    """The settings of this command."""
    return load(config, over, os.environ)
