"""A guard and its simulated daemon on one stage, their clock wound by hand: what scenarios are told with."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from guard.access.issuers import NO_ISSUERS
from guard.activeconfig import config_of
from guard.admin.trading import ScopeBody, StateBody
from guard.journal import Disk
from guard.lifecycle import Guard
from guard.limits import State
from guard.simulator import Simulator
from guard.simulator.core import Received
from guard.simulator.instruments import LISTED
from guard.terms import LEDGER_UNIT, Account, Env, Reply
from tests.support import guards
from tests.support.clock import ManualClock
from tests.support.copied import copied
from tests.support.dump import dump

ORDER: Final = "/api/order"
MODIFY: Final = "/api/modify-order"
CANCEL_ALL: Final = "/api/cancel-all-order"
ACCOUNTS: Final = "/api/accounts"
TRADING: Final = "[trading]\nenabled = true\n"
DAILY: Final = """
[orders]
max_value = ["1000000 HKD", "100000 USD"]
[budgets]
daily_value = ["5000000 HKD", "500000 USD"]
[rates]
new_orders = "1000/60s"
"""
ROOM_FOR_THREE: Final = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\ndaily_value = "60000 HKD"\n'
TIGHT: Final = """
[orders]
max_value = "1000000 HKD"
per_day = 3
duplicate_window_s = 60
[budgets]
daily_value = "60000 HKD"
[rates]
new_orders = "3/60s"
changes = "5/60s"
"""


def ledger_of(state: State) -> dict[str, Any]:
    """A ledger as plain data, but for its time."""
    return {name: value for name, value in dump(state).items() if name != "at_us"}


@dataclass
class Stage:
    """One run of a guard. `daemon` outlives it, as does `config`; `clock` is the guard's and the daemon's.

    `has_tasks`: each request is awaited, and its task can be cancelled, as no caller's is.
    """

    guard: Guard
    daemon: Simulator
    clock: ManualClock
    config: Path
    has_tasks: bool = False

    # ------------------------------------------------------------ asking

    async def ask(self, path: str, body: Any = None, *, who: str | None = "bot", **head: str) -> Reply:
        """One request; a body makes it a POST."""
        ask = guards.ask_in_a_task if self.has_tasks else guards.ask
        return await ask(self.guard, path, body, who=who, **head)

    async def place(self, *, who: str | None = "bot", key: str | None = None, **members: Any) -> Reply:
        """One new order of Tencent, far below the market so that it rests; `key` is its Idempotency-Key."""
        head = {} if key is None else {"idempotency_key": key}
        return await self.ask(ORDER, guards.order(**{"price": 200} | members), who=who, **head)

    async def placed(self, *, who: str = "bot", key: str | None = None, **members: Any) -> str:
        """A new order that was taken: its external id."""
        reply = await self.place(who=who, key=key, **members)
        told = guards.said(reply)
        assert told["ret_type"] == 0, told
        return str(told["s2c"]["order_id_ex"])

    async def modify(self, order_id_ex: str, *, who: str = "bot", key: str | None = None, **members: Any) -> Reply:
        """A change to 100 at 200, or to what is said."""
        head = {} if key is None else {"idempotency_key": key}
        return await self.ask(MODIFY, change(order_id_ex, **members), who=who, **head)

    async def cancel(self, order_id_ex: str, *, who: str | None = "bot", **members: Any) -> Reply:
        """A cancel of one order."""
        return await self.ask(
            MODIFY, change(order_id_ex, **{"op": "CANCEL", "qty": None, "price": None} | members), who=who
        )

    # ------------------------------------------------------------ what others do

    async def set_state(self, state: Any, **scope: Any) -> None:
        """The operator sets a trading state, for everyone or for this scope."""
        body = StateBody(state, "because", ScopeBody(**scope))
        assert (await self.guard.changes.set_state(body, by="desk")).result == "applied"

    def lose_policies(self) -> None:
        """No policies are in force any more."""
        desk = self.guard.desk
        desk.config = config_of(desk.config.settings, desk.config.keyring, NO_ISSUERS, policies=None)

    def write_policy(self, text: str, name: str = "desk.toml") -> None:
        """A policy file, as an editor would leave it."""
        (self.config.parent / "policies" / name).write_text(text)

    def hold(self, qty: int, *, env: Env = Env.SIMULATE) -> None:
        """The account has got so many shares of Tencent more."""
        self.daemon.world.ledger.book(Account(env, 123456), LISTED["HK.00700"], qty=Decimal(qty), price=Decimal(300))

    async def sell(self, qty: int, **more: Any) -> Reply:
        """A sale far above the market, so that it rests; so late after the last that the position may be asked for."""
        self.clock.advance(s=6)
        return await self.place(side="SELL", **{"qty": qty, "price": 400} | more)

    # ------------------------------------------------------------ looking

    def reached(self, path: str = ORDER) -> list[Received]:
        """What the daemon was asked at this path."""
        return [request for request in self.daemon.requests if request.path == path]

    def held(self, word: str = "daily_value") -> Decimal:
        """What stands on all counters of this word, money as money."""
        return Decimal(self.sums(word)) / LEDGER_UNIT

    def sums(self, word: str) -> int:
        """What stands on all counters of this word, in the ledger's own units."""
        return sum(amount for cell, amount in self.guard.desk.state.sums.items() if cell.startswith(f"{word}/"))

    def days(self) -> tuple[Decimal, Decimal]:
        """What stands on each of the two budgets of the day, which begin it at different times."""
        days = [Decimal(0), Decimal(0)]
        for cell, amount in self.guard.desk.state.sums.items():
            if cell.startswith("daily_value/"):
                days[cell.endswith(",all")] += Decimal(amount) / LEDGER_UNIT
        return days[0], days[1]

    def stamps(self, word: str) -> int:
        """How many stamps all windows of this word hold."""
        logs = self.guard.desk.state.logs
        return sum(len(log.stamps) for cell, log in logs.items() if cell.startswith(f"{word}/"))

    def ledger(self) -> dict[str, Any]:
        """The whole ledger as plain data, but for its time."""
        return ledger_of(self.guard.desk.state)

    async def written(self) -> None:
        """All that was appended is in the file; it need not be synced."""
        journal = self.guard.journal
        while journal.failed is None and journal.written_seq < journal.last_seq:  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(0.0005)

    async def killed(self, to: Path) -> Path:
        """The files as a kill would leave them now: the settings file of a copy.

        What they hold is the ledger after it, not before: the guard's own looks at the daemon's lists go on. From the
        record to the copy there is no turn of the loop: who looks at the ledger does so before the next one.
        """
        await self.written()
        return copied(self.config.parent, to) / self.config.name

    def days_pass(self, days: int) -> None:
        """So many days on which little happens: a record every fifth, which nothing counts."""
        for day in range(days):
            self.clock.advance(s=86_400)
            if day % 5 == 0:
                self.guard.journal.append("a", {})

    async def until_reached(self, path: str = ORDER, *, times: int = 1) -> None:
        """The daemon has been asked that often at this path."""
        async with asyncio.timeout(60):
            while len(self.reached(path)) < times:  # noqa: ASYNC110 - nobody tells when the daemon is asked
                await asyncio.sleep(0)

    async def records(self, kind: str) -> list[dict[str, Any]]:
        """The records of one type so far."""
        await self.written()
        return guards.of_type(self.config, kind)

    async def decision(self, reply: Reply) -> dict[str, Any]:
        """The decision record of an answer."""
        wanted = decision_of(reply)
        return next(record for record in await self.records("decision") if record["id"] == wanted)

    async def outcome(self, reply: Reply) -> dict[str, Any]:
        """The outcome record of an answer."""
        wanted = decision_of(reply)
        return next(record for record in await self.records("outcome") if record["decision"] == wanted)


