"""A program of our own beside the loop, started so that the loop hardly notices.

A loop's own way to start one forks: it copies the map of all memory, for 300 MiB in 12 ms in which nothing else runs.
Started in a thread the program shares that map until it is its own (`vfork`), which takes a millisecond.
"""

import asyncio
import subprocess
from asyncio import StreamReader, StreamReaderProtocol, Task, Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final, cast

from msgspec import Struct

LINE_BYTES_MAX: Final = 4 * 2**20  # 32 orders of the largest size fit; a reader may hold twice as much
_Process = subprocess.Popen[bytes]


class Beside(Struct, frozen=True):
    """What the program prints, to be read to the end of both, and how it ended."""

    out: StreamReader
    err: StreamReader
    process: _Process

    async def ended(self) -> int:
        """Its exit code; it should have closed what it prints before."""
        return await asyncio.to_thread(self.process.wait)


@asynccontextmanager
async def beside(*words: str) -> AsyncIterator[Beside]:
    """The program while it runs: ended, and waited for, whatever happens. Raises OSError where it cannot be started."""
    process = await _started(words)
    pipes: list[Transport] = []
    try:
        out, err = await _read(process.stdout, pipes), await _read(process.stderr, pipes)
        yield Beside(out, err, process)
    finally:
        for pipe in pipes:
            pipe.close()
        process.kill()
        _ = await asyncio.shield(asyncio.to_thread(process.wait))


async def _started(words: tuple[str, ...]) -> _Process:
    starting = asyncio.ensure_future(asyncio.to_thread(_start, words))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_end)  # it is on its way all the same
        raise


def _start(words: tuple[str, ...]) -> _Process:
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, bufsize=0)  # noqa: S603 - our own words


def _end(starting: "Task[_Process]") -> None:
    if not starting.cancelled() and starting.exception() is None:
        with starting.result() as process:
            process.kill()


async def _read(pipe: IO[bytes] | None, pipes: list[Transport]) -> StreamReader:
    loop, reader = asyncio.get_running_loop(), StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await loop.connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
    pipes.append(cast("Transport", transport))
    return reader
