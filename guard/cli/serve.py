"""`guard serve`: the guard in the foreground until it is told to stop."""

import asyncio
import signal
import sys

import typer
import uvloop

from guard.cli import flags
from guard.errors import GuardFault, SettingsFault, StateFault
from guard.lifecycle import Guard
from guard.logs import configure
from guard.settings import Overrides, Settings
from guard.terms import KeyLimits

EXIT_SETTINGS = 2
EXIT_STATE = 3


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
    """Run the guard in the foreground. Exit 2: settings or keys are wrong; 3: the state directory allows no start."""
    configure()
    try:
        limits = KeyLimits(
            allowed_markets=flags.words(allowed_markets),
            allowed_symbols=flags.words(allowed_symbols),
            allowed_trd_sides=flags.words(allowed_trd_sides),
            max_order_value=flags.amount(max_order_value, "--max-order-value"),
            max_daily_value=flags.amount(max_daily_value, "--max-daily-value"),
            max_orders_per_minute=max_orders_per_minute,
            hours_window=hours_window,
        )
        over = Overrides(listen, ops, daemon, keys, policies, state, enable_trading, limits)
        settings = flags.settings(config, over)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(until_stopped(settings))
    except GuardFault as fault:
        raise typer.Exit(tell(fault)) from None


def tell(fault: GuardFault) -> int:
    """The fault as sentences on stderr, every error at once; the exit code that goes with it."""
    errors = fault.errors if isinstance(fault, SettingsFault) else [str(fault)]
    for error in errors:
        print(f"guard: {error}", file=sys.stderr)  # noqa: T201 - this is what the person reads
    return EXIT_STATE if isinstance(fault, StateFault) else EXIT_SETTINGS


async def until_stopped(settings: Settings) -> None:
    """Start, serve, reload on SIGHUP, and end in order on SIGTERM or SIGINT."""
    guard = Guard(settings)
    await guard.start()
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    reasons: list[str] = []

    def stop(name: str) -> None:
        reasons.append(name)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, lambda: guard.supervisor.start(guard.reload(), "reload"))
    await stopped.wait()
    await guard.stop(reasons[0])
