"""What happens around the callers of a soak: an exchange that fills and ends orders, faults, an operator, restarts."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from guard.simulator import Simulator
from guard.simulator.faults import Delay, Fault, Garbage, HttpError, Reset, RetType
from guard.simulator.orders import Status
from tests.support.guards import OPEN_POLICY, key, record, write_keys
from tests.support.processes import ask, children

TRADES: Final = ("/api/order", "/api/modify-order")
# After these the daemon's lists show what became of the order at once; after the others only two absences do.
ACTING: Final[tuple[Fault, ...]] = (
    Reset(acts=True),
    HttpError(500, acts=True),
    RetType(-1),
    RetType(-100, acts=True),
    Garbage(acts=True),
    Delay(0.05),
    HttpError(429),
)
# The last one stands still for longer than anybody waits.
SILENT: Final[tuple[Fault, ...]] = (Reset(acts=False), HttpError(503), RetType(-400), Garbage(), Delay(3.0))
READING: Final[tuple[Fault, ...]] = (Reset(acts=False), HttpError(502), Garbage(), Delay(0.1), RetType(-200))
BUDGETS: Final = """
[budgets]
daily_value = "{day} HKD"
open_value = "900000000 HKD"
open_orders = {orders}
"""


# One key may hold few orders, another may spend little: the daemon's own book shows that neither had more.
FEW: Final = "bot-2"
FEW_ORDERS: Final = 6
FEW_CODE: Final = "00388"  # what it alone trades
POOR: Final = "bot-3"
POOR_DAY: Final = 2_000_000
TIGHT: Final = {
    "few.toml": f'[applies_to]\nkeys = ["{FEW}"]\n[budgets]\nopen_orders = {FEW_ORDERS}\n',
    "poor.toml": f'[applies_to]\nkeys = ["{POOR}"]\n[budgets]\ndaily_value = "{POOR_DAY} HKD"\n',
}


def policy(day: int = 900_000_000, orders: int = 100_000) -> str:
    """The policy in force."""
    return OPEN_POLICY + BUDGETS.format(day=day, orders=orders)


def keys(*, with_guest: bool) -> list[dict[str, Any]]:
    """Who may call; the guest comes and goes."""
    names = [*(f"bot-{n}" for n in range(4)), "reader", *(["guest"] if with_guest else [])]
    return [*(record(name) for name in names), record("desk", owner="a person")]


async def exchange(simulator: Simulator, dice: random.Random, wrongs: list[str]) -> None:
    """Time passes: orders fill in parts, at their limit or better, and some end; nobody has more than it may."""
    while True:
        await asyncio.sleep(0.02)
        working = simulator.world.book.working()
        if (few := sum(one.instrument.code == FEW_CODE for one in working)) > FEW_ORDERS:
            wrongs.append(f"{FEW} has {few} orders at work, it may have {FEW_ORDERS}")
        if not working:
            continue
        one = dice.choice(working)
        if dice.random() < 0.8:
            price = (one.price or Decimal(0)) - dice.choice([0, 0, 1])
            part = min(Decimal(dice.choice([50, 100, 1000])), one.left)
            simulator.world.book.fill(one, qty=part, price=price, at=simulator.world.now())
            simulator.world.announce(one)
        else:
            simulator.world.end(one, Status.CANCELLED_PART if one.fill_qty else Status.CANCELLED_ALL)


async def faults(simulator: Simulator, dice: random.Random, *, is_silent: bool) -> None:
    """Something goes wrong with a trade or a read, again and again, but most go well."""
    kinds = (*ACTING, *SILENT) if is_silent else ACTING
    while True:
        await asyncio.sleep(dice.uniform(0.05, 0.3))
        simulator.faults.add(dice.choice(kinds), path=dice.choice(TRADES))
        if dice.random() < 0.3:
            simulator.faults.add(dice.choice(READING), path="/api/quote")
        if dice.random() < 0.05:
            simulator.faults.add(HttpError(500), path="/api/orders")


async def violence(guard: Callable[[], Popen[bytes] | None], dice: random.Random, *, longest_s: float) -> None:
    """What works beside the guard is killed, and the guard itself stands still for a while, at any moment."""
    while True:
        await asyncio.sleep(dice.uniform(0.05, 1.0))
        process = guard()
        if process is None or process.poll() is not None:
            continue
        for child in children(process.pid):
            if dice.random() < 0.5:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        if dice.random() < 0.1:
            process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(dice.uniform(0.01, longest_s))
            finally:
                process.send_signal(signal.SIGCONT)


class Operator:
    """Reloads policies good and bad, revokes and readmits a key, stops a key and sets it active again."""

    def __init__(self, folder: Path, ports: tuple[int, int], wrongs: list[str]) -> None:
        self._folder = folder
        self._data, self._ops = ports
        self._wrongs = wrongs
        self.reloads = 0

    async def work(self, dice: random.Random) -> None:
        """One thing after the other; a guard that is not there is asked later."""
        while True:
            await asyncio.sleep(dice.uniform(0.1, 0.4))
            try:
                await dice.choice([self.edit, self.break_it, self.revoke, self.halt])(dice)
                self.reloads += 1
            except (OSError, ValueError):
                continue

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return await asyncio.to_thread(ask, self._ops, path, body, bearer=key("desk"))

    async def edit(self, dice: random.Random) -> None:
        """Another limit, in force at once."""
        (self._folder / "policies" / "open.toml").write_text(policy(orders=dice.randint(50_000, 100_000)))
        status, told = await self._post("/admin/policy/reload", {"reason": "soak"})
        if status not in {200, 503}:
            self._wrongs.append(f"a good policy got {status} {told}")

    async def break_it(self, _: random.Random) -> None:
        """A policy that cannot be read: refused, and the last good one stays."""
        file = self._folder / "policies" / "open.toml"
        good = file.read_text()
        file.write_text("[orders]\nmax_valu = 3\n")
        status, _told = await self._post("/admin/policy/reload", {"reason": "a typing error"})
        file.write_text(good)
        if status not in {422, 503}:
            self._wrongs.append(f"a bad policy got {status}")

    async def revoke(self, _: random.Random) -> None:
        """The guest's key ends, its next request is 401; then it is back."""
        for with_guest, expected in ((False, 401), (True, 200)):
            write_keys(self._folder / "keys.json", *keys(with_guest=with_guest))
            status, _told = await self._post("/admin/keys/reload", {"reason": "soak"})
            found = await asyncio.to_thread(ask, self._data, "/guard/v1/me", bearer=key("guest"))
            if status == 200 and found[0] != expected:
                self._wrongs.append(f"the guest got {found[0]}, not {expected}")

    async def halt(self, _: random.Random) -> None:
        """A key is stopped for a moment."""
        for state in ("cancel_only", "active"):
            body = {"state": state, "scope": {"keys": ["bot-3"]}, "reason": "soak"}
            status, told = await self._post("/admin/state", body)
            if status not in {200, 503}:
                self._wrongs.append(f"state {state} got {status} {told}")
