"""A daemon on a real loopback socket that follows a script, connection by connection, well or badly."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_ACCEPTING_TURNS = 4  # of the loop, until an accepted connection has a task; closed before, a server leaves it open
OK_BODY = b'{"ret_type":0,"s2c":{"order_id":7,"order_id_ex":"FH7"}}'


def answer(body: bytes = OK_BODY, *, status: str = "200 OK", extra: str = "") -> bytes:
    """A well-framed answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


@dataclass
class Talk:
    """One accepted connection as a script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes]

    async def request(self) -> bytes:
        """One whole request; b"" when the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        whole = head + await self.reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Leave with a RST instead of a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hang(self) -> None:
        """Say nothing until the client goes away."""
        try:
            await self.reader.read()
        except ConnectionResetError:
            return


Script = Callable[[Talk], Awaitable[None]]


async def well(talk: Talk) -> None:
    """Answer every request."""
    while await talk.request():
        await talk.say(answer())


@dataclass
class ScriptedDaemon:
    """What was seen: the number of connections and every whole request. `scripts[n]` serves connection n."""

    scripts: list[Script]
    default: Script = well
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script of this connection."""
        script = self.scripts[self.connections] if self.connections < len(self.scripts) else self.default
        self.connections += 1
        self.accepted.set()
        self.writers.append(writer)
        try:
            await script(Talk(reader, writer, self.requests))
        except ConnectionError:
            pass  # the client left first, which some scripts are about
        finally:
            writer.close()


@asynccontextmanager
async def scripted(
    *scripts: Script, default: Script = well, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedDaemon]:
    """A listening daemon whose first connections follow `scripts` and whose later ones follow `default`."""
    daemon = ScriptedDaemon(list(scripts), default)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await daemon.serve(reader, writer)

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    daemon.port = server.sockets[0].getsockname()[1]
    try:
        yield daemon
    finally:
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        server.close()
        for writer in daemon.writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
