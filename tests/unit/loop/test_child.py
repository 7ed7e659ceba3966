"""A program beside the loop: what it prints is read, and it is ended whatever happens."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

from guard.loop import child as module
from guard.loop.child import child
from tests.support.disk import open_descriptors

SLEEPS = "import time; print('on', flush=True); time.sleep(60)"


def is_alive(pid: int) -> bool:
    """There is such a process, and nobody has waited for it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_both_outputs_and_the_exit_code_are_told() -> None:
    """More than a pipe holds, on both."""
    text = "import sys; sys.stdout.write('a' * 300_000 + '\\n'); sys.stderr.write('b' * 300_000); sys.exit(3)"
    async with child(sys.executable, "-c", text) as process:
        out, err = await asyncio.gather(process.out.line(), process.err.lines())
        code = await process.ended()
        assert await process.out.line() == b""
    assert (len(out), [len(line) for line in err], code) == (300_001, [300_000], 3)


async def test_lines_come_whole_and_the_program_waits_for_a_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones, empty ones and one that comes in many pieces; what is held meanwhile is bounded."""
    monkeypatch.setattr(module, "HELD_BYTES_MAX", 10_000)
    text = "import sys\nfor n in range(3000): sys.stdout.write('x' * (n % 700 + (200_000 if n == 70 else 0)) + '\\n')"
    async with child(sys.executable, "-c", text) as process:
        await asyncio.sleep(0.3)
        assert process.process.poll() is None
        lengths = [len(line) - 1 for line in await process.out.lines()]
    assert lengths == [n % 700 + (200_000 if n == 70 else 0) for n in range(3000)]


async def test_a_line_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as soon as it is too long, and no more of it is kept."""
    monkeypatch.setattr(module, "LINE_BYTES_MAX", 10_000)
    text = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
    async with child(sys.executable, "-c", text) as process:
        with pytest.raises(ValueError, match="more than 10000 bytes"):
            await process.out.line()


async def test_it_is_ended_with_whoever_asked_for_it() -> None:
    """Left early, it lives no longer; nor after a fault."""
    for fault in (None, ValueError):
        with suppress(ValueError):
            async with child(sys.executable, "-c", SLEEPS) as process:
                assert await process.out.line() == b"on\n"
                if fault is not None:
                    raise fault
        assert not is_alive(process.process.pid)


async def test_one_that_is_cancelled_while_it_starts_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread starts it all the same: then it is ended as soon as that is known."""
    made: list[int] = []
    start = module._start

    def slowly(words: tuple[str, ...]) -> object:
        process = start(words)
        made.append(process.pid)
        return process

    monkeypatch.setattr(module, "_start", slowly)

    async def use() -> None:
        async with child(sys.executable, "-c", SLEEPS):
            raise AssertionError("cancelled before")

    using = asyncio.ensure_future(use())
    await asyncio.sleep(0)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    async with asyncio.timeout(60):
        while not made or is_alive(made[0]):  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_no_program_is_told() -> None:
    """As the system says it."""
    with pytest.raises(FileNotFoundError):
        async with child("/no/such/program"):
            raise AssertionError("it runs")


async def test_one_that_the_kernel_holds_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, it does not end, as where a disk hangs: whoever asked for it goes on, and keys can be taken away."""
    monkeypatch.setattr(module, "KILLED_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "kill", lambda _: None)
        async with asyncio.timeout(60), child(sys.executable, "-c", SLEEPS) as process:
            assert await process.out.line() == b"on\n"
    assert process.process.returncode is None
    process.process.kill()
    assert process.process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("nth", [1, 2])
async def test_one_whose_output_cannot_be_read_does_not_stay(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """No more files may be open, say: it is told, the program is ended, and its pipes are closed."""
    loop, before, asked = asyncio.get_running_loop(), open_descriptors(), list[object]()
    connect, made = loop.connect_read_pipe, list[subprocess.Popen[bytes]]()
    start = module._start

    async def full(make: Any, pipe: Any) -> Any:
        asked.append(pipe)
        if len(asked) == nth:
            raise OSError(errno.EMFILE, "Too many open files")
        return await connect(make, pipe)

    def noted(words: tuple[str, ...]) -> subprocess.Popen[bytes]:
        made.append(start(words))
        return made[0]

    monkeypatch.setattr(module, "_start", noted)
    monkeypatch.setattr(loop, "connect_read_pipe", full)
    with pytest.raises(OSError, match="Too many open files"):
        async with child(sys.executable, "-c", SLEEPS):
            raise AssertionError("it is read")
    assert made[0].returncode == -signal.SIGKILL
    async with asyncio.timeout(60):
        while open_descriptors() > before:  # noqa: ASYNC110 - the loop closes them a turn later
            await asyncio.sleep(0.01)
