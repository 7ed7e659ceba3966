"""The flags of commands that read the state directory, and where it is."""

from pathlib import Path
from typing import Annotated

import typer

from guard.cli.sources import settings_of

State = Annotated[
    Path | None,
    typer.Option(
        "--state", envvar="GUARD_STATE", readable=False, help="The state directory (default: that of the settings)."
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", readable=False, help="The settings file (default: guard.toml if it exists).")
]


def directory(state: Path | None, config: Path | None) -> Path:
    """`--state`, else what the settings say; `SettingsFault` where those cannot be used."""
    if state is not None:
        return state
    settings = settings_of(config)
    return settings.path(settings.state.dir)
