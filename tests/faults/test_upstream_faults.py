"""The fault table of the client: what the daemon does, and what the guard then knows. Real loopback sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from guard.terms import Answer, Failure, Outbound
from guard.upstream import Client, Link
from tests.support.scripted_daemon import OK_BODY, Script, Talk, answer, scripted

Run = Callable[[Awaitable[None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine on the loop named."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(main: Any) -> None:
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(main, 60))

    return runner


def trade(timeout_s: float = 60.0, **fields: Any) -> Outbound:
    """A new order."""
    return Outbound("POST", "/api/order", b'{"c2s":{}}', timeout_s, is_trade=True, **fields)


def read(timeout_s: float = 60.0) -> Outbound:
    """A read."""
    return Outbound("GET", "/api/accounts", None, timeout_s)


def client_of(port: int, **fields: Any) -> Client:
    """A client of the daemon on this port."""
    return Client(Link(url=f"http://127.0.0.1:{port}", **fields), key="daemon-key")


# ---------------------------------------------------------------- what a daemon may do with one request


async def resets_after_request(talk: Talk) -> None:
    """Take the request, then RST."""
    await talk.request()
    talk.reset()


async def resets_unread(talk: Talk) -> None:
    """RST at the first byte of the request."""
    await talk.reader.readexactly(1)
    talk.reset()


async def closes_after_request(talk: Talk) -> None:
    """Take the request, then close politely."""
    await talk.request()


def says(data: bytes, *, stays: bool = False) -> Script:
    """Take the request, say this, then close (or stay and say nothing more)."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(data)
        if stays:
            await talk.hang()

    return script


async def says_nothing(talk: Talk) -> None:
    """Take the request and think about it for ever."""
    await talk.hang()


async def endless_body(talk: Talk) -> None:
    """Five gigabytes, announced."""
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n")
    for _ in range(5120):
        await talk.say(b"x" * 2**20)
    raise AssertionError("the client must have left long ago")


async def endless_chunks(talk: Talk) -> None:
    """Five gigabytes, chunk by chunk."""
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(5120):
        await talk.say(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
    raise AssertionError("the client must have left long ago")


async def endless_head(talk: Talk) -> None:
    """A head that does not end."""
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\n")
    for _ in range(10_000):
        await talk.say(b"X-Filler: " + b"x" * 1000 + b"\r\n")
    raise AssertionError("the client must have left long ago")


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
OK_CHUNKS = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(OK_BODY), OK_BODY)
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + OK_BODY
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + OK_BODY

