"""What a frame that is delivered to a socket costs the guard, a relay and a hub of aiohttp, and the sends alone.

Daemon, relay, hub and callers are those of `stream.py`, which also measures a thousand sockets. All contestants are
alive at once; in every round each of them has its callers in turn, so a ratio is of one round. Every frame is compared
with what the daemon sent; the guard has to refuse a wrong key, and its record must hold each socket that it opened.
"""

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import asks
import checks
import machine
import msgspec
import stream
from contestants import STOP_S, free_port

SOCKETS: Final = (1, 100)


class Frames(msgspec.Struct):
    """One contestant at one number of sockets in one round; `burst` is what the daemon sends at once.

    `loop_ms`: as that of a `field.Window`.
    """

    name: str
    turn: int
    sockets: int
    burst: int
    cpu_us: float
    frames_per_s: float
    loop_ms: float = 0.0


class Run:
    """The contestants, alive; `alive` ends them."""

    def __init__(self, folder: Path, alive: ExitStack) -> None:
        self.state, self.upstream = folder / "guard" / "state", free_port()
        alive.enter_context(stream.process(*stream.me("daemon", self.upstream), core=stream.OTHER_CORE))
        stream.wait_for(self.upstream)
        self.ports = {name: free_port() for name in stream.CONTESTANTS}
        config = stream.lay_out(folder / "guard", data=self.ports["guard"], upstream=self.upstream)
        self.processes: dict[str, subprocess.Popen[str]] = {}
        for name, command in stream.commands(config, self.ports, self.upstream).items():
            log = alive.enter_context((folder / f"{name}.log").open("w"))
            process = stream.process(*command, core=stream.CONTESTANT_CORE, stdout=log, stderr=log)
            self.processes[name] = alive.enter_context(process)
            stream.wait_for(self.ports[name])

    def round(self, turn: int) -> list[Frames]:
        """Every contestant at every number of sockets."""
        found = []
        for name in self.ports if turn % 2 == 0 else reversed(self.ports):
            for sockets in SOCKETS:
                found += self._windows(name, sockets, turn)
        return found

    def _windows(self, name: str, sockets: int, turn: int) -> list[Frames]:
        loop_ms = machine.calibration_ms(stream.CONTESTANT_CORE)
        at = stream.measured(
            self.ports[name],
            self.upstream,
            pid=self.processes[name].pid,
            sockets=sockets,
            deliveries=stream.DELIVERIES,
            rounds=1,
        )
        figures = {burst: at[f"burst_{burst}"] for burst in stream.BURSTS}
        return [
            Frames(name, turn, sockets, burst, each["cpu_us"], each["frames_per_s"], loop_ms)
            for burst, each in figures.items()
        ]

    def stop(self) -> None:
        """The guard ends as an operator ends it, and its record is whole."""
        guard = self.processes["guard"]
        guard.terminate()
        guard.wait(STOP_S)


def measure(folder: Path, *, rounds: int, say: Callable[[str], None]) -> tuple[list[Frames], str]:
    """Every contestant at every number of sockets, in every round; and what is said of the guard's record."""
    folder.mkdir()
    found: list[Frames] = []
    with ExitStack() as alive:
        run = Run(folder, alive)
        a_stranger_is_refused(run.ports["guard"])
        for turn in range(rounds):
            say(f"frames: round {turn + 1} of {rounds}")
            found += run.round(turn)
        run.stop()
    checks.sockets_recorded(run.state, opened=rounds * sum(SOCKETS))
    return found, checks.verified(run.state)


def a_stranger_is_refused(port: int) -> None:
    """A socket with a wrong key is answered 401. Raises `Unfit` otherwise."""
    head = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    head |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": f"Bearer {asks.STRANGER}"}
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/ws", headers=head)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 401:
        raise machine.Unfit(f"a socket with a wrong key must be answered 401, and was: {status}")


def ratios(
    frames: list[Frames], *, sockets: int, burst: int, against: str = "aiohttp", mine: str = "guard"
) -> list[float]:
    """The guard against the relay, the hub, or the sends alone, within a round; or another of them as `mine`."""
    at = [each for each in frames if (each.sockets, each.burst) == (sockets, burst)]
    theirs = {each.turn: each.cpu_us for each in at if each.name == against}
    return [each.cpu_us / theirs[each.turn] for each in at if each.name == mine and theirs.get(each.turn)]
