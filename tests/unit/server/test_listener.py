"""The listener: where it listens, how it ends, what it counts."""

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from guard.server.bounds import EdgeBounds
from guard.server.edge import Wiring
from guard.server.listener import Listener, serve
from guard.terms import Call, Reply
from tests.support.edge import each_in_a_task
from tests.support.edge_corpus import get

QUICK = EdgeBounds(header_timeout_s=0.2, body_timeout_s=0.2, idle_timeout_s=0.2, linger_timeout_s=0.2)


class Walks:
    """A walk that waits until the test opens the gate, in tasks that the test owns."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.tasks: set[asyncio.Future[None]] = set()

    async def handle(self, call: Call) -> Reply:
        """Answer with the path once the gate is open."""
        self.begun.set()
        await self.gate.wait()
        return Reply(200, call.path.encode())

    def start(self, walk: Coroutine[Any, Any, None], name: str) -> None:
        """Run the walk."""
        assert name
        self.tasks.add(asyncio.ensure_future(walk))

    async def serve(self, at: tuple[str, int] | Path, bounds: EdgeBounds = QUICK) -> Listener:
        """A listener before this walk."""
        return await serve(Wiring(each_in_a_task(self.handle, self.start), lambda: "01K"), at=at, bounds=bounds)


async def test_a_listener_drains_and_goes() -> None:
    """No new connection, idle ones closed, the one under way answered with `Connection: close`, then all is gone."""
    walks = Walks()
    listener = await walks.serve(("127.0.0.1", 0), EdgeBounds())
    port = listener.sockets[0].getsockname()[1]
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    busy, busy_writer = await asyncio.open_connection("127.0.0.1", port)
    busy_writer.write(get())
    await walks.begun.wait()

    closing = asyncio.ensure_future(listener.close(grace_s=5.0))
    assert await idle.read() == b""
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the loop
        await asyncio.open_connection("127.0.0.1", port)
    walks.gate.set()
    answer = await busy.read()
    await closing

    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"/api/ping")
    assert (listener.counts.open, listener.counts.total) == (0, 2)
    assert listener.sockets == ()
    for writer in (idle_writer, busy_writer):
        writer.close()


async def test_grace_has_an_end() -> None:
    """A walk that does not finish is left to the program; its connection is cut."""
    walks = Walks()
    listener = await walks.serve(("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    writer.write(get())
    await walks.begun.wait()

    await listener.close(grace_s=0.01)

    assert await reader.read() == b""
    assert listener.counts.open == 0
    walks.gate.set()
    await asyncio.gather(*walks.tasks)
    writer.close()


async def test_a_sweep_ends_what_waits_too_long() -> None:
    """Half a request is answered 408 by the one timer of the listener."""
    listener = await Walks().serve(("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    writer.write(b"GET /")

    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await listener.close(grace_s=1.0)
    assert listener.counts.timed_out == 1


async def test_a_socket_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Mode 0600 from its first moment, and gone with the listener."""
    path = tmp_path / "guard.sock"
    walks = Walks()
    walks.gate.set()
    listener = await walks.serve(path)
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(get("Connection: close"))

    assert path.stat().st_mode & 0o777 == 0o600
    assert (await reader.read()).endswith(b"/api/ping")
    writer.close()
    await listener.close(grace_s=1.0)
    assert not path.exists()


async def test_a_dead_socket_file_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """What a killed process left behind does not stop a start; another listener does, and so does any other file."""
    path = tmp_path / "guard.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    listener = await Walks().serve(path)

    with pytest.raises(OSError, match="in use"):
        await Walks().serve(path)
    await listener.close(grace_s=1.0)

    path.write_text("a file")
    with pytest.raises(OSError, match="in use"):
        await Walks().serve(path)
    assert path.read_text() == "a file"


async def test_hurry_ends_the_grace() -> None:
    """Whoever is in a hurry need not wait for a walk that takes its time."""
    walks, hurry = Walks(), asyncio.Event()
    listener = await walks.serve(("127.0.0.1", 0), EdgeBounds())
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    writer.write(get())
    await walks.begun.wait()

    closing = asyncio.ensure_future(listener.close(grace_s=3600.0, hurry=hurry))
    await asyncio.sleep(0)
    assert not closing.done()
    hurry.set()
    await closing

    assert await reader.read() == b""
    walks.gate.set()
    await asyncio.gather(*walks.tasks)
    writer.close()
