"""The flags that commands share: settings on top of the file, and the reference's own start-up limits."""

import difflib
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from guard import settingsfile
from guard.policy.keylimits import rules_of_limits
from guard.settingsfile import Overrides, SettingsRead
from guard.terms import KeyLimits

_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_AMOUNT: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,4})?", re.ASCII)

_PREFIX: Final = "GUARD_"
_TRADING: Final = "GUARD_ENABLE_TRADING"
_ON, _OFF = ("true", "1", "yes", "on", "t", "y"), ("false", "0", "no", "off", "f", "n")
VARIABLES: Final = frozenset(
    _PREFIX + word
    for word in (
        *("LISTEN", "OPS", "DAEMON", "KEYS", "POLICIES", "STATE", "DATA", "KEY", "DAEMON_KEY", "ENABLE_TRADING"),
        *("ALLOWED_MARKETS", "ALLOWED_SYMBOLS", "ALLOWED_TRD_SIDES", "MAX_ORDER_VALUE", "MAX_DAILY_VALUE"),
        *("MAX_ORDERS_PER_MINUTE", "HOURS_WINDOW"),
    )
)
_CLOSE: Final = (
    0.7  # of a name without its prefix: others put theirs there too, as a cluster does for a service `guard`
)

_LIMITS: Final = "Limits that bind everyone (policy `flags`)"


def _flag(name: str, metavar: str, text: str, *, panel: str | None = None) -> Any:
    """A flag that also has a `GUARD_*` variable. The help of a command says so once, not at every flag."""
    variable = _PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(
        name, envvar=variable, show_envvar=False, metavar=metavar, help=text, rich_help_panel=panel, show_default=False
    )


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", readable=False, help="The settings file; default: guard.toml if it exists.", show_default=False
    ),
]
Listen = Annotated[str | None, _flag("--listen", "HOST:PORT", "Where callers come in.")]
Ops = Annotated[str | None, _flag("--ops", "HOST:PORT", "Where the operator comes in, or unix:PATH.")]
DaemonUrl = Annotated[str | None, _flag("--daemon", "URL", "The daemon.")]
Keys = Annotated[str | None, _flag("--keys", "FILE", "The callers' keys.json.")]
Policies = Annotated[str | None, _flag("--policies", "DIR", "The policy files.")]
State = Annotated[str | None, _flag("--state", "DIR", "Journal, lock and HALT.")]
Trading = Annotated[
    bool | None,
    typer.Option(
        "--enable-trading/--disable-trading",
        help="Whether new orders and changes pass at all; cancels always do.",
        show_default=False,
    ),
]
UnusedJson = Annotated[
    bool, typer.Option("--json", hidden=True, help="Taken by all commands; its log is JSON unless a person reads it.")
]
_LIMIT_FLAGS: Final = {  # by the names of `KeyLimits`
    "allowed_markets": _flag("--allowed-markets", "LIST", "HK,US", panel=_LIMITS),
    "allowed_symbols": _flag("--allowed-symbols", "LIST", "HK.00700,US.AAPL", panel=_LIMITS),
    "allowed_trd_sides": _flag("--allowed-trd-sides", "LIST", "BUY,SELL", panel=_LIMITS),
    "max_order_value": _flag("--max-order-value", "AMOUNT", "One order, in the order's currency.", panel=_LIMITS),
    "max_daily_value": _flag("--max-daily-value", "AMOUNT", "A day and key, each currency by itself.", panel=_LIMITS),
    "max_orders_per_minute": _flag(
        "--max-orders-per-minute", "COUNT", "New orders and changes of a key.", panel=_LIMITS
    ),
    "hours_window": _flag("--hours-window", "HH:MM-HH:MM", "In the zone of keys.tz.", panel=_LIMITS),
}


