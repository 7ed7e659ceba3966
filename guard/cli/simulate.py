"""`guard simulate`: the simulated daemon alone, in the foreground, until it is stopped.

Without a keys file it is a daemon in legacy mode: reads are open, writes and administration are 401. Prices move once a
second, and all is gone when it ends.
"""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from aiohttp import web

from guard.cli.sources import AsJson, StateOption, UnusedConfig
from guard.errors import SettingsFault
from guard.simulator import Simulator
from guard.simulator.app import STOP_S, application
from guard.simulator.keys import Key, parse_keys
from guard.wholefile import read_given, why

PORT_MAX: Final = 65_535


class Sessions(StrEnum):
    """When the simulated exchanges trade."""

    OPEN = "open"
    REAL = "real"


class Profile(StrEnum):
    """Which scopes the simulated daemon asks."""

    DOCUMENTED = "documented"
    RUNTIME = "runtime"


def address(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, IPv6 in brackets; wrong ones are wrong usage."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        raise typer.BadParameter(f"{listen!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def load_keys(path: Path | None) -> tuple[Key, ...] | None:
    """The daemon's keys; None without a file."""
    if path is None:
        return None
    try:
        return parse_keys(read_given(path))
    except (OSError, ValueError) as error:
        raise SettingsFault([f"{path}: {why(error)}"]) from None


def simulate(
    *,
    listen: Annotated[str, typer.Option(help="Where to listen, HOST:PORT.")] = "127.0.0.1:22499",
    keys: Annotated[
        Path | None, typer.Option(readable=False, help="The daemon's keys.json; without it: legacy mode.")
    ] = None,
    sessions: Annotated[
        Sessions, typer.Option(help="Exchanges are always open, or keep their real hours.")
    ] = Sessions.OPEN,
    profile: Annotated[
        Profile, typer.Option(help="The scopes that are documented, or those that the real daemon checks.")
    ] = Profile.RUNTIME,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 1,
    as_json: AsJson = False,
    config: UnusedConfig = None,
    state: StateOption = None,
) -> None:
    """Run a simulated daemon: all 68 endpoints, moving prices, paper matching, pushes."""
    del config, state
    host, port = address(listen)
    records = load_keys(keys)
    simulator = Simulator(
        seed=seed,
        keys=records,
        profile=profile.value,
        legacy=records is None,
        sessions=sessions.value,
    )
    simulator.world.book.ids_given = time.time_ns() // 10**6  # a guard remembers the ids of the run before this one
    mode = "legacy mode: writes need a keys file" if records is None else f"keys: {len(records)}"
    ready = f"simulated daemon on http://{listen} ({mode}, sessions {sessions.value})"
    if as_json:
        told = {
            "url": f"http://{listen}",
            "keys": None if records is None else len(records),
            "sessions": sessions.value,
        }
        ready = json.dumps(told)
    app, loop = application(simulator), uvloop.new_event_loop()
    try:
        web.run_app(app, host=host, port=port, print=lambda _: typer.echo(ready), loop=loop, shutdown_timeout=STOP_S)
    except OSError as error:
        raise SettingsFault([f"cannot listen on {listen}: {error.strerror}"]) from None
