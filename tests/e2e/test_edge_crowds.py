"""Slow, many and stuck callers: what they hold is bounded, they are ended in time, and another caller is served."""

import asyncio
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from guard.server import EdgeBounds
from guard.terms import Call, Reply
from tests.support.edge import LOOPS, PAUSING_LOOPS, Echo, Loop, answer, run, until
from tests.support.edge_corpus import KEY, get, post

IDLE_WANTED: Final = 10_000
FILES_KEPT: Final = 400  # of pytest and its plugins
_CROWD: Final = """
import resource, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for number in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    if number % 200 == 199:
        time.sleep(0.01)  # fewer than the backlog, then the listener's turn
sys.stdin.read()
"""
IDLE_BYTES_MAX: Final = 12_000
PAGE: Final = os.sysconf("SC_PAGESIZE")


LEAVES: Final[tuple[Callable[[asyncio.StreamWriter], None], ...]] = (
    asyncio.StreamWriter.write_eof,
    asyncio.StreamWriter.close,
    lambda writer: writer.transport.abort(),
)


class Knowing(Echo):
    """A walk that verifies every key that is sent."""

    async def handle(self, call: Call) -> Reply:
        """As before, and the caller is known if it has a key."""
        call.is_known = "authorization" in call.head
        return await super().handle(call)


async def is_served(echo: Echo) -> None:
    """A caller that comes now gets its answer."""
    reader, writer = await echo.connect()
    writer.write(get(KEY))
    assert (await answer(reader))[0] == 200
    writer.close()


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def silent(echo: Echo, count: int) -> list[socket.socket]:
    """So many connections that say nothing; plain sockets, so that what they cost is the listener's."""
    port = echo.listener.sockets[0].getsockname()[1]
    found: list[socket.socket] = []
    while len(found) < count:
        for _ in range(min(200, count - len(found))):  # fewer than the backlog, then the listener's turn
            caller = socket.create_connection(("127.0.0.1", port))
            found.append(caller)
        total = len(found)
        await until(lambda total=total: echo.listener.counts.total >= total)  # type: ignore[misc]
    return found


@contextmanager
def crowd(port: int, count: int) -> Iterator[None]:
    """So many connections that say nothing, of a process of their own: what they take here is the listener's."""
    words = [sys.executable, "-c", _CROWD, str(port), str(count)]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as callers:  # noqa: S603 - our own words
        assert callers.stdin is not None
        try:
            yield
        finally:
            callers.stdin.close()


