"""A journal that is opened, appended to and closed, and dies at a chosen call to the disk: run as a program.

`python -m tests.support.killed_start BASE FOLDER HOW` has a first child do so on a copy of BASE in peace, which counts
the calls; then, for each of them, one child that dies by SIGKILL before it and one after it. HOW is `killed`, or `cut`:
then the power goes too, and of every file there is what was synced of it. The seqs that were told durable are in
FOLDER/<number>/told.
"""

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Final, NoReturn

from guard.journal import JournalBounds
from tests.support.disk import PagedDisk
from tests.support.journal import open_journal

SURVEY: Final = 0
RECORDS: Final = 3
BOUNDS: Final = JournalBounds(segment_bytes_max=20_000)
LONG: Final = "x" * 6_000


class DyingDisk(PagedDisk):
    """Counts each call twice, before and after it, and dies at the count `fatal`."""

    def __init__(self, folder: Path, fatal: int, *, is_cut: bool) -> None:
        super().__init__()
        self._state, self._fatal, self._is_cut = folder / "state", fatal, is_cut
        self._counting = threading.RLock()
        self.steps = 0
        for path in self._files():
            self.has(path)

    def _files(self) -> list[Path]:
        return [path for path in self._state.rglob("*") if path.is_file() and path.name != "lock"]

    def _before(self, call: str) -> None:
        super()._before(call)
        self._step()

    def _after(self, call: str) -> None:
        super()._after(call)
        self._step()

    def _step(self) -> None:
        with self._counting:
            self.steps += 1
            if self.steps != self._fatal:
                return
            if self._is_cut:
                for path in self._files():
                    self.cut_power(path)
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


def _live(folder: Path, disk: DyingDisk) -> None:
    journal = open_journal(folder / "state", disk=disk, bounds=BOUNDS)
    for _ in range(RECORDS):
        seq = journal.append("decision", {"said": LONG})
        journal.flush()
        with (folder / "told").open("a") as file:
            file.write(f"{seq}\n")
    journal.shut()
    (folder / "steps").write_text(str(disk.steps))


def _child(folder: Path, fatal: int, how: str) -> NoReturn:
    try:
        _live(folder, DyingDisk(folder, fatal, is_cut=how == "cut"))
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reads it
        (folder / "error").write_text(repr(error))
        os._exit(1)
    os._exit(0)


def _lived(base: Path, folder: Path, fatal: int, how: str) -> int:
    """The exit code of one child; minus the signal that ended it."""
    shutil.copytree(base, folder / "state")
    child = os.fork()
    if child == 0:
        _child(folder, fatal, how)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(base: Path, root: Path, how: str) -> int:
    """The survey, then one child for each step, one after the other; 1 where a child failed."""
    codes = {_lived(base, root / "000", SURVEY, how)}
    steps = int((root / "000/steps").read_text())
    codes |= {_lived(base, root / f"{number:03d}", number, how) for number in range(1, steps + 1)}
    return int(not codes <= {0, -signal.SIGKILL})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
