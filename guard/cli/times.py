"""`--since` and `--until`, as people type them."""

from typing import Annotated, Final

import typer

from guard.clock import SystemClock
from guard.journal.search import moment

WHEN: Final = "2026-11-22, 2026-11-22T09:30:00Z, or 15m, 2h, 7d"
Since = Annotated[str | None, typer.Option(help=f"{WHEN} ago.")]
Until = Annotated[str | None, typer.Option(help="Likewise; exclusive.")]


def since_until(since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Both as `ts` is written. Nothing can lie between two that are the wrong way round, which is told as such."""
    begins = None if since is None else moment_of("--since", since)
    ends = None if until is None else moment_of("--until", until)
    if begins is not None and ends is not None and ends <= begins:
        raise typer.BadParameter(f"{until!r} is not after --since {since!r}", param_hint="--until")
    return begins, ends


def moment_of(flag: str, text: str) -> str:
    """A point in time as `ts` is written."""
    try:
        return moment(text, now=SystemClock().wall())
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time; write {WHEN}", param_hint=flag) from None
