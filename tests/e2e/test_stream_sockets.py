"""The stream over real sockets: callers of two client libraries at the guard's door, the simulated daemon behind it."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.world import Push
from tests.support.daemon import LENT, running_simulator
from tests.support.edge import until
from tests.support.guards import OPEN_POLICY, key, lay_out, operate, order, record, running, write_keys
from tests.support.stream import WS_ACCEPT, WS_KEY
from tests.support.tls import write_pair

QUOTE: Final = Push("quote", 3005, b"q", sec_key="1_00700")
NOTE: Final = Push("notify", 1003, b"n")
LAST: Final = Push("quote", 3005, b"last")
PATIENCE_S: Final = 60.0
RECORDS: Final = (
    record("bot"),
    record("quotes", scopes=["qot:read"]),
    record("mine", allowed_acc_ids=[123456]),
    record("us", allowed_markets=["US"]),
    record("desk", owner="a person"),
)

Loop = Callable[[], asyncio.AbstractEventLoop]
LOOPS: Final = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


class House:
    """A guard before a simulated daemon, both on sockets, and callers of the guard."""

    def __init__(self, guard: Guard, simulator: Simulator, session: aiohttp.ClientSession, config: Path) -> None:
        self.guard = guard
        self.simulator = simulator
        self.session = session
        self.config = config
        self.at = f"127.0.0.1:{guard.ports[0]}"
        self.opened: list[aiohttp.ClientWebSocketResponse] = []

    async def open(self, who: str | None = "bot", **fields: str) -> aiohttp.ClientWebSocketResponse:
        """A socket of this key's."""
        headers = fields | ({"Authorization": f"Bearer {key(who)}"} if who else {})
        ws = await self.session.ws_connect(f"ws://{self.at}/ws", headers=headers)
        self.opened.append(ws)
        return ws

    async def post(self, path: str, body: Any, *, who: str = "bot") -> dict[str, Any]:
        """The guard's answer to a POST, which must be 200."""
        headers = {"Authorization": f"Bearer {key(who)}"}
        async with self.session.post(f"http://{self.at}{path}", json=body, headers=headers) as answer:
            parsed: dict[str, Any] = await answer.json()
            assert answer.status == 200, parsed
            return parsed

    def push(self, *pushes: Push) -> None:
        """The daemon pushes."""
        for each in pushes:
            self.simulator.world.publish(each)

    async def revoke(self, *stay: dict[str, Any]) -> None:
        """Write a keys file with these records only, and tell the guard through its ops door."""
        write_keys(self.config.parent / "keys.json", *stay)
        status, said = await operate(self.guard, "/admin/keys/reload", {})
        assert (status, said["result"]) == (200, "applied")


@asynccontextmanager
async def housing(
    folder: Path, *, more: str = "", simulator: Simulator | None = None, policies: dict[str, str] | None = None
) -> AsyncIterator[House]:
    """Both programs, running meanwhile."""
    daemon = simulator or Simulator(keys=(LENT,), profile="runtime")
    async with running_simulator(daemon) as url, aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
        toml = f'[trading]\nenabled = true\n[daemon]\nurl = "{url}"\n{more}'
        config = lay_out(folder, *RECORDS, toml=toml, policies=policies)
        async with running(config, daemon=_Socketless(daemon)) as guard:
            house = House(guard, daemon, session, config)
            try:
                yield house
            finally:
                await asyncio.gather(*(ws.close() for ws in house.opened))


class _Socketless:
    """The simulator in memory for ordinary calls, with the key that the guard lends over sockets."""

    def __init__(self, simulator: Simulator) -> None:
        simulator.lent["guard"] = "fc_test"
        self.send = simulator.send


