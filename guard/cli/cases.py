"""`guard policy test`: do the policies answer as their tests expect, and would a test notice if a limit moved?

Exit 0 when every test passes (and with `--mutate` every limit is held by one), 1 otherwise.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from guard.cli.sources import AsJson, ConfigOption, DirArgument, StateOption, print_json, settings_of
from guard.clock import SystemClock
from guard.policy import PolicyError, PolicySet, compile_set
from guard.policy.cases import TestReport, prepared, run_prepared
from guard.policy.mutate import Survey, survey
from guard.policyfiles import read_docs, read_tests
from guard.settings import Settings

MutateFlag = Annotated[
    bool, typer.Option("--mutate", help="Move each limit by one step, and list those that no test notices.")
]
AllFlag = Annotated[bool, typer.Option("--all", help="Show passed tests too.")]
_SHOWN_MAX: Final = 200


def run_cases(
    *,
    directory: DirArgument = None,
    mutate: MutateFlag = False,
    show_all: AllFlag = False,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Run the tests (`*_test.toml`) beside the policies."""
    del state
    settings = settings_of(config)
    place = directory or settings.path(settings.policies.dir)
    policies, errors = compiled(place, settings)
    texts, unreadable = read_tests(place)
    errors += (error for error in unreadable if error not in errors)
    if isinstance(policies, PolicySet) and not errors:
        cases = prepared(texts)
        report = run_prepared(policies, cases)
        found = survey(policies, cases) if mutate and not report.failures else None
    else:
        report, found = TestReport((), tuple(errors)), None
    if as_json:
        print_json(_json(report, found))
    else:
        _show(place, report, found, show_all=show_all)
    if report.failures or (found is not None and found.unnoticed):
        raise typer.Exit(1)


def compiled(place: Path, settings: Settings) -> tuple[PolicySet | None, list[PolicyError]]:
    """The policies of a directory by themselves: without the keys of keys.json and without the start-up flags."""
    docs, errors = read_docs(place)
    built = compile_set(
        docs,
        keys={},
        flags=None,
        tz=settings.keys.tz,
        require_cover=settings.policies.require_cover,
        now=SystemClock().wall(),
    )
    if isinstance(built, PolicySet) and not errors:
        return built, []
    return None, errors + (built if isinstance(built, list) else [])


def _json(report: TestReport, found: Survey | None) -> dict[str, object]:
    answer: dict[str, object] = {
        "ok": not report.failures and not (found and found.unnoticed),
        "cases": len(report.ran),
        "failures": report.failures,
    }
    if found is not None:
        answer["mutants"] = found.count
        answer["unnoticed"] = [
            {"policy": m.policy, "file": m.file, "rule": m.rule, "before": m.before, "after": m.after}
            for m in found.unnoticed
        ]
    return answer


def _show(place: Path, report: TestReport, found: Survey | None, *, show_all: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for one in report.ran if show_all else ():
        mark = "[green]ok[/]" if one.passed else "[red]no[/]"
        console.print(f"{mark}  {escape(one.name)}: {escape(one.found)}")
    for error in report.failures[:_SHOWN_MAX]:
        console.print(f"[red]error[/] {escape(str(error))}")
    if len(report.failures) > _SHOWN_MAX:
        console.print(f"and {len(report.failures) - _SHOWN_MAX} more")
    if report.failures:
        console.print(f"{escape(str(place))}: {len(report.failures)} wrong of {len(report.ran)} tests")
    elif report.ran:
        console.print(f"{escape(str(place))}: {len(report.ran)} tests passed")
    else:
        console.print(f"{escape(str(place))}: no tests; write a *_test.toml beside the policies (docs/policies.md)")
    if found is None:
        return
    for mutant in found.unnoticed:
        console.print(f"[yellow]untested[/] {escape(str(mutant))}")
    console.print(f"{found.count} limits moved by a step, {len(found.unnoticed)} unnoticed")
