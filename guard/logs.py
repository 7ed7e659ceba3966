"""The operational log: structlog to stderr, JSON for machines, columns for a terminal. The journal is not a log.

Nothing of a request's body and no credential is ever logged; that is why a traceback shows no local variables.
"""

import logging
import os
import sys
from typing import Final, TextIO, cast

import structlog

from guard.wholefile import why


class Sink:
    """A stream that a log line can be written to whatever becomes of it: a full disk, a reader that is gone.

    Else what could not be logged would raise where it happened, and keep a cancel from its answer. What is lost is
    counted, and told on the stream once it takes lines again.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._why, self._lost = "", 0

    def write(self, text: str) -> None:
        """The text, or nothing."""
        try:
            if self._lost:
                self._stream.write(f'{{"event": "log_lines_lost", "lines": {self._lost}, "why": "{self._why}"}}\n')
                self._stream.flush()
                self._lost = 0
            self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self._lose(error)

    def flush(self) -> None:
        """What was written is on its way; where it cannot be, it is lost."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def concerns(self) -> tuple[str, ...]:
        """That lines are being lost, in words."""
        if not self._lost:
            return ()
        return (f"log: its stream takes no lines ({self._why}), {self._lost} were lost; make room, or mend its reader",)

    def _lose(self, error: Exception) -> None:
        self._why, self._lost = why(error), self._lost + 1


_SINKS: Final[list[Sink]] = []  # the one that this process logs to, if it does


def concerns() -> tuple[str, ...]:
    """What is wrong with this process's log."""
    return tuple(word for sink in _SINKS for word in sink.concerns())


def configure(*, is_json: bool | None = None) -> None:
    """Sets the log up for a process. `is_json` None: JSON unless stderr is a terminal."""
    as_json = not sys.stderr.isatty() if is_json is None else is_json
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(sort_keys=False) if as_json else _columns()
    _SINKS[:] = [Sink(sys.stderr)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _SINKS[0])),
        cache_logger_on_first_use=True,
    )


def silence() -> None:
    """No log at all: for commands that run a guard of their own for a moment and tell what matters themselves."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _columns() -> structlog.dev.ConsoleRenderer:
    """Columns for people, coloured on a terminal unless NO_COLOR is set."""
    is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=is_coloured, exception_formatter=structlog.dev.plain_traceback)