async def seen(ws: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """The frames up to and without `LAST`."""
    found: list[dict[str, Any]] = []
    while True:
        frame = json.loads(await ws.receive_str(timeout=PATIENCE_S))
        if frame == json.loads(LAST.frame()):
            return found
        found.append(frame)


async def ended(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """The close code, when the socket has closed."""
    async for _ in ws:
        pass
    return ws.close_code


async def test_an_order_is_pushed_to_whom_it_may_concern(tmp_path: Path) -> None:
    """B04, B31, W13: a trader sees its order's events; a reader, another market's key and nobody see none of them."""
    async with housing(tmp_path) as house:
        await house.post("/api/sub-acc-push", {"acc_id_list": [123456]})
        callers = {who: await house.open(who) for who in ("bot", "quotes", "mine", "us")}
        nobody = await house.open(None)
        await house.post("/api/order", order(price=1.0))
        house.push(QUOTE, NOTE, LAST)

        frames = {who: await seen(ws) for who, ws in callers.items()}
        trades = [each for each in frames["bot"] if each["type"] == "trade"]
        others = [json.loads(QUOTE.frame()), json.loads(NOTE.frame())]
        assert trades
        assert {(each["acc_id"], each["trd_market"]) for each in trades} == {(123456, 1)}
        assert frames == {"bot": trades + others, "quotes": others, "mine": trades + others, "us": others}
        with pytest.raises(TimeoutError):
            await nobody.receive(timeout=0.05)
        await asyncio.gather(*(ws.close() for ws in house.opened))
        await until(lambda: house.guard.relay.connections == 0)


async def test_a_key_that_sees_its_own_alone_is_pushed_its_own_orders_and_fills(tmp_path: Path) -> None:
    """Also those that come before the answer: the order fills while it is being placed."""
    own = {"open.toml": OPEN_POLICY, "own.toml": '[applies_to]\nkeys = ["bot", "mine"]\n[rights]\nsee = "own"\n'}
    async with housing(tmp_path, policies=own) as house:
        await house.post("/api/sub-acc-push", {"acc_id_list": [123456]})
        callers = {who: await house.open(who) for who in ("bot", "mine", "desk")}
        await house.post("/api/order", order(price=400.0))
        house.push(LAST)

        frames = {who: [each["proto_id"] for each in await seen(ws)] for who, ws in callers.items()}
        assert {2208, 2218} <= set(frames["bot"])
        assert frames == {"bot": frames["desk"], "mine": [], "desk": frames["desk"]}


async def test_w13_a_push_without_a_market(tmp_path: Path) -> None:
    """A daemon that leaves the market out: the key bound to markets does not see the event, the free key does."""
    async with housing(tmp_path) as house:
        house.simulator.quirks.names_push_market = False
        await house.post("/api/sub-acc-push", {"acc_id_list": [123456]})
        free, bound = await house.open("bot"), await house.open("us")
        await house.post("/api/order", order(price=1.0))
        house.push(LAST)

        assert {each["type"] for each in await seen(free)} == {"trade"}
        assert await seen(bound) == []


async def test_frames_are_the_daemons_own_bytes(tmp_path: Path) -> None:
    """The key may come as ?token=; a text frame is passed on byte for byte."""
    async with housing(tmp_path) as house, connect(f"ws://{house.at}/ws?token={key('bot')}") as ws:
        big = Push("trade", 2208, b"\x00" * 300_000, acc_id=2**53 + 1, trd_market=1)
        house.push(big, QUOTE)

        assert await ws.recv() == big.frame()
        assert await ws.recv() == QUOTE.frame()
        await (await ws.ping())


async def test_the_daemon_hears_neither_key_nor_token(tmp_path: Path) -> None:
    """A daemon that does not take the guard's own key is asked with no other: 502, and nobody's socket still opens."""
    async with housing(tmp_path) as house:
        house.simulator.door.keys = ()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await house.open("bot")
        assert caught.value.status == 502
        assert (await house.open(None)).close_code is None


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_offers_of_extensions_and_subprotocols_are_declined(tmp_path: Path, compression: Any) -> None:
    """A caller that offers compression gets its frames plain."""
    async with housing(tmp_path) as house:
        async with connect(f"ws://{house.at}/ws?token={key('bot')}", compression=compression) as ws:
            assert ws.response is not None
            assert "Sec-WebSocket-Extensions" not in ws.response.headers
            assert len(ws.response.headers["Guard-Decision"]) == 26
            house.push(QUOTE)
            assert await ws.recv() == QUOTE.frame()
        plain = await house.session.ws_connect(f"ws://{house.at}/ws", protocols=("v1",), compress=15)
        assert plain.protocol is None
        await plain.close()


@pytest.mark.parametrize("text", ["subscribe", "x" * 60_000])
async def test_a_message_of_a_caller_closes_1008(tmp_path: Path, text: str) -> None:
    """The stream is server to client."""
    async with housing(tmp_path) as house:
        ws = await house.open()
        await ws.send_str(text)

        assert await ended(ws) == 1008
        assert house.guard.relay.connections == 0


async def test_b03_a_revoked_key_loses_its_sockets_within_a_second(tmp_path: Path) -> None:
    """Its sockets are closed 4001, keys that stay keep theirs, it is 401 from then; `test_bounds` adds the times."""
    async with housing(tmp_path) as house:
        mine = [await house.open("quotes") for _ in range(3)]
        stays = await house.open("bot")
        await house.revoke(*(each for each in RECORDS if each["id"] != "quotes"))

        assert [await ended(ws) for ws in mine] == [4001, 4001, 4001]
        house.push(QUOTE)
        assert await stays.receive_str(timeout=60) == QUOTE.frame()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await house.open("quotes")
        assert caught.value.status == 401


async def test_b03_a_caller_that_does_not_answer_the_close_is_cut(tmp_path: Path) -> None:
    """A revoked caller that ignores everything has its connection ended all the same, after the time of its end."""
    async with housing(tmp_path) as house:
        reader, writer = await _raw(house.at, _handshake(f"Authorization: Bearer {key('quotes')}"))
        await until(lambda: house.guard.relay.connections == 1)
        await house.revoke(*(each for each in RECORDS if each["id"] != "quotes"))
        listener = house.guard._listener
        assert listener is not None
        await until(lambda: listener.counts.open == 0)

        said = await reader.read()
        assert said.startswith(b"HTTP/1.1 101 ")
        assert b"\x88" in said.partition(b"\r\n\r\n")[2][:1]
        writer.close()


async def test_a_caller_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """Frames pile up to the bound and no further; the others go on; the end is counted as slow."""
    async with housing(tmp_path) as house:
        _, writer = await _raw(house.at, _handshake(f"Authorization: Bearer {key('bot')}"), receive_bytes=4096)
        await until(lambda: house.guard.relay.connections == 1)
        fine = await house.open("quotes")
        counted = house.guard.desk.metrics._counters["guard_ws_closed_total"]
        filler = Push("quote", 3005, b"x" * 200_000)
        cast("asyncio.Transport", writer.transport).pause_reading()
        for _ in range(200):
            house.push(filler)
            assert await fine.receive_str(timeout=60) == filler.frame()
            if counted.get(("slow",)):
                break

        assert {reason: count for reason, count in counted.items() if count} == {("slow",): 1}
        assert house.guard.relay.connections == 1
        writer.transport.abort()


@LOOPS
def test_a_caller_who_falls_behind_gets_every_event_and_the_newest_quote(loop: Loop, tmp_path: Path) -> None:
    """Many times its bound in quotes passes while it does not read: afterwards the orders are all there, in order."""

    async def scenario() -> None:
        async with housing(tmp_path) as house:
            reader, writer = await _raw(house.at, _handshake(f"Authorization: Bearer {key('bot')}"), receive_bytes=4096)
            await reader.readuntil(b"\r\n\r\n")
            fine = await house.open("bot")
            cast("asyncio.Transport", writer.transport).pause_reading()
            events = []
            for number in range(40):
                quotes = [Push("quote", 3005, b"%05d" % each * 2000, sec_key="1_00700") for each in range(10)]
                event = Push("trade", 2208, b"%d" % number, acc_id=123456, trd_market=1)
                events.append(event.frame())
                house.push(*quotes, event)
                while await fine.receive_str(timeout=PATIENCE_S) != event.frame():
                    pass
            house.push(LAST)
            assert await fine.receive_str(timeout=PATIENCE_S) == LAST.frame()
            cast("asyncio.Transport", writer.transport).resume_reading()
            texts = await _texts_until(reader, LAST.frame())

            assert [each for each in texts if json.loads(each)["type"] == "trade"] == events
            assert len(texts) < 40 * 10
            counted = house.guard.desk.metrics._counters["guard_ws_frames_total"]
            assert counted["to_caller", "conflated"] > 0
            assert ("to_caller", "dropped") not in counted
            writer.close()

    _run(loop, scenario())


async def _texts_until(reader: asyncio.StreamReader, last: str) -> list[str]:
    """The texts of the frames that come, up to and without the last."""
    found: list[str] = []
    while True:
        _, short = await reader.readexactly(2)
        size = short if short < 126 else int.from_bytes(await reader.readexactly(2 if short == 126 else 8))
        text = (await reader.readexactly(size)).decode()
        if text == last:
            return found
        found.append(text)


async def test_a_daemon_that_stops_closes_1012(tmp_path: Path) -> None:
    """The caller learns that the stream has ended and that it may come again."""
    async with housing(tmp_path) as house:
        ws = await house.open()
        listeners = house.simulator.world.listeners
        assert len(listeners) == 1
        for _ in range(1100):  # more than the daemon keeps for a reader: it ends this stream itself
            house.push(QUOTE)

        assert await ended(ws) == 1012


async def test_a_stop_tells_callers_and_does_not_wait_for_them(tmp_path: Path) -> None:
    """1001 to every socket, and the guard is gone although its drain could last for an hour."""
    async with housing(tmp_path, more="[bounds]\ndrain_timeout_s = 3600\n") as house:
        ws = await house.open()
        closing = asyncio.ensure_future(ended(ws))
        await house.guard.stop("test")
        assert await closing == 1001
        house.guard.stop = _nothing  # type: ignore[method-assign]


async def _nothing(reason: str) -> tuple[str, ...]:
    return ()


# ---------------------------------------------------------------- handshakes


def _handshake(*lines: str, target: str = "/ws", method: str = "GET", **other: str | None) -> bytes:
    """A handshake of raw bytes; `other` replaces (None: leaves out) its usual fields."""
    usual: dict[str, str | None] = {
        "Host": "guard",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": WS_KEY,
    }
    fields = usual | {name.replace("_", "-"): value for name, value in other.items()}
    named = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *named, *lines, "", ""]).encode()


