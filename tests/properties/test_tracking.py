"""Whatever happens to orders, and in whatever order: no cap is exceeded by what the daemon holds, and nothing leaks.

The simulator's own book is the truth. Steps are accepted, refused, reset before and after the daemon acted; orders fill
in parts, are cancelled and changed, here and at the exchange; lists are looked at or not; policies are reloaded; the
guard is stopped, or killed and started on what was in its files.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from guard.admin.change import Who
from guard.recovery.snapshots import resume
from guard.simulator import Simulator
from guard.simulator.faults import Fault, HttpError, Reset, RetType, Unreachable
from guard.simulator.orders import Order, Status
from guard.terms import LEDGER_UNIT, Outbound
from tests.support.clock import ManualClock
from tests.support.guards import order as body_of
from tests.support.guards import said
from tests.support.stage import MODIFY, ORDER, TRADING, Stage, again, ledger_of, stage

OPEN: Final = 100_000
DAILY: Final = 160_000
LOWERED: Final = 50_000
POLICY: Final = """
[orders]
max_value = "1000000 HKD"
time_in_force = ["DAY", "GTC"]
[budgets]
daily_value = "160000 HKD"
open_value = "{open_value} HKD"
open_orders = 4
"""
ALSO: Final = """
[budgets]
daily_value = "160000 HKD"
resets = "00:00 UTC"
"""
FAULTS: Final[tuple[Fault | None, ...]] = (
    None,
    None,
    Reset(acts=True),
    Reset(acts=False),
    RetType(-1),
    RetType(-100, acts=True),
    HttpError(500, acts=True),
    HttpError(503),
    Unreachable(),
)
faults = st.sampled_from(FAULTS)
qtys = st.sampled_from([100, 200, 300])
prices = st.sampled_from([100, 150, 200])


class Tracking(RuleBasedStateMachine):
    """One guard and its daemon, over many runs of the guard."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp(prefix="tracking-"))
        self.runs = 0
        self.open_cap = OPEN
        self.stack = AsyncExitStack()

    def go(self, work: Coroutine[Any, Any, Any]) -> Any:
        """To its end, on the machine's own loop."""
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        """A guard over fresh files."""
        clock = ManualClock()
        daemon = Simulator(clock=clock)
        (self.home / "0").mkdir()
        policies = {"desk.toml": self.policy(), "also.toml": ALSO}
        given = stage(self.home / "0", policies=policies, toml=TRADING, daemon=daemon, clock=clock)
        self.scene: Stage = self.go(self.stack.enter_async_context(given))

    def policy(self) -> str:
        """The policy in force."""
        return POLICY.format(open_value=self.open_cap)

    def teardown(self) -> None:
        """Nothing leaks: see `settled`."""
        try:
            if hasattr(self, "scene"):
                self.settled()
        finally:
            self.go(self.stack.aclose())
            self.loop.close()
            shutil.rmtree(self.home)

    # ------------------------------------------------------------ callers

    @rule(qty=qtys, price=prices, fault=faults, tif=st.sampled_from(["DAY", "GTC"]))
    def place(self, qty: int, price: int, fault: Fault | None, tif: str) -> None:
        """A new order; granted only where there is room."""
        if fault is not None:
            self.scene.daemon.faults.add(fault, path=ORDER)
        reply = self.go(self.scene.place(qty=qty, price=price, time_in_force=tif))
        self.scene.daemon.faults.clear()
        self.scene.clock.advance(us=1)
        if reply.status == 200 and said(reply)["ret_type"] == 0:
            assert self.scene.held("open_value") <= self.open_cap
            assert max(self.scene.days()) <= DAILY

    @precondition(lambda self: self.orders())
    @rule(pick=st.integers(0, 99), qty=qtys, price=prices, fault=faults)
    def modify(self, pick: int, qty: int, price: int, fault: Fault | None) -> None:
        """A change of any order there ever was."""
        self.change(pick, fault, qty=qty, price=price)

    @precondition(lambda self: self.orders())
    @rule(pick=st.integers(0, 99), fault=faults)
    def cancel(self, pick: int, fault: Fault | None) -> None:
        """A cancel of any order there ever was."""
        self.change(pick, fault, op="CANCEL", qty=None, price=None)

    @precondition(lambda self: self.orders())
    @rule(pick=st.integers(0, 99), op=st.sampled_from(["DISABLE", "ENABLE"]), fault=faults)
    def toggle(self, pick: int, op: str, fault: Fault | None) -> None:
        """An order is put aside, or brought back."""
        self.change(pick, fault, op=op, qty=None, price=None)

    def change(self, pick: int, fault: Fault | None, **members: Any) -> None:
        """One request to modify-order."""
        if fault is not None:
            self.scene.daemon.faults.add(fault, path=MODIFY)
        order = self.orders()[pick % len(self.orders())]
        self.go(self.scene.modify(order.order_id_ex, **members))
        self.scene.daemon.faults.clear()

    # ------------------------------------------------------------ the exchange

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 99), part=st.sampled_from([50, 100, 1000]), better=st.sampled_from([0, 1]))
    def fill(self, pick: int, part: int, better: int) -> None:
        """Some of a working order fills, at its limit or better."""
        order = self.working()[pick % len(self.working())]
        price = (order.price or Decimal(0)) - better
        self.scene.daemon.world.book.fill(
            order, qty=min(Decimal(part), order.left), price=price, at=self.scene.clock.wall()
        )

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 99))
    def end(self, pick: int) -> None:
        """The exchange ends an order."""
        order = self.working()[pick % len(self.working())]
        self.scene.daemon.world.end(order, Status.CANCELLED_PART if order.fill_qty else Status.CANCELLED_ALL)

    @rule(qty=qtys, price=prices)
    def place_elsewhere(self, qty: int, price: int) -> None:
        """Somebody places an order round the guard."""
        body = json.dumps(body_of(qty=qty, price=price, remark="by hand")).encode()
        self.go(self.scene.daemon.send(Outbound("POST", ORDER, body, 5.0)))

    # ------------------------------------------------------------ the guard

    @rule(s=st.sampled_from([0, 1, 3, 7, 31, 61]), is_down=st.booleans())
    def look(self, s: int, *, is_down: bool) -> None:
        """Time passes, and the lists are looked at, if they can be."""
        if is_down:
            self.scene.daemon.faults.add(HttpError(500), path="/api/orders")
        self.go(self.turn(s))
        self.scene.daemon.faults.clear()

    async def turn(self, s: int) -> None:
        """One round of the reconciler after some seconds."""
        await self.scene.guard.reconciler.turn()
        self.scene.clock.advance(s=s)
        await self.scene.guard.reconciler.turn()

    @rule(cap=st.sampled_from([OPEN, LOWERED]))
    def reload(self, cap: int) -> None:
        """A cap is lowered below use, or raised again."""
        self.open_cap = cap
        self.scene.write_policy(self.policy())
        change = self.go(self.scene.guard.changes.policies.reload(Who(reason="test")))
        assert change.result in {"applied", "unchanged"}

    @rule(is_killed=st.booleans())
    def restart(self, *, is_killed: bool) -> None:
        """Stopped, or killed: what is read back is what was there; only then does the next guard learn more."""
        config = self.scene.config
        if is_killed:
            self.runs += 1
            config, before = self.go(self.killed(self.home / str(self.runs)))
            self.go(self.stack.aclose())
        else:
            self.go(self.stack.aclose())
            before = self.scene.ledger()
        assert ledger_of(resume(config.parent / "state")[0].state) == before
        self.stack = AsyncExitStack()
        given = again(config, daemon=self.scene.daemon, clock=self.scene.clock)
        self.scene = self.go(self.stack.enter_async_context(given))

    async def killed(self, to: Path) -> tuple[Path, dict[str, Any]]:
        """What a kill leaves, and the ledger in the same turn of the loop: in the next one a list may be looked at."""
        return await self.scene.killed(to), self.scene.ledger()

    # ------------------------------------------------------------ the truth

    def orders(self) -> list[Order]:
        """Everything that the daemon ever took."""
        return list(self.scene.daemon.orders.values()) if hasattr(self, "scene") else []

    def working(self) -> list[Order]:
        """What can still fill."""
        return [order for order in self.orders() if order.is_open]

    def ours(self) -> list[Order]:
        """Everything that came through the guard, which stamps it."""
        return [order for order in self.orders() if order.remark != "by hand"]

    def at_risk(self) -> Decimal:
        """What the open orders of ours are worth."""
        return sum((order.left * (order.price or 0) for order in self.ours() if order.is_open), Decimal(0))

    def spent(self) -> Decimal:
        """What was really paid for them."""
        return sum((order.fill_value for order in self.ours()), Decimal(0))

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        """What the daemon really holds is within the caps, and the ledger never says less than it is."""
        if not hasattr(self, "scene"):
            return
        assert self.at_risk() <= self.scene.held("open_value")
        assert self.at_risk() <= OPEN
        assert self.spent() + self.at_risk() <= min(self.scene.days())
        assert self.spent() + self.at_risk() <= DAILY

    def settled(self) -> None:
        """When all has come to rest nothing is held but what was paid."""
        for order in self.orders():
            if order.is_open or order.status is Status.DISABLED:
                self.scene.daemon.world.end(order, Status.CANCELLED_ALL)
        for _ in range(6):
            self.go(self.turn(31))
        left = self.scene.ledger()
        assert (left["holders"], left["steps"]) == ({}, {})
        assert self.scene.sums("open_value") == self.scene.sums("exits") == self.scene.sums("open_orders") == 0
        # The daemon tells an average price of some decimals, from which the value of a fill is worked out, rounded up.
        for held in self.scene.days():
            assert 0 <= held - self.spent() <= Decimal(len(self.orders())) / LEDGER_UNIT


Tracking.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTracking = Tracking.TestCase
