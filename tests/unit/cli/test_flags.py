"""The flags that commands share, and the variables that stand for them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from guard.cli.flags import VARIABLES, misspelt, takes_limits
from guard.cli.main import app

NO_LIMITS: dict[str, Any] = dict.fromkeys(
    (
        "allowed_markets",
        "allowed_symbols",
        "allowed_trd_sides",
        "max_order_value",
        "max_daily_value",
        "max_orders_per_minute",
        "hours_window",
    )
)


def _noting(given: dict[str, Any]) -> Callable[..., None]:
    def command(*, enable_trading: bool | None, limits: Any, errors: list[str]) -> None:
        given.update(enable_trading=enable_trading, limits=limits, errors=errors)

    return command


def _variables(command: Any) -> Iterator[str]:
    for param in command.params:
        yield from [param.envvar] if param.envvar else []
    for each in getattr(command, "commands", {}).values():
        yield from _variables(each)


def test_all_variables_are_known() -> None:
    """Those of flags, the two that hold a key, and trading's: a new one that was left out would be told as misspelt."""
    others = {"GUARD_KEY", "GUARD_DAEMON_KEY", "GUARD_ENABLE_TRADING"}
    assert {*_variables(typer.main.get_command(app))} | others == VARIABLES


@pytest.mark.parametrize(
    ("text", "flag", "wanted"),
    [
        ("true", None, True),
        ("ON", None, True),
        ("0", None, False),
        ("false", True, True),
        ("1", False, False),
        ("", None, None),
    ],
)
def test_the_variable_for_trading_stands_where_no_flag_does(
    monkeypatch: pytest.MonkeyPatch, text: str, flag: bool | None, wanted: bool | None
) -> None:
    """In any case of letters; set and empty it says nothing."""
    monkeypatch.setenv("GUARD_ENABLE_TRADING", text)
    given: dict[str, Any] = {}

    takes_limits(_noting(given))(enable_trading=flag, **NO_LIMITS)

    assert (given["enable_trading"], given["errors"]) == (wanted, [])


def test_an_odd_variable_for_trading_is_a_bad_setting_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with everything else that is wrong (exit 2), not as wrong usage of a flag that nobody wrote."""
    monkeypatch.setenv("GUARD_ENABLE_TRADING", "ture")
    given: dict[str, Any] = {}

    takes_limits(_noting(given))(enable_trading=None, **NO_LIMITS | {"max_order_value": "abc"})

    assert given["enable_trading"] is None
    assert given["errors"] == [
        "--max-order-value: 'abc' is no amount; write 20000 or 99.50",
        "GUARD_ENABLE_TRADING: 'ture' is neither true nor false",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GUARD_MAX_ORDER_VALUES", "GUARD_MAX_ORDER_VALUE"),
        ("GUARD_MAX_ORDERS_PER_MIN", "GUARD_MAX_ORDERS_PER_MINUTE"),
        ("GUARD_ALLOWED_MARKET", "GUARD_ALLOWED_MARKETS"),
        ("GUARD_DISABLE_TRADING", "GUARD_ENABLE_TRADING"),
        ("GUARD_KEY_FILE", None),
        ("GUARD_POLICY", "GUARD_POLICIES"),
        ("GUARD_STATE_DIR", "GUARD_STATE"),
        ("GUARD_DAEMON_KEYS", "GUARD_DAEMON_KEY"),
        ("GUARD_SERVICE_HOST", None),
        ("GUARD_PORT", None),
        ("GUARD_PORT_22500_TCP_ADDR", None),
        ("GUARD_OPS_SERVICE_PORT", None),
        ("GUARD_IMAGE", None),
        ("XGUARD_LISTENS", None),
        *((name, None) for name in sorted(VARIABLES)),
    ],
)
def test_what_is_close_to_a_variable_is_told_with_it(name: str, meant: str | None) -> None:
    """Not its value; and not what others, as a cluster that has a service `guard`, have put there."""
    told = misspelt({name: "gk_secret", "PATH": "/bin"})
    assert told == ([] if meant is None else [f"{name}: is no variable of the guard and does nothing; {meant} is one"])
