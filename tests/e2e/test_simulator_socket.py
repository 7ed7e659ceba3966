"""The simulated daemon over a real loopback socket: requests, faults, keys and pushes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from pytest_aiohttp.plugin import AiohttpClient

from guard.simulator import Simulator
from guard.simulator.app import application
from guard.simulator.faults import Delay, HttpError, Reset
from guard.simulator.keys import Key
from tests.support.clock import ManualClock
from tests.support.daemon import running_simulator
from tests.support.guards import order
from tests.support.processes import Process, free_port, until
from tests.support.protobuf import read_push

WAIT_S = 60


def _key(name: str, *scopes: str) -> Key:
    return Key(name, sha256(name.encode()).hexdigest(), frozenset(scopes))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as session:
        yield session


async def _frame(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    message = await socket.receive(WAIT_S)
    assert message.type is WSMsgType.TEXT, message
    frame: dict[str, Any] = json.loads(message.data)
    return frame


async def test_an_order_travels_over_the_socket(http: aiohttp.ClientSession) -> None:
    """Placed, listed, and seen by the test with its headers and its body."""
    simulator = Simulator(clock=ManualClock())
    async with running_simulator(simulator) as url:
        async with http.post(f"{url}/api/order", json=order(price=290), headers={"Idempotency-Key": "k1"}) as answer:
            placed = await answer.json()
        async with http.post(f"{url}/api/orders", json=order()) as answer:
            assert answer.status == 400
        async with http.post(f"{url}/api/orders", json={"acc_id": 123456, "env": 0, "market": 1}) as answer:
            listed = await answer.json()

    assert placed["ret_type"] == 0
    assert [row["order_id_ex"] for row in listed["s2c"]["order_list"]] == [placed["s2c"]["order_id_ex"]]
    first = simulator.requests[0]
    assert (first.method, first.path, first.json["qty"], first.idempotency_key) == ("POST", "/api/order", 100, "k1")
    assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "/health", 200, "ok"),
        ("GET", "/readyz", 200, "ready"),
        ("GET", "/api/nothing", 404, '{"error"'),
        ("GET", "/api/order", 405, '{"error"'),
        ("POST", "/api/order/", 404, '{"error"'),
        ("GET", "/else", 404, '{"error"'),
    ],
)
async def test_paths_are_exact(aiohttp_client: AiohttpClient, method: str, path: str, status: int, word: str) -> None:
    """What is not an endpoint is a 404 in JSON; a wrong method is 405."""
    client = await aiohttp_client(application(Simulator(clock=ManualClock()), tick_s=None))
    async with client.request(method, path) as answer:
        assert answer.status == status
        assert (await answer.text()).startswith(word)


async def test_a_dead_backend_shows_in_health_and_readiness(aiohttp_client: AiohttpClient) -> None:
    """Both are 503 then."""
    simulator = Simulator(clock=ManualClock())
    simulator.world.is_backend_up = False
    client = await aiohttp_client(application(simulator, tick_s=None))
    for path in ("/health", "/readyz"):
        async with client.get(path) as answer:
            assert answer.status == 503


@pytest.mark.parametrize(("acts", "orders"), [(False, 0), (True, 1)])
async def test_a_reset_leaves_the_caller_without_an_answer(
    http: aiohttp.ClientSession, acts: bool, orders: int
) -> None:
    """Before acting nothing happened, after acting the order exists: the caller cannot tell."""
    simulator = Simulator(clock=ManualClock())
    simulator.faults.add(Reset(acts), path="/api/order")
    async with running_simulator(simulator) as url:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post(f"{url}/api/order", json=order())

    assert len(simulator.orders) == orders


async def test_delays_and_errors_travel(http: aiohttp.ClientSession) -> None:
    """A delay that the caller does not wait for, then a 502."""
    simulator = Simulator(clock=ManualClock())
    simulator.faults.add(Delay(3600))
    simulator.faults.add(HttpError(502))
    async with running_simulator(simulator) as url:
        waiting = asyncio.ensure_future(http.get(f"{url}/api/ping"))
        async with asyncio.timeout(WAIT_S):
            while not simulator.requests:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        waiting.cancel()
        async with http.get(f"{url}/api/ping") as answer:
            assert answer.status == 502


async def test_without_keys_it_is_a_legacy_daemon(http: aiohttp.ClientSession) -> None:
    """Reads are open; writes and administration are 401 with a challenge; account pushes 403."""
    async with running_simulator(Simulator(clock=ManualClock(), legacy=True)) as url:
        for method, path, status in (
            ("GET", "/api/accounts", 200),
            ("POST", "/api/order", 401),
            ("POST", "/api/unlock-trade", 401),
            ("GET", "/api/admin/status", 401),
            ("POST", "/api/sub-acc-push", 403),
        ):
            async with http.request(method, url + path, json={} if method == "POST" else None) as answer:
                assert answer.status == status, path
                assert ("WWW-Authenticate" in answer.headers) == (status == 401)
                assert answer.content_type == "application/json"


async def test_keys_are_checked(http: aiohttp.ClientSession) -> None:
    """No key 401, a wrong one 401, one without the scope 403, the right one passes."""
    simulator = Simulator(clock=ManualClock(), keys=(_key("reader", "qot:read"),))
    async with running_simulator(simulator) as url:
        for token, path, status in (
            (None, "/api/ping", 401),
            ("nobody", "/api/ping", 401),
            ("reader", "/api/accounts", 403),
            ("reader", "/api/ping", 200),
        ):
            headers = {"Authorization": f"bearer {token}"} if token else {}
            async with http.get(url + path, headers=headers) as answer:
                assert answer.status == status, (token, path)


async def test_orders_and_fills_are_pushed_to_subscribed_accounts(http: aiohttp.ClientSession) -> None:
    """Two frames an order, with bodies that decode to what was placed; other accounts stay silent."""
    simulator = Simulator(clock=ManualClock())
    async with running_simulator(simulator) as url, http.ws_connect(f"{url}/ws") as socket:
        await http.post(f"{url}/api/order", json=order())
        await http.post(f"{url}/api/sub-acc-push", json={"acc_id_list": [123456]})
        await http.post(f"{url}/api/order", json=order(price=290))
        await http.post(f"{url}/api/order", json=order(acc_id=9032))
        await http.post(f"{url}/api/order", json=order(remark="g:1"))
        frames = [await _frame(socket) for _ in range(4)]

    assert [frame["proto_id"] for frame in frames] == [2208, 2208, 2208, 2218]
    assert {(frame["type"], frame["acc_id"], frame["trd_market"]) for frame in frames} == {("trade", 123456, 1)}
    bodies = [read_push(frame["proto_id"], base64.b64decode(frame["body_b64"]))["s2c"] for frame in frames]
    placed = list(simulator.orders.values())
    assert bodies[0]["order"]["order_id"] == placed[1].order_id
    assert bodies[0]["header"] == {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
    assert bodies[2]["order"]["remark"] == "g:1"
    assert (bodies[3]["order_fill"]["qty"], bodies[3]["order_fill"]["price"]) == (100, 300)


async def test_quotes_and_notifications_are_pushed(http: aiohttp.ClientSession) -> None:
    """A tick pushes the subscribed symbol with its price; what callers say is not listened to."""
    simulator = Simulator(clock=ManualClock())
    async with running_simulator(simulator) as url, http.ws_connect(f"{url}/ws") as socket:
        await http.post(f"{url}/api/subscribe", json={"symbols": ["HK.00700"], "sub_types": [1]})
        await socket.send_str("hello")
        simulator.tick()
        simulator.world.notify("hello yourself")
        quote, notify = await _frame(socket), await _frame(socket)

    assert (quote["type"], quote["proto_id"], quote["sec_key"]) == ("quote", 3005, "1_00700")
    shown = read_push(3005, base64.b64decode(quote["body_b64"]))["s2c"]["basic_qot_list"][0]
    assert shown["cur_price"] == simulator.prices["HK.00700"]
    assert (notify["type"], notify["proto_id"]) == ("notify", 1003)


async def test_the_stream_is_filtered_by_scope(http: aiohttp.ClientSession) -> None:
    """B04: a key with `qot:read` alone gets quotes and no trades; without a key there is no stream at all."""
    keys = (_key("reader", "qot:read"), _key("both", "qot:read", "acc:read", "trade:simulate"))
    simulator = Simulator(clock=ManualClock(), keys=keys)
    simulator.world.push_accounts = frozenset({123456})
    both = {"Authorization": "Bearer both"}
    async with running_simulator(simulator) as url:
        async with http.get(f"{url}/ws") as answer:
            assert answer.status == 401
        async with (
            http.ws_connect(f"{url}/ws?token=reader") as quotes,
            http.ws_connect(f"{url}/ws", headers=both) as everything,
        ):
            await http.post(f"{url}/api/order", json=order(), headers=both)
            simulator.world.notify("last")
            assert (await _frame(quotes))["type"] == "notify"
            assert [(await _frame(everything))["type"] for _ in range(4)] == ["trade", "trade", "trade", "notify"]

    assert simulator.world.listeners == []


async def test_time_passes_by_itself(http: aiohttp.ClientSession) -> None:
    """With a tick length, prices move without anybody asking."""
    simulator = Simulator(clock=ManualClock())
    async with running_simulator(simulator, tick_s=0.005) as url, http.ws_connect(f"{url}/ws") as socket:
        await http.post(f"{url}/api/subscribe", json={"symbols": ["HK.00700"], "sub_types": [1]})
        frames = [await _frame(socket) for _ in range(2)]

    assert [frame["type"] for frame in frames] == ["quote", "quote"]
    assert simulator.world.tape.step >= 2


async def test_money_leaves_as_numbers(http: aiohttp.ClientSession) -> None:
    """No decimal is written as text."""
    simulator = Simulator(clock=ManualClock())
    async with (
        running_simulator(simulator) as url,
        http.post(f"{url}/api/quote", json={"symbol": "HK.00700"}) as answer,
    ):
        shown = json.loads(await answer.read(), parse_float=Decimal)["s2c"]["basic_qot_list"][0]

    assert shown["cur_price"] == 300
    assert isinstance(shown["price_spread"], Decimal)


async def test_a_simulated_daemon_that_is_told_to_stop_stops_although_somebody_listens(tmp_path: Path) -> None:
    """An open stream is cut, as a daemon's end cuts it; the exit code is 0."""
    port = free_port()
    process = Process("simulate", "--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    try:
        await asyncio.to_thread(until, "an open door", lambda: process.is_open(port))
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/ws") as socket,
        ):
            process.popen.terminate()
            async with asyncio.timeout(WAIT_S):
                async for _ in socket:
                    pass
            assert await asyncio.to_thread(process.popen.wait, WAIT_S) == 0
    finally:
        process.popen.kill()


async def test_a_simulated_daemon_that_is_started_anew_gives_no_order_id_twice(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """As a broker does not. A guard that remembers the earlier orders would hold each new one for unknown."""
    port, given = free_port(), list[str]()
    key = {"id": "bot", "hash": f"sha256:{sha256(b'bot').hexdigest()}", "scopes": ["trade:simulate"]}
    (tmp_path / "keys.json").write_text(json.dumps({"version": 1, "keys": [key]}))
    (tmp_path / "keys.json").chmod(0o600)
    for _ in range(2):
        process = Process("simulate", "--listen", f"127.0.0.1:{port}", "--keys", "keys.json", cwd=tmp_path)
        try:
            await asyncio.to_thread(until, "an open door", lambda p=process: p.is_open(port))
            door = f"http://127.0.0.1:{port}/api/order"
            async with http.post(door, json=order(price=290), headers={"Authorization": "Bearer bot"}) as answer:
                placed = (await answer.json())["s2c"]
            given += [str(placed["order_id"]), placed["order_id_ex"]]
        finally:
            process.popen.kill()
            process.popen.wait(WAIT_S)

    assert len(set(given)) == 4
