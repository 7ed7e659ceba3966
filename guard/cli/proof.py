"""`guard audit verify`, `prove`, `rotate-key`: what the record proves, to whom, and with which key.

`verify` and `prove` read the files only, so they work while the guard runs, after a crash, and on a copy. Exit codes of
`verify`: 0 ok · 1 edited · 2 shorter than a checkpoint · 3 cannot verify · 4 torn tail.
"""

import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from guard.cli.progress import counted, progress
from guard.cli.sources import AsJson
from guard.cli.statedir import Config, State, directory
from guard.clock import SystemClock
from guard.errors import GuardFault, JournalFault, SettingsFault
from guard.journal import Disk, Journal, read_lines, signingkey
from guard.journal.checkpoints import checkpoints_path, read_notes
from guard.journal.configstore import ConfigStore
from guard.journal.examine import Finding, KeptNote, examine
from guard.journal.note import Verifier, split
from guard.journal.proof import find, prove, prove_growth
from guard.journal.segments import no_journal, segment_numbers
from guard.replay.texts import NamedHashes
from guard.wholefile import read_given, why

_EXITS: Final = {"ok": 0, "edited": 1, "shorter": 2, "cannot_verify": 3, "torn": 4}
_TORN_LOOKS: Final = 5  # a line that is being written is whole after one pause; a torn one stays so
_TORN_PAUSE_S: Final = 0.02
_SCRIPT: Final = "guard_verify.py"
_OWN_KEY: Final = (
    "the verifier key was read from beside the record, so this proves nothing against the owner of this host, who "
    "could have made both anew: keep journal.vkey and a checkpoint elsewhere, and give them as --vkey and --held"
)
_NO_HELD: Final = "without a checkpoint kept elsewhere (--held), the owner of the key could have made the record anew"
_NONE_BESIDE: Final = (
    "holds no checkpoint, though a guard writes one each second: what came after the one you keep could have been cut "
    "off"
)

Vkey = Annotated[
    Path | None,
    typer.Option(
        "--vkey", readable=False, help="Verifier keys, one a line, kept elsewhere (else the state's journal.vkey)."
    ),
]
Held = Annotated[
    Path | None, typer.Option("--held", readable=False, help="Checkpoints kept elsewhere: one or more notes.")
]


class VerifyReport(Finding, frozen=True, kw_only=True):
    """What `verify --json` prints: the finding, what it does not say, and which texts beside the record are not whole.

    The finding, and so the exit code, is about the record alone.
    """

    remarks: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


