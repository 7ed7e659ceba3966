"""`guard serve`: the guard in the foreground until it is told to stop."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import typer
import uvloop

from guard.activation import inherited
from guard.cli import flags
from guard.errors import GuardFault, SettingsFault, StateFault
from guard.lifecycle import Guard
from guard.logs import configure
from guard.settings import Overrides, Settings
from guard.standing import load_keys
from guard.tracing import tracing_of
from guard.upstream.origin import parse_origin, tls_context

COLLECTED_EVERY = 20_000  # objects made beyond those let go, before the youngest are looked through
EXIT_SETTINGS = 2
EXIT_STATE = 3
KEYLESS = (
    "daemon.key_file: trading is enabled without a daemon key, and a daemon refuses every trade without one: put the "
    "daemon's key for the guard into a file and name it, or set GUARD_DAEMON_KEY; or start with --disable-trading"
)


def serve(
    config: flags.Config = None,
    listen: flags.Listen = None,
    ops: flags.Ops = None,
    daemon: flags.DaemonUrl = None,
    keys: flags.Keys = None,
    policies: flags.Policies = None,
    state: flags.State = None,
    enable_trading: flags.Trading = None,
    allowed_markets: flags.Markets = None,
    allowed_symbols: flags.Symbols = None,
    allowed_trd_sides: flags.Sides = None,
    max_order_value: flags.OrderValue = None,
    max_daily_value: flags.DailyValue = None,
    max_orders_per_minute: flags.OrdersPerMinute = None,
    hours_window: flags.Hours = None,
) -> None:
    """Run the guard in the foreground, until SIGTERM or Ctrl-C; SIGHUP reads policies and keys again.

    Every flag but --config may also be a variable: --listen as GUARD_LISTEN,
    and so on. Flags beat variables, and both beat the settings file.

    Exits 0 after a clean stop, 2 if settings or keys are wrong (all errors
    at once), 3 if the state directory allows no start (in use, unsafe mode,
    broken record), 64 for wrong usage.
    """
    configure()
    errors: list[str] = []
    limits = flags.limits(
        errors,
        markets=allowed_markets,
        symbols=allowed_symbols,
        sides=allowed_trd_sides,
        order_value=max_order_value,
        daily_value=max_daily_value,
        orders_per_minute=max_orders_per_minute,
        hours=hours_window,
    )
    over = Overrides(listen, ops, daemon, keys, policies, state, enable_trading, limits)
    try:
        sockets = inherited(os.environ, pid=os.getpid())
        settings = ready(config, over, errors)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(until_stopped(settings, sockets))
    except GuardFault as fault:
        raise typer.Exit(tell(fault)) from None


def ready(config: Path | None, over: Overrides, errors: list[str], *, asks_daemon: bool = True) -> Settings:
    """Settings whose files can be used too. Raises SettingsFault with these errors and all others, at once."""
    reading = flags.read(config, over)
    settings, found = reading.settings, [*errors, *reading.errors]
    if reading.is_parsed:
        found += unusable(settings, told=found, asks_daemon=asks_daemon)
    if found:
        raise SettingsFault(found)
    return settings


def unusable(settings: Settings, *, told: list[str], asks_daemon: bool = True) -> list[str]:
    """What is wrong with the files and addresses that the settings name, but for settings of which it is told.

    `asks_daemon`: it is for a guard that trades through the daemon, which takes a key.
    """
    ca_file = str(settings.path(settings.daemon.ca_file)) if settings.daemon.ca_file else None
    looks: tuple[Callable[[], object], ...] = (
        lambda: tls_context(parse_origin(settings.daemon.url), ca_file=ca_file),
        lambda: load_keys(settings),
    )
    settled = {error.partition(":")[0] for error in told}
    is_keyless = asks_daemon and settings.lacks_daemon_key and "GUARD_DAEMON_KEY" not in settled
    found = [KEYLESS] if is_keyless else []
    for look in looks:
        try:
            look()
        except SettingsFault as fault:
            found += fault.errors
    return [error for error in found if error.partition(":")[0] not in settled]


def tell(fault: GuardFault) -> int:
    """The fault as sentences on stderr, every error at once; the exit code that goes with it."""
    errors = fault.errors if isinstance(fault, SettingsFault) else [str(fault)]
    for error in errors:
        print(f"guard: {error}", file=sys.stderr)  # noqa: T201 - this is what the person reads
    return EXIT_STATE if isinstance(fault, StateFault) else EXIT_SETTINGS


def rest_the_collector() -> None:
    """What stands after the start is looked through no more, and the rest rarely: requests leave few cycles behind.

    A live order is made of what the collector does not follow, so even a hundred thousand of them make no pause.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_EVERY, 20, 50)


async def until_stopped(settings: Settings, sockets: Mapping[str, socket.socket]) -> None:
    """Start, serve, reload on SIGHUP, and end in order on SIGTERM or SIGINT; a second one ends the waiting."""
    guard = Guard(settings, sockets=sockets)
    guard.tracing = tracing_of(os.environ)
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    reasons: list[str] = []

    def stop(name: str) -> None:
        reasons.append(name)
        (guard.hurry if stopped.is_set() else stopped).set()

    # Before the door opens: whoever sees it open may signal at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    await guard.start()
    rest_the_collector()
    loop.add_signal_handler(signal.SIGHUP, lambda: guard.supervisor.start(guard.reload(), "reload"))
    await stopped.wait()
    await guard.stop(reasons[0])
    if guard.tracing is not None:
        await asyncio.to_thread(guard.tracing.close)
