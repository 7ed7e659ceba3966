"""The caller: a process of its own that asks, times the answers, and reads the CPU time of those it asks.

One job a line on standard input, one result a line on standard output, both JSON. Keep-alive connections on uvloop and
httptools, one request at a time on each, a key of its own for each; tokens may be new with each request. *Closed*:
every answer is followed by the next request. *Open*: requests begin on a timetable whatever the answers do, so that a
slow answer cannot hide the ones that would have come behind it. Every status is checked; latencies are in microseconds.
"""

import asyncio
import gc
import itertools
import sys
import time
from collections import deque
from typing import Any, Final, cast

import httptools
import msgspec
import uvloop
from asks import BY_NAME, head, plaintext
from machine import cpu_between_us, cpu_by_thread_ns

TICK_S: Final = 0.001
LATE_NS: Final = 1_500_000  # a timer of 1 ms may be that late; beyond it the time counts as the request's
DRAIN_S: Final = 30.0
_SERIALS: Final = itertools.count(1)


class Job(msgspec.Struct):
    """What to do. `rate` 0 is a closed loop; `count` ends the job after so many requests, else `measure_s` does.

    `bearers`: what the callers show, each its own, or several callers the same one where there are fewer; where there
    are more of them than connections, every request shows the next, beginning with the one at place `shown`. Without
    any, each caller shows its key. `answer_bytes`: how long every answer's body must be; 0: that is not looked at.
    """

    port: int
    asks: list[str]
    connections: int
    pids: list[int] = []
    bearers: list[str] = []
    answer_bytes: int = 0
    shown: int = 0
    rate: float = 0.0
    count: int = 0
    warm_s: float = 0.0
    measure_s: float = 0.0


class Result(msgspec.Struct):
    """What came of it. Figures are of the measured part; `sent` and `bad` of all of the job."""

    seconds: float
    answers: int
    latencies_us: list[int]
    cpu_us: dict[int, float]
    sent: dict[str, int]
    bad: list[str]


class Run:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asks = [BY_NAME[name] for name in job.asks]
        bearers = job.bearers or [plaintext(number) for number in range(job.connections)]
        self.heads = [[head(ask, bearer=bearer, port=job.port) for ask in self.asks] for bearer in bearers]
        self.step = job.connections if len(bearers) > job.connections else 0
        self.sent = dict.fromkeys(job.asks, 0)
        self.bad: list[str] = []
        self.latencies: list[int] = []
        self.is_measuring = False
        self.is_ending = False
        self.idle: deque[Caller] = deque()
        self.due: deque[int] = deque()
        self.in_flight = 0
        self.over = asyncio.Event()

    @property
    def begun(self) -> int:
        """How many requests were sent so far."""
        return sum(self.sent.values())

    def next(self, caller: "Caller") -> None:
        """The caller is free: it asks again, takes what is due, or waits for the timetable."""
        is_spent = self.is_ending or bool(self.job.count and self.begun >= self.job.count)
        if is_spent:
            self._end_if_quiet()
        elif not self.job.rate:
            caller.ask(time.perf_counter_ns())
        elif self.due:
            caller.ask(self.due.popleft())
        else:
            self.idle.append(caller)

    def start(self, begun_ns: int) -> None:
        """A request of the timetable begins now, or as soon as a connection is free."""
        if self.idle:
            self.idle.popleft().ask(begun_ns)
        else:
            self.due.append(begun_ns)

    def end(self) -> None:
        """Send nothing more; what is under way is waited for."""
        self.is_ending = True
        self.due.clear()
        self._end_if_quiet()

    def _end_if_quiet(self) -> None:
        if not self.in_flight:
            self.over.set()


