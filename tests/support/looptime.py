"""A loop whose time goes on only where everything waits, and then straight to the next timer.

What a wait costs is exact on it, however busy the machine is. It is for code without threads and without sockets, whose
time no timer knows.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TimerLoop(asyncio.SelectorEventLoop):
    """`time()` is the moment of the last timer that rang."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        """Seconds since the loop was made, those that nobody slept left out."""
        return self._now_s

    def _run_once(self) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if timers and not self._ready:  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, min(timers))
        super()._run_once()  # type: ignore[misc]


def timed(main: Coroutine[Any, Any, None]) -> None:
    """Runs it on such a loop."""
    with asyncio.Runner(loop_factory=TimerLoop) as runner:
        runner.run(main)
