"""Reference data for tests: the simulated daemon on a clock wound by hand, and answers written by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from guard.reference import Reference, ReferenceBounds
from guard.simulator import Simulator
from guard.supervisor import Supervisor
from guard.terms import (
    Account,
    Answer,
    Daemon,
    Env,
    Failure,
    Header,
    Needs,
    OrderType,
    Outbound,
    PlaceOrder,
    Side,
    World,
)
from tests.support.clock import ManualClock

MONDAY = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)  # 10:30 in Hong Kong, a trading day
ACCOUNT = Account(Env.SIMULATE, 123456)
PRICE = Needs(quote=True)
WHAT = Needs(instrument=True)
BOTH = Needs(instrument=True, quote=True)
ALL = Needs(instrument=True, quote=True, underlying=True, exchange=True, position=True)
TRD_MARKETS = {"HK": 1, "US": 2, "CN": 3, "HKCC": 4, "SG": 6, "JP": 15, "AU": 8}
DOWN = Failure("refused", "nobody there", is_sent=False)
LATE = Failure("timeout", "no answer in time", is_sent=True)


def order(symbol: str = "HK.00700", market: str = "HK", **members: Any) -> PlaceOrder:
    """A market order to buy 100 of a symbol."""
    trd_market = TRD_MARKETS.get(market, 5)
    plain: dict[str, Any] = {
        "header": Header(ACCOUNT.env, ACCOUNT.acc_id, None, trd_market),
        "market": market,
        "symbol": symbol,
        "code": symbol.partition(".")[2],
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "qty": Decimal(100),
    }
    return PlaceOrder(**plain | members)


def security(symbol: str) -> dict[str, object]:
    """Qot_Common.Security of an HK or US symbol."""
    prefix, _, code = symbol.partition(".")
    return {"market": {"HK": 1, "US": 11}.get(prefix, 99), "code": code}


def answer(s2c: Any, *, ret_type: Any = 0, status: int = 200, ret_msg: str | None = None) -> Answer:
    """The daemon's envelope."""
    body = {"ret_type": ret_type, "ret_msg": ret_msg, "err_code": None, "s2c": s2c}
    return Answer(status, "application/json", json.dumps(body, default=str).encode())


Edit = Callable[[Outbound, Answer | Failure], Answer | Failure]


class Wire:
    """A daemon between guard and simulator: counts questions, and lets a test edit the answers of a path."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.asked: list[Outbound] = []
        self.edits: dict[str, Edit] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, request: Outbound) -> Answer | Failure:
        """The simulator's answer, edited; never before the gate is open."""
        self.asked.append(request)
        await self.gate.wait()
        found = await self.simulator.send(request)
        edit = self.edits.get(request.path)
        return found if edit is None else edit(request, found)

    def always(self, path: str, result: Answer | Failure) -> None:
        """From now on this path answers this; the simulator carries the question out all the same."""
        self.edits[path] = lambda _, __: result

    def edit(self, path: str, change: Callable[[Any], None]) -> None:
        """From now on the parsed `s2c` of this path is changed in place."""

        def edited(_: Outbound, found: Answer | Failure) -> Answer | Failure:
            assert isinstance(found, Answer)
            envelope = json.loads(found.body)
            if envelope.get("s2c") is not None:
                change(envelope["s2c"])
            return Answer(found.status, found.content_type, json.dumps(envelope).encode())

        self.edits[path] = edited

    def paths(self) -> list[str]:
        """What was asked for, in order, without `/api/`."""
        return [request.path.removeprefix("/api/") for request in self.asked]

    def count(self, path: str) -> int:
        """How often a path was asked."""
        return self.paths().count(path)

    def symbols(self, path: str) -> list[list[str]]:
        """The codes of every question to a path."""
        bodies = [json.loads(r.body or b"{}") for r in self.asked if r.path == f"/api/{path}"]
        return [[row["code"] for row in body["c2s"].get("security_list", [])] for body in bodies]


class Bench:
    """Reference data with its daemon and its clock. `slept`: how long questions waited for their pace."""

    def __init__(
        self, *, start: datetime = MONDAY, bounds: ReferenceBounds | None = None, daemon: Daemon | None = None
    ) -> None:
        self.clock = ManualClock(start)
        self.simulator = Simulator(clock=self.clock)
        self.wire = Wire(self.simulator)
        self.supervisor = Supervisor()
        self.slept: list[float] = []
        self.reference = Reference(
            daemon or self.wire,
            self.clock,
            self.supervisor,
            bounds=bounds or ReferenceBounds(timeout_s=2.0),
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(us=round(seconds * 1_000_000))
        await asyncio.sleep(0)

    async def world(
        self,
        placed: PlaceOrder | None = None,
        needs: Needs = ALL,
        *,
        account: Account = ACCOUNT,
        position_since_us: int = 0,
    ) -> World:
        """The world of an order: what is missing is asked for first."""
        wanted, since_us = placed or order(), position_since_us
        await self.reference.prepare(wanted, account=account, needs=needs, position_since_us=since_us)
        return self.reference.peek(wanted, account=account, needs=needs, position_since_us=since_us)

    def peek(self, placed: PlaceOrder | None = None, needs: Needs = ALL, *, position_since_us: int = 0) -> World:
        """The same without asking."""
        return self.reference.peek(placed or order(), account=ACCOUNT, needs=needs, position_since_us=position_since_us)

    async def settle(self) -> None:
        """Let what runs beside the caller end."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def bench(**members: Any) -> AsyncIterator[Bench]:
    """A bench whose tasks have all ended well afterwards."""
    made = Bench(**members)
    yield made
    made.wire.gate.set()
    await made.settle()
    assert made.supervisor.concerns() == ()
    assert await made.supervisor.drain(1.0) == ()