async def _raw(at: str, data: bytes, *, receive_bytes: int | None = None) -> tuple[Any, asyncio.StreamWriter]:
    """A connection that has sent these bytes; `receive_bytes` makes the kernel hold little for it."""
    host, _, port = at.rpartition(":")
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(data)
    return reader, writer


async def _answered(at: str, data: bytes) -> tuple[int, str | None]:
    """Status and code of the answer to these bytes; a connection that is said to close has ended."""
    reader, writer = await _raw(at, data)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status, length = int(head.split()[1]), head.partition("content-length: ")[2]
    body = await reader.readexactly(int(length.split()[0])) if length else b""
    if "connection: close" in head:
        assert await reader.read() == b""
    writer.close()
    return status, json.loads(body)["err_code"] if body else None


BEARER: Final = f"Authorization: Bearer {key('bot')}"
CASES: Final[Iterable[Any]] = [
    ("header", _handshake(BEARER), (101, None)),
    ("token", _handshake(target=f"/ws?token={key('bot')}"), (101, None)),
    ("nobody", _handshake(), (101, None)),
    ("wrong key", _handshake("Authorization: Bearer gk_no"), (401, "unauthenticated")),
    ("wrong token", _handshake(target="/ws?token=gk_no"), (401, "unauthenticated")),
    ("no bearer", _handshake("Authorization: Basic YTpi"), (401, "unauthenticated")),
    ("two credentials", _handshake(BEARER, target=f"/ws?token={key('bot')}"), (400, "bad_header")),
    ("two Authorization", _handshake(BEARER, BEARER), (400, "bad_header")),
    ("origin", _handshake(BEARER, "Origin: http://127.0.0.1"), (400, "bad_header")),
    ("version 8", _handshake(BEARER, Sec_WebSocket_Version="8"), (400, "bad_header")),
    ("no version", _handshake(BEARER, Sec_WebSocket_Version=None), (400, "bad_header")),
    ("no key", _handshake(BEARER, Sec_WebSocket_Key=None), (400, "bad_header")),
    ("short key", _handshake(BEARER, Sec_WebSocket_Key="AAAA"), (400, "bad_header")),
    ("two keys", _handshake(BEARER, f"Sec-WebSocket-Key: {WS_KEY}"), (400, "bad_header")),
    ("h2c", _handshake(BEARER, Upgrade="h2c"), (400, "bad_header")),
    ("no upgrade", _handshake(BEARER, Connection=None), (400, "bad_header")),
    ("body", _handshake(BEARER, "Content-Length: 2") + b"{}", (400, "bad_header")),
    ("chunked", _handshake(BEARER, "Transfer-Encoding: chunked"), (400, "bad_header")),
    ("frames too early", _handshake(BEARER) + b"\x81\x80\x00\x00\x00\x00", (400, "bad_header")),
    ("POST", _handshake(BEARER, method="POST"), (405, "method")),
    ("other query", _handshake(BEARER, target="/ws?key=1"), (400, "bad_target")),
    ("other path", _handshake(BEARER, target="/ws/"), (404, "unknown_endpoint")),
]


