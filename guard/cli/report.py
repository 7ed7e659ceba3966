"""`guard audit report`: the record of some time as one HTML page that needs nothing else."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from guard import __version__
from guard.audit.events import Differences
from guard.audit.facts import Facts
from guard.audit.report import ReportData, page
from guard.cli.progress import counted, progress
from guard.cli.proof import Held, Vkey, examined, verifiers_of
from guard.cli.sources import AsJson
from guard.cli.statedir import Config, State, directory
from guard.cli.times import Since, Until, since_until
from guard.clock import SystemClock
from guard.errors import JournalFault
from guard.journal import read_lines, timestamp
from guard.journal.configstore import ConfigStore
from guard.journal.search import RecordReader
from guard.policy import PolicySet
from guard.policy.diff import compare
from guard.replay.kept import set_of, told


def report_record(
    *,
    since: Since = None,
    until: Until = None,
    out: Annotated[Path, typer.Option(readable=False, help="The file to write.")] = Path("guard-report.html"),
    vkey: Vkey = None,
    held: Held = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write a report for a reviewer: one HTML file that opens in any browser, offline.

    It shows what came in, what was refused and why, limits and their use, who
    changed what, trading states and drills, unknown outcomes, orders placed
    outside the guard, gaps, and the proof. It reads files only, so the guard may
    keep running.
    """
    where = directory(state, config)
    begins, ends = since_until(since, until)
    facts, reader = Facts(begins, ends), RecordReader()
    with progress("reading") as bar:
        facts.take(reader.read(counted(where, read_lines(where), bar)))
    found = examined(where, vkey, held)
    keys = tuple(verifier.vkey for verifier in verifiers_of(where, vkey))
    data = ReportData(
        facts=facts,
        finding=found,
        made_at=timestamp(SystemClock().wall_us()),
        version=__version__,
        origin=keys[0].partition("+")[0] if keys else "",
        keys=keys,
        remarks=(*found.remarks, *found.config),
    )
    try:
        out.write_text(page(data, _differences(where)), encoding="utf-8")
    except OSError as error:
        raise JournalFault(f"{out}: cannot be written: {error.strerror}; --out names another place") from error
    if as_json:
        told = {"file": str(out), "records": facts.records, "result": found.result, "refusals": dict(facts.codes)}
        typer.echo(msgspec.json.encode(told))
    else:
        typer.echo(f"{out}: {facts.records} records; {found.message}")


def _differences(state: Path) -> Differences:
    """What changed between two sets of policies, from the texts that are kept by their hash beside the record."""
    store = ConfigStore(state / "config")

    @lru_cache(maxsize=64)
    def kept(sha256: str) -> PolicySet | str:
        found = set_of(store.get, sha256, now=SystemClock().wall())
        return f"nobody knows what changed: {told(sha256, found)}" if isinstance(found, str) else found

    def differences(before: str, after: str) -> Sequence[tuple[str, str, str]] | str:
        old, new = kept(before), kept(after)
        if isinstance(old, str) or isinstance(new, str):
            return old if isinstance(old, str) else str(new)
        return [(one.policy, one.words, one.kind) for one in compare(old, new)]

    return differences
