"""`guard policy`: are the files right, and tell a running guard to read them again.

`check` says everything that is wrong at once, and what each policy enforces; exit 0 valid, 1 not. `reload` changes what
a running guard enforces: it exits 0 when the files' policies are in force, 1 with every error otherwise, and then those
that were in force still are.
"""

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guard.cli.cases import run_cases
from guard.cli.consoles import of_tables, show
from guard.cli.policy_diff import diff
from guard.cli.reloading import approve, promote, reload
from guard.cli.replay import replay
from guard.cli.sources import (
    AsJson,
    ConfigOption,
    DirArgument,
    OpsOption,
    StateOption,
    keyring_of,
    print_json,
    settings_of,
)
from guard.cli.suggest import suggest
from guard.clock import SystemClock
from guard.policy import PolicyDoc, PolicyError, PolicySet, compile_set
from guard.policy.cases import run_tests
from guard.policy.lint import lint
from guard.policy.schema import TABLES
from guard.policyfiles import parse_texts, read_tests, read_texts

app = typer.Typer(no_args_is_help=True)

ENFORCED: Final = tuple(table for table in TABLES if table not in {"policy", "applies_to"})


def check(
    *,
    directory: DirArgument = None,
    config: ConfigOption = None,
    ops: OpsOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """List everything that is wrong with the policy files, and show what they enforce."""
    del ops, state
    settings = settings_of(config)
    place = directory or settings.path(settings.policies.dir)
    texts, errors = read_texts(place)
    docs, found = parse_texts(texts)
    errors += found
    is_whole = not errors
    keys, warnings = keyring_of(settings)
    tests, unreadable = read_tests(place)
    errors += unreadable if texts else []
    findings: list[PolicyError] = []
    policies = compile_set(
        docs,
        keys={} if keys is None else keys.limits_by_name(),
        flags=None,
        tz=settings.keys.tz,
        require_cover=settings.policies.require_cover,
        now=SystemClock().wall(),
    )
    if isinstance(policies, list):
        errors += policies
    else:
        # What a file that cannot be read would have covered, nobody knows.
        findings = lint(policies, texts, keys.principals.values() if keys and not errors else ())
        warnings += (*_unsaid(policies.warnings, findings), *map(str, findings))
        errors += run_tests(policies, tests).failures if is_whole else ()
    sha256 = policies.sha256 if isinstance(policies, PolicySet) and not errors else None
    if as_json:
        print_json(
            {
                "ok": not errors,
                "sha256": sha256,
                "policies": [_row(doc) for doc in docs],
                "errors": errors,
                "warnings": warnings,
                "findings": findings,
            }
        )
    else:
        _show(place, docs, errors=errors, warnings=warnings, sha256=sha256)
    if errors:
        raise typer.Exit(1)


def _unsaid(warnings: Iterable[str], findings: list[PolicyError]) -> list[str]:
    """What no finding says with its line: that a selector matches no key, where the policy binds nobody for it."""
    said = tuple(f"{found.file}: applies_to.keys: " for found in findings if found.code == "no_key")
    return [each for each in warnings if not each.startswith(said)]


def _given(doc: PolicyDoc) -> list[str]:
    """The key paths of what the policy enforces."""
    found = [
        f"{table}.{field}"
        for table in ENFORCED
        for field, value in msgspec.structs.asdict(getattr(doc, table)).items()
        if value is not None and field != "per" and (field, value) != ("see", "account")
    ]
    return [*found, "hours"] if doc.hours is not None else found


def _row(doc: PolicyDoc) -> dict[str, Any]:
    chosen = msgspec.structs.asdict(doc.applies_to)
    expires_at = doc.policy.expires_at
    return {
        "id": doc.id,
        "mode": doc.policy.mode,
        "file": doc.file,
        "owner": doc.policy.owner,
        "revision": doc.policy.revision,
        "expires_at": None if expires_at is None else expires_at.astimezone(UTC).isoformat(),
        "applies_to": {field: value for field, value in chosen.items() if value is not None},
        "enforces": _given(doc),
    }


def _chosen(row: dict[str, Any]) -> str:
    parts = [f"{field} {', '.join(map(str, value)) or 'nobody'}" for field, value in row["applies_to"].items()]
    return "; ".join(parts) or "everyone"


def _show(
    place: Path, docs: list[PolicyDoc], *, errors: list[PolicyError], warnings: list[str], sha256: str | None
) -> None:
    console, loud = of_tables(), Console(stderr=True, soft_wrap=True, highlight=False)
    if docs and not errors:
        table = Table("policy", "applies to", "enforces", "until", header_style="bold", box=None, pad_edge=False)
        for row in map(_row, docs):
            name = row["id"] if row["mode"] == "enforce" else f"{row['id']} (shadow)"
            cells = (name, _chosen(row), ", ".join(row["enforces"]), row["expires_at"] or "")
            table.add_row(*(escape(cell) for cell in cells))
        show(table, console)
    for warning in warnings:
        loud.print(f"[yellow]warning[/] {escape(warning)}")
    for error in errors:
        loud.print(f"[red]error[/] {escape(str(error))}")
    count = f"{len(docs)} {'policy' if len(docs) == 1 else 'policies'}"
    if errors:
        loud.print(
            f"{escape(str(place))}: {len(errors)} wrong; a guard would keep what it has",
            soft_wrap=True,
            highlight=False,
        )
    elif docs:
        console.print(f"{escape(str(place))}: {count} valid, sha256 {sha256}")
    else:
        console.print(
            f"{escape(str(place))}: no policies: every trade would be refused as no_policy",
            soft_wrap=True,
            highlight=False,
        )


for each in (check, run_cases, diff, replay, suggest, reload, approve, promote):  # as a change goes, from file to force
    app.command("test" if each is run_cases else None)(each)
