"""The daemon is restarted under load: nothing is sent twice, nothing is lost from the books, and orders pass again."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.app import application
from tests.support.clock import ManualClock
from tests.support.guards import ask, lay_out, made, of_type, order
from tests.support.processes import free_port

CALLERS: Final = 8
KNOWN: Final = frozenset(
    {
        "200 None",
        "502 daemon_unreachable",
        "503 breaker_open",
        "503 reference_unavailable",
        "504 outcome_unknown",
    }
)


@asynccontextmanager
async def listening(simulator: Simulator, port: int) -> AsyncIterator[None]:
    """The daemon at this port, for a while; its end cuts what is under way."""
    runner = web.AppRunner(application(simulator), access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def pour(guard: Guard, told: Counter[str], placed: list[str], until: asyncio.Event) -> None:
    """Orders one after the other."""
    number = 0
    while not until.is_set():
        number += 1
        reply = await ask(guard, "/api/order", order(qty=100, price=100 + number % 50))
        said = json.loads(reply.body)
        told[f"{reply.status} {said.get('err_code')}"] += 1
        if reply.status == 200:
            placed.append(said["s2c"]["order_id_ex"])
        await asyncio.sleep(0.001)


async def test_a_daemon_that_is_restarted_under_load(tmp_path: Path) -> None:
    """Three times it goes away in the middle of orders and comes back: every decision has an outcome all the same."""
    clock, port = ManualClock(), free_port()
    simulator, told, placed, over = Simulator(clock=clock), Counter[str](), list[str](), asyncio.Event()
    config = lay_out(
        tmp_path, toml=f'[trading]\nenabled = true\n[daemon]\nurl = "http://127.0.0.1:{port}"\nbroker_limits = "off"\n'
    )
    guard = made(config, clock=clock)
    await guard.start()
    pouring = [asyncio.ensure_future(pour(guard, told, placed, over)) for _ in range(CALLERS)]
    async with asyncio.timeout(60):
        for _ in range(3):
            before = len(placed)
            async with listening(simulator, port):
                while len(placed) < before + 30:
                    clock.advance(s=1)  # an open circuit lets a probe through in time
                    await asyncio.sleep(0.005)
            left_alone = told["503 breaker_open"]
            while told["503 breaker_open"] < left_alone + 30:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        over.set()
        await asyncio.gather(*pouring)
    await guard.stop("over")

    assert set(told) <= KNOWN, told
    decided = {one["id"] for one in of_type(config, "decision") if one["outcome"] == "allow"}
    assert {one["decision"] for one in of_type(config, "outcome")} == decided
    stamps = [(one.remark or "").removeprefix("g:") for one in simulator.orders.values()]
    assert len(set(stamps)) == len(stamps), "nothing was sent twice"
    assert set(stamps) <= decided
    assert set(placed) <= set(simulator.orders)
