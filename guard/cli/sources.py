"""What commands have in common: flags, settings and keys, and JSON for programs."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from guard.access import Keyring, keyfile
from guard.errors import SettingsFault
from guard.settings import Settings
from guard.settingsfile import parse_settings
from guard.wholefile import read_text, why

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", readable=False, help="Settings that name the directory and ops.")
]
UnusedConfig = Annotated[
    Path | None, typer.Option("--config", hidden=True, readable=False, help="Taken by all commands; unused here.")
]
StateOption = Annotated[
    Path | None, typer.Option("--state", hidden=True, readable=False, help="Taken by all commands; unused here.")
]
_DOORS: Final = "host:port, https://host:port or unix:PATH."
OpsOption = Annotated[str | None, typer.Option("--ops", envvar="GUARD_OPS", help=_DOORS)]
UnusedOps = Annotated[
    str | None, typer.Option("--ops", hidden=True, help="Taken by all commands on decisions; the record is read here.")
]
DirArgument = Annotated[
    Path | None, typer.Argument(metavar="DIR", readable=False, help="Default: policies.dir of the settings.")
]


def settings_of(config: Path | None) -> Settings:
    """The settings of this file, or of guard.toml where there is one. Raises SettingsFault with every error."""
    path = config or Path("guard.toml")
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        if config is None and isinstance(error, FileNotFoundError):
            return Settings()
        raise SettingsFault([f"{path}: cannot be read: {why(error)}"]) from error
    settings, errors = parse_settings(text, origin=str(path), root=str(path.parent.absolute()))
    if errors:
        raise SettingsFault(errors)
    return settings


def keyring_of(settings: Settings) -> tuple[Keyring | None, list[str]]:
    """The keys that selectors may choose. Policies can be checked without any, so a bad file is only a warning."""
    path = settings.path(settings.keys.file)
    try:
        return (keyfile.load(path) if path.exists() else None), []
    except OSError as error:
        return None, [f"selectors were not compared with the keys: {path}: cannot be read: {why(error)}"]
    except SettingsFault as fault:
        return None, [f"selectors were not compared with the keys: {error}" for error in fault.errors]


def print_json(value: object) -> None:
    """One JSON value for programs."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
