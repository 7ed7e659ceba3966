"""One connection, on a transport in memory."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from guard.terms import Failure
from guard.upstream.answer import ParsedAnswer
from guard.upstream.connection import UNSENT, DaemonConnection, Future
from tests.support.looptime import timed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; `peer` is the other end of the socket that the kernel is asked about."""

    def __init__(self, *, is_tls: bool = False) -> None:
        super().__init__()
        self.sock, self.peer = socket.socketpair()
        self.is_tls = is_tls
        self.written: list[bytes] = []
        self.is_gone = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket, and something for TLS."""
        return {"socket": self.sock, "ssl_object": object() if self.is_tls else None}.get(name, default)

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether anything closed it."""
        return self.is_gone

    def abort(self) -> None:
        """Close at once."""
        self.is_gone = True


class Bench:
    """A connection with its transport, and how often it said that it is lost."""

    def __init__(self, *, is_tls: bool = False) -> None:
        self.lost: list[DaemonConnection] = []
        self.transport = MemoryTransport(is_tls=is_tls)
        self.connection = DaemonConnection(body_bytes_max=100, on_lost=self.lost.append)

    def open(self) -> "Bench":
        """Connected."""
        self.connection.connection_made(self.transport)
        return self

    def ask(self, within_s: float = 5.0) -> Future:
        """A request that is sent."""
        asked = self.connection.ask(b"GET", deadline_s=asyncio.get_running_loop().time() + within_s)
        assert asked is not None
        return asked

    def keep(self, within_s: float = 5.0) -> Future:
        """A request that has not left."""
        asked: Future = asyncio.get_running_loop().create_future()
        assert self.connection.keep(b"GET", asyncio.get_running_loop().time() + within_s, asked)
        return asked


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An open connection over plain TCP."""
    made = Bench().open()
    yield made
    made.transport.sock.close()
    made.transport.peer.close()


async def test_an_answer_settles_the_request_and_frees_the_connection(bench: Bench) -> None:
    """Request out, answer in, ready for the next."""
    asked = bench.ask()
    is_reusable = [bench.connection.is_reusable]
    bench.connection.data_received(OK)
    is_reusable.append(bench.connection.is_reusable)

    assert await asked == ParsedAnswer(200, "", b"ok", is_reusable=True)
    assert is_reusable == [False, True]
    assert bench.transport.written == [b"GET"]


async def test_two_requests_at_once_are_a_bug(bench: Bench) -> None:
    """One request in flight on a connection."""
    asked = bench.ask()

    with pytest.raises(AssertionError):
        await bench.ask()
    assert not asked.done()


@pytest.mark.parametrize("why", ["closed by the peer", "bytes unread", "closing", "lost", "not yet open", "dropped"])
async def test_nothing_is_written_to_a_connection_that_is_not_quiet(bench: Bench, why: str) -> None:
    """Whatever the loop or only the kernel knows: None, and not a byte has left."""
    if why == "closed by the peer":
        bench.transport.peer.close()
    if why == "bytes unread":
        bench.transport.peer.send(OK)
    if why == "closing":
        bench.transport.is_gone = True
    if why == "lost":
        bench.connection.connection_lost(None)
    if why == "dropped":
        bench.connection.drop()
    fresh = DaemonConnection(body_bytes_max=100, on_lost=bench.lost.append)
    connection = fresh if why == "not yet open" else bench.connection

    assert connection.ask(b"GET", deadline_s=1e9) is None
    assert bench.transport.written == []


@pytest.mark.parametrize("why", ["closed by the peer", "bytes unread", "bytes", "eof", "lost", "dropped"])
async def test_what_is_lost_before_it_leaves_was_not_sent(bench: Bench, why: str) -> None:
    """Not a byte is written, and bytes that come meanwhile are nobody's answer."""
    asked = bench.keep()
    if why == "closed by the peer":
        bench.transport.peer.close()
    if why == "bytes unread":
        bench.transport.peer.send(OK)
    if why == "bytes":
        bench.connection.data_received(OK)
    if why == "eof":
        bench.connection.eof_received()
    if why == "lost":
        bench.connection.connection_lost(None)
    if why == "dropped":
        bench.connection.drop()

    assert not bench.connection.leave()
    assert await asked is UNSENT
    assert bench.transport.written == []
    assert not bench.connection.is_reusable