TABLE: list[tuple[str, Script, str]] = [
    ("reset before reading", resets_unread, "reset"),
    ("reset after reading", resets_after_request, "reset"),
    ("closed after reading", closes_after_request, "reset"),
    ("no answer", says_nothing, "timeout"),
    ("half a head", says(b"HTTP/1.1 200 OK\r\nContent-Le"), "bad_answer"),
    ("half a body", says(answer()[:-5]), "bad_answer"),
    ("half a body, then silence", says(answer()[:-5], stays=True), "timeout"),
    ("garbage", says(b"SSH-2.0-OpenSSH_9.6\r\n", stays=True), "bad_answer"),
    ("a length too short", says(SHORT, stays=True), "bad_answer"),
    ("a length too long", says(LONG), "bad_answer"),
    ("two answers", says(answer() + answer(), stays=True), "bad_answer"),
    ("a line end after the answer", says(answer() + b"\r\n", stays=True), "bad_answer"),
    ("no length", says(b"HTTP/1.1 200 OK\r\n\r\n" + OK_BODY), "bad_answer"),
    ("two lengths", says(answer(extra="Content-Length: 55\r\n"), stays=True), "bad_answer"),
    ("length and chunks", says(answer(extra="Transfer-Encoding: chunked\r\n"), stays=True), "bad_answer"),
    ("a gzip coding", says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + OK_BODY), "bad_answer"),
    ("a content encoding", says(answer(extra="Content-Encoding: br\r\n"), stays=True), "bad_answer"),
    ("HTTP/1.0", says(answer().replace(b"HTTP/1.1", b"HTTP/1.0"), stays=True), "bad_answer"),
    ("another protocol", says(answer().replace(b"HTTP/", b"RTSP/"), stays=True), "bad_answer"),
    ("a switch of protocols", says(b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n", stays=True), "bad_answer"),
    ("chunks broken off", says(OK_CHUNKS[:-9]), "bad_answer"),
    ("chunks without a size", says(CHUNKED + b"zz\r\nab\r\n0\r\n\r\n", stays=True), "bad_answer"),
    ("chunks with trailers", says(OK_CHUNKS[:-2] + b"X-A: b\r\n\r\n", stays=True), "bad_answer"),
    ("bytes after the chunks", says(OK_CHUNKS + b"\r\n", stays=True), "bad_answer"),
    ("5 GB announced", endless_body, "too_large"),
    ("5 GB in chunks", endless_chunks, "too_large"),
    ("an endless head", endless_head, "bad_answer"),
]


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
@pytest.mark.parametrize(("script", "kind"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_failure_after_the_first_byte_is_sent_and_never_retried(
    run: Run, script: Script, kind: str, is_trade: bool
) -> None:
    """Whatever the daemon does with a request, the failure says that it left, and the next one works anew."""

    async def main() -> None:
        async with scripted(script) as daemon:
            client = client_of(daemon.port, answer_bytes_max=2**20)
            timeout_s = 0.4 if kind == "timeout" else 60.0

            result = await client.send(trade(timeout_s) if is_trade else read(timeout_s))

            assert isinstance(result, Failure)
            assert (result.kind, result.is_sent) == (kind, True)
            assert result.duration_us > 0
            assert daemon.connections == 1

            after = await client.send(trade() if is_trade else read())
            assert isinstance(after, Answer)
            assert daemon.connections == 2
            await client.close()
            assert (client.in_flight, client.connections) == (0, 0)

    run(main())


GOOD: list[tuple[str, bytes, int, bytes]] = [
    ("a length", answer(), 200, OK_BODY),
    ("chunks", OK_CHUNKS, 200, OK_BODY),
    ("small chunks", CHUNKED + b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n", 200, b"{}"),
    ("interim answers", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + answer(), 200, OK_BODY),
    ("a redirect", answer(b"", status="307 Temporary", extra="Location: http://127.0.0.1:1/\r\n"), 307, b""),
    ("a cookie", answer(extra="Set-Cookie: a=b\r\n"), 200, OK_BODY),
    ("an error", answer(b'{"error":"forbidden"}', status="403 Forbidden"), 403, b'{"error":"forbidden"}'),
    ("no content", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ("an offer to upgrade", answer(extra="Connection: upgrade\r\nUpgrade: h2c\r\n"), 200, OK_BODY),
]


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
@pytest.mark.parametrize(("said", "status", "body"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_a_whole_answer_passes_as_it_is_and_the_connection_is_kept(
    run: Run, said: bytes, status: int, body: bytes, is_trade: bool, pieces: str
) -> None:
    """Every well-framed answer is an answer, redirects too, and the next request needs no new connection."""

    async def script(talk: Talk) -> None:
        while await talk.request():
            for piece in [said] if pieces == "whole" else [said[i : i + 1] for i in range(len(said))]:
                await talk.say(piece)

    async def main() -> None:
        async with scripted(script) as daemon:
            client = client_of(daemon.port)
            for _ in range(2):
                result = await client.send(trade() if is_trade else read())

                assert isinstance(result, Answer)
                assert (result.status, result.body) == (status, body)
            assert (daemon.connections, client.dials_total) == (1, 1)
            assert not any(b"ookie" in request for request in daemon.requests)
            await client.close()

    run(main())


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
def test_a_refused_connect_is_not_sent(run: Run, is_trade: bool) -> None:
    """Nobody listens: nothing was sent, and it was tried once."""

    async def main() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            client = client_of(sock.getsockname()[1])

            result = await client.send(trade() if is_trade else read())

            assert isinstance(result, Failure)
            assert (result.kind, result.is_sent, client.dials_total) == ("refused", False, 1)
            assert client.in_flight == 0

    run(main())


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a listener whose queue is full, so that further connects get no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
def test_a_black_holed_connect_times_out_and_is_not_sent(run: Run, is_trade: bool) -> None:
    """A connect without an answer ends after the connect timeout, not after the request's own, which is an hour."""

    async def main() -> None:
        with black_hole() as port:
            client = client_of(port, connect_timeout_s=0.1)

            async with asyncio.timeout(60):
                result = await client.send((trade if is_trade else read)(timeout_s=3600.0))

            assert isinstance(result, Failure)
            assert (result.kind, result.is_sent) == ("timeout", False)
            await client.close()

    run(main())


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_connection_that_closed_while_idle_is_not_used(run: Run, is_trade: bool, leave: str) -> None:
    """A keep-alive connection that the daemon left is seen before the write: the request goes on a new one."""
    left = asyncio.Event()

    async def once(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await left.wait()
        if leave == "reset":
            talk.reset()

    async def main() -> None:
        async with scripted(once) as daemon:
            client = client_of(daemon.port)
            assert isinstance(await client.send(read()), Answer)
            left.set()
            for _ in range(3):
                await asyncio.sleep(0.01)

            assert isinstance(await client.send(trade() if is_trade else read()), Answer)
            assert (daemon.connections, len(daemon.requests)) == (2, 2)
            await client.close()

    run(main())


def test_a_close_that_the_loop_has_not_seen_makes_no_unknown_order(run: Run) -> None:
    """The kernel is asked right before the write: a FIN that lies unread does not cost an order its verdict."""

    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.setblocking(False)
            loop = asyncio.get_running_loop()
            client = client_of(listener.getsockname()[1])

            async def serve() -> socket.socket:
                peer, _ = await loop.sock_accept(listener)
                await loop.sock_recv(peer, 65_536)
                await loop.sock_sendall(peer, answer())
                return peer

            peer, first = await asyncio.gather(serve(), client.send(read()))
            assert isinstance(first, Answer)
            # From the close to the next write there is no turn of the loop.
            peer.close()
            second = asyncio.ensure_future(client.send(trade()))
            (await serve()).close()

            assert isinstance(await second, Answer)
            assert client.dials_total == 2
            await client.close()

    run(main())


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
def test_an_answer_before_the_request_is_nobodys(run: Run, is_trade: bool) -> None:
    """Bytes that come while nothing is asked end the connection; the next request does not get them."""
    forged = answer(b'{"ret_type":0,"s2c":{"order_id":9,"order_id_ex":"FORGED"}}')

    answered, is_said = asyncio.Event(), asyncio.Event()

    async def chatty(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await answered.wait()
        await talk.say(forged)
        is_said.set()
        await talk.hang()

    async def main() -> None:
        async with scripted(chatty) as daemon:
            client = client_of(daemon.port)
            assert isinstance(await client.send(read()), Answer)
            answered.set()
            await is_said.wait()

            result = await client.send(trade() if is_trade else read())

            assert isinstance(result, Answer)
            assert result.body == OK_BODY
            assert daemon.connections == 2
            await client.close()

    run(main())


def test_a_connection_that_says_it_closes_is_not_kept(run: Run) -> None:
    """`Connection: close` is believed (pitfall 1: the parser is asked within its callback)."""

    async def main() -> None:
        async with scripted(says(answer(extra="Connection: close\r\n"), stays=True)) as daemon:
            client = client_of(daemon.port)
            assert isinstance(await client.send(read()), Answer)
            assert isinstance(await client.send(read()), Answer)
            assert daemon.connections == 2
            await client.close()

    run(main())


def test_a_connection_that_brought_a_server_error_is_not_kept(run: Run) -> None:
    """Whatever went wrong over there: the next request is not asked on the same connection; a 4xx is no such error."""

    async def main() -> None:
        refused, broken = answer(b"{}", status="404 Not Found"), answer(b"{}", status="503 Service Unavailable")
        async with scripted(says(refused, stays=True), says(broken, stays=True)) as daemon:
            client = client_of(daemon.port)
            assert isinstance(await client.send(read()), Answer)
            assert client.connections == 1
            client._idle.drop_oldest()
            result = await client.send(trade())
            assert isinstance(result, Answer)
            assert result.status == 503
            assert isinstance(await client.send(read()), Answer)
            assert daemon.connections == 3
            await client.close()

    run(main())


def test_a_thousand_requests_on_sixteen_connections_dial_at_most_sixteen(run: Run) -> None:
    """Keep-alive is kept: a thousand requests, sixteen connections (pitfall 1)."""

    async def main() -> None:
        async with scripted() as daemon:
            client = client_of(daemon.port, connections_max=16)

            results = await asyncio.gather(*(client.send(trade() if n % 2 else read()) for n in range(1000)))

            assert all(isinstance(result, Answer) for result in results)
            assert len(daemon.requests) == 1000
            assert client.dials_total <= 16
            assert client.in_flight == 0
            await client.close()

    run(main())


def test_a_cancelled_send_closes_its_connection(run: Run) -> None:
    """The answer to a request whose owner has gone can never reach another request."""

    async def main() -> None:
        async with scripted(says_nothing) as daemon:
            client = client_of(daemon.port)
            sending = asyncio.ensure_future(client.send(trade()))
            await daemon.accepted.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

            assert client.in_flight == 0
            assert isinstance(await client.send(trade()), Answer)
            assert daemon.connections == 2
            await client.close()

    run(main())


def test_closing_ends_what_is_under_way_and_what_comes(run: Run) -> None:
    """After `close` a request under way has failed as sent, and a new one is refused unsent."""

    async def main() -> None:
        async with scripted(says_nothing) as daemon:
            client = client_of(daemon.port)
            sending = asyncio.ensure_future(client.send(trade()))
            await daemon.accepted.wait()
            await client.close()
            result, late = await sending, await client.send(trade())

            assert isinstance(result, Failure)
            assert (result.kind, result.is_sent) == ("reset", True)
            assert isinstance(late, Failure)
            assert (late.kind, late.is_sent) == ("held", False)
            assert client.connections == 0

    run(main())


def test_reads_and_orders_that_hang_do_not_hold_up_a_cancel(run: Run) -> None:
    """With every slot that they may have taken by stuck reads and orders, a cancel still leaves at once."""

    async def stuck_unless_cancel(talk: Talk) -> None:
        if b"cancel-all" in await talk.request():
            await talk.say(answer())
        await talk.hang()

    async def main() -> None:
        async with scripted(default=stuck_unless_cancel) as daemon:
            client = client_of(daemon.port, connections_max=6)
            stuck = [asyncio.ensure_future(client.send(read())) for _ in range(10)]
            stuck += [asyncio.ensure_future(client.send(trade())) for _ in range(10)]
            await asyncio.sleep(0.05)
            assert client.in_flight == 4

            cancel = Outbound("POST", "/api/cancel-all-order", b"{}", 60.0, is_trade=True, is_cancel=True)
            assert isinstance(await client.send(cancel), Answer)

            for sending in stuck:
                sending.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
            assert client.in_flight == 0
            await client.close()

    run(main())


def test_waiting_for_a_slot_is_bounded_in_time_and_nothing_is_sent(run: Run) -> None:
    """A request that got no connection within its time has sent nothing."""

    async def main() -> None:
        async with scripted(says_nothing) as daemon:
            client = client_of(daemon.port, connections_max=1)
            first = asyncio.ensure_future(client.send(trade(0.3)))
            await asyncio.sleep(0)

            second = await client.send(trade(0.05))

            assert isinstance(second, Failure)
            assert (second.kind, second.is_sent) == ("held", False)
            assert isinstance(await first, Failure)
            await client.close()

    run(main())
