"""`--since` and `--until`, as people type them."""

from typing import Annotated

import typer

from guard.clock import SystemClock
from guard.journal.search import moment

Since = Annotated[str | None, typer.Option(help="2026-11-22, 2026-11-22T09:30:00Z, or 15m, 2h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Likewise; exclusive.")]


def since_until(since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Both as `ts` is written. Nothing can lie between two that are the wrong way round, which is told as such."""
    begins, ends = _moment("--since", since), _moment("--until", until)
    if begins is not None and ends is not None and ends <= begins:
        raise typer.BadParameter(f"{until!r} is not after --since {since!r}", param_hint="--until")
    return begins, ends


def _moment(name: str, text: str | None) -> str | None:
    try:
        return None if text is None else moment(text, now=SystemClock().wall())
    except (ValueError, OverflowError):
        message = f"{text!r} is no time; write 2026-11-22, 2026-11-22T09:30:00Z, or 15m, 2h, 7d"
        raise typer.BadParameter(message, param_hint=name) from None
