"""Serves in the foreground until stopped: the event loop, signals, and the exit codes of faults."""

import asyncio
import os
import signal
from pathlib import Path

import uvloop

from guard.errors import GuardFault
from guard.lifecycle import Guard
from guard.logs import configure
from guard.loop import heap
from guard.loop.resting import come_to_rest
from guard.serving.activation import inherited
from guard.serving.handover import KEPT_BACK, ServeRequest, tell
from guard.settingsfile import load
from guard.tracing import tracing_of


def serve(wanted: ServeRequest) -> int:
    """Runs a guard to its end; returns the exit code. Faults go to stderr."""
    configure()
    heap.gather()  # before the record is read, and long before anybody asks
    try:
        sockets = inherited(os.environ, pid=os.getpid())
        settings = load(None if wanted.config is None else Path(wanted.config), wanted.over, os.environ)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(until_stopped(Guard(settings, sockets=sockets)))
    except GuardFault as fault:
        return tell(fault)
    return 0


async def until_stopped(guard: Guard) -> None:
    """Starts, serves, reloads on SIGHUP, and stops in order on SIGTERM or SIGINT; a second signal ends the waiting."""
    guard.tracing = tracing_of(os.environ)
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    reasons: list[str] = []

    def stop(name: str) -> None:
        reasons.append(name)
        (guard.hurry if stopped.is_set() else stopped).set()

    # Before the door opens: whoever sees it open may signal at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, lambda: guard.supervisor.start(guard.reload(), "reload"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, KEPT_BACK)
    await guard.start()
    come_to_rest()
    await stopped.wait()
    await guard.stop(reasons[0])
    if guard.tracing is not None:
        await asyncio.to_thread(guard.tracing.close)
