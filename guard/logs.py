"""The operational log: structlog to stderr, JSON for machines, columns for a terminal. The journal is not a log.

Nothing of a request's body and no credential is ever logged; that is why a traceback shows no local variables.
"""

import logging
import os
import sys

import structlog


def configure(*, is_json: bool | None = None) -> None:
    """Sets the log up for a process. `is_json` None: JSON unless stderr is a terminal."""
    as_json = not sys.stderr.isatty() if is_json is None else is_json
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(sort_keys=False) if as_json else _columns()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def silence() -> None:
    """No log at all: for commands that run a guard of their own for a moment and tell what matters themselves."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _columns() -> structlog.dev.ConsoleRenderer:
    """Columns for people, coloured on a terminal unless NO_COLOR is set."""
    is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=is_coloured, exception_formatter=structlog.dev.plain_traceback)
