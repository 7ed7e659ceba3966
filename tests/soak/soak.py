"""A guard's long night: traffic, reloads, revocations, faults and restarts mixed; then everything is verified.

python -m tests.soak.soak SECONDS [SEED]    (make soak SOAK_S=3600)

The simulated daemon runs in this process, the guard as the process that an operator starts. It is stopped and killed
now and then, stands still for seconds, and what works beside it is killed; the last two fifths of the time belong to
one guard, whose memory, files and tasks must stay flat. How far it is and what is wrong so far is told every ten
seconds; the last line is the verdict: PASSED or FAILED. Files stay only where something was wrong.
"""

import asyncio
import contextlib
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from guard.simulator import Simulator
from guard.simulator.orders import Status
from tests.soak.callers import Callers, Told
from tests.soak.verify import Vitals, check_record, check_shown, vitals
from tests.soak.world import TIGHT, Operator, exchange, faults, keys, policy, violence
from tests.support.daemon import LENT, running_simulator
from tests.support.guards import key, lay_out
from tests.support.processes import Process, ask, free_port, run

TOML: Final = """
[listen]
data = "127.0.0.1:{data}"
ops = "127.0.0.1:{ops}"
[trading]
enabled = true
[daemon]
url = "{url}"
broker_limits = "off"
order_timeout_s = 2.0
[bounds]
drain_timeout_s = 5.0
[journal]
segment_bytes_max = 262144
"""
FILES_SLACK: Final = 24
TASKS_MAX: Final = 8
RSS_SLACK_BYTES: Final = 24 * 2**20
SHORT_S: Final = 60  # below it, orders that never arrived are not waited for: that takes two clean lists and 90 s
REST_S: Final = 150
LIVES_MIN: Final = 3
TELL_S: Final = 10


