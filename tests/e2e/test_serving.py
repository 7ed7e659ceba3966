"""The server that `guard serve` becomes: what it is handed, and what it does not carry along."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from guard.serving.handover import Wanted, command
from guard.settingsfile import Overrides
from guard.terms import KeyLimits

_LOADED: Final = (
    "import sys, guard.serving.__main__; print(*sorted(name for name, found in sys.modules.items() if found))"
)
_LIBRARIES: Final = ("typer", "rich", "pygments", "pydantic", "jwt", "duckdb", "opentelemetry", "cryptography.x509")
_ROOMS: Final = ("guard.cli", "guard.simulator", "guard.selftest", "guard.audit")


def test_a_server_holds_no_library_of_a_command_line(tmp_path: Path) -> None:
    """Nor what only other commands, or settings that most do not have, are for: it would stay in memory for ever."""
    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-c", _LOADED], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = told.stdout.split()

    assert "guard.lifecycle" in loaded
    unwanted = [name for name in loaded for root in (*_LIBRARIES, *_ROOMS) if f"{name}.".startswith(f"{root}.")]
    assert unwanted == []


def test_the_command_line_is_handed_over_whole() -> None:
    """Flags to the digit, and no module out of the working directory."""
    limits = KeyLimits(allowed_markets=("HK",), max_order_value=Decimal("1000.10"), max_orders_per_minute=3)
    wanted = Wanted("a b.toml", Overrides(listen="127.0.0.1:0", enable_trading=False, limits=limits))
    python, *words, told = command(wanted)

    assert (python, words) == (sys.executable, ["-P", "-m", "guard.serving"])
    assert msgspec.json.decode(told, type=Wanted) == wanted
    assert msgspec.json.decode(command(Wanted())[-1], type=Wanted) == Wanted()