@asynccontextmanager
async def stage(
    directory: Path,
    *records: Mapping[str, Any],
    policies: Mapping[str, str] | str | None = None,
    toml: str = TRADING,
    daemon: Simulator | None = None,
    clock: ManualClock | None = None,
    disk: Disk | None = None,
) -> AsyncIterator[Stage]:
    """A guard over fresh files that serves meanwhile. One text of policies is the file desk.toml."""
    clock = clock or ManualClock()
    files = {"desk.toml": policies} if isinstance(policies, str) else policies
    config = guards.lay_out(directory, *records, policies=files, toml=toml)
    async with again(config, daemon=daemon or Simulator(clock=clock), clock=clock, disk=disk) as found:
        yield found


@asynccontextmanager
async def again(
    config: Path, *, daemon: Simulator, clock: ManualClock, disk: Disk | None = None
) -> AsyncIterator[Stage]:
    """A guard over files that are there already."""
    async with guards.running(config, daemon=daemon, clock=clock, disk=disk) as guard:
        yield Stage(guard, daemon, clock, config)


def next_run(scene: Stage, config: Path | None = None, **given: Any) -> AbstractAsyncContextManager[Stage]:
    """The guard again, over the same daemon and, unless others are given, the same files and clock."""
    return again(config or scene.config, daemon=scene.daemon, clock=given.pop("clock", scene.clock), **given)


def change(order_id_ex: str | None, **members: Any) -> dict[str, Any]:
    """A flat body that changes an order to 100 at 200; members set to None are left out."""
    plain = {"market": "HK", "acc_id": 123456, "env": "simulate", "order_id_ex": order_id_ex}
    full = plain | {"op": "NORMAL", "qty": 100, "price": 200} | members
    return {name: value for name, value in full.items() if value is not None}


def account(**members: Any) -> dict[str, Any]:
    """A flat body that names an account and nothing else."""
    return {"market": "HK", "acc_id": 123456, "env": "simulate"} | members


def decision_of(reply: Reply) -> str:
    """The decision that an answer names."""
    return dict(reply.headers)["Guard-Decision"]


def code_of(reply: Reply) -> tuple[int, str]:
    """Status and primary code of a refusal."""
    told: dict[str, Any] = json.loads(reply.body)
    return reply.status, str(told["guard"]["code"])


def is_passed(reply: Reply) -> bool:
    """The guard let it through and the daemon said yes."""
    return reply.status == 200 and json.loads(reply.body).get("ret_type") == 0
