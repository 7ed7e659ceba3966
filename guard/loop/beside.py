"""Runs a program of ours in a process beside the guard: `python -m guard.loop.beside MODULE WORDS…`.

Its priority is below the guard's, and it never outlives it: its standard input is a pipe that nobody writes to, whose
end says that the guard is gone, however it went. An orphan would take CPU and memory from the next guard's start.
"""

import os
import runpy
import stat
import sys
import threading
from typing import Final

_NICENESS: Final = 10  # the guard goes first
_ALONE: Final = 1


def beside(module: str, *words: str) -> tuple[str, ...]:
    """The command that runs a module this way; no module in the working directory can shadow it."""
    return sys.executable, "-P", "-m", "guard.loop.beside", module, *words


def _ends_with_the_guard() -> None:
    while os.read(0, 1):
        pass
    os._exit(_ALONE)


if __name__ == "__main__":
    os.nice(_NICENESS)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_ends_with_the_guard, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
