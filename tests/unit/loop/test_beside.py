"""A program beside the guard: it goes after the guard, is what was asked for, and ends when the guard does."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.loop.beside import beside
from guard.loop.child import child
from tests.support.processes import until

ROOT: Final = Path(__file__).parents[3]
SLEEPS: Final = ("timeit", "-n1", "-r1", "-s", "print('on', flush=True)", "import time; time.sleep(60)")
GUARD: Final = f"""
import asyncio
from guard.loop.beside import beside
from guard.loop.child import child

async def main():
    async with child(*beside(*{SLEEPS})) as program:
        assert await program.out.line()
        print(program.process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    """There is such a process, and it is not merely waiting for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it went before, or between the opening and the reading
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_the_guard(how: signal.Signals) -> None:
    """Whatever ends the guard, and whatever the program is at; it would take from the next guard's start."""
    with subprocess.Popen([sys.executable, "-c", GUARD], cwd=ROOT, stdout=subprocess.PIPE, text=True) as guard:  # noqa: S603
        assert guard.stdout is not None
        program = int(guard.stdout.readline())
        assert is_running(program)
        guard.send_signal(how)
    until("the program has ended", lambda: not is_running(program))


async def test_it_is_what_was_asked_for() -> None:
    """Its words, what it prints, how it ends; and every other process goes first."""
    text = "import os, sys; print(sys.argv[1:], os.nice(0), flush=True); os._exit(3)"
    async with child(*beside("timeit", "-n1", "-r1", text)) as program:
        out, _ = await asyncio.gather(program.out.line(), program.err.lines())
        code = await program.ended()
    assert (out.decode().strip(), code) == (f"['-n1', '-r1', {text!r}] {min(os.nice(0) + 10, 19)}", 3)


async def test_nothing_in_the_directory_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of such a name where the guard was started is not run."""
    (tmp_path / "timeit.py").write_text("print('another')\n")
    monkeypatch.chdir(tmp_path)
    async with child(*beside("timeit", "-n1", "-r1", "print('it')")) as program:
        assert await program.out.line() == b"it\n"
