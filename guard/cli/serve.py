"""`guard serve`: flags and files are checked here, every error at once; then the process becomes the server."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import typer

from guard.activeconfig import load_keys
from guard.certificate import certificate_of
from guard.cli import flags
from guard.cli.running import root, run
from guard.errors import GuardFault, SettingsFault
from guard.logs import configure
from guard.serving.handover import KEPT_BACK, ServeRequest, command, tell
from guard.settings import Settings
from guard.settingsfile import Overrides, SettingsRead
from guard.terms import KeyLimits
from guard.upstream.origin import parse_origin, tls_context

KEYLESS: Final = (
    "daemon.key_file: trading is enabled without a daemon key, and a daemon refuses every trade without one: put the "
    "daemon's key for the guard into a file and name it, or set GUARD_DAEMON_KEY; or start with --disable-trading"
)
_log = structlog.get_logger("guard.cli")


@flags.takes_limits
def serve(
    *,
    config: flags.Config = None,
    listen: flags.Listen = None,
    ops: flags.Ops = None,
    daemon: flags.DaemonUrl = None,
    keys: flags.Keys = None,
    policies: flags.Policies = None,
    state: flags.State = None,
    enable_trading: flags.Trading = None,
    as_json: flags.UnusedJson = False,
    limits: KeyLimits,
    errors: list[str],
) -> None:
    """Run the guard in the foreground until SIGTERM or Ctrl-C; SIGHUP reloads policies and keys.

    Every flag but --config can also be set by a variable: --listen by
    GUARD_LISTEN, and so on. Flags override variables, both override the file.

    Exits 0 after a clean stop, 2 if settings or keys are wrong (all errors
    at once), 3 if the state directory allows no start (in use, unsafe mode,
    broken record), 64 for wrong usage.
    """
    del as_json
    configure()
    over = Overrides(listen, ops, daemon, keys, policies, state, enable_trading, limits)
    for sentence in flags.misspelt(os.environ):
        _log.warning("misspelt", why=sentence)
    try:
        _ = ready(config, over, errors)
    except GuardFault as fault:
        raise typer.Exit(tell(fault)) from None
    words = command(ServeRequest(None if config is None else str(config), over))
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, KEPT_BACK)
    os.execv(words[0], words)  # noqa: S606 - our own words, and no shell is wanted


def main() -> None:
    """The command of a call that serves, without all others, which load the server that this process only becomes."""
    app = root()
    app.command()(serve)
    sys.exit(run(app, sys.argv[1:]))


def ready(config: Path | None, over: Overrides, errors: list[str], *, asks_daemon: bool = True) -> Settings:
    """Settings whose files can be used too. Raises SettingsFault with these errors and all others, at once."""
    reading = flags.read(config, over)
    found = [*errors, *reading.errors]
    found += unusable(reading, told=found, asks_daemon=asks_daemon)
    if found:
        raise SettingsFault(found)
    return reading.settings


def unusable(reading: SettingsRead, *, told: list[str], asks_daemon: bool = True) -> list[str]:
    """What is wrong with the files and addresses that the settings name, but for settings of which it is told.

    `asks_daemon`: it is for a guard that opens its doors and trades through the daemon, which takes a key.
    """
    settings, unread = reading.settings, reading.unread
    looks: list[Callable[[], object]] = []
    if "daemon" not in unread:
        looks.append(lambda: tls_context(parse_origin(settings.daemon.url), ca_file=settings.ca_file))
    if asks_daemon and "listen" not in unread:
        looks.append(lambda: certificate_of(settings))
    if "keys" not in unread:
        looks.append(lambda: load_keys(settings))
    settled = {error.partition(":")[0] for error in told}
    is_unsaid = not asks_daemon or "GUARD_DAEMON_KEY" in settled or bool(unread & {"daemon", "trading"})
    is_keyless = settings.lacks_daemon_key and not is_unsaid
    found = [KEYLESS] if is_keyless else []
    for look in looks:
        try:
            look()
        except SettingsFault as fault:
            found += fault.errors
    return [error for error in found if error.partition(":")[0] not in settled]
