"""The way out: not ready, no new orders, cancels until the door closes, everything settled, the record signed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.faults import Hold
from tests.support.daemon import running_simulator
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.guards import key, lay_out, lines, made, of_type, operate, order
from tests.support.processes import run_here
from tests.support.stage import change, stage

PATIENT = "[trading]\nenabled = true\n[bounds]\npre_stop_s = 3600.0\ndrain_timeout_s = 3600.0\n"
FIELDS = {"Authorization": f"Bearer {key('bot')}"}


@asynccontextmanager
async def on_the_way_out(
    folder: Path, simulator: Simulator, *, toml: str = PATIENT
) -> AsyncIterator[tuple[Guard, aiohttp.ClientSession]]:
    """A guard behind its sockets that must be told to hurry, or it waits for an hour."""
    guard = made(lay_out(folder, toml=toml), daemon=simulator)
    await guard.start()
    base = f"http://127.0.0.1:{guard.ports[0]}"
    async with asyncio.timeout(60), aiohttp.ClientSession(base, headers=FIELDS) as session:
        yield guard, session


async def post(session: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    """One request over its socket."""
    async with session.post(path, json=body) as answer:
        return answer.status, dict(answer.headers), json.loads(await answer.read())


async def held(simulator: Simulator, path: str, times: int) -> None:
    """So many requests have arrived at the daemon."""
    while len([one for one in simulator.requests if one.path == path]) < times:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)


async def test_until_the_door_closes_cancels_and_reads_pass_and_orders_do_not(tmp_path: Path) -> None:
    """Told to stop: /readyz is 503, an order and a change are 503 `draining` with Retry-After, a cancel is 200."""
    simulator = Simulator()
    async with on_the_way_out(tmp_path, simulator) as (guard, session):
        resting = (await post(session, "/api/order", order(price=200)))[2]["s2c"]["order_id_ex"]
        stopping = asyncio.ensure_future(guard.stop("SIGTERM"))
        await asyncio.sleep(0)

        status, told = await operate(guard, "/readyz")
        assert (status, told["reasons"][0]) == (503, "draining")
        for path, body in (("/api/order", order()), ("/api/modify-order", change(resting))):
            status, fields, said = await post(session, path, body)
            assert (status, said["err_code"]) == (503, "draining")
            assert int(fields["Retry-After"]) >= 1
        assert (await post(session, "/api/quote", {"symbols": ["HK.00700"]}))[0] == 200
        assert (await post(session, "/api/modify-order", change(resting, op="CANCEL")))[0] == 200
        assert not stopping.done()

        guard.hurry.set()
        assert [name for name in await stopping if name.startswith("trade ")] == []
    assert [one["verdict"] for one in of_type(guard.settings.path("guard.toml"), "outcome")] == ["accepted"] * 2


async def test_what_is_under_way_is_answered_and_settled_after_the_door_has_closed(tmp_path: Path) -> None:
    """The pre-stop wait over, an order that is at the daemon still gets its answer, and its outcome its record."""
    simulator, gate = Simulator(), asyncio.Event()
    simulator.faults.add(Hold(gate), path="/api/order")
    guard = made(lay_out(tmp_path, toml=PATIENT.replace("pre_stop_s = 3600.0", "pre_stop_s = 0.01")), daemon=simulator)
    await guard.start()
    base = f"http://127.0.0.1:{guard.ports[0]}"
    async with asyncio.timeout(60), aiohttp.ClientSession(base, headers=FIELDS) as session:
        placing = asyncio.ensure_future(post(session, "/api/order", order()))
        await held(simulator, "/api/order", 1)
        stopping = asyncio.ensure_future(guard.stop("SIGTERM"))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        gate.set()
        status, fields, _ = await placing
        assert (status, fields["Connection"]) == (200, "close")
        assert await stopping == ()
    assert of_type(tmp_path / "guard.toml", "outcome")[0]["verdict"] == "accepted"


async def test_hurry_cuts_off_what_is_under_way_and_records_it_as_unknown(tmp_path: Path) -> None:
    """Twenty orders are held by the daemon: none is left without an outcome, and the record is signed to its end."""
    simulator = Simulator()
    simulator.faults.always(Hold(asyncio.Event()), path="/api/order")
    async with on_the_way_out(tmp_path, simulator) as (guard, session):
        placing = [asyncio.ensure_future(post(session, "/api/order", order(qty=100 * n))) for n in range(1, 21)]
        await held(simulator, "/api/order", 20)
        stopping = asyncio.ensure_future(guard.stop("SIGTERM"))
        await asyncio.sleep(0)
        guard.hurry.set()
        unfinished = await stopping
        for one in placing:
            one.cancel()
        await asyncio.gather(*placing, return_exceptions=True)

    config = tmp_path / "guard.toml"
    decided = {one["id"] for one in of_type(config, "decision")}
    assert {one["decision"] for one in of_type(config, "outcome")} == decided
    assert {one["verdict"] for one in of_type(config, "outcome")} == {"unknown"}
    assert len([name for name in unfinished if name.startswith("trade ")]) == len(decided) == 20
    last = lines(config)[-1]
    assert (last["type"], last["reason"]) == ("stop", "SIGTERM")
    notes = sorted((tmp_path / "state" / "checkpoints").read_text().split("\n\n"), key=len)
    assert any(f"\n{last['seq']}\n" in note for note in notes), "the last checkpoint covers the last record"
    assert run_here("audit", "verify", cwd=tmp_path).returncode == 0


async def test_sockets_are_closed_with_1001(tmp_path: Path) -> None:
    """A stream hears that the guard is going away."""
    simulator = Simulator()
    async with running_simulator(simulator) as url:
        toml = f'{PATIENT}[daemon]\nurl = "{url}"\n'
        async with (
            on_the_way_out(tmp_path, simulator, toml=toml) as (guard, session),
            session.ws_connect("/ws") as socket,
        ):
            stopping = asyncio.ensure_future(guard.stop("SIGTERM"))
            await asyncio.sleep(0)
            guard.hurry.set()
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            await stopping


async def test_a_stop_whose_last_records_the_disk_did_not_take_says_so(tmp_path: Path) -> None:
    """Nobody reads the metrics any more: what the next start calls a crash is told now."""
    disk = FaultyDisk()
    async with stage(tmp_path, disk=disk) as scene:
        await scene.placed()
        disk.fails["write"] = NO_SPACE
        with structlog.testing.capture_logs() as logs:
            await scene.guard.stop("SIGTERM")
        (told,) = [line for line in logs if line["event"] == "record_not_whole"]
        assert "No space left on device" in told["why"]
