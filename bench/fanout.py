"""What a frame that is delivered to a socket costs the guard, a plain relay of aiohttp, and the sends alone.

Daemon, relay and callers are those of `stream.py`, which also measures a thousand sockets. All contestants are alive
at once; in every round each of them has its callers in turn, so a ratio is of one round.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import stream
from contestants import free_port

SOCKETS: Final = (1, 100)


class Frames(msgspec.Struct):
    """One contestant at one number of sockets in one round; `burst` is what the daemon sends at once."""

    name: str
    turn: int
    sockets: int
    burst: int
    cpu_us: float
    frames_per_s: float


def measure(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Frames]:
    """Every contestant at every number of sockets, in every round."""
    upstream, found = free_port(), []
    folder.mkdir()
    with ExitStack() as alive:
        alive.enter_context(stream.process(*stream.me("daemon", upstream), core=stream.OTHER_CORE))
        stream.wait_for(upstream)
        places = {name: free_port() for name in stream.CONTESTANTS}
        config = stream.lay_out(folder / "guard", data=places["guard"], upstream=upstream)
        commands = stream.commands(config, places, upstream)
        pids = {}
        for name, command in commands.items():
            log = alive.enter_context((folder / f"{name}.log").open("w"))
            process = stream.process(*command, core=stream.CONTESTANT_CORE, stdout=log, stderr=log)
            pids[name] = alive.enter_context(process).pid
            stream.wait_for(places[name])
        for turn in range(rounds):
            say(f"frames: round {turn + 1} of {rounds}")
            for name in commands if turn % 2 == 0 else reversed(commands):
                for sockets in SOCKETS:
                    found += _round(name, places[name], upstream, pid=pids[name], sockets=sockets, turn=turn)
    return found


def _round(name: str, port: int, upstream: int, *, pid: int, sockets: int, turn: int) -> list[Frames]:
    at = stream.measured(port, upstream, pid=pid, sockets=sockets, deliveries=stream.DELIVERIES, rounds=1)
    figures = {burst: at[f"burst_{burst}"] for burst in stream.BURSTS}
    return [Frames(name, turn, sockets, burst, each["cpu_us"], each["frames_per_s"]) for burst, each in figures.items()]


def ratios(
    frames: list[Frames], *, sockets: int, burst: int, against: str = "aiohttp", mine: str = "guard"
) -> list[float]:
    """The guard against the relay, or the sends alone, within a round; or another of them as `mine`."""
    at = [each for each in frames if (each.sockets, each.burst) == (sockets, burst)]
    theirs = {each.turn: each.cpu_us for each in at if each.name == against}
    return [each.cpu_us / theirs[each.turn] for each in at if each.name == mine and theirs.get(each.turn)]