class Caller(asyncio.Protocol):
    """One connection and its key."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._turn = number
        self._shown = run.job.shown + number  # in steps of all connections: nobody shows what another one just showed
        self._parser = httptools.HttpResponseParser(self)
        self._begun_ns = 0
        self._is_asking = False
        self._said = b""
        self._bytes = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody ends a connection but us."""
        if self._is_asking or not self._run.over.is_set():
            self._run.bad.append(f"a connection was lost: {exc}")
            self._run.end()
            self._run.over.set()

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self._said = data
        self._parser.feed_data(data)

    def ask(self, begun_ns: int) -> None:
        """Send the next request; its time runs from `begun_ns`."""
        run = self._run
        self._turn += 1
        which = self._turn % len(run.asks)
        ask = run.asks[which]
        self._begun_ns, self._is_asking = begun_ns, True
        run.sent[ask.name] += 1
        run.in_flight += 1
        if self._transport is not None:
            heads = run.heads[self._shown % len(run.heads)]
            self._transport.write(heads[which] + ask.render(next(_SERIALS)))
        self._shown += run.step

    def on_body(self, body: bytes) -> None:
        """A part of an answer's body."""
        self._bytes += len(body)

    def on_message_complete(self) -> None:
        """A whole answer: note it, and go on."""
        run, status = self._run, self._parser.get_status_code()
        self._is_asking = False
        run.in_flight -= 1
        if run.job.answer_bytes not in {0, self._bytes} and len(run.bad) < 5:
            run.bad.append(f"{status} with {self._bytes} bytes")
        self._bytes = 0
        if status != run.asks[self._turn % len(run.asks)].status and len(run.bad) < 5:
            run.bad.append(f"{status}: {self._said[-400:].decode('utf-8', 'replace')}")
        if run.is_measuring:
            run.latencies.append((time.perf_counter_ns() - self._begun_ns) // 1000)
        run.next(self)

    def close(self) -> None:
        """The job is over."""
        if self._transport is not None:
            self._transport.close()


async def _timetable(run: Run) -> None:
    """Begins requests at the job's rate. The loop's timer ticks once a millisecond: that much lateness is its own."""
    began_ns, started = time.perf_counter_ns(), 0
    while not run.is_ending:
        now_ns = time.perf_counter_ns()
        wanted = int((now_ns - began_ns) * run.job.rate / 1e9) + 1
        wanted = min(wanted, run.job.count) if run.job.count else wanted
        for number in range(started, wanted):
            planned_ns = began_ns + int(number * 1e9 / run.job.rate)
            run.start(now_ns if now_ns - planned_ns < LATE_NS else planned_ns)
        started = max(started, wanted)
        if run.job.count and started >= run.job.count:
            return
        await asyncio.sleep(TICK_S)


async def _drained(run: Run) -> None:
    async with asyncio.timeout(DRAIN_S if not run.job.count else None):
        await run.over.wait()


async def _connected(run: Run, number: int) -> Caller:
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: Caller(run, number), "127.0.0.1", run.job.port)
    return caller


async def perform(job: Job) -> Result:
    """Do the job and say what came of it."""
    run = Run(job)
    callers = [await _connected(run, number) for number in range(job.connections)]
    for caller in callers:
        run.next(caller)
    timetable = asyncio.ensure_future(_timetable(run)) if job.rate else None
    await asyncio.sleep(job.warm_s)
    before, began_ns = {pid: cpu_by_thread_ns(pid) for pid in job.pids}, time.perf_counter_ns()
    run.is_measuring = True
    if job.count:
        await _drained(run)
    else:
        await asyncio.sleep(job.measure_s)
    run.is_measuring = False
    seconds = (time.perf_counter_ns() - began_ns) / 1e9
    cpu_us = {pid: cpu_between_us(each, cpu_by_thread_ns(pid)) for pid, each in before.items()}
    run.end()
    if timetable is not None:
        await timetable
    await _drained(run)
    for caller in callers:
        caller.close()
    return Result(seconds, len(run.latencies), run.latencies, cpu_us, run.sent, run.bad)


def main() -> None:
    """Jobs in, results out, until standard input ends."""
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            job: Any = msgspec.json.decode(line, type=Job)
            sys.stdout.write(msgspec.json.encode(runner.run(perform(job))).decode() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
