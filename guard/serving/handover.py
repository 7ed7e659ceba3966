"""What the command line hands to the server that it turns into, and how both report a fault."""

import signal
import sys
from typing import Final

import msgspec
from msgspec import Struct

from guard.errors import GuardFault, SettingsFault, StateFault
from guard.settingsfile import Overrides

EXIT_SETTINGS: Final = 2
EXIT_STATE: Final = 3
# Kept back from before the command becomes the server until the server listens to them: none is lost, none kills.
KEPT_BACK: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class ServeRequest(Struct, frozen=True, omit_defaults=True):
    """What the command line said: the settings file, and what flags and environment variables override."""

    config: str | None = None
    over: Overrides = Overrides()


def command(wanted: ServeRequest) -> list[str]:
    """The command that runs the server in the same interpreter; no module in the working directory can shadow it."""
    return [sys.executable, "-P", "-m", "guard.serving", msgspec.json.encode(wanted).decode()]


def sentences(fault: GuardFault) -> list[str]:
    """The fault's errors, a sentence each."""
    return fault.errors if isinstance(fault, SettingsFault) else [str(fault)]


def tell(fault: GuardFault) -> int:
    """Prints every error of the fault to stderr; returns its exit code."""
    for error in sentences(fault):
        print(f"guard: {error}", file=sys.stderr)  # noqa: T201 - this is what the person reads
    return EXIT_STATE if isinstance(fault, StateFault) else EXIT_SETTINGS
