"""`guard explain ID` and `guard me`: why a decision was made, and what a key may still do.

`explain` reads the state directory (exit 1 where the record has no such decision); `me` asks a running guard's data
listener with the key in GUARD_KEY, and shows what is used and left of every limit that the key meets.
"""

import http
import re
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Final

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from guard.cli.consoles import of_tables, show
from guard.cli.ops import ListenerAddress, ask, data_door, members, ops_door
from guard.cli.sources import AsJson, OpsOption, UnusedOps, print_json
from guard.cli.statedir import Config, State, directory
from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.policy.explain import RuleLook
from guard.replay.explained import Explanation, explained
from guard.terms import DECISION_PATTERN, Verdict

_ID: Final = re.compile(DECISION_PATTERN)
_MARK: Final = {"passes": "[green]passes[/]", "refuses": "[red]refuses[/]"}
_WRITTEN_MAX: Final = 160  # letters of a policy's line: a list may be of hundreds
_ME: Final = "/guard/v1/me"
_COLUMNS: Final = ("policy", "rule", "subject", "limit", "used", "left", "unit", "resets_at", "until")


class _Listen(msgspec.Struct):
    data: str


class _Status(msgspec.Struct):
    listen: _Listen


def explain(
    *,
    decision: Annotated[str, typer.Argument(metavar="ID", help="As Guard-Decision and the refusal name it.")],
    ops: UnusedOps = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Explain a decision: every rule that was asked, its numbers, its line in the policy, what would have passed."""
    del ops
    where = directory(state, config)
    found = explained(where, decision, now=SystemClock().wall()) if _ID.fullmatch(decision) else None
    if found is None:
        raise SettingsFault([f"the record has no decision {decision}; reads may be summed up, see journal.reads"])
    if as_json:
        print_json(found)
    else:
        _show(found)


def me(
    *,
    data: Annotated[
        str | None,
        typer.Option("--data", envvar="GUARD_DATA", help="The data listener: host:port or https://host:port."),
    ] = None,
    ops: OpsOption = None,
    config: Config = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Show what the key in GUARD_KEY may do: its scopes, and how much of every limit is used and left."""
    del state
    status, answer = ask("GET", _data_of(ops, config) if ops and not data else data_door(data, config), _ME)
    about = members(answer)
    if as_json and about:
        typer.echo(answer.decode())
    if status != http.HTTPStatus.OK or "limits" not in about:
        typer.echo(f"guard: {about.get('ret_msg', f'{status}, and no answer of a guard')}", err=True)
        raise typer.Exit(1)
    if as_json:
        return
    console = of_tables()
    console.print(f"{escape(about['id'])}: {', '.join(about['scopes'])}")
    table = Table(*_COLUMNS, header_style="bold", box=None, pad_edge=False)
    for row in about["limits"]:
        table.add_row(*(escape(str(row.get(name) or "")) for name in _COLUMNS))
    if about["limits"]:
        show(table, console)
    else:
        console.print("no counted limit binds this key")


def _data_of(ops: str, config: Path | None) -> ListenerAddress:
    """Where the guard behind this operator's door takes callers; as the settings have it where it does not say so."""
    door = ops_door(ops, config)
    status, answer = ask("GET", door, "/status")
    if status != http.HTTPStatus.OK:
        return data_door(None, config)
    try:
        return door.beside(msgspec.convert(members(answer), type=_Status).listen.data)
    except msgspec.ValidationError:
        raise SettingsFault(
            [f"{door.place}: {status}, and no answer of a guard: --ops names its operators' door"]
        ) from None


def _show(found: Explanation) -> None:
    console = of_tables()
    where = " ".join(str(part) for part in (found.environment, found.account, found.symbol) if part)
    console.print(f"{found.ts}  {found.key or 'nobody'}  {found.endpoint}  {escape(where)}")
    code = f" ({found.code})" if found.code else ""
    console.print(f"[bold]{_headline(found)}[/]{code}  {escape(found.valuation)}")
    for reason in found.reasons:
        until = f" until {reason.until}" if reason.until else ""
        by = f" [{reason.policy}{until}, {reason.rule}]" if reason.policy else ""
        console.print(f"  {escape(reason.message + by)}")
    for sentence in helps(found):
        console.print(f"  {escape(sentence)}")
    if found.rules:
        table = Table("", "policy", "rule", "says", "where", "written", header_style="bold", box=None, pad_edge=False)
        for look in found.rules:
            written = shorten(look.text, _WRITTEN_MAX, placeholder=" …")
            cells = (look.policy, look.rule, look.words, _place(look), written)
            table.add_row(_MARK[look.said], *(escape(cell) for cell in cells))
        show(table, console)
    if found.note:
        console.print(escape(found.note))
    for event in found.events:
        rest = ", ".join(f"{name} {value}" for name, value in event.items() if name not in {"ts", "type"})
        console.print(f"{event['ts']}  {event['type']}: {escape(rest)}")


def _headline(found: Explanation) -> str:
    """What came of it in a word: what was allowed may have been stopped at the last look before it was sent."""
    if found.outcome != "allow":
        return "refused"
    is_sent = all(event.get("verdict") != Verdict.NOT_SENT for event in found.events)
    return "allowed" if is_sent else "allowed, and not sent: the outcome below says why"


def helps(found: Explanation) -> list[str]:
    """What would have passed, and when the same would pass."""
    sentences = []
    if found.largest_qty is not None:
        sentences.append(f"the largest quantity that would have passed: {found.largest_qty}")
    if found.retry_after_s is not None:
        sentences.append(f"the same request would have passed {found.retry_after_s:g} s later")
    elif found.code and not found.retryable:
        sentences.append("the same request is refused again until what its reasons name has changed")
    return sentences


def _place(look: RuleLook) -> str:
    return f"{look.file}:{look.line}" if look.line else look.file
