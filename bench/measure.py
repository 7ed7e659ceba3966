"""A run: rounds of windows, then the memory of a guard by itself; every record checked, every order counted.

Each round has fresh contestants, so that the orders that are live from earlier rounds weigh on nobody. The order of
contestants turns with every round: a neighbour's noise falls on all of them alike, and figures of one round may be
divided by each other.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import checks
import contestants
import fanout
import interpreter
import machine
import msgspec
import paused
import peers
from contestants import Caller, Server
from fanout import Frames
from field import HISTORIANS, Field, Patience, Plan, Window, percentile
from forwarders import FORWARDERS, forwarding
from memory import Memory, remember
from paused import Level
from scale import Scale, measure

PEERS: Final = ("nginx", "nginx-lua", "envoy", *FORWARDERS)
SYNCS: Final = 200
Say = Callable[[str], None]


class Results(msgspec.Struct):
    """Everything that a run found out. `memory_began`: when memory was measured, if before.

    `summary`: the same as the tables have it, see `summary.py`.
    """

    plan: Plan
    machine: dict[str, str]
    began: str
    load_average: list[float]
    stolen_percent: float
    repeated: int
    sync_us: list[float]
    windows: list[Window]
    memory: Memory
    verified: list[str]
    recorded: dict[str, dict[str, int]]
    skipped: dict[str, str] = {}
    scale: Scale | None = None
    frames: list[Frames] = []
    memory_began: str = ""
    pauses: list[Level] = []
    summary: dict[str, Any] = {}


def sync_us(folder: Path) -> list[float]:
    """What one kilobyte and one sync cost on this disk: median and 99th percentile, in microseconds."""
    path, taken = folder / "sync", []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            began_ns = time.perf_counter_ns()
            os.write(descriptor, b"x" * 1023 + b"\n")
            os.fsync(descriptor)
            taken.append((time.perf_counter_ns() - began_ns) // 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    taken.sort()
    return [percentile(taken, 0.5), percentile(taken, 0.99)]


class Run:
    """A run under way in `folder`."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self.plan, self.folder, self.say = plan, folder, say
        self.patience = Patience(plan.patience_s)
        self.windows: list[Window] = []
        self.verified: list[str] = []
        self.recorded: dict[str, dict[str, int]] = {}
        self.orders = 0
        self.skipped = {name: why for name in PEERS if (why := peers.absent(name)) is not None}
        for name, why in self.skipped.items():
            say(f"{name} is skipped: {why}")

    def race(self, turn: int, daemon: Server, caller: Caller) -> None:
        """One round."""
        self.say(f"round {turn + 1} of {self.plan.rounds}")
        folder = self.folder / f"round-{turn}"
        folder.mkdir()
        with ExitStack() as alive:
            servers = [daemon, *(alive.enter_context(each) for each in self._contestants(folder, daemon))]
            field = Field(caller, servers, self.plan)
            checks.answers(field.servers)
            checks.histories([server for server in servers if server.name in HISTORIANS])
            self.windows += field.round(turn, self.patience)
        for server in servers:
            if server.name.startswith("guard"):
                self._check(server.name, field, folder / server.name / "state")
            elif server.name not in checks.WITHOUT_POLICY:
                sent = field.sent[server.name] | ({"refused": 0} if server.name in checks.WITHOUT_RULES else {})
                self._add(server.name, checks.audit_holds(folder / server.name / "audit.jsonl", sent=sent))
        self._counted(field)

    def _contestants(self, folder: Path, daemon: Server) -> Iterator[AbstractContextManager[Server]]:
        """Everyone who can take part, each in a folder of its own name."""
        if "nginx" not in self.skipped:
            yield peers.nginx(folder / "nginx", daemon)
        if "envoy" not in self.skipped:
            yield peers.envoy_plain(folder / "envoy", daemon)
        for name in FORWARDERS:
            if name not in self.skipped:
                yield forwarding(name, folder / name, daemon)
        for name in ("bare", *checks.WITHOUT_RULES):
            yield contestants.floor(folder / name, daemon, name=name)
        for synced in (True, False):
            end = "" if synced else "-unsynced"
            if "nginx-lua" not in self.skipped:
                name = f"nginx-lua{end}"
                yield peers.nginx_lua(folder / name, daemon, synced=synced, name=name)
            if "nginx-lua" not in self.skipped and synced:
                name = "nginx-lua-together"
                yield peers.nginx_lua(folder / name, daemon, synced=True, name=name, together=True)
            yield contestants.guard(folder / f"guard{end}", daemon, synced=synced, name=f"guard{end}")
            yield contestants.idiomatic(folder / f"aiohttp{end}", daemon, synced=synced, name=f"aiohttp{end}")

    def remember(self, daemon: Server, caller: Caller) -> Memory:
        """The memory of a guard by itself."""
        folder = self.folder / "memory"
        with contestants.guard(folder, daemon) as guard:
            field = Field(caller, [daemon, guard], self.plan)
            checks.answers(field.servers)
            memory = remember(field, self.plan, folder, say=self.say)
        self._check("guard", field, folder / "state")
        self._counted(field)
        return memory

    def size(self, daemon: Server, caller: Caller) -> Scale:
        """What guards of several sizes cost."""
        folder = self.folder / "scale"
        folder.mkdir()
        scale, field = measure(folder, daemon, caller, plan=self.plan, say=self.say, check=self._check_size)
        self._counted(field)
        return scale

    def _check_size(self, name: str, field: Field, state: Path, *, laid: int) -> None:
        self.verified.append(checks.verified(state))
        self._add(f"guard, {name}", checks.record_holds(state, sent=field.sent[name], laid=laid))

    def _check(self, name: str, field: Field, state: Path) -> None:
        self.verified.append(checks.verified(state))
        self._add(name, checks.record_holds(state, sent=field.sent[name]))

    def _counted(self, field: Field) -> None:
        self.orders += sum(each["order"] for each in field.sent.values())
        placed = checks.placed_at(field.servers[0])
        if self.orders != placed:
            raise machine.Unfit(f"{self.orders} orders were sent and the daemon placed {placed}")

    def _add(self, name: str, found: dict[str, int]) -> None:
        sums = self.recorded.setdefault(name, dict.fromkeys(found, 0))
        for what, count in found.items():
            sums[what] += count


