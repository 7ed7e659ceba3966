"""The flags of commands that read the state directory, and where it is."""

from pathlib import Path
from typing import Annotated

import typer

from guard.errors import SettingsFault
from guard.settingsfile import parse_settings

State = Annotated[
    Path | None, typer.Option("--state", envvar="GUARD_STATE", help="The state directory (else the settings').")
]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (else guard.toml where it exists).")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def directory(state: Path | None, config: Path | None) -> Path:
    """`--state`, else what the settings say; `SettingsFault` where those cannot be used."""
    if state is not None:
        return state
    path = config or Path("guard.toml")
    try:
        text = path.read_text(encoding="utf-8") if config is not None or path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFault([f"{path}: cannot be read: {error}"]) from error
    settings, errors = parse_settings(text, origin=str(path), root=str(path.parent.absolute()))
    if errors:
        raise SettingsFault(errors)
    return settings.path(settings.state.dir)
