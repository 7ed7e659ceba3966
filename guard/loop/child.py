"""A child process: a program of our own, started and read without holding up the event loop.

asyncio's own way to start one forks in the loop, which copies the page tables: 12 ms at 300 MiB, in which nothing else
runs. Started in a thread with `vfork`, the child shares them until it executes, which takes a millisecond. Its output
is kept line by line as it comes; one buffer of megabytes would be copied again and again. Its standard input ends when
the guard does, so that it can end too (`beside`).
"""

import asyncio
import subprocess
from asyncio import ReadTransport
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, Final, cast

from msgspec import Struct

LINE_BYTES_MAX: Final = 4 * 2**20  # 32 orders of the largest size fit
HELD_BYTES_MAX: Final = 2**20  # printed and not asked for yet, beyond which the program waits
KILLED_S: Final = 5.0  # waited for one that was killed; the kernel may hold it, as long as a disk hangs
_Process = subprocess.Popen[bytes]


class Printed(asyncio.Protocol):
    """What a program prints on one pipe."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self._lines_bytes = self._begun_bytes = 0
        self._is_over = self._is_paused = False
        self._more = asyncio.Event()
        self.transport: ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        self.transport = cast("ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Some of it."""
        first, newline, rest = data.partition(b"\n")
        while newline:
            self._put(b"".join((*self._begun, first, newline)))
            self._begun, self._begun_bytes = [], 0
            first, newline, rest = rest.partition(b"\n")
        self._begun.append(first)
        self._begun_bytes += len(first)
        if self._begun_bytes > LINE_BYTES_MAX:
            self.close()
        elif self._lines_bytes > HELD_BYTES_MAX and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        """There is no more."""
        self._is_over = True
        self._more.set()

    def close(self) -> None:
        """Nobody reads on."""
        if self.transport is not None:
            self.transport.close()

    def _put(self, line: bytes) -> None:
        self._lines.append(line)
        self._lines_bytes += len(line)
        self._more.set()

    async def line(self) -> bytes:
        """The next line with its end; the last one may have none, and after it there are empty ones.

        Raises ValueError for one that is too long.
        """
        while not self._lines and not self._is_over:
            self._more.clear()
            await self._more.wait()
        if not self._lines:
            if self._begun_bytes > LINE_BYTES_MAX:
                raise ValueError(f"a line of more than {LINE_BYTES_MAX} bytes was printed")
            last, self._begun = b"".join(self._begun), []
            return last
        line = self._lines.popleft()
        self._lines_bytes -= len(line)
        if self._is_paused and self._lines_bytes <= HELD_BYTES_MAX // 2 and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()
        return line

    async def lines(self) -> list[bytes]:
        """All lines, at most one per turn of the loop: together they may be many megabytes."""
        found: list[bytes] = []
        while line := await self.line():
            found.append(line)
            await asyncio.sleep(0)
        return found


class Child(Struct, frozen=True):
    """What the program prints, both of it to be read to the end, and how it ended."""

    out: Printed
    err: Printed
    process: _Process

    async def ended(self) -> int:
        """Its exit code; it should have closed what it prints before."""
        return await asyncio.to_thread(self.process.wait)


@asynccontextmanager
async def child(*words: str) -> AsyncIterator[Child]:
    """The program while it runs: ended, and waited for, whatever happens. Raises OSError where it cannot be started.

    One that does not even end when it is killed is left to the kernel: a change of keys may wait behind it.
    """
    process, out, err = await _started(words), Printed(), Printed()
    try:
        await _read(process.stdout, out)
        await _read(process.stderr, err)
        yield Child(out, err, process)
    finally:
        out.close()
        err.close()
        unread = [pipe for pipe, to in ((process.stdout, out), (process.stderr, err)) if to.transport is None]
        await _end(process, unread)


async def _started(words: tuple[str, ...]) -> _Process:
    starting = asyncio.ensure_future(asyncio.to_thread(_start, words))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            process = await starting  # it is on its way all the same, and takes a millisecond
            await _end(process, [process.stdout, process.stderr])
        raise


async def _end(process: _Process, pipes: list[IO[bytes] | None]) -> None:
    """Killed, its input and these pipes closed, and waited for; `subprocess` reaps later what has not ended then."""
    process.kill()
    for pipe in (process.stdin, *pipes):
        if pipe is not None:
            pipe.close()
    await asyncio.shield(asyncio.to_thread(_wait, process))


def _wait(process: _Process) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_S)


def _start(words: tuple[str, ...]) -> _Process:
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)  # noqa: S603 - our own words


async def _read(pipe: IO[bytes] | None, printed: Printed) -> None:
    await asyncio.get_running_loop().connect_read_pipe(lambda: printed, pipe)
