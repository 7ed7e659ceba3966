"""The format of a state directory: a number in `<state>/format`, raised when an older guard could misread the record.

Readers skip types that they do not know, so an older guard might skip a newer guard's record that moves counters. So a
directory of a newer format is refused. One of an older format is migrated a step at a time; each step may be repeated,
and its number is on the disk before the next. A directory without the file, such as a copy of a record, has the first
format.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from guard.errors import StateFault
from guard.journal.disk import Disk, replace_file
from guard.wholefile import read_whole, why

FORMAT: Final = 1
FIRST: Final = 1
_DIGITS_MAX: Final = 9
_BYTES_MAX: Final = 100

Step = Callable[[Path], None]
STEPS: Final[Mapping[int, Step]] = {}
"""What brings a directory of format n to n + 1. Run with the lock held, perhaps a second time after a crash."""


def bring_forward(state: Path, *, disk: Disk, steps: Mapping[int, Step] = STEPS, to: int = FORMAT) -> None:
    """Brings the directory to this guard's format; `StateFault` where a newer guard wrote it, or a step fails."""
    found = read(state)
    if found is not None and found > to:
        why = f"{state}: was written by a newer guard (format {found}); this one knows formats up to {to}"
        raise StateFault(f"{why}: install the newer one again, or restore the copy that was made before the upgrade")
    for step in range(found or FIRST, to):
        try:
            steps[step](state)
            replace_file(disk, state / "format", f"{step + 1}\n".encode())
        except OSError as error:
            raise StateFault(f"{state}: cannot be brought from format {step} to {step + 1}: {error}") from error
    if found is None and to == FIRST:
        with suppress(OSError):  # a full disk must not keep the guard, and so the cancels, from starting
            replace_file(disk, state / "format", f"{to}\n".encode())


def read(state: Path) -> int | None:
    """The number in the file; None where there is no file. `StateFault` where it holds anything else."""
    path = state / "format"
    try:
        text = read_whole(path, bytes_max=_BYTES_MAX).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        hint = "restore it from a copy, or remove it if no upgrade was made"
        raise StateFault(f"{path}: cannot be read: {why(error)}; {hint}") from error
    if not text.isdigit() or len(text) > _DIGITS_MAX or int(text) < FIRST:
        raise StateFault(f"{path}: holds no format number: restore it from a copy, or remove it if no upgrade was made")
    return int(text)
