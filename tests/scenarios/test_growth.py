"""Memory does not grow with requests, nor with connections: what each leaves is let go again, object by object."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from guard.simulator.faults import Reset, RetType
from guard.walk import recent
from tests.support.edge import until
from tests.support.edge_corpus import get
from tests.support.guards import guarded, key
from tests.support.scripted_daemon import Talk, answer
from tests.support.stage import DAILY, ORDER, TRADING, Stage, stage

ROUNDS: Final = 240
STEP_S: Final = 5  # in so many rounds any window of these policies is full, and many minutes pass
RECENT: Final = 50
CYCLES: Final = 20
QUOTE: Final = "/api/quote"
CONNECTIONS: Final = 10
LENGTHY: Final = answer(b"{}")
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
PING: Final = get(f"Authorization: Bearer {key('bot')}", "Connection: close")


async def _rounds(scene: Stage, first: int) -> int:
    """A quote, an order that the guard refuses, one that the daemon refuses; and how many objects there are then."""
    for n in range(first, first + ROUNDS):
        assert (await scene.ask(QUOTE, {"symbol": "HK.00700"})).status == 200
        assert (await scene.place(qty=10_000_000)).status == 403
        scene.daemon.faults.add(RetType(-1), path=ORDER)
        assert b'"ret_type":-1' in (await scene.place(remark=f"n{n:06}")).body.replace(b" ", b"")
        scene.daemon.requests.clear()
        scene.clock.advance(s=STEP_S)
    await scene.written()
    gc.collect()
    return sys.getallocatedblocks()


async def test_requests_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once what is kept for a while is full (the latest decisions, windows of a minute), there are no more objects."""
    monkeypatch.setattr(recent, "RECENT_MAX", RECENT)
    async with stage(tmp_path, policies=DAILY, toml=TRADING) as scene:
        await _rounds(scene, 0)
        before = await _rounds(scene, ROUNDS)
        after = await _rounds(scene, 2 * ROUNDS)
    assert after - before < ROUNDS, "objects stay behind"


async def _one_of_each(scene: Stage, n: int) -> None:
    """What becomes of requests: passed, changed, ended, refused by either, lost."""
    name = await scene.placed(remark=f"n{n:06}")
    assert (await scene.modify(name, qty=200)).status == 200
    assert (await scene.cancel(name)).status == 200
    assert (await scene.ask(QUOTE, {"symbol": "HK.00700"})).status == 200
    assert (await scene.place(qty=10_000_000)).status == 403
    assert (await scene.place(who=None)).status == 401
    assert (await scene.ask("/api/nothing", {})).status == 404
    assert (await scene.ask(ORDER, {"qty": "1"})).status == 400
    scene.daemon.faults.add(RetType(-1), path=ORDER)
    assert b'"ret_type":-1' in (await scene.place(remark=f"r{n:06}")).body.replace(b" ", b"")
    scene.daemon.faults.add(Reset(acts=True), path=ORDER)
    assert (await scene.place(remark=f"l{n:06}")).status == 504
    scene.clock.advance(s=STEP_S)


async def test_requests_leave_no_cycles(tmp_path: Path) -> None:
    """The collector finds nothing after any of them, so what stands need not be looked through for what is lost."""
    async with stage(tmp_path, policies=DAILY, toml=TRADING) as scene:
        await _one_of_each(scene, 0)  # a type that is looked at for the first time leaves some
        await scene.guard.reconciler.turn()
        gc.collect()
        gc.disable()
        try:
            for n in range(1, CYCLES + 1):
                await _one_of_each(scene, n)
            await scene.guard.reconciler.turn()
            await scene.written()
            found = gc.collect()
        finally:
            gc.enable()
        assert found < CYCLES, "one in each round, or more"


@asynccontextmanager
async def _unreachable(found: list[object]) -> AsyncIterator[None]:
    """What is made of the guard's, or of its parsers, meanwhile and only the collector can let go of."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
    finally:
        gc.set_debug(0)
        found += [one for one in gc.garbage if type(one).__module__.partition(".")[0] in {"guard", "httptools"}]
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(
    "said",
    [
        LENGTHY,
        answer(b"{}", extra="Connection: close\r\n"),
        answer(b"{}", status="500 No"),
        CHUNKED,
        LENGTHY[:-1],
        CHUNKED[:-5],
        b"?",
    ],
    ids=["whole", "last", "failing", "chunked", "half", "half chunked", "no answer"],
)
async def test_connections_that_end_leave_no_cycles(tmp_path: Path, said: bytes) -> None:
    """Neither a caller's nor the daemon's: they live too long for the collector, which hardly ever looks at the old."""

    async def once(talk: Talk) -> None:
        if await talk.request():
            await talk.say(said)

    found: list[object] = []
    async with guarded(tmp_path, once) as (guard, daemon):

        async def asks() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[0])
            writer.write(PING)
            assert (await reader.read()).startswith(b"HTTP/1.1 ")
            writer.close()

        await asks()
        async with _unreachable(found):
            for _ in range(CONNECTIONS):
                await asks()
            await until(lambda: all(writer.transport.is_closing() for writer in daemon.writers))
        assert daemon.connections > 1
    assert not found
