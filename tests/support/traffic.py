"""A guard under scripted traffic, scraped by a real Prometheus: what the dashboard's queries are tried on.

python -m tests.support.traffic SECONDS FILE.svg    draws the picture of the dashboard in the documents
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.grafana.panels import CHARTS, FIGURES, MARKS
from deploy.grafana.picture import draw
from guard.clock import SystemClock
from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.faults import HttpError, Reset
from guard.simulator.world import Push
from tests.support.daemon import LENT, running_simulator
from tests.support.guards import ask, key, lay_out, operate, order, record, running
from tests.support.prometheus import Prometheus, Series, scraping

DESK: Final = """
[policy]
id = "desk"
[instruments]
markets = ["HK"]
[orders]
max_value = ["50000 HKD"]
[budgets]
daily_value = ["{day} HKD"]
[rates]
new_orders = "40/60s"
reads = "2000/60s"
"""
DAY: Final = 1_000_000
TOML: Final = '[trading]\nenabled = true\n[daemon]\nurl = "{url}"\nbroker_limits = "off"\n'
TURN_S: Final = 0.2
"""How long the script waits between two of its turns."""
POINTS_MAX: Final = 40

Seen = dict[str, list[Series]]
"""By title of panel or name of mark, what Prometheus answered."""


class Script:
    """A day in seconds: reads, orders that pass, refusals of several kinds, sockets, a reload, a lost order."""

    def __init__(self, guard: Guard, simulator: Simulator, config: Path) -> None:
        self._guard = guard
        self._simulator = simulator
        self._config = config
        self._turns = 0
        self.ops_port = guard.ports[1]

    async def turn(self, session: aiohttp.ClientSession) -> None:
        """What happens in one turn; of rare things only one."""
        guard, self._turns = self._guard, self._turns + 1
        await ask(guard, "/api/quote", {"symbols": ["HK.00700"]})
        await ask(guard, "/api/quote", {"symbols": ["HK.00700"]}, who="agent-1")
        await ask(guard, "/api/order", order(code="AAPL", market="US", price=1.0), who="agent-1")
        self._simulator.world.publish(Push("notify", 1003, b"n"))
        match self._turns % 10:
            case 1:
                await ask(guard, "/api/order", order(price=200.0 + self._turns / 100))
            case 2:
                await ask(guard, "/api/order", order(price=900.0))
            case 3:
                await ask(guard, "/api/order", order(), who="nobody")
            case 4:
                await self._socket(session)
            case 5:
                await ask(guard, "/api/order", order(price=-1))
            case 6:
                self._simulator.faults.add(HttpError(502), path="/api/quote")
            case 7:
                await ask(guard, "/api/order", order(price=100.0, qty=500), who="spender")
            case _:
                pass

    async def _socket(self, session: aiohttp.ClientSession) -> None:
        """A caller who sends a message, which ends the socket."""
        headers = {"Authorization": f"Bearer {key('bot')}"}
        async with session.ws_connect(f"ws://127.0.0.1:{self._guard.ports[0]}/ws", headers=headers) as socket:
            self._simulator.world.publish(Push("notify", 1003, b"n"))
            await socket.receive()
            await socket.send_str("subscribe")
            await socket.receive()

    async def lose_an_order(self) -> None:
        """One that never arrives, which nobody can know: the guard looks for it in vain."""
        self._simulator.faults.add(Reset(acts=False), path="/api/order")
        await ask(self._guard, "/api/order", order(price=199.0))

    async def change_the_policy(self) -> None:
        """A larger day, in force at once."""
        (self._config.parent / "policies" / "desk.toml").write_text(DESK.format(day=DAY * 5 // 4))
        await operate(self._guard, "/admin/policy/reload", {"reason": "a larger day"})

    async def ask_for_a_price(self) -> None:
        """An order at market, which the guard has to value."""
        market: dict[str, Any] = {"market": "HK", "acc_id": 123456, "env": "simulate", "side": "BUY", "code": "00700"}
        await ask(self._guard, "/api/order", market | {"qty": 100, "order_type": "MARKET"}, who="agent-1")


async def play(script: Script, *, seconds: float) -> None:
    """The whole script in this time: an order is lost at a third of it, the policy changes at two thirds."""
    turns = int(seconds / TURN_S)
    async with aiohttp.ClientSession() as session:
        await script.ask_for_a_price()
        for turn in range(turns):
            if turn == turns // 3:
                await script.lose_an_order()
            if turn == 2 * turns // 3:
                await script.change_the_policy()
            await script.turn(session)
            await asyncio.sleep(TURN_S)


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[Script]:
    """A guard, and a socket that stays open, before a simulated daemon."""
    soon = (SystemClock().wall().replace(microsecond=0) + timedelta(days=365)).isoformat()
    keys = (
        record("bot", max_orders_per_minute=30),
        record("agent-1", expires_at=soon),
        record("spender", max_daily_value=50_000),
        record("desk", owner="a person"),
    )
    simulator = Simulator(keys=(LENT,), profile="runtime")
    simulator.lent["guard"] = "fc_test"
    async with running_simulator(simulator) as url, aiohttp.ClientSession() as session:
        config = lay_out(folder, *keys, policies={"desk.toml": DESK.format(day=DAY)}, toml=TOML.format(url=url))
        async with running(config, daemon=simulator) as guard:
            headers = {"Authorization": f"Bearer {key('bot')}"}
            async with session.ws_connect(f"ws://127.0.0.1:{guard.ports[0]}/ws", headers=headers) as socket:
                reader = asyncio.ensure_future(_read(socket))
                yield Script(guard, simulator, config)
                reader.cancel()


async def _read(socket: aiohttp.ClientWebSocketResponse) -> None:
    """A caller who reads what comes, and so answers pings."""
    async for _ in socket:
        pass


async def watch(folder: Path, *, seconds: float) -> Seen:
    """What every panel of the dashboard shows of the script."""
    async with guarded(folder) as script, scraping(f"127.0.0.1:{script.ops_port}", folder=folder) as prometheus:
        start_s = SystemClock().wall_us() / 1e6
        await play(script, seconds=seconds)
        return await _ask(prometheus, start_s=start_s, end_s=SystemClock().wall_us() / 1e6)


async def _ask(prometheus: Prometheus, *, start_s: float, end_s: float) -> Seen:
    found: Seen = {}
    step_s = max(1, int(end_s - start_s) // POINTS_MAX)
    shown = [(one.title, (one.query,)) for one in FIGURES] + [(one.title, one.queries) for one in CHARTS]
    for title, queries in [*shown, *((one.name, (one.query,)) for one in MARKS)]:
        answers = [await prometheus.series(query, start_s=start_s, end_s=end_s, step_s=step_s) for query in queries]
        found[title] = [series for answer in answers for series in answer]
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        seen = asyncio.run(watch(Path(place), seconds=float(sys.argv[1])))
    Path(sys.argv[2]).write_text(draw({title: [(s.name, s.points) for s in lines] for title, lines in seen.items()}))
