"""`guard settle ID`: a person's word on a trade whose outcome nobody knows, or that no list shows.

The running guard is told, with the key in GUARD_KEY (guard:operate, with an owner); it keeps who said so, and why.
"""

import http
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from guard.cli.ops import members, ops_door, post
from guard.cli.sources import AsJson, OpsOption, StateOption
from guard.errors import SettingsFault
from guard.terms import DECISION_PATTERN

_ID: Final = re.compile(DECISION_PATTERN)


class Word(StrEnum):
    """What became of the trade."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"


def settle(
    *,
    decision: Annotated[str, typer.Argument(metavar="ID", help="The decision, as the 504 answer or /readyz names it.")],
    verdict: Annotated[Word, typer.Option(metavar="VERDICT", help="What became of it: accepted, refused or not_sent.")],
    reason: Annotated[str, typer.Option(help="How you know; goes into the record.")],
    order_id_ex: Annotated[str | None, typer.Option(help="The daemon's id of an accepted order.")] = None,
    ops: OpsOption = None,
    config: Annotated[Path | None, typer.Option("--config", readable=False, help="Settings that name ops.")] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Settle an unknown order on a person's word: accepted keeps what it reserved, refused and not_sent release it.

    One that no list shows a day later: refused gives it up, an id finds it.
    """
    del state
    body = {"verdict": verdict.value, "reason": reason}
    if order_id_ex is not None:
        body["order_id_ex"] = order_id_ex
    if not _ID.fullmatch(decision):
        raise SettingsFault([f"{decision!r} is no decision: one is 26 letters and digits"])
    status, answer = post(ops_door(ops, config), f"/admin/decisions/{decision}/settle", body)
    if as_json:
        typer.echo(answer.decode("utf-8", "replace"))
    elif status == http.HTTPStatus.OK:
        typer.echo(f"{decision} is {verdict.value}; recorded with your name and reason")
    else:
        typer.echo(f"guard: not settled: {'; '.join(_why(answer))}", err=True)
    if status != http.HTTPStatus.OK:
        raise typer.Exit(1)


def _why(answer: bytes) -> list[str]:
    found = members(answer)
    return [str(error) for error in found.get("errors") or [found.get("ret_msg", "the answer cannot be read")]]
