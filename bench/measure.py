"""The rounds: every scenario, every contestant, one window each; the order of contestants turns with every round.

A neighbour's noise then falls on all of them alike, and figures of one round may be divided by each other. A window
has a warm-up that is not counted. Where other programs took too much of the machine meanwhile, the windows of that
scenario and round are thrown away, all of them, and measured again while patience lasts.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import checks
import contestants
import machine
import msgspec
from contestants import Caller, Server
from load import Job, Result
from memory import Memory, remember

CLOSED: Final = tuple((name, connections) for name in ("quote", "order", "refused") for connections in (1, 64))
OPEN: Final = ("quote", "order")
OPEN_RATE: Final = 200.0
OPEN_CONNECTIONS: Final = 16
FOREIGN_PERCENT_MAX: Final = 15.0
PAUSE_S: Final = 3.0
SYNCS: Final = 200
Say = Callable[[str], None]


class Plan(msgspec.Struct):
    """How much is measured. Times in seconds; `patience_s` is for waiting and measuring again, over the whole run.

    Memory is read after `memory` requests, begun at `memory_rate` a second (0: as answered), and after `orders`.
    """

    rounds: int = 5
    warm_s: float = 0.3
    closed_s: float = 0.8
    open_s: float = 2.5
    patience_s: float = 120.0
    memory: int = 100_000
    memory_rate: float = 800.0
    orders: int = 25_000


QUICK: Final = Plan(2, 0.2, 0.5, 1.5, patience_s=0.0, memory=10_000, memory_rate=0.0, orders=5_000)


class Window(msgspec.Struct):
    """One contestant in one scenario of one round. CPU is the contestant's own, a request, in microseconds."""

    ask: str
    connections: int
    rate: float
    turn: int
    name: str
    answers: int
    rps: float
    cpu_us: float
    daemon_cpu_us: float
    p50_us: float
    p99_us: float
    foreign_percent: float = 0.0


class Results(msgspec.Struct):
    """Everything that a run found out."""

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


def percentile(ascending: list[int], share: float) -> float:
    """The nearest-rank percentile; not a number where there is nothing."""
    return float(ascending[max(0, math.ceil(share * len(ascending)) - 1)]) if ascending else math.nan


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


class Field:
    """The processes at hand, and what each was sent so far."""

    def __init__(self, caller: Caller, servers: list[Server], plan: Plan) -> None:
        self.caller, self.servers, self.plan = caller, servers, plan
        self.patience_s, self.repeated = plan.patience_s, 0
        self.sent = {server.name: {"quote": 0, "order": 0, "refused": 0} for server in servers}
        for server in servers:
            self.sent[server.name]["order"] += checks.PLACED
            self.sent[server.name]["refused"] += 0 if server.name == "direct" else checks.REFUSED

    def perform(self, server: Server, job: Job) -> Result:
        """One job against one contestant."""
        job.port, job.pids = server.port, [server.pid, self.servers[0].pid]
        result = self.caller.perform(job)
        for name, count in result.sent.items():
            self.sent[server.name][name] += count
        return result

    def window(self, server: Server, job: Job, turn: int) -> Window:
        """One window."""
        result = self.perform(server, job)
        answers, latencies = max(1, result.answers), sorted(result.latencies_us)
        return Window(
            ask=job.asks[0],
            connections=job.connections,
            rate=job.rate,
            turn=turn,
            name=server.name,
            answers=result.answers,
            rps=result.answers / result.seconds,
            cpu_us=result.cpu_us[server.pid] / answers,
            daemon_cpu_us=result.cpu_us[self.servers[0].pid] / answers,
            p50_us=percentile(latencies, 0.5),
            p99_us=percentile(latencies, 0.99),
        )

    def jobs(self) -> list[Job]:
        """The scenarios of a round."""
        plan = self.plan
        closed = [
            Job(port=0, asks=[name], connections=connections, warm_s=plan.warm_s, measure_s=plan.closed_s)
            for name, connections in CLOSED
        ]
        paced = [
            Job(0, [name], OPEN_CONNECTIONS, rate=OPEN_RATE, warm_s=plan.warm_s, measure_s=plan.open_s) for name in OPEN
        ]
        return closed + paced

    def rounds(self, say: Say) -> list[Window]:
        """All windows of all rounds."""
        found = []
        for turn in range(self.plan.rounds):
            say(f"round {turn + 1} of {self.plan.rounds}")
            order = self.servers if turn % 2 == 0 else self.servers[::-1]
            for job in self.jobs():
                present = [server for server in order if job.asks != ["refused"] or server.name != "direct"]
                found += self.group(present, job, turn)
        return found

    def group(self, present: list[Server], job: Job, turn: int) -> list[Window]:
        """The windows of one scenario in one round, again and again until the machine is ours or patience ends."""
        while True:
            began_s, before, own_us = time.monotonic(), machine.usage(), self._own_us()
            windows = [self.window(server, job, turn) for server in present]
            foreign = machine.foreign_percent(before, machine.usage(), own_us=self._own_us() - own_us)
            if foreign <= FOREIGN_PERCENT_MAX or self.patience_s <= 0:
                return [msgspec.structs.replace(window, foreign_percent=foreign) for window in windows]
            self.repeated += 1
            time.sleep(PAUSE_S)
            self.patience_s -= time.monotonic() - began_s

    def _own_us(self) -> float:
        pids = [*(server.pid for server in self.servers), self.caller.process.pid, os.getpid()]
        return sum(machine.cpu_us(pid) for pid in pids)


def run(plan: Plan, folder: Path, say: Say) -> Results:
    """Measure everything in `folder`, which is on a real disk. Raises `Unfit` where an answer or a record is wrong."""
    kind, before, load = machine.real_disk(folder), machine.usage(), list(os.getloadavg())
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    with contestants.daemon(folder) as daemon, contestants.calling() as caller:
        racing = folder / "race"
        with contestants.guard(racing, daemon) as guard, contestants.idiomatic(folder, daemon) as other:
            field = Field(caller, [daemon, guard, other], plan)
            checks.answers(field.servers)
            sync = sync_us(folder)
            windows = field.rounds(say)
        said = [checks.verified(racing / "state")]
        recorded = {
            "guard": checks.record_holds(racing / "state", sent=field.sent["guard"]),
            "aiohttp": checks.audit_holds(folder / "audit.jsonl", sent=field.sent["aiohttp"]),
        }
        alone = folder / "memory"
        with contestants.guard(alone, daemon) as guard:
            second = Field(caller, [daemon, guard], plan)
            checks.answers(second.servers)
            memory = remember(second, plan, alone, say)
        said.append(checks.verified(alone / "state"))
        checks.record_holds(alone / "state", sent=second.sent["guard"])
        _compare(daemon, field, second)
    stolen = machine.stolen_percent(before, machine.usage())
    about = machine.described(kind)
    return Results(plan, about, began, load, stolen, field.repeated, sync, windows, memory, said, recorded)


def _compare(daemon: Server, *fields: Field) -> None:
    """What the daemon placed is what was sent through all doors together: nothing twice, nothing lost."""
    sent = sum(each["order"] for field in fields for each in field.sent.values())
    placed = checks.placed_at(daemon)
    if sent != placed:
        raise machine.Unfit(f"{sent} orders were sent and the daemon placed {placed}")
