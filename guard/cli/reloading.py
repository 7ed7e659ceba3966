"""`guard policy reload`, `approve`, `promote`: what a running guard enforces, changed by a person.

Exit 0: it is in force. 1: it is not, with every error; what was in force still is. 3 (reload): it is looser, and waits
for a second person.
"""

import http
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from guard.cli.ops import ListenerAddress, NotSent, ask, members, ops_door, post
from guard.cli.sources import AsJson, ConfigOption, OpsOption, StateOption, settings_of
from guard.cli.typed import end as end_of
from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.journal.disk import Disk, replace_file
from guard.policy import PolicyDoc, PolicyError, parse_policy
from guard.policy.locate import line_of
from guard.policyfiles import parse_texts, policy_files, read_texts

PENDING: Final = 3
WORKED_OUT_S: Final = 150.0  # a replay of the last day may stand behind what waits
NAMED_MIN: Final = 8  # digits: an empty name, or nearly so, would approve whatever waits
_FIRST: Final = 10
_IN_DOUBT: Final = (
    'mode = "enforce" stands there, and whether it is in force is not known: guard policy reload puts it in force, '
    'and with mode = "shadow" written there again takes it back'
)

ReasonOption = Annotated[str | None, typer.Option(help="Goes into the record.")]


def reload(
    *,
    reason: ReasonOption = None,
    until: Annotated[
        str | None, typer.Option(help="Revert by itself after so long, or then: 8h, or 2026-12-01T17:00:00Z.")
    ] = None,
    ops: OpsOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Tell a running guard to reload its policies. GUARD_KEY needs the scope guard:policy and an owner."""
    del state
    now = SystemClock().wall()
    ends = None if until is None else end_of("--until", until, now=now).isoformat(timespec="seconds")
    body = {name: text for name, text in (("reason", reason), ("until", ends)) if text is not None}
    status, answer = post(ops_door(ops, config), "/admin/policy/reload", body)
    end(status, answer, as_json=as_json)


def approve(
    *,
    sha256: Annotated[str, typer.Argument(metavar="SHA", help="The hash of the pending set, or its beginning.")],
    reason: Annotated[str, typer.Option(help="Goes into the record.")],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    ops: OpsOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Approve a change that another person asked for, after seeing what it would have done in the last day.

    With --yes or --json, or without a terminal, it approves without asking.
    """
    del state
    place = ops_door(ops, config)
    waiting = _waiting(place, sha256)
    if not (is_sure or as_json):
        _show_waiting(waiting)
        if not _wanted():
            raise SettingsFault([f"{waiting['sha256'][:12]}: still waits; nothing was approved"])
    body = {"sha256": waiting["sha256"], "reason": reason}
    status, answer = post(place, "/admin/policy/approve", body)
    end(status, answer, as_json=as_json)


def promote(
    *,
    policy: Annotated[str, typer.Argument(metavar="ID", help="A policy in shadow mode.")],
    reason: ReasonOption = None,
    ops: OpsOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Enforce a shadow policy: edit the mode in its file, leave the rest as it is, and reload."""
    del state
    settings = settings_of(config)
    if not os.environ.get("GUARD_KEY"):
        raise SettingsFault(["GUARD_KEY: set it to a key with the scope guard:policy and an owner"])
    path, before, text = _promoted(settings.path(settings.policies.dir), policy)
    _replace(path, text, disk=Disk())
    typer.echo(f'{path}: mode = "enforce"', err=True)
    body = {"reason": reason or f"policy {policy} promoted"}
    try:
        status, answer = post(ops_door(ops, config), "/admin/policy/reload", body)
    except NotSent:
        _take_back(path, text, before)
        raise
    except SettingsFault as fault:
        raise SettingsFault([*fault.errors, f"{path}: {_IN_DOUBT}"]) from fault
    if _is_in_doubt(status, answer):
        typer.echo(f"guard: {path}: {_IN_DOUBT}", err=True)
    elif status != http.HTTPStatus.OK and not _is_made(answer):
        _take_back(path, text, before)
    end(status, answer, as_json=as_json)


# ---------------------------------------------------------------- what waits


def _waiting(ops: ListenerAddress, sha256: str) -> dict[str, Any]:
    status, answer = ask("GET", ops, "/admin/policy", timeout_s=WORKED_OUT_S)
    found = members(answer)
    waiting = found.get("pending") if status == http.HTTPStatus.OK else None
    if status != http.HTTPStatus.OK:
        raise SettingsFault([str(found.get("error", f"refused with {status}"))])
    if len(sha256) < NAMED_MIN:
        raise SettingsFault([f"{sha256!r}: name the set that you saw by at least {NAMED_MIN} digits of its sha256"])
    if not isinstance(waiting, dict) or not str(waiting["sha256"]).startswith(sha256):
        what = f"the one that waits is {waiting['sha256']}" if isinstance(waiting, dict) else "none does"
        raise SettingsFault([f"{sha256}: no such change waits for a second person; {what}"])
    return waiting


def _wanted() -> bool:
    """The person's answer. An input that ends without one has nobody behind it."""
    if sys.stdin.isatty():
        return typer.confirm("Put it in force?", err=True)
    typer.echo("Put it in force? [y/N]:", err=True)
    answer = sys.stdin.readline()
    return not answer or answer.strip().lower() in {"y", "yes"}


def _show_waiting(waiting: dict[str, Any]) -> None:
    key = f", with key {waiting['key']}" if waiting.get("key") else ""
    typer.echo(f"{waiting['by']} asks for it{key}: {waiting['reason']}; {waiting['kind']}", err=True)
    if waiting["until"]:
        typer.echo(f"until {waiting['until']}, then back by itself", err=True)
    for words in waiting["changes"]:
        typer.echo(f"  {words}", err=True)
    replay = waiting["replay"] or {}
    if "error" in replay:
        typer.echo(f"replay: {replay['error']}", err=True)
        return
    typer.echo(
        f"since {replay['since']}: {replay['replayed']} decisions; {replay['newly_allowed']} would be newly allowed, "
        f"{replay['newly_refused']} newly refused",
        err=True,
    )
    for note in replay.get("notes", ()):
        typer.echo(f"  note: {note}", err=True)
    for one in replay["differences"][:_FIRST]:
        typer.echo(f"  {one['ts']} {one['key']} {one['symbol']}: {one['kind']}: {one['message']}", err=True)


# ---------------------------------------------------------------- from shadow to force


def _promoted(directory: Path, policy: str) -> tuple[Path, str, str]:
    """The file of the policy, its text, and the same with another mode. Raises SettingsFault where it cannot be so."""
    texts, errors = read_texts(directory)
    docs, wrong = parse_texts(texts)
    if errors or wrong:
        raise SettingsFault([str(error) for error in (*errors, *wrong)])
    doc = next((doc for doc in docs if doc.id == policy), None)
    if doc is None:
        raise SettingsFault([f"{policy}: no such policy; there are {', '.join(sorted(d.id for d in docs)) or 'none'}"])
    if doc.policy.mode != "shadow":
        raise SettingsFault([f"{policy}: is enforced already"])
    path = next(path for path in policy_files(directory) if path.name == doc.file)
    if path.is_symlink():
        raise SettingsFault([f"{path}: is a link, so its text comes from elsewhere: edit it there, then reload"])
    before = path.read_bytes().decode()  # as it lies there: in what was read to be compiled all lines end alike
    return path, before, _edited(before, doc)


def _is_made(answer: bytes) -> bool:
    """Whether an answer that is no 200 tells of a change: one that is in force, and may not be on record."""
    found = members(answer)
    return found.get("result") == "unrecorded" and bool(found.get("changes"))


def _is_in_doubt(status: int, answer: bytes) -> bool:
    """Whether an answer leaves open what was done: the guard's own fault half-way, or the word of somebody between."""
    return status >= http.HTTPStatus.INTERNAL_SERVER_ERROR and "result" not in members(answer)


def _take_back(path: Path, text: str, before: str) -> None:
    """What was not done is not left for the next reload, or start; where somebody else has written since, it is."""
    if _holds(path, text):
        _replace(path, before, disk=Disk())
        typer.echo(f'{path}: mode = "shadow" again', err=True)


def _edited(text: str, doc: PolicyDoc) -> str:
    """The text with the one word changed; everything else, remarks too, stays to the byte."""
    number = line_of(text, ("policy", "mode"))
    lines = text.splitlines(keepends=True)
    if number is not None:
        line = lines[number - 1]
        key, equals, value = line.partition("=")
        lines[number - 1] = key + equals + value.replace("shadow", "enforce", 1)
    after = "".join(lines)
    read = parse_policy(after, file=doc.file)
    wanted = msgspec.structs.replace(doc.policy, mode="enforce")
    if not isinstance(read, PolicyDoc) or msgspec.structs.replace(doc, policy=wanted) != read:
        raise SettingsFault([f'{doc.file}: mode is not on a line of its own; write mode = "enforce" there and reload'])
    return after


def _replace(path: Path, text: str, *, disk: Disk) -> None:
    """The new text in place of the old one, whole or not at all, on the disk before it is told."""
    try:
        replace_file(disk, path, text.encode(), like=path.stat())
    except OSError as error:
        # A rename may report failure and have happened, and a sync come after it: look rather than guess.
        what = "is changed, which a power cut may undo" if _holds(path, text) else "cannot be written"
        raise SettingsFault([f"{path}: {what}: {error.strerror}"]) from error


def _holds(path: Path, text: str) -> bool:
    """Whether these are the file's bytes."""
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


# ---------------------------------------------------------------- the answer


def end(status: int, answer: bytes, *, as_json: bool, what: str = "policies") -> None:
    """What came of a change of `what`, for people or programs, with its exit code."""
    if as_json:
        typer.echo(answer.decode("utf-8", "replace"))
    else:
        _show(status, answer, what)
    if status != http.HTTPStatus.OK:
        raise typer.Exit(1)
    if members(answer).get("result") == "pending":
        raise typer.Exit(PENDING)


def _show(status: int, answer: bytes, what: str) -> None:
    found = members(answer)
    if not found and not answer.startswith(b"{"):
        typer.echo(f"guard: an answer {status} that cannot be read", err=True)
        return
    if status == http.HTTPStatus.OK:
        _show_done(found)
        return
    errors = found.get("errors")
    if not isinstance(errors, list):
        typer.echo(f"guard: {found.get('error', f'refused with {status}')}", err=True)
        return
    for error in errors:
        typer.echo(f"guard: {_sentence(error)}", err=True)
    if found.get("result") != "unrecorded":  # that may be made all the same: its error says so
        typer.echo(f"guard: nothing was changed; the {what} that were in force still are", err=True)


def _show_done(found: dict[str, Any]) -> None:
    kind = f" ({found['kind']})" if found.get("kind") else ""
    typer.echo(f"{found.get('result')}: sha256 {found.get('sha256')}{kind}")
    changes = found.get("changes")
    for change in changes if isinstance(changes, list) else []:
        typer.echo(f"  {_words(change)}")
    if found.get("until"):
        typer.echo(f"until {found['until']}, then back by itself")
    for counter in found.get("counters") or ():
        typer.echo(f"  {counter} goes on from what went before")
    for warning in found.get("warnings") or ():
        typer.echo(f"warning: {warning}", err=True)
    if found.get("result") == "pending":
        typer.echo(f"another owner approves it: guard policy approve {str(found.get('sha256'))[:12]} --reason …")


def _words(change: object) -> str:
    if isinstance(change, dict) and "words" in change:
        return f"{change.get('policy', '')} {change['words']}".strip()
    return change if isinstance(change, str) else msgspec.json.encode(change).decode()


def _sentence(error: object) -> str:
    try:
        return str(msgspec.convert(error, PolicyError))
    except msgspec.ValidationError:
        return error if isinstance(error, str) else msgspec.json.encode(error).decode()