def run(plan: Plan, folder: Path, say: Say, *, earlier: Results | None = None) -> Results:
    """Measure everything in `folder`, which is on a real disk. Raises `Unfit` where an answer or a record is wrong.

    `earlier`: results whose memory is kept instead of being measured again.
    """
    kind, before, load = machine.real_disk(folder), machine.usage(), list(os.getloadavg())
    began = machine.moment()
    under_way = Run(plan, folder, say)
    with contestants.daemon(folder) as daemon, contestants.calling() as caller:
        sync = sync_us(folder)
        for turn in range(plan.rounds):
            under_way.race(turn, daemon, caller)
        memory = under_way.remember(daemon, caller) if earlier is None else earlier.memory
        scale = under_way.size(daemon, caller)
    frames, verified = fanout.measure(folder / "frames", rounds=plan.rounds, say=say)
    under_way.verified.append(verified)
    pauses = paused.measure(folder / "pauses", plan.pause_levels, rounds=plan.pause_rounds, say=say)
    return Results(
        plan=plan,
        machine=machine.described(kind) | {"build": interpreter.build()} | peers.versions(),
        began=began,
        load_average=load,
        stolen_percent=machine.stolen_percent(before, machine.usage()),
        repeated=under_way.patience.repeated,
        sync_us=sync,
        windows=under_way.windows,
        memory=memory,
        verified=under_way.verified,
        recorded=under_way.recorded,
        skipped=under_way.skipped,
        scale=scale,
        frames=frames,
        pauses=pauses,
        memory_began="" if earlier is None else earlier.memory_began or earlier.began,
    )