class Soak:
    """One soak in a folder of its own."""

    def __init__(
        self, folder: Path, *, seconds: float, seed: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._tell = tell
        self._folder = folder
        self._seconds = seconds
        self._seed = seed
        self._ports = free_port(), free_port()
        self._guard: Process | None = None
        self._is_over = False
        self.told = Told()
        self.lives = 0
        self.vitals: list[Vitals] = []
        self.simulator = Simulator(seed=seed, keys=(LENT,), profile="documented")

    async def run(self) -> list[str]:
        """What was wrong; empty where nothing was."""
        async with running_simulator(self.simulator, tick_s=0.2) as url:
            toml = TOML.format(data=self._ports[0], ops=self._ports[1], url=url)
            self._config = lay_out(
                self._folder, *keys(with_guest=True), policies={"open.toml": policy(), **TIGHT}, toml=toml
            )
            await self._start()
            async with self._around(), self._callers():
                await self._live()
            self._tell(f"the traffic is over; until nothing is in doubt, {REST_S} s at most")
            if await self._come_to_rest():
                self.told.wrongs += check_shown(self._config, self.simulator, await self._shown())
            self.vitals.append(await self._vitals())
            code = await self._stop(signal.SIGTERM)
        wrongs = [*self.told.wrongs, *self._flat()]
        if code:
            wrongs.append(f"the guard ended with {code}")
        self._tell("the record is verified, and held against the daemon's book")
        verified = await asyncio.to_thread(run, "audit", "verify", cwd=self._folder)
        if verified.returncode:
            wrongs.append(f"audit verify: {verified.returncode} {verified.stdout}{verified.stderr}")
        return [*wrongs, *check_record(self._config, self.simulator, self.told)]

    # ------------------------------------------------------------ the guard's lives

    async def _live(self) -> None:
        """Short lives that end by signal or by force, then a long one."""
        loop = asyncio.get_running_loop()
        begun_s, short_s = loop.time(), max(1.0, min(30.0, self._seconds / 8))
        while self.lives < LIVES_MIN or loop.time() < begun_s + 0.6 * self._seconds:
            await asyncio.sleep(short_s)
            await self._stop(signal.SIGKILL if self.lives % 2 else signal.SIGTERM)
            await self._start()
        rest_s = begun_s + self._seconds - loop.time()
        for _ in range(4):
            await asyncio.sleep(max(0.2, rest_s / 4))
            self.vitals.append(await self._vitals())

    async def _start(self) -> None:
        self.lives += 1
        self._guard = Process("serve", cwd=self._folder, env={"GUARD_DAEMON_KEY": "fc_test"})
        while not (self._guard.is_open(self._ports[0]) and self._guard.is_open(self._ports[1])):
            await asyncio.sleep(0.05)

    async def _stop(self, number: signal.Signals) -> int:
        assert self._guard is not None
        self._guard.popen.send_signal(number)
        code = await asyncio.to_thread(self._guard.ended)
        if code not in {0, -signal.SIGKILL}:
            self.told.wrongs.append(f"after {number.name} the guard ended with {code}: {self._guard.err[-2000:]}")
        failed = [
            one
            for event in ("task_failed", "walk_failed", "sending_failed", "look_failed")
            for one in self._guard.events(event)
        ]
        self.told.wrongs += [f"{one.get('task')}: {one.get('error') or one}" for one in failed]
        return code

    async def _status(self) -> dict[str, Any]:
        told: dict[str, Any] = (await asyncio.to_thread(ask, self._ports[1], "/status"))[1]
        return told

    async def _vitals(self) -> Vitals:
        assert self._guard is not None
        return vitals(self._guard.popen.pid, tasks=(await self._status())["tasks"])

    def _flat(self) -> list[str]:
        """What grew over the last life: from its first quarter to after the traffic."""
        first, last = self.vitals[0], self.vitals[-1]
        wrongs = []
        if last.rss_bytes > first.rss_bytes + RSS_SLACK_BYTES:
            wrongs.append(f"memory grew from {first.rss_bytes} to {last.rss_bytes} bytes")
        if last.files > first.files + FILES_SLACK:
            wrongs.append(f"open files grew from {first.files} to {last.files}")
        if last.tasks > TASKS_MAX:
            wrongs.append(f"{last.tasks} tasks are left although nothing is under way")
        return wrongs

    # ------------------------------------------------------------ around it

    @asynccontextmanager
    async def _around(self) -> AsyncIterator[None]:
        """An exchange, faults and an operator, until the traffic is over."""
        operator = Operator(self._folder, self._ports, self.told.wrongs)
        is_silent = self._seconds >= SHORT_S
        work: list[Coroutine[Any, Any, None]] = [
            exchange(self.simulator, random.Random(self._seed + 1), self.told.wrongs),
            faults(self.simulator, random.Random(self._seed + 2), is_silent=is_silent),
            operator.work(random.Random(self._seed + 3)),
            violence(
                lambda: self._guard.popen if self._guard else None,
                random.Random(self._seed + 4),
                longest_s=3.0 if is_silent else 0.3,
            ),
            self._progress(),
        ]
        tasks = [self._begun(one, "the script") for one in work]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self.simulator.faults.clear()

    @asynccontextmanager
    async def _callers(self) -> AsyncIterator[None]:
        """Everybody who calls, until the guard has had its lives; then each ends by itself."""
        callers = Callers(self._ports[0], self.told, seed=self._seed, is_over=lambda: self._is_over)
        work = [
            *(callers.bot(f"bot-{number}", pause_s=0.1) for number in range(4)),
            callers.reader("reader", pause_s=0.05),
            callers.listener("reader"),
            callers.listener("bot-0"),
            *(callers.stranger(pause_s=0.02) for _ in range(2)),
        ]
        tasks = [self._begun(one, "a caller") for one in work]
        yield
        self._is_over = True
        await asyncio.wait(tasks)

    def _begun(self, coro: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """It runs; where it fails, that is a wrong from then on."""

        def heard(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.told.wrongs.append(f"{what} failed: {error!r}")

        task = asyncio.ensure_future(coro)
        task.add_done_callback(heard)
        return task

    async def _shown(self) -> dict[str, Decimal]:
        """What each bot is told that it has spent today; of two limits on one counter the tighter is told."""
        found = {}
        for name in (f"bot-{number}" for number in range(4)):
            _, me = await asyncio.to_thread(ask, self._ports[0], "/guard/v1/me", bearer=key(name))
            rows = [one for one in me["limits"] if one["rule"] == "budgets.daily_value"]
            found[name] = sum((Decimal(one["used"]) for one in rows), Decimal(0))
        return found

    async def _come_to_rest(self) -> bool:
        """The exchange ends every order, and the guard learns of it. Whether nothing is in doubt any more."""
        for one in self.simulator.world.book.working():
            self.simulator.world.end(one, Status.CANCELLED_PART if one.fill_qty else Status.CANCELLED_ALL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_S):
                while not await self._is_at_rest():
                    await asyncio.sleep(0.5)
        return not (await self._status())["unknown"]

    async def _is_at_rest(self) -> bool:
        status = await self._status()
        unknown = set(status["unknown"])
        if self._seconds >= SHORT_S:
            return not unknown and not status["live_orders"]
        stamps = {(one.remark or "").removeprefix("g:") for one in self.simulator.orders.values()}
        return not unknown & stamps and status["live_orders"] <= len(unknown)

    async def _progress(self) -> None:
        """How far it is, and each wrong as soon as it is known."""
        loop, shown = asyncio.get_running_loop(), 0
        begun_s = loop.time()
        while True:
            await asyncio.sleep(TELL_S)
            for wrong in self.told.wrongs[shown:]:
                self._tell(f"WRONG {wrong}")
            shown = len(self.told.wrongs)
            orders, answers = len(self.simulator.orders), self.told.codes.total()
            told = f"life {self.lives}, {orders} orders at the daemon, {answers} answers, {shown} wrongs"
            self._tell(f"{loop.time() - begun_s:.0f} of {self._seconds:.0f} s: {told}")

    def report(self) -> str:
        """What there was of everything."""
        codes = ", ".join(f"{count} x {name}" for name, count in self.told.codes.most_common())
        held = " -> ".join(f"{one.rss_bytes >> 20} MiB/{one.files} files/{one.tasks} tasks" for one in self.vitals)
        return (
            f"{len(self.simulator.orders)} orders at the daemon, {len(self.told.placed)} told, {self.lives} lives\n"
            f"answers: {codes}\nlast life: {held}"
        )


async def main(seconds: float, seed: int) -> int:
    """One soak in a folder that stays where something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"a soak of {seconds:.0f} s, seed {seed}, in {folder}", flush=True)
    soak = Soak(folder, seconds=seconds, seed=seed, tell=lambda line: print(line, flush=True))
    wrongs = await soak.run()
    print(soak.report())
    for wrong in wrongs:
        print(f"WRONG {wrong}")
    if wrongs:
        print(f"FAILED: {len(wrongs)} wrongs; files in {folder}; again: python -m tests.soak.soak {seconds:.0f} {seed}")
        return 1
    shutil.rmtree(folder)
    print(f"PASSED: nothing wrong in {seconds:.0f} s, seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
