"""The flags that commands share, and the variables that stand for them."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from guard.cli.flags import VARIABLES, misspelt
from guard.cli.main import app


def _variables(command: Any) -> Iterator[str]:
    for param in command.params:
        yield from [param.envvar] if param.envvar else []
    for each in getattr(command, "commands", {}).values():
        yield from _variables(each)


def test_all_variables_are_known() -> None:
    """Those of flags, and the two that hold a key: a new one that was left out would be told as misspelt."""
    assert {*_variables(typer.main.get_command(app)), "GUARD_KEY", "GUARD_DAEMON_KEY"} == VARIABLES


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
