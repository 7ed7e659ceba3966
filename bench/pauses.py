"""The longest pause of the loop while something else is done: a scrape, reloads, a rotation, a snapshot, a checkpoint.

    python bench/pauses.py [--report docs/performance-pauses.md]

One process as `guard serve` sets it up (uvloop, a rested collector, the record on this disk), orders coming at a steady
rate, and as many live ones as are named. A beat runs in every turn of the loop; a pause is what lies between two beats.
`work` is the CPU time that the loop's own thread spent in it. `held up` adds what the loop waited for other threads of
the guard, which share the interpreter with it: the time that has passed less the time for which the kernel had
nothing free to run the loop on. Who never slept in it waited for no thread: then it was the host that was away.
`passed` is the time by the wall, which other programs on the machine lengthen.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import asks
import daemon as light
import msgspec
import structlog
import uvloop
from machine import described, real_disk
from msgspec.structs import replace
from paused import CALM, LEVELS, Level
from tables import pauses_table, table

import guard.recovery.keeper
from guard.admin.change import Who
from guard.lifecycle import Guard
from guard.loop.resting import come_to_rest
from guard.recovery.keeper import Keeper
from guard.settingsfile import Overrides, load
from guard.terms import Answer, Call, Outbound
from policies import ALIKE, write
from policies import texts as policy_texts

KEYS: Final = 1_000
RATE_S: Final = 50.0
OPENING: Final = 64  # orders opened at a time before anything is measured
CALM_S: Final = 0.5
TOGETHER_NS: Final = 100_000  # clocks read within it are of one moment
BUDGET: Final = (
    '[orders]\nmax_value = "9000000 HKD"\n[budgets]\nopen_orders = 1000000\n'
    'daily_value = "9000000000 HKD"\nresets = "{hour:02}:{minute:02} Asia/Hong_Kong"\n'
)
RATE: Final = '[orders]\nmax_value = "9000000 HKD"\n[rates]\nper = "key"\nnew_orders = "100000/{window_s}s"\n'
RATE_WINDOW_S: Final = 3_600  # longer than everything here takes: all orders of all keys are in it
SCRAPED_MIN: Final = 10_000  # bytes
SCRAPER: Final = """
import sys, urllib.request
for line in sys.stdin:
    port, key = line.split()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {key}"})
    print(len(urllib.request.urlopen(asked).read()), flush=True)
"""
NOTES: Final = """
* Orders are in every pause: what one turn of the loop brings is walked together. The first row is that alone.
* A key's first order leaves what that key has from then on. What is young is looked through 2,000 to 4,000 objects at a
  time; what was made while the collector rested, in a reload or a scrape, is not looked through where it is more.
* A reload works in slices of half a millisecond; the step of the swap costs what has changed since the last slice, and
  putting there what new counters begin with, not a look at each live order or counter. Under more orders than it can
  count in its slices, these grow to 20 ms.
* What a reload or a scrape works out in a thread it works out in pieces of 0.2 ms, after each of which the loop goes
  first; a turn of the loop that is broken off all the same is left its rest. So they take longer while orders come.
* With many policies an order that is under way while they change may have to plan its rules anew; what is planned
  beforehand is the first 500 keys.
* A new budget takes as long as the record of its days takes to be read, by a process of low priority; beyond 120 s the
  reload is refused and nothing has changed. Orders go on meanwhile.
* The tables of live orders double when they are full: the order that is the 43,691st or 87,382nd lays out three of them
  anew, 1.2 to 1.7 ms each, then 3 to 4. What a reload builds beside them is laid out at its whole size at once.
* `held up` and `passed` depend on who else is at work: a thread that was put aside while it had the interpreter holds
  up the loop for as long. Compare `work`, and the rest on a machine that does nothing else.