@LOOPS
def test_ten_thousand_idle_connections(loop: Loop, record_property: Callable[[str, object], None]) -> None:
    """Ten thousand, or as many as this process may have files: little memory each, and a caller is served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(IDLE_WANTED, hard - FILES_KEPT)
    if loop is asyncio.new_event_loop:
        count = min(count, 1000)

    async def scenario(echo: Echo) -> None:
        before = resident()
        with crowd(echo.listener.sockets[0].getsockname()[1], count):
            await until(lambda: echo.listener.counts.open == count)
            each = (resident() - before) / count
            await is_served(echo)
            assert each < IDLE_BYTES_MAX
            record_property("idle", f"{count} connections, {each:.0f} bytes each")
        await until(lambda: echo.listener.counts.open == 0)

    try:
        run(loop, scenario, bounds=EdgeBounds(connections_max=count + 1, unproven_per_address_max=count + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@LOOPS
def test_an_address_never_runs_out_for_a_caller_with_a_key(loop: Loop) -> None:
    """Beyond ten silent connections the oldest goes for the newest; one over which a key was verified stays."""

    async def scenario(echo: Echo) -> None:
        reader, writer = await echo.connect()
        writer.write(get(KEY))
        await answer(reader)
        silents = await silent(echo, 50)
        await until(lambda: echo.listener.counts.open <= 11)
        assert echo.listener.counts.evicted == 40
        await is_served(echo)
        writer.write(get(KEY))
        assert (await answer(reader))[0] == 200
        writer.close()
        for caller in silents:
            caller.close()

    run(loop, scenario, bounds=EdgeBounds(unproven_per_address_max=10), echo=Knowing())


class Slow(Knowing):
    """A walk that refuses whom it does not know, and lets the refusal wait."""

    async def handle(self, call: Call) -> Reply:
        """As before with a key; else 401 after ten seconds."""
        reply = await super().handle(call)
        if call.is_known:
            return reply
        call.wait_s = 10.0
        return Reply(401, b"{}")


@LOOPS
def test_refusals_that_wait_do_not_shut_the_door(loop: Loop) -> None:
    """An address whose every connection waits for a refusal keeps nobody out: its oldest ones are told and ended."""

    async def scenario(echo: Echo) -> None:
        strangers = await silent(echo, 20)
        for one in strangers:
            one.sendall(get())
        await until(lambda: len(echo.calls) == 20)
        for _ in range(3):
            await is_served(echo)
        assert echo.listener.counts.overloaded == 0
        assert strangers[0].recv(12) == b"HTTP/1.1 401"
        for one in strangers:
            one.close()

    run(loop, scenario, bounds=EdgeBounds(connections_max=20), echo=Slow())


@LOOPS
def test_a_request_that_is_answered_is_not_ended_for_a_newer_connection(loop: Loop) -> None:
    """Whose request is being walked may turn out to be known: it is left alone, however many come."""

    async def scenario(echo: Echo) -> None:
        echo.gate.clear()
        reader, writer = await echo.connect()
        writer.write(get(KEY))
        await until(lambda: bool(echo.calls))
        silents = await silent(echo, 20)
        echo.gate.set()
        assert (await answer(reader))[0] == 200
        writer.close()
        for caller in silents:
            caller.close()

    run(loop, scenario, bounds=EdgeBounds(unproven_per_address_max=3), echo=Knowing())


@LOOPS
@pytest.mark.parametrize("begun", [get()[:-2], post(body=b"x" * 60_000)[:-50_000]], ids=["head", "body"])
def test_a_slowloris_is_ended_however_it_trickles(loop: Loop, begun: bytes) -> None:
    """A byte now and then moves no deadline: each is told 408 in time, and meanwhile another caller is served."""

    async def scenario(echo: Echo) -> None:
        slow = [await echo.connect() for _ in range(40)]
        for _, writer in slow:
            writer.write(begun)
        is_told = asyncio.Event()

        async def trickle() -> None:
            while not is_told.is_set():
                for _, writer in slow:
                    writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.ensure_future(trickle())
        await is_served(echo)
        for reader, _ in slow:
            status, _, body = await answer(reader)
            assert (status, body["err_code"]) == (408, "request_timeout")
        is_told.set()
        await trickling
        assert echo.listener.counts.timed_out == 40
        for _, writer in slow:
            writer.transport.abort()

    run(loop, scenario, bounds=EdgeBounds(header_timeout_s=1.0, body_timeout_s=1.0))


class Loud(Echo):
    """A walk whose answers are long."""

    async def handle(self, call: Call) -> Reply:
        """Eight megabytes."""
        await super().handle(call)
        return Reply(200, bytes(2**23))


@PAUSING_LOOPS
def test_a_caller_that_does_not_read_is_ended(loop: Loop) -> None:
    """It asks again and never reads: one answer is held for it and no more, and it is cut in time."""

    async def scenario(echo: Echo) -> None:
        port = echo.listener.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.sendall(get(KEY))
            await until(lambda: bool(echo.calls))
            stuck.sendall(get(KEY))
            await until(lambda: echo.listener.counts.open == 0)
        assert len(echo.calls) == 1

    run(loop, scenario, bounds=EdgeBounds(write_timeout_s=0.2), echo=Loud())


@PAUSING_LOOPS
def test_answers_that_nobody_takes_are_bounded_altogether(loop: Loop) -> None:
    """Of eight large answers two fit: who has not taken his for longest is cut. The kernel holds next to nothing."""

    async def scenario(echo: Echo) -> None:
        unread = echo.listener._edge.unread
        stuck = await silent(echo, 8)
        for number, caller in enumerate(stuck, start=1):
            caller.sendall(get(KEY))
            await until(lambda number=number: len(echo.calls) == number)  # type: ignore[misc]
        await until(lambda: echo.listener.counts.open == 2)
        assert 2**24 - 2**21 < unread.held_bytes <= 2**24
        for caller in stuck:
            caller.close()
        await until(lambda: echo.listener.counts.open == 0)
        assert unread.held_bytes == 0

    run(loop, scenario, bounds=EdgeBounds(unread_bytes_max=2**24), echo=Loud())


@LOOPS
def test_a_thousand_requests_in_one_write_are_none(loop: Loop) -> None:
    """Pipelining is refused at the first request that has bytes behind it; nothing is walked, little is read."""

    async def scenario(echo: Echo) -> None:
        for raw in (get() * 1000, post() * 1000):
            reader, writer = await echo.connect()
            writer.write(raw)
            status, _, body = await answer(reader)
            assert (status, body["err_code"]) == (400, "bad_header")
            writer.transport.abort()
        assert echo.calls == []

    run(loop, scenario)


@LOOPS
def test_callers_that_leave_half_way_leave_nothing(loop: Loop) -> None:
    """Half a head or half a body and then an end, a reset or silence: no connection is left, and no call was made."""
    left: list[asyncio.StreamWriter] = []

    async def scenario(echo: Echo) -> None:
        for part in (b"G", get()[:-1], post()[:-1]):
            for leave in LEAVES:
                for _ in range(5):
                    _, writer = await echo.connect()
                    writer.write(part)
                    leave(writer)
                    left.append(writer)
        await until(lambda: echo.listener.counts.total == 45 and echo.listener.counts.open == 0)
        assert echo.calls == []
        for writer in left:
            writer.transport.abort()

    run(loop, scenario)
