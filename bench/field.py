"""The processes of a round and the windows that are measured of them.

A window has a warm-up that is not counted. Before a scenario the machine must be quiet, and if other programs took too
much of it meanwhile, the windows of that scenario and round are thrown away, all of them, and measured again: as long
as patience lasts. What others took is the scheduler's account, so nothing is chosen by its figures.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, NamedTuple
from urllib.request import urlopen

import checks
import machine
import msgspec
import tokens
from asks import BY_NAME, HISTORY, STRANGER
from contestants import CONTESTANT_CORE, Caller, Server
from daemon import HISTORY_BODY
from forwarders import FORWARDERS
from load import Job, Result
from paused import LEVELS

SYNCED: Final = ("nginx-lua", "guard", "aiohttp")
PYTHON: Final = ("bare", "floor-unsynced")
UNSYNCED: Final = ("direct", "nginx", "envoy", "nginx-lua-unsynced", "guard-unsynced", "aiohttp-unsynced")
READING: Final = ("direct", "nginx", "envoy", "nginx-lua", "guard", "aiohttp")
HISTORIANS: Final = ("direct", "nginx", "envoy", "guard", "aiohttp")
OPEN_RATE: Final = 800.0
OPEN_CONNECTIONS: Final = 16
HISTORY_CONNECTIONS: Final = 4
SCRAPE_S: Final = 0.1
FOREIGN_PERCENT_MAX: Final = 15.0
GLANCE_S: Final = 0.5
PAUSE_S: Final = 2.0


class Scenario(NamedTuple):
    """One kind of request, how many at a time or at which rate, and who is asked. `name` is the table it goes into.

    `shown`: what the callers show: their keys, a token each, a new token each time, or a key that nobody has.
    `is_scraped`: the guard's metrics are read meanwhile, every `SCRAPE_S`.
    """

    name: str
    ask: str
    connections: int
    who: tuple[str, ...]
    rate: float = 0.0
    shown: str = "keys"
    is_scraped: bool = False


SCENARIOS: Final = (
    *(Scenario("order", "order", connections, ("nginx-lua-together", *SYNCED, "floor")) for connections in (1, 16, 64)),
    Scenario("unsynced", "order", 1, (*UNSYNCED, *PYTHON)),
    Scenario("unsynced", "order", 64, (*UNSYNCED, *PYTHON, *FORWARDERS)),
    Scenario("quote", "quote", 1, (*READING, "bare")),
    Scenario("quote", "quote", 64, (*READING, "bare", *FORWARDERS)),
    *(Scenario("refused", "refused", connections, SYNCED) for connections in (1, 64)),
    Scenario("strange", "strange", 64, SYNCED, shown="strange"),
    Scenario("token", "order", 64, ("guard-unsynced", "aiohttp-unsynced"), shown="tokens"),
    Scenario("fresh", "order", 64, ("guard-unsynced", "aiohttp-unsynced"), shown="fresh"),
    Scenario("history", "history", HISTORY_CONNECTIONS, HISTORIANS),
    Scenario("quote", "quote", OPEN_CONNECTIONS, (*READING, "bare"), OPEN_RATE),
    Scenario("unsynced", "order", OPEN_CONNECTIONS, (*UNSYNCED, *PYTHON), OPEN_RATE),
    Scenario("scraped", "order", OPEN_CONNECTIONS, ("guard-unsynced",), OPEN_RATE, is_scraped=True),
)


class Plan(msgspec.Struct):
    """How much is measured. Times in seconds; `patience_s` is for waiting and measuring again, over the whole run.

    Memory is read after `memory` requests and `memory_more` of them, begun at `memory_rate` a second (0: as answered),
    and after `orders`, each time after `idle_s` of nothing, for `settle_s`. `open_orders` and `records` are what the
    largest guards have to know; pauses are measured with these numbers of live orders and policies.
    """

    rounds: int = 9
    warm_s: float = 0.3
    closed_s: float = 0.8
    open_s: float = 1.2
    patience_s: float = 120.0
    memory: int = 800_000  # for four minutes and more: before, what windows of a minute take is not as much as ever
    memory_more: int = 1_000_000
    memory_rate: float = 3_000.0
    settle_s: float = 21.0  # in which the guard gives back twice what is free
    idle_s: float = 62.0  # in which every window of a minute runs empty
    orders: int = 25_000
    open_orders: int = 100_000
    records: int = 1_000_000
    pause_rounds: int = 3
    pause_levels: tuple[tuple[int, int], ...] = LEVELS


QUICK: Final = Plan(
    2,
    0.2,
    0.5,
    0.6,
    patience_s=0.0,
    memory=10_000,
    memory_more=10_000,
    memory_rate=0.0,
    settle_s=0.5,
    idle_s=0.0,
    orders=5_000,
    open_orders=5_000,
    records=20_000,
    pause_rounds=1,
    pause_levels=((1_000, 50),),
)


class Window(msgspec.Struct):
    """One contestant in one scenario of one round. CPU is the contestant's own, a request, in microseconds.

    `loop_ms`: what a fixed loop took on the contestants' core just before.
    """

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
    longest_us: float = 0.0
    foreign_percent: float = 0.0
    loop_ms: float = 0.0


def percentile(ascending: list[int], share: float) -> float:
    """The nearest-rank percentile; not a number where there is nothing."""
    return float(ascending[max(0, math.ceil(share * len(ascending)) - 1)]) if ascending else math.nan


class Patience:
    """How many seconds are left for waiting and measuring again, and how often that was done."""

    def __init__(self, seconds: float) -> None:
        self.left_s, self.repeated = seconds, 0

    def tries(self) -> Iterator[None]:
        """One try, and another whenever the last one was not good enough, while there is patience."""
        while True:
            while self.left_s > 0 and _foreign_percent() > FOREIGN_PERCENT_MAX:
                time.sleep(PAUSE_S)
                self.left_s -= PAUSE_S + GLANCE_S
            began_s = time.monotonic()
            yield
            self.left_s -= time.monotonic() - began_s
            self.repeated += 1


def _foreign_percent() -> float:
    """What others take of the machine at the moment; our own processes have nothing to do."""
    before = machine.usage()
    time.sleep(GLANCE_S)
    return machine.foreign_percent(before, machine.usage(), own_us=0)


@contextmanager
def scraping(port: int) -> Iterator[None]:
    """A thread that reads the metrics again and again, as a Prometheus in a hurry would."""
    is_over, faults = threading.Event(), list[OSError]()

    def scrape() -> None:
        while not is_over.wait(SCRAPE_S):
            try:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    if b"\nguard_" not in answer.read():
                        faults.append(OSError("they hold nothing of a guard"))
            except OSError as fault:
                faults.append(fault)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if faults:
        raise machine.Unfit(f"the metrics could not be read: {faults[0]}")


class Field:
    """The processes at hand, and what each was sent so far."""

    def __init__(self, caller: Caller, servers: list[Server], plan: Plan) -> None:
        self.caller, self.servers, self.plan = caller, servers, plan
        self.sent = {server.name: dict.fromkeys(BY_NAME, 0) | checks.asked(server.name) for server in servers}
        self.bearers = {"keys": [], "tokens": tokens.bearers(), "strange": [STRANGER]}
        self.bearers["fresh"] = tokens.bearers(tokens.FRESH)

    def perform(self, server: Server, job: Job) -> Result:
        """One job against one contestant."""
        job.port, job.pids = server.port, [server.pid, self.servers[0].pid]
        result = self.caller.perform(job)
        for name, count in result.sent.items():
            self.sent[server.name][name] += count
        return result

    def window(self, server: Server, job: Job, turn: int, *, name: str) -> Window:
        """One window of a scenario of this name."""
        result = self.perform(server, job)
        answers, latencies = max(1, result.answers), sorted(result.latencies_us)
        return Window(
            ask=name,
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
            longest_us=percentile(latencies, 1.0),
        )

    def round(self, turn: int, patience: Patience) -> list[Window]:
        """Every scenario, every contestant that is there; their order turns with every round."""
        order = self.servers if turn % 2 == 0 else self.servers[::-1]
        found = []
        for scenario in SCENARIOS:
            present = [server for server in order if server.name in scenario.who]
            found += self.group(present, scenario, turn=turn, patience=patience)
        return found

    def group(self, present: list[Server], scenario: Scenario, *, turn: int, patience: Patience) -> list[Window]:
        """The windows of one scenario in one round, again and again until the machine was ours or patience ends.

        One without any answer has no figures and is left out.
        """
        found: list[Window] = []
        for _ in patience.tries():
            before, own_us = machine.usage(), self._own_us()
            windows = [self._window(server, scenario, turn) for server in present]
            foreign = machine.foreign_percent(before, machine.usage(), own_us=self._own_us() - own_us)
            found = [msgspec.structs.replace(window, foreign_percent=foreign) for window in windows if window.answers]
            if foreign <= FOREIGN_PERCENT_MAX or patience.left_s <= 0:
                break
        return found

    def _window(self, server: Server, scenario: Scenario, turn: int) -> Window:
        job = self._job(scenario)
        job.shown = self.sent[server.name][scenario.ask]
        loop_ms = machine.calibration_ms(CONTESTANT_CORE)
        with scraping(server.ops) if scenario.is_scraped else nullcontext():
            window = self.window(server, job, turn, name=scenario.name)
        return msgspec.structs.replace(window, loop_ms=loop_ms)

    def _job(self, scenario: Scenario) -> Job:
        plan = self.plan
        seconds = plan.open_s if scenario.rate else plan.closed_s
        return Job(
            port=0,
            asks=[scenario.ask],
            connections=scenario.connections,
            rate=scenario.rate,
            warm_s=plan.warm_s,
            measure_s=seconds,
            bearers=self.bearers[scenario.shown],
            answer_bytes=len(HISTORY_BODY) if scenario.ask == HISTORY.name else 0,
        )

    def _own_us(self) -> float:
        pids = [*(server.pid for server in self.servers), self.caller.process.pid, os.getpid()]
        return sum(machine.cpu_us(pid) for pid in pids)