@pytest.mark.parametrize(("raw", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_each_handshake_has_one_answer(tmp_path: Path, raw: bytes, expected: tuple[int, str | None]) -> None:
    """Raw bytes at the door: 101 or a refusal with its code, and no refused handshake reaches the daemon."""
    async with housing(tmp_path, simulator=Simulator()) as house:
        listeners = house.simulator.world.listeners
        assert await _answered(house.at, raw) == expected
        if expected[0] != 101:
            assert listeners == []


async def test_a_handshake_of_another_version_is_told_which_is_spoken(tmp_path: Path) -> None:
    """RFC 6455 §4.4: the refusal names the versions that the server understands."""
    async with housing(tmp_path) as house:
        reader, writer = await _raw(house.at, _handshake(BEARER, Sec_WebSocket_Version="8"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
        writer.close()


@pytest.mark.parametrize(
    ("who", "expected"), [(None, (401, "unauthenticated")), ("mute", (403, "scope")), ("bot", (101, None))]
)
async def test_the_runtime_profile_wants_a_scope(
    tmp_path: Path, who: str | None, expected: tuple[int, str | None]
) -> None:
    """Under `runtime` the handshake asks for qot:read, of somebody."""
    async with housing(tmp_path, more='[scopes]\nprofile = "runtime"\n') as house:
        await house.revoke(*RECORDS, record("mute", scopes=["acc:read"]))
        lines = [f"Authorization: Bearer {key(who)}"] if who else []
        assert await _answered(house.at, _handshake(*lines)) == expected


# ---------------------------------------------------------------- pages in a browser

PAGE: Final = "https://desk.example"
LISTEN: Final = f'[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\nallowed_origins = ["{PAGE}"]\n'


async def test_a_page_gets_a_ticket_and_opens_its_stream(tmp_path: Path) -> None:
    """Preflight, ticket, handshake, frames: what a browser does, and another page gets as far as the preflight."""
    async with housing(tmp_path, more=LISTEN) as house:
        url = f"http://{house.at}/guard/v1/ws-ticket"
        beforehand = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        async with house.session.options(url, headers=beforehand | {"Origin": PAGE}) as allowed:
            assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        async with house.session.options(url, headers=beforehand | {"Origin": "https://evil.example"}) as denied:
            assert denied.status == 401
            assert "Access-Control-Allow-Origin" not in denied.headers
        headers = {"Origin": PAGE, "Authorization": f"Bearer {key('bot')}"}
        async with house.session.post(url, headers=headers) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            ticket = (await answer.json())["ticket"]

        async with connect(f"ws://{house.at}/ws?token={ticket}", origin=PAGE) as ws:  # type: ignore[arg-type] # a NewType
            house.push(QUOTE)
            assert await ws.recv() == QUOTE.frame()


async def test_of_many_handshakes_with_one_ticket_one_gets_in(tmp_path: Path) -> None:
    """At the same time, over sockets: one 101, the rest 401."""
    async with housing(tmp_path) as house:
        ticket = (await house.post("/guard/v1/ws-ticket", {}))["ticket"]
        raw = _handshake(target=f"/ws?token={ticket}")
        found = await asyncio.gather(*(_answered(house.at, raw) for _ in range(8)))

        assert sorted(found) == [(101, None), *[(401, "unauthenticated")] * 7]


# ---------------------------------------------------------------- both loops, and TLS


def _run(loop: Loop, scenario: Awaitable[None]) -> None:
    async def play() -> None:
        await scenario

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(play())


@LOOPS
def test_a_stream_on_both_loops(loop: Loop, tmp_path: Path) -> None:
    """Open, frames, a message of the caller, 1008."""

    async def scenario() -> None:
        async with housing(tmp_path) as house:
            ws = await house.open()
            house.push(QUOTE)
            assert await ws.receive_str(timeout=60) == QUOTE.frame()
            await ws.send_bytes(b"x")
            assert await ended(ws) == 1008

    _run(loop, scenario())


@LOOPS
def test_a_stream_over_tls(loop: Loop, tmp_path: Path) -> None:
    """The same behind TLS: frames, and the last words of a revocation arrive before the connection ends."""
    write_pair(tmp_path)
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")

    async def scenario() -> None:
        listen = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
        async with housing(tmp_path, more=listen) as house:
            where = f"wss://localhost:{house.guard.ports[0]}/ws?token={key('quotes')}"
            async with connect(where, ssl=trust) as ws:
                house.push(QUOTE)
                assert await ws.recv() == QUOTE.frame()
                write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
                await house.guard.reload()
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 4001

    _run(loop, scenario())


async def test_the_accept_key_is_the_one_of_the_rfc(tmp_path: Path) -> None:
    """RFC 6455 §1.3, over the socket."""
    async with housing(tmp_path) as house:
        reader, writer = await _raw(house.at, _handshake(BEARER))
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Sec-WebSocket-Accept: {WS_ACCEPT}\r\n".encode() in head
        writer.close()
