"""Starts that must not happen: a guard over files that are not what they should be."""

from pathlib import Path
from typing import Final

from guard.clock import SystemClock
from guard.errors import GuardFault, SettingsFault
from guard.lifecycle import Guard
from guard.scratch import scratch
from guard.selftest import drill
from guard.selftest.case import Start
from guard.selftest.daemon import KEY
from guard.selftest.stage import write_keys
from guard.settingsfile import Overrides, load

_SETTINGS: Final = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n'


async def tried(step: Start) -> str | None:
    """None where the guard does not start and says why; else what happened instead."""
    with scratch("selftest") as name:
        folder = Path(name)
        _lay_out(folder, step)
        try:
            guard = Guard(load(folder / "guard.toml", Overrides(), {"GUARD_DAEMON_KEY": KEY}))
            await guard.start()
        except GuardFault as fault:
            told = "; ".join(fault.errors) if isinstance(fault, SettingsFault) else str(fault)
            return None if step.why in told else f"{step.change}: no start, but not for that: {told}"
        await guard.stop("selftest")
        return f"{step.change}: the guard started"


def _lay_out(folder: Path, step: Start) -> None:
    record = drill.key_record("trader", "start", now=SystemClock().wall())
    keys = folder / "keys.json"
    (folder / "policies").mkdir()
    (folder / "guard.toml").write_text(_SETTINGS)
    write_keys(keys, [record], {str(record["id"]): "gk_start"})
    match step.change:
        case "keys_are_garbage":
            keys.write_text("{")
        case "keys_are_readable":
            keys.chmod(0o644)
        case "no_keys":
            keys.unlink()
        case "unknown_setting":
            (folder / "guard.toml").write_text(_SETTINGS + "[tradng]\nenabled = true\n")
        case "no_record":
            (folder / "state").write_text("no directory")