def takes_limits(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the flags of the start-up limits behind its own.

    It is given the limits as `limits`, and in `errors` what cannot be read of them, nor of the variable for trading.
    """
    signature = inspect.signature(command)
    own = [each for each in signature.parameters.values() if each.name not in {"limits", "errors"}]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, flag])
        for name, flag in _LIMIT_FLAGS.items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        errors = _blank(name for name in _LIMIT_FLAGS if given[name] is None)
        limits = _limits(errors, {name: given.pop(name) for name in _LIMIT_FLAGS})
        if given["enable_trading"] is None:
            given["enable_trading"] = _trading(os.environ.get(_TRADING, ""), errors)
        command(**given, limits=limits, errors=errors)

    # Where Typer looks for parameters.
    run.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    vars(run)["__signature__"] = signature.replace(parameters=[*own, *added])
    return run


def _blank(names: Iterable[str]) -> list[str]:
    """Variables of these limits that are set and empty: the command line takes them for absent, and limits nothing."""
    variables = (_PREFIX + name.upper() for name in names)
    return [
        f"{name}: is empty; write the limit, or take the variable away"
        for name in variables
        if os.environ.get(name) == ""
    ]


def _trading(text: str, errors: list[str]) -> bool | None:
    """What the variable says; None where it is not set. The command line would take an odd one for wrong usage."""
    if text and text.lower() not in (*_ON, *_OFF):
        errors.append(f"{_TRADING}: {text!r} is neither true nor false")
        return None
    return text.lower() in _ON if text else None


def _limits(errors: list[str], given: Mapping[str, str | None]) -> KeyLimits:
    return KeyLimits(
        allowed_markets=_words("--allowed-markets", given["allowed_markets"], errors),
        allowed_symbols=_words("--allowed-symbols", given["allowed_symbols"], errors),
        allowed_trd_sides=_words("--allowed-trd-sides", given["allowed_trd_sides"], errors),
        max_order_value=_amount("--max-order-value", given["max_order_value"], errors),
        max_daily_value=_amount("--max-daily-value", given["max_daily_value"], errors),
        max_orders_per_minute=_count("--max-orders-per-minute", given["max_orders_per_minute"], errors),
        hours_window=given["hours_window"],
    )


def _words(flag: str, text: str | None, errors: list[str]) -> tuple[str, ...] | None:
    """A comma-separated list; None where the flag was not given. An empty one is ambiguous and refused."""
    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        errors.append(f"{flag}: an empty list is ambiguous: leave the flag out for everything")
        return None
    return found


def _amount(flag: str, text: str | None, errors: list[str]) -> Decimal | None:
    """Money as an exact decimal."""
    if text is None:
        return None
    if not _AMOUNT.fullmatch(text):
        errors.append(f"{flag}: {text!r} is no amount; write 20000 or 99.50")
        return None
    return Decimal(text)


def _count(flag: str, text: str | None, errors: list[str]) -> int | None:
    """A whole number."""
    if text is None:
        return None
    if not _COUNT.fullmatch(text):
        errors.append(f"{flag}: {text!r} is no count; write 0 to 100000")
        return None
    return int(text)


def misspelt(names: Iterable[str]) -> list[str]:
    """Variables that are none of the guard's and nearly one: whoever set a limit so is bound by none."""
    words = {name.removeprefix(_PREFIX): name for name in sorted(VARIABLES)}
    told = []
    for name in sorted(set(names) - VARIABLES):
        meant = difflib.get_close_matches(name.removeprefix(_PREFIX), words, n=1, cutoff=_CLOSE)
        if meant and name.startswith(_PREFIX):
            told.append(f"{name}: is no variable of the guard and does nothing; {words[meant[0]]} is one")
    return told


def read(config: Path | None, over: Overrides) -> SettingsRead:
    """The settings of this command with everything that is wrong, the limits of the flags included."""
    reading = settingsfile.read(config, over, os.environ)
    if over.limits != KeyLimits():
        wrong = rules_of_limits(over.limits, policy="flags", tz="UTC").errors
        reading.errors += [f"--{field.replace('_', '-')}: {bad.message} ({bad.hint})" for field, bad in wrong]
    return reading