* Not in here: a daemon's own order list of tens of thousands of rows, which is understood in one go.
"""
BODY: Final = {"market": "HK", "acc_id": asks.ACC_ID, "env": "simulate", "side": "BUY", "code": "00700", "qty": 100}


class Pause(NamedTuple):
    """The longest between two beats, in ms: CPU time of the loop, that and waits for other threads, by the wall."""

    work: float = 0.0
    held_up: float = 0.0
    passed: float = 0.0

    def or_longer(self, other: "Pause") -> "Pause":
        """The longest of each."""
        return Pause(*map(max, self, other))


def clocks(account: int) -> tuple[int, int, int]:
    """What this thread has worked, what it has waited for a processor, and the time, in ns; read together.

    A thread that is put aside between two of them would have waited by one and not by the other: read again then.
    """
    while True:
        passed_ns = time.perf_counter_ns()
        waited_ns = int(os.pread(account, 100, 0).split(maxsplit=2)[1])
        work_ns = time.thread_time_ns()
        if time.perf_counter_ns() - passed_ns < TOGETHER_NS:
            return work_ns, waited_ns, passed_ns


def pause(before: tuple[int, int, int], now: tuple[int, int, int], *, has_slept: bool) -> Pause:
    """What lies between two readings of the clocks. `has_slept`: the thread has given the processor up by itself.

    It does to wait for another thread. A host that takes the processor away is in none of a thread's accounts.
    """
    work, waited, passed = ((after - earlier) / 1e6 for earlier, after in zip(before, now, strict=True))
    return Pause(work, max(work, passed - waited) if has_slept else work, passed)


class Beat:
    """A callback in every turn of the loop, which notes how long ago the last one was."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._account = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self.longest = Pause()
        self._last, self._slept = self._read(), self._sleeps()
        self._is_on = True
        self._loop.call_soon(self._beat)

    def _read(self) -> tuple[int, int, int]:
        return clocks(self._account)

    @staticmethod
    def _sleeps() -> int:
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    def _beat(self) -> None:
        if not self._is_on:
            os.close(self._account)
            return
        now, slept = self._read(), self._sleeps()
        self.longest = self.longest.or_longer(pause(self._last, now, has_slept=slept != self._slept))
        self._last, self._slept = now, slept
        self._loop.call_soon(self._beat)

    def stop(self) -> Pause:
        """The longest pause there was."""
        self._is_on = False
        return self.longest


class Stub:
    """The light daemon's answers, without a socket: what the loop does is the guard's own work."""

    def __init__(self) -> None:
        self._orders = light.Orders()

    async def send(self, request: Outbound) -> Answer:
        """An order gets new ids; what the light daemon does not know is 404."""
        known = {"/api/static-info": light.STATIC_INFO, "/api/accounts": light.ACCOUNTS, "/api/quote": light.QUOTE}
        raw = self._orders.place() if request.path == "/api/order" else known.get(request.path, light.NOT_FOUND)
        head, _, body = raw.partition(b"\r\n\r\n")
        await asyncio.sleep(0)
        return Answer(int(head[9:12]), "application/json", body)


def key_of(number: int) -> str:
    """A caller's key."""
    return f"gk_{number:064x}"


def lay_out(folder: Path, policies: int) -> Path:
    """The files of a guard; its settings."""
    config = folder / "guard.toml"
    config.write_text(
        '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n[trading]\nenabled = true\n'
        '[daemon]\nbroker_limits = "off"\n'
    )
    (folder / "policies").mkdir()
    write(folder, policy_texts(policies, ALIKE))
    write_keys(folder, 0)
    return config


def write_keys(folder: Path, turn: int) -> None:
    """The keys; a limit of the first is another in every round. It places no order: one under way would be refused."""
    keys = [
        {
            "id": f"bot-{number}",
            "hash": f"sha256:{hashlib.sha256(key_of(number).encode()).hexdigest()}",
            "scopes": ["trade:simulate", "acc:read", "qot:read", "metrics:read"],
            "max_order_value": 10_000_000 + (turn if number == 0 else 0),
            "max_orders_per_minute": 100_000,
        }
        for number in range(KEYS)
    ]
    path = folder / "keys.json"
    path.write_text(json.dumps({"version": 1, "keys": keys}))
    path.chmod(0o600)


async def place(guard: Guard, number: int) -> None:
    """One order, which passes."""
    raw = json.dumps(BODY | {"price": 200, "remark": f"n{number}"}).encode()
    headers = {"authorization": f"Bearer {key_of(1 + number % (KEYS - 1))}"}
    reply = await guard.pipeline.handle(Call("POST", "/api/order", headers, raw, "127.0.0.1"))
    if json.loads(reply.body)["ret_type"] != 0:
        raise SystemExit(reply.body.decode())