async def test_a_deadline_before_it_leaves_is_a_timeout_of_what_was_not_sent(bench: Bench) -> None:
    """The turn was over too late: nothing is written any more."""
    asked = bench.keep(within_s=0)
    failure = await asked

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_sent) == ("timeout", False)
    assert not bench.connection.leave()
    assert bench.transport.written == []


async def test_under_tls_unread_records_do_not_matter() -> None:
    """A session ticket in the kernel's buffer is no answer."""
    bench = Bench(is_tls=True).open()
    bench.transport.peer.send(b"\x17\x03\x03")

    assert bench.ask() is not None
    assert bench.transport.written == [b"GET"]
    bench.transport.sock.close()
    bench.transport.peer.close()


@pytest.mark.parametrize(
    ("before", "kind"), [(b"", "reset"), (OK[:10], "bad_answer"), (OK[:-1], "bad_answer"), (b"nonsense", "bad_answer")]
)
@pytest.mark.parametrize("how", ["eof", "lost", "reset"])
async def test_a_stream_that_ends_early_fails_as_sent(bench: Bench, before: bytes, kind: str, how: str) -> None:
    """Nothing at all is a reset, half an answer a bad one; the connection is spent."""
    asked = bench.ask()
    if before:
        bench.connection.data_received(before)
    if how == "eof":
        assert bench.connection.eof_received() is False
    else:
        bench.connection.connection_lost(ConnectionResetError() if how == "reset" else None)

    failure = await asked
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_sent) == (kind, True)
    assert not bench.connection.is_reusable


async def test_a_deadline_ends_the_request_and_the_connection(bench: Bench) -> None:
    """The total time is the request's own."""
    failure = await bench.ask(within_s=0.001)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.is_sent) == ("timeout", True)
    assert bench.transport.is_gone


@pytest.mark.parametrize("before_s", [0.01, 5.0])
def test_each_request_has_its_own_deadline_whatever_the_one_before_had(bench: Bench, before_s: float) -> None:
    """A later deadline outlives the timer of the request before; an earlier one does not wait for it."""

    async def main() -> None:
        _ = bench.ask(within_s=before_s)
        bench.connection.data_received(OK)

        failure = await bench.ask(within_s=0.05)

        assert isinstance(failure, Failure)
        assert failure.kind == "timeout"
        assert asyncio.get_running_loop().time() == pytest.approx(0.05)

    timed(main())


def test_a_timer_that_was_set_sooner_does_not_ring_for_a_later_request(bench: Bench) -> None:
    """Of three deadlines the second is the nearest: when the first one's time has come, the third request goes on."""

    async def main() -> None:
        _ = bench.ask(within_s=0.4)
        bench.connection.data_received(OK)
        _ = bench.ask(within_s=0.02)
        bench.connection.data_received(OK)
        await asyncio.sleep(0.05)
        asked = bench.ask(within_s=60.0)
        await asyncio.sleep(0.4)

        assert not asked.done()
        bench.connection.data_received(OK)
        assert isinstance(await asked, ParsedAnswer)

    timed(main())


async def test_an_answer_after_the_deadline_reaches_nobody(bench: Bench) -> None:
    """What comes late finds no request and no connection."""
    asked = bench.ask(within_s=0.001)
    await asked
    bench.connection.data_received(OK)

    assert not bench.connection.is_reusable


async def test_bytes_that_nobody_asked_for_end_the_connection(bench: Bench) -> None:
    """Between two requests there is silence."""
    asked = bench.ask()
    bench.connection.data_received(OK)
    bench.connection.data_received(b"\r\n")

    assert isinstance(await asked, ParsedAnswer)
    assert bench.transport.is_gone
    assert not bench.connection.is_reusable


async def test_a_request_whose_owner_left_keeps_the_connection_busy(bench: Bench) -> None:
    """A cancelled request is still in flight; its late answer is swallowed."""
    asked = bench.ask()
    asked.cancel()

    assert not bench.connection.is_reusable
    bench.connection.data_received(OK)
    assert asked.cancelled()


async def test_a_loss_is_told_once(bench: Bench) -> None:
    """The pool counts on it."""
    bench.connection.eof_received()
    assert bench.lost == []
    bench.connection.connection_lost(None)

    assert bench.lost == [bench.connection]
    assert not bench.connection.is_connected
