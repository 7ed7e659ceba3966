"""`guard policy diff A B`: what changes between two directories, per policy and rule, and an order that shows it.

Exit 0 when nothing becomes looser, 3 when something does (or may: mixed), 1 when one of the two is not valid.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.markup import escape

from guard.cli.cases import compiled
from guard.cli.sources import AsJson, ConfigOption, StateOption, print_json, settings_of
from guard.errors import SettingsFault
from guard.policy import PolicySet
from guard.policy.diff import RuleChange, overall
from guard.policy.trial import Witness
from guard.policy.witness import confirmed
from guard.settings import Settings

LOOSER: Final = 3
_COLOUR: Final = {"looser": "red", "tighter": "green", "neutral": "dim", "mixed": "yellow"}


def diff(
    *,
    before: Annotated[Path, typer.Argument(metavar="A", readable=False, help="The directory before the change.")],
    after: Annotated[Path, typer.Argument(metavar="B", readable=False, help="The directory after it.")],
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what changes from one directory of policies to another: looser, tighter, neutral or mixed."""
    del state
    settings = settings_of(config)
    old, new = _compiled(before, settings), _compiled(after, settings)
    changes = confirmed(old, new)
    if as_json:
        print_json({"verdict": overall(changes), "changes": [told_change(change) for change in changes]})
    else:
        _show(changes)
    if any(change.kind in {"looser", "mixed"} for change in changes):
        raise typer.Exit(LOOSER)


def _compiled(place: Path, settings: Settings) -> PolicySet:
    found, errors = compiled(place, settings)
    if found is None:
        raise SettingsFault([f"{'' if error.file == str(place) else f'{place}/'}{error}" for error in errors])
    return found


def told_change(change: RuleChange) -> dict[str, Any]:
    """A change for programs."""
    return asdict(change) | {"witness": None if change.witness is None else told_witness(change.witness)}


def told_witness(witness: Witness) -> dict[str, Any]:
    """The order that shows a loosening, in words and with what refused it."""
    return {
        "words": str(witness),
        "key": witness.key,
        "environment": witness.environment,
        "account": witness.account,
        "at": witness.wall,
        "order": witness.order,
        "usage": witness.usage,
        "refused_before": witness.refused,
        "still_refused": witness.still,
    }


def _show(changes: tuple[RuleChange, ...]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for change in changes:
        name = f"{change.policy}: " if change.policy else ""
        console.print(f"[{_COLOUR[change.kind]}]{change.kind:8}[/] {escape(name + change.words)}")
        witness = change.witness
        if witness is not None:
            console.print(f"         {escape(str(witness))}")
            console.print(f"         refused before: {escape(witness.refused[0].message)}")
            if witness.still:
                still = witness.still[0]
                console.print(f"         still refused by {escape(still.policy)}: {escape(still.message)}")
    if not changes:
        console.print("no difference")
    else:
        console.print(f"all in all {overall(changes)}")