class Scene:
    """One guard, its folder, and the rounds that it has seen."""

    def __init__(self, folder: Path, running: Guard, scraper: asyncio.subprocess.Process, *, policies: int) -> None:
        self.folder, self.guard, self.scraper, self.policies = folder, running, scraper, policies
        self.turn, self.placed = 0, 0

    async def open(self, orders: int) -> None:
        """So many live orders."""

        async def some(count: int) -> None:
            for _ in range(count):
                self.placed += 1
                await place(self.guard, self.placed)

        await asyncio.gather(*(some(orders // OPENING + 1) for _ in range(OPENING)))

    async def steadily(self) -> None:
        """Orders at their rate, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self.placed += 1
                group.create_task(place(self.guard, self.placed))
                await asyncio.sleep(1 / RATE_S)

    # ------------------------------------------------------------ what is done

    async def calm(self) -> None:
        """Nothing but orders."""
        await asyncio.sleep(CALM_S)

    async def scrape(self) -> None:
        """As Prometheus does, from another process."""
        if self.scraper.stdin is None or self.scraper.stdout is None:
            raise AssertionError("started without pipes")
        self.scraper.stdin.write(f"{self.guard.ports[1]} {key_of(1)}\n".encode())
        if int(await self.scraper.stdout.readline()) < SCRAPED_MIN:
            raise SystemExit("the scrape was refused")

    def edited_values(self) -> None:
        """Every policy has another bound; what is counted stays as it is, but for the rate of the round before."""
        (self.folder / "policies" / "rate.toml").unlink(missing_ok=True)
        write(self.folder, policy_texts(self.policies, ALIKE, more=self.turn * 10_000))

    def edited_budget(self) -> None:
        """A policy more, whose counters are made from the record and put on every live order."""
        text = BUDGET.format(hour=self.turn // 60 % 24, minute=self.turn % 60)
        (self.folder / "policies" / "budget.toml").write_text(text)

    def edited_without(self) -> None:
        """That policy is taken away."""
        (self.folder / "policies" / "budget.toml").unlink()

    def edited_rate(self) -> None:
        """A policy more, whose rate counts every order of every key, further back than any before."""
        text = RATE.format(window_s=RATE_WINDOW_S + self.turn)
        (self.folder / "policies" / "rate.toml").write_text(text)

    def edited_keys(self) -> None:
        """One key has another limit."""
        write_keys(self.folder, self.turn)

    async def reload(self) -> None:
        """The policies, changed or not."""
        change = await self.guard.changes.policies.reload(Who(by="bench"))
        if change.result not in {"applied", "unchanged"}:
            raise SystemExit(change)

    async def reload_keys(self) -> None:
        """The keys, one of which has changed."""
        change = await self.guard.changes.reload_keys(Who(by="bench"))
        if change.result != "applied":
            raise SystemExit(change)

    async def rotate(self) -> None:
        """The next record begins a segment."""
        journal = self.guard.journal
        journal._end = replace(journal._end, size=2**40)  # noqa: SLF001 - or 128 MiB would have to be written
        await asyncio.sleep(3 / RATE_S)
        await journal.durable(journal.last_seq)

    async def snapshot(self) -> None:
        """The state behind the closed segments, made by another process and appended."""
        journal, directory = self.guard.journal, self.guard.directory
        keeper = Keeper(journal, directory, clock=self.guard.clock, retention=timedelta(days=1_000), run=None)
        await keeper.round()

    async def checkpoint(self) -> None:
        """Everything so far is signed."""
        await self.guard.journal.checkpoint()


class Act(NamedTuple):
    """What is measured, and what is done before."""

    does: Callable[[Scene], Awaitable[None]]
    before: Callable[[Scene], None] = lambda _: None


ACTS: Final = {
    CALM: Act(Scene.calm),
    "scrape of `/metrics`": Act(Scene.scrape),
    "policy reload, unchanged": Act(Scene.reload),
    "policy reload, other bounds": Act(Scene.reload, Scene.edited_values),
    "policy reload, new budget": Act(Scene.reload, Scene.edited_budget),
    "policy reload, budget gone": Act(Scene.reload, Scene.edited_without),
    "policy reload, new rate": Act(Scene.reload, Scene.edited_rate),
    "keys reload": Act(Scene.reload_keys, Scene.edited_keys),
    "rotation": Act(Scene.rotate),
    "snapshot": Act(Scene.snapshot),
    "checkpoint": Act(Scene.checkpoint),
}


@asynccontextmanager
async def running(folder: Path, orders: int, policies: int) -> "Any":
    """The guard with its live orders, and more coming."""
    guard.recovery.keeper.ROUND_S = 1e6  # type: ignore[misc]  # snapshots when they are asked for
    made = Guard(load(lay_out(folder, policies), Overrides(), {"GUARD_DAEMON_KEY": "fc_bench"}), daemon=Stub())
    await made.start()
    come_to_rest()
    words = (sys.executable, "-c", SCRAPER)
    scraper = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    scene = Scene(folder, made, scraper, policies=policies)
    await scene.open(orders)
    steady = asyncio.ensure_future(scene.steadily())
    try:
        yield scene
    finally:
        steady.cancel()
        await asyncio.gather(steady, return_exceptions=True)
        scraper.kill()
        await scraper.wait()
        await made.stop("over")


async def paused(scene: Scene, act: Act) -> tuple[Pause, float]:
    """The longest pause while this is done, and how long it took, in ms."""
    act.before(scene)
    began, beat = time.perf_counter(), Beat()
    await act.does(scene)
    await asyncio.sleep(0.05)  # what it leaves behind is let go
    return beat.stop(), (time.perf_counter() - began - 0.05) * 1000


async def rounds_of(folder: Path, orders: int, policies: int, *, rounds: int) -> dict[str, list[tuple[Pause, float]]]:
    """Every act in every round."""
    found: dict[str, list[tuple[Pause, float]]] = {name: [] for name in ACTS}
    async with running(folder, orders, policies) as scene:
        for scene.turn in range(1, rounds + 1):
            for name, act in ACTS.items():
                found[name].append(await paused(scene, act))
                await asyncio.sleep(0.2)
    return found


@contextmanager
def a_folder(work: Path) -> Iterator[Path]:
    """On this disk, for as long as it is needed."""
    with tempfile.TemporaryDirectory(dir=work, prefix="pauses-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o700)
        yield Path(folder)


def measured(work: Path, orders: int, policies: int, *, rounds: int) -> Level:
    """Every act in every round, with so many live orders and policies."""
    with a_folder(work) as folder:
        found = uvloop.run(rounds_of(folder, orders, policies, rounds=rounds))
    figures = {
        field: {name: [getattr(pause, field) for pause, _ in each] for name, each in found.items()}
        for field in Pause._fields
    }
    return Level(orders, policies, **figures, took={name: [took for _, took in each] for name, each in found.items()})


def document(work: Path, levels: Iterator[Level], *, rounds: int) -> Iterator[str]:
    """The document, line by line."""
    yield "# The longest pauses of the loop"
    yield ""
    yield "Written by `python bench/pauses.py --report docs/performance-pauses.md` from one run."
    yield ""
    yield from (__doc__ or "").split("\n\n", 2)[2].strip().splitlines()
    yield ""
    machine = {**described(str(real_disk(work))), "load at the start": f"{os.getloadavg()[0]:.1f}"}
    yield table(("machine", ""), list(machine.items()))
    for level in levels:
        yield ""
        yield f"## {level.title()}, {KEYS:,} keys, {RATE_S:.0f} orders a second"
        yield ""
        yield pauses_table(level)
    yield ""
    yield f"Medians of {rounds} rounds (lowest-highest) of the longest pause in each."
    yield from NOTES.rstrip().splitlines()


def main() -> None:
    """Measures and prints; writes the document where asked."""
    parser = argparse.ArgumentParser(prog="bench/pauses.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", type=Path, help="also write the document, such as docs/performance-pauses.md")
    parser.add_argument("--orders", type=int, help="so many live orders alone")
    parser.add_argument("--policies", type=int, default=50, help="and so many policies")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures, one a round, for programs")
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "records", help="on a real disk")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    given.work.mkdir(parents=True, exist_ok=True)
    found: list[Level] = []

    def levels() -> Iterator[Level]:
        for orders, policies in [(given.orders, given.policies)] if given.orders else LEVELS:
            found.append(measured(given.work, orders, policies, rounds=given.rounds))
            yield found[-1]

    lines = []
    for line in document(given.work, levels(), rounds=given.rounds):
        print(line, flush=True)
        lines.append(line)
    if given.json is not None:
        given.json.write_bytes(msgspec.json.encode(found))
    if given.report is not None:
        given.report.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
