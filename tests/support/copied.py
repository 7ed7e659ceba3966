"""The files of a guard that runs, as a kill would leave them."""

import contextlib
import shutil
from pathlib import Path


def copied(folder: Path, to: Path) -> Path:
    """What was in the files at one moment, though threads write them meanwhile: what signs the record, then that.

    A draft that takes its file's name between the listing and the copying is left out, as is what is deleted then.
    """
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("journal"), copy_function=_if_there)
    shutil.copytree(folder / "state" / "journal", to / "state" / "journal", copy_function=_if_there)
    return to


def _if_there(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)