def verify_record(
    *,
    vkey: Vkey = None,
    held: Held = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Verify that nobody edited, removed, added, moved or cut off a record.

    Reads the whole record and checks it against the signed checkpoints beside it
    and those you kept. Exits 0 if it is whole, 1 if it was edited (with the first
    bad seq), 2 if it is shorter than a checkpoint, 3 if it cannot be verified, 4
    if only the last line is torn, as after a crash. The settings, keys and
    policies that decided are kept beside the record; those that do not match
    their hash in it are reported too, without changing the exit code.
    """
    try:
        report = examined(directory(state, config), vkey, held)
    except SettingsFault as fault:
        report = VerifyReport(result="cannot_verify", message=f"cannot verify: {fault}")
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        typer.echo(report.message, err=report.result == "cannot_verify")
        for remark in report.remarks:
            typer.echo(f"({remark})")
        for wrong in report.config:
            typer.echo(f"not of the record: {wrong}")
    raise typer.Exit(_EXITS[report.result])


def prove_record(
    *,
    decision: Annotated[str | None, typer.Option(metavar="ID", help="The decision to prove.")] = None,
    held: Annotated[
        Path | None, typer.Option(readable=False, help="Prove instead that the log continues from this checkpoint.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(readable=False, help=f"Write it there, and {_SCRIPT} beside it (else it is printed).")
    ] = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a decision is in the log without disclosing the others.

    Writes one text for whoever has the verifier key: the record itself, its path
    to the root, and the signed checkpoint (c2sp.org/tlog-proof). With --held
    instead of --decision it proves that the log has only grown since that
    checkpoint, in the form that a witness accepts (c2sp.org/tlog-witness).
    """
    if (decision is None) == (held is None):
        raise typer.BadParameter("give either --decision or --held")
    where = directory(state, config)
    text = prove_growth(where, _held(held)[-1].note) if held is not None else prove(where, find(where, str(decision)))
    if out is None:
        typer.echo(msgspec.json.encode({"proof": text}) if as_json else text, nl=as_json)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise JournalFault(f"{error.filename}: cannot be written: {error.strerror}") from error
    script = write_verifier(out.parent)
    if as_json:
        typer.echo(msgspec.json.encode({"proof": text, "file": str(out), "verifier": str(script)}))
    elif held is None:
        typer.echo(f"check it with: python {script} proof {out} --vkey KEYS", err=True)


def write_verifier(folder: Path) -> Path:
    """The short verifier beside what it checks: standard library and `cryptography`, no line of the guard's."""
    script = folder / _SCRIPT
    try:
        script.write_bytes(files("guard.journal").joinpath("offline.py").read_bytes())
    except OSError as error:
        raise JournalFault(f"{error.filename}: cannot be written: {error.strerror}") from error
    return script


def rotate_key(state: State = None, config: Config = None, as_json: AsJson = False) -> None:
    """Change the key that signs checkpoints; the guard must be stopped, and the record whole and signed.

    The record names the new key in a `vkey` record signed by both, and the last
    checkpoint of this run is signed by both, so that whoever trusts the old key
    can follow. Prints the new verifier key.
    """
    where = directory(state, config)
    if not segment_numbers(where):
        raise no_journal(where)  # rather than beginning a record that nobody asked for
    unproven = _unproven(examined(where, None, None))
    if unproven is not None:
        raise JournalFault(f"the key stays: {unproven}")
    disk = Disk()
    journal = Journal.open(where, clock=SystemClock(), disk=disk)
    try:
        signer = journal.rotate_key()
    finally:
        is_shut = journal.shut()
    if journal.failed is not None or not is_shut:
        raise JournalFault(f"the key stays: {journal.failed or 'the disk did not take its last checkpoint in time'}")
    try:
        signingkey.take_over(where, signer, disk=disk)
    except OSError as error:
        doubt = f"nobody knows whether the key has changed: {error}"
        raise JournalFault(f"{doubt}; the next start goes by journal.key, and the record vouches for both") from error
    vkey = signer.verifier.vkey
    typer.echo(msgspec.json.encode({"vkey": vkey}) if as_json else vkey)


def _unproven(found: VerifyReport) -> str | None:
    """Why two keys must not vouch for the record as it is; what is behind its last checkpoint a start tells first."""
    if found.result != "ok":
        return f"{found.message}; guard audit verify tells more"
    if (found.signed or 0) == found.records:
        return None
    behind = f"records {(found.signed or 0) + 1} to {found.records} are under no checkpoint"
    return f"{behind}; start the guard, which tells them and signs them, look at what it says, stop it, and try again"


def examined(state: Path, vkey: Path | None, held: Path | None) -> VerifyReport:
    """The whole record held against every checkpoint there is; what cannot be read makes it `cannot_verify`."""
    try:
        return _examined(state, vkey, held)
    except GuardFault as fault:
        return VerifyReport(result="cannot_verify", message=f"cannot verify: {fault}")


def _examined(state: Path, vkey: Path | None, held: Path | None) -> VerifyReport:
    verifiers = _verifiers(state, vkey)
    # Checkpoints first: a guard that runs meanwhile makes the record longer than they say, never shorter.
    beside = _kept_beside(checkpoints_path(state))
    notes = [*beside, *(() if held is None else _held(held))]
    named = NamedHashes()
    with progress("verifying") as bar:
        is_all_gone = bool(notes) and state.is_dir() and not segment_numbers(state)  # cut off to nothing
        lines = named.in_passing(() if is_all_gone else read_lines(state, wait=_Patience()))
        finding = examine(counted(state, lines, bar), notes, verifiers)
    if not beside and held is not None and finding.result in {"ok", "torn"}:
        doubt = f"cannot verify: {checkpoints_path(state)} {_NONE_BESIDE}"
        finding = msgspec.structs.replace(finding, result="cannot_verify", message=doubt)
    remarks = []
    if finding.result == "ok":
        if vkey is None:
            remarks.append(_OWN_KEY)
        elif held is None:
            remarks.append(_NO_HELD)
        if finding.signed is not None and finding.signed < finding.records:
            remarks.append(f"records {finding.signed + 1} to {finding.records} are under no checkpoint yet")
        if finding.first_seq > 1:
            remarks.append(f"records 1 to {finding.first_seq - 1} were pruned; a signed root stands for them")
    wrong = named.wrong(ConfigStore(state / "config").get, now=SystemClock().wall())
    return VerifyReport(**msgspec.structs.asdict(finding), remarks=tuple(remarks), config=wrong)


def verifiers_of(state: Path, vkey: Path | None) -> list[Verifier]:
    """The keys that a record is verified with: those that were given, else the one beside it; none if unreadable."""
    try:
        return _verifiers(state, vkey)
    except GuardFault:
        return []


def _verifiers(state: Path, vkey: Path | None) -> list[Verifier]:
    """The keys of the file named; else of the one beside the record, none without it, so that an edit is still told."""
    path = vkey or signingkey.vkey_path(state)
    try:
        return [Verifier.read(line) for line in read_given(path).decode("utf-8").split()]
    except OSError as error:
        if vkey is None and isinstance(error, FileNotFoundError):
            return []
        raise JournalFault(f"{path}: cannot be read: {why(error)}; it should hold the verifier key") from error
    except ValueError as error:
        raise JournalFault(f"{path}: no verifier key: {error}") from error


def _kept_beside(path: Path) -> list[KeptNote]:
    try:
        notes = read_notes(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalFault(f"{path}: cannot be read: {error.strerror}") from error
    return [KeptNote(note, str(path)) for note in notes]


def _held(path: Path) -> list[KeptNote]:
    """What was kept elsewhere; read once, as it may come through a pipe."""
    try:
        notes = split(read_given(path).decode("utf-8", "replace"))[0]
    except OSError as error:
        raise JournalFault(f"{path}: cannot be read: {why(error)}") from error
    if not notes:
        raise JournalFault(f"{path}: holds no checkpoint; GET /admin/audit/checkpoint gives one to keep")
    return [KeptNote(note, str(path)) for note in notes]


class _Patience:
    """At the end of the record: looks again a few times while the last line is still being written."""

    def __init__(self) -> None:
        self._looks_left = _TORN_LOOKS

    def __call__(self, is_torn: bool) -> bool:
        self._looks_left -= 1
        if not is_torn or self._looks_left < 0:
            return False
        time.sleep(_TORN_PAUSE_S)
        return True
