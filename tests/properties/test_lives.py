"""Whole lives of orders, many at once and none with a task, to a daemon on a socket: the books are right to the end.

The simulator's own book is the truth. Requests of two keys come together; the disk, the daemon and its connections are
late, broken, cut off or gone; lists lag; policies and keys are reloaded, trading is shut and opened; the guard stops,
or is killed and begun on what was in its files. At every step: what leaves is on the disk, held, leaves once, and
nothing stands against it; whoever asks is answered once, with what the daemon said to that request; no less is held
than works, and no more works than may; the record folds into what there is. In the end only what was paid is held.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any, Final

import pytest

from guard.admin.change import Who
from guard.admin.trading import StateBody
from guard.errors import JournalFault
from guard.lifecycle import Guard
from guard.recovery.readback import recover
from guard.simulator import Simulator
from guard.simulator.orders import Order, Status
from guard.terms import Call, Reply
from guard.tracking import Reconciler
from tests.support.clock import ManualClock
from tests.support.copied import copied
from tests.support.guards import Waiting, call, lay_out, made, order, record, said, write_keys
from tests.support.leaving import Leaving, Medium
from tests.support.stage import CANCEL_ALL, MODIFY, ORDER, Stage, account, change, decision_of, ledger_of
from tests.support.wire import Wire, wired

OPEN: Final = 200_000
DAILY: Final = 500_000
ORDERS: Final = 14
DESK: Final = """
[orders]
max_value = "1000000 HKD"
time_in_force = ["DAY", "GTC"]
[budgets]
per = "account"
daily_value = "500000 HKD"
open_value = "{open_value} HKD"
open_orders = {orders}
[rates]
per = "account"
new_orders = "40/60s"
[rights]
touch = "account"
cancel_all = "account"
"""
ALSO: Final = """
[budgets]
per = "account"
daily_value = "500000 HKD"
resets = "00:00 UTC"
"""
KEYS: Final = ("bot", "other")
TOML: Final = """
[trading]
enabled = true
[bounds]
drain_timeout_s = 0.02
[daemon]
url = "{url}"
broker_limits = "off"
connections_max = {connections}
order_timeout_s = 0.15
"""
STEPS: Final = 80

Told = Callable[[JournalFault | None], None]


class Asking(Waiting):
    """Somebody who asks; `ends`: how that ended, each time that it did."""

    def __init__(self, asked: Call) -> None:
        super().__init__(asked)
        self.ends: list[str] = []

    def answer(self, reply: Reply) -> None:
        """Answered."""
        self.ends.append("answered")
        super().answer(reply)

    def fail(self) -> None:
        """Never."""
        self.ends.append("failed")
        super().fail()

    def cut(self) -> None:
        """The guard stops."""
        self.ends.append("cut")
        super().cut()


class Life:
    """One daemon, and one guard after another before it. `scene` is the present one's."""

    scene: Stage
    wire: Wire
    url: str

    def __init__(self, home: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dice = Random(seed)
        self.clock = ManualClock()
        self.simulator = Simulator(clock=self.clock)
        self.medium = Medium()
        self.leaving = Leaving(self.medium, monkeypatch)
        self._home, self._runs, self._remarks = home, 0, 0
        self._asked: list[Asking] = []
        self._others: list[asyncio.Future[Any]] = []
        self._open_value, self._revoked = OPEN, set[str]()
        self._stack = AsyncExitStack()
        self._unheard: list[tuple[int, Told]] | None = None  # while the disk is slow

    # ------------------------------------------------------------ the guard

    async def begin(self) -> None:
        """Over fresh files."""
        folder = self._home / "0"
        folder.mkdir()
        toml = TOML.format(url=self.url, connections=self.dice.choice([4, 6, 64]))
        config = lay_out(folder, policies={"desk.toml": self._policy(), "also.toml": ALSO}, toml=toml)
        self._write_keys(folder)
        await self._stack.enter_async_context(self._running(config))

    async def end(self) -> None:
        """It stops."""
        await self._stack.aclose()

    @asynccontextmanager
    async def _running(self, config: Path) -> AsyncIterator[None]:
        guard = made(config, clock=self.clock, disk=self.medium)
        await guard.start()
        self.scene, self.leaving.desk = Stage(guard, self.simulator, self.clock, config), guard.desk
        self._listen_in(guard)
        try:
            yield
        finally:
            guard.hurry.set()
            await guard.stop("over")

    def _listen_in(self, guard: Guard) -> None:
        self._when_durable = guard.journal.when_durable

        def when_durable(seq: int, told: Told) -> None:
            if self._unheard is None:
                self._when_durable(seq, told)
            else:
                self._unheard.append((seq, told))

        self._unheard = None
        guard.journal.when_durable = when_durable  # type: ignore[method-assign]

    def _hear(self) -> None:
        """The disk is slow no more; who waited hears of it in any order."""
        waiting, self._unheard = self._unheard or [], None
        self.dice.shuffle(waiting)
        for seq, told in waiting:
            self._when_durable(seq, told)

    def _policy(self) -> str:
        return DESK.format(open_value=self._open_value, orders=ORDERS)

    def _write_keys(self, folder: Path) -> None:
        some = [record(name) for name in KEYS if name not in self._revoked]
        write_keys(folder / "keys.json", *some, record("desk", owner="a person"))

    # ------------------------------------------------------------ the truth

    def _working(self) -> list[Order]:
        return [one for one in self.simulator.orders.values() if one.is_open]

    def _at_risk(self) -> Decimal:
        return sum((one.left * (one.price or 0) for one in self._working()), Decimal(0))

    def _spent(self) -> Decimal:
        return sum((one.fill_value for one in self.simulator.orders.values()), Decimal(0))

    def check(self) -> None:
        """Holds at any time."""
        at_risk, most = self._at_risk(), self._spent() + self._at_risk()
        assert at_risk <= self.scene.held("open_value")
        assert sum(one.left for one in self._working()) <= self.scene.held("exits")
        assert at_risk <= OPEN
        assert most <= min(self.scene.days())
        assert most <= DAILY
        assert len(self._working()) <= ORDERS
        assert self.leaving.wrong == []
        assert {len(one.ends) for one in self._asked} <= {0, 1}

    # ------------------------------------------------------------ what happens

    def _request(self) -> Call:
        """Something that somebody asks."""
        dice, orders = self.dice, list(self.simulator.orders.values())[-8:]
        head = {"who": dice.choice(KEYS)} | ({"idempotency_key": f"k{dice.randint(1, 12)}"} if self._is(0.2) else {})
        if not orders or self._is(0.5):
            self._remarks += 1
            more = {"remark": f"r{self._remarks}"} if self._is(0.1) else {}
            terms = {"qty": dice.choice([100, 200, 300]), "price": dice.choice([50, 100, 150])}
            return call(ORDER, order(**terms, **more, time_in_force=dice.choice(["DAY", "GTC"])), **head)
        name, what = dice.choice(orders).order_id_ex, dice.random()
        if what < 0.1:
            return call("/api/quote", {"symbols": ["HK.00700"]}, **head)
        if what < 0.15:
            return call(CANCEL_ALL, account(), **head)
        if what < 0.55:
            op = dice.choice(["CANCEL", "CANCEL", "CANCEL", "DISABLE", "ENABLE"])
            return call(MODIFY, change(name, op=op, qty=None, price=None), **head)
        return call(
            MODIFY, change(name, qty=dice.choice([100, 200, 300, 400]), price=dice.choice([50, 100, 150])), **head
        )

    def _is(self, likely: float) -> bool:
        return self.dice.random() < likely

    def _ask(self) -> None:
        """Requests of one turn of the loop."""
        some = [Asking(self._request()) for _ in range(self.dice.choice([1, 1, 2, 3, 6]))]
        self._asked += some
        self.scene.guard.pipeline.begin(some)

    def _trade(self) -> None:
        """The exchange fills some of an order, or ends it."""
        if not self._working():
            return
        one, world = self.dice.choice(self._working()), self.simulator.world
        if self._is(0.15):
            world.end(one, Status.CANCELLED_PART if one.fill_qty else Status.CANCELLED_ALL)
            return
        part, price = min(Decimal(self.dice.choice([50, 100, 1000])), one.left), (one.price or Decimal(0))
        world.book.fill(one, qty=part, price=price - self.dice.choice([0, 1]), at=self.clock.wall())

    def _halt(self) -> None:
        (self.scene.guard.desk.directory / "HALT").touch()

    def _shut(self) -> None:
        self._meanwhile(self._set_state(self.dice.choice(["cancel_only", "locked", "reduce_only"])))

    def _reload(self) -> None:
        """A cap goes below what is used, or up again."""
        self._open_value = self.dice.choice([OPEN, OPEN // 2])
        self.scene.write_policy(self._policy())
        self._meanwhile(self.scene.guard.changes.policies.reload(Who(reason="test")))

    def _revoke(self) -> None:
        self._revoked = {self.dice.choice(KEYS)}
        self._reload_keys()

    def _reload_keys(self) -> None:
        self._write_keys(self.scene.config.parent)
        self._meanwhile(self.scene.guard.changes.reload_keys(Who(reason="test")))

    def _slow_down(self) -> None:
        """The disk, or no more."""
        if self._unheard is None:
            self._unheard = []
        else:
            self._hear()

    def _break_disk(self) -> None:
        self.medium.is_broken |= self._is(0.3)

    def _calm(self) -> None:
        """Trading goes on."""
        (self.scene.guard.desk.directory / "HALT").unlink(missing_ok=True)
        if any(rule.state != "active" for rule in self.scene.guard.desk.state.trading.values()):
            self._meanwhile(self._set_state("active"))
        if self._revoked:
            self._revoked = set()
            self._reload_keys()

    async def _set_state(self, state: Any) -> None:
        _ = await self.scene.guard.changes.set_state(StateBody(state, "because"), by="desk")

    def _meanwhile(self, work: Coroutine[Any, Any, Any]) -> None:
        """Nobody waits for it."""
        self._others.append(asyncio.ensure_future(work))

    async def _look(self) -> None:
        """The lists are read, and some time passes; more than a moment only where the daemon has nothing left to do."""
        await self.scene.guard.reconciler.turn()
        if self._is(0.5):
            await self.rest()
            self.clock.advance(s=self.dice.choice([1, 3, 7, 31, 61]))
        self.clock.advance(us=self.dice.choice([1, 1000]))
        await self.scene.guard.reconciler.turn()

    async def step(self) -> None:
        """One thing happens, and the loop turns a few times."""
        if self._is(0.5):
            self._calm()
        if self._is(0.2):
            await self._look()
        else:
            rest = (self._trade, self._trade, self._halt, self._shut, self._slow_down, self._slow_down)
            rare = (self._reload, self._revoke, self._break_disk)
            (self._ask if self._is(0.7) else self.dice.choice(rest if self._is(0.85) else rare))()
        await self._turns()
        if self._is(0.3):
            await asyncio.sleep(self.dice.choice([0.0005, 0.002, 0.01]))

    async def _turns(self) -> None:
        for _ in range(self.dice.choice([0, 1, 2, 3, 5, 10])):
            await asyncio.sleep(0)

    # ------------------------------------------------------------ to rest, and on

    async def rest(self) -> None:
        """Everybody is answered, and the daemon has carried out whatever has arrived."""
        self._hear()
        await asyncio.gather(*self._others)
        await asyncio.gather(*[one.reply for one in self._asked], return_exceptions=True)
        client = self.scene.guard._client
        assert client is not None
        while self.wire.acting or client.in_flight or self.scene.guard.supervisor._held:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        self._others.clear()
        for one in self._asked:
            self._check_answer(one)
        self._asked.clear()

    def _check_answer(self, one: Asking) -> None:
        """It was told what the daemon said to its own request."""
        assert one.ends in (["answered"], ["cut"]), one.call
        if one.reply.cancelled() or one.call.path != ORDER or one.reply.result().status != 200:
            return
        reply = one.reply.result()
        name, told = (said(reply)["s2c"] or {}).get("order_id_ex", ""), self.wire.told.get(decision_of(reply))
        if told is None:  # given again, after lists told what became of it
            assert name in self.simulator.orders or said(reply)["ret_type"] == -1
        else:
            assert name.encode() in told

    async def check_record(self) -> None:
        """It folds into what there is, and nothing else is left of those who have been answered."""
        if self.medium.is_broken:
            return
        await self.scene.written()
        guard = self.scene.guard
        assert ledger_of(recover(self.scene.config.parent / "state").state) == self.scene.ledger()
        assert (guard.desk.unwritten, guard.desk.in_flight.under_way) == (0, {})
        assert guard.supervisor.concerns() == ()
        assert len(self.wire.arrived) == len(set(self.wire.arrived))

    async def restart(self) -> None:
        """Stopped, or killed: begun anew on what was in the files then."""
        await asyncio.gather(*self._others)
        for _ in range(self.dice.choice([0, 1, 3])):
            self._ask()
            await self._turns()
        for _ in range(4):  # a request whose task is ended before it began is told nothing
            await asyncio.sleep(0)
        config, is_killed = self.scene.config, self._is(0.5)
        if is_killed:
            self.leaving.desk, self._unheard = None, None
            self._runs += 1
            config = copied(config.parent, self._home / str(self._runs)) / config.name
        await self.end()
        while self.wire.acting:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert {len(one.ends) for one in self._asked} <= {1}
        if not is_killed and not self.medium.is_broken:
            assert ledger_of(recover(config.parent / "state").state) == self.scene.ledger()
        self._asked.clear()
        self._others.clear()
        self.medium.is_broken = False
        await self._stack.enter_async_context(self._running(config))

    async def settle(self) -> None:
        """All has come to rest: nothing is held but what was paid."""
        self.wire.is_bad = False
        await self.rest()
        for one in self.simulator.orders.values():
            if one.is_open or one.status is Status.DISABLED:
                self.simulator.world.end(one, Status.CANCELLED_ALL)
        for _ in range(16):
            self.clock.advance(s=31)
            await self.scene.guard.reconciler.turn()
        left = self.scene.ledger()
        assert (left["holders"], left["steps"]) == ({}, {})
        assert self.scene.sums("open_value") == self.scene.sums("exits") == self.scene.sums("open_orders") == 0
        for held in self.scene.days():  # by the average price that the daemon tells
            assert 0 <= held - self._spent() <= Decimal(len(self.simulator.orders)) / 100


async def lived(life: Life) -> None:
    """From its beginning to its end."""
    await life.begin()
    try:
        for _ in range(STEPS):
            await life.step()
            life.check()
            if life._is(0.2 if life.medium.is_broken else 0.04):
                await life.restart()
                life.check()
            if life._is(0.05):
                await life.rest()
                await life.check_record()
        if life.medium.is_broken:
            await life.restart()
        await life.settle()
        life.check()
        await life.check_record()
    finally:
        await life.end()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_goes_wrong_the_books_are_right(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """See above. The order lists are read when the test says so."""

    async def only_when_told(_: Reconciler) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Reconciler, "run", only_when_told)
    life = Life(tmp_path, seed, monkeypatch)
    async with asyncio.timeout(120), wired(life.simulator, life.dice) as (life.wire, life.url):
        await lived(life)
