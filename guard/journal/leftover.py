"""Files that are kept beside the record by hash and that no record names any more, since those that did were pruned.

`python -m guard.journal.leftover STATE BEFORE IN_FORCE…` prints their names, one a line: those that were put there
before that time (microseconds since 1970) and are not in force. It runs as a process of its own, since it reads the
whole record. In case of doubt a file stays: without it a decision could be neither explained nor replayed.
"""

import hashlib
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from guard.journal.segments import read_lines
from guard.wholefile import GIVEN_BYTES_MAX, read_whole

FOLDER: Final = "config"
_NAMING: Final = re.compile(rb'(config_)?(?:sha256|back|expired)":"([0-9a-f]{64})"')  # members of records, snapshots
_HASH: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_FILE: Final = re.compile(r"[0-9a-f]{64}\.json(?:\.new)?")


def leftover(state: Path, *, before_us: int, in_force: Iterable[str]) -> list[Path]:
    """The files that may go.

    Raises JournalFault where the record cannot be read, OSError where the folder cannot, ValueError for settings in it
    that are damaged.
    """
    folder = state / FOLDER
    files = folder.iterdir() if folder.is_dir() else ()
    old = [path for path in files if _FILE.fullmatch(path.name) and _put_us(path) < before_us]
    if not old:
        return []
    named, settings = _named_by_records(state)
    named.update(in_force)
    _follow(folder, named, settings)
    return sorted(path for path in old if path.suffix != ".json" or path.stem not in named)


def delete(state: Path, paths: Iterable[Path], *, before_us: int) -> list[str]:
    """Deletes these files, except for any that was put there again meanwhile; the names of the deleted."""
    gone = []
    for path in paths:
        if path.parent == state / FOLDER and _put_us(path) < before_us:
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone


def _named_by_records(state: Path) -> tuple[set[str], set[str]]:
    """All hashes that records name, and those of them that are of settings."""
    named, settings = set(), set()
    for line in read_lines(state):
        for is_config, found in _NAMING.findall(line):
            named.add(found.decode())
            if is_config:
                settings.add(found.decode())
    return named, settings


def _follow(folder: Path, named: set[str], settings: set[str]) -> None:
    """Adds the hashes of keys and policies that settings name.

    `ValueError` if settings do not match their hash: they may have named others, so nothing may be deleted.
    """
    waiting, seen = list(named), set(named)
    while waiting:
        sha256 = waiting.pop()
        with suppress(FileNotFoundError):
            content = read_whole(folder / f"{sha256}.json", bytes_max=GIVEN_BYTES_MAX)
            if sha256 in settings and hashlib.sha256(content).hexdigest() != sha256:
                message = "is not what its name says: it was edited or damaged; put back a copy of it"
                raise ValueError(f"{FOLDER}/{sha256}.json {message}")
            more = {found.decode() for found in _HASH.findall(content)} - seen
            seen |= more
            waiting += more
    named |= seen


def _put_us(path: Path) -> int:
    """When it was put there, in µs; far in the future if it is gone."""
    try:
        return path.stat().st_mtime_ns // 1000
    except FileNotFoundError:
        return sys.maxsize


def main(state: Path, before_us: int, in_force: list[str]) -> None:
    """Prints the names."""
    for path in leftover(state, before_us=before_us, in_force=in_force):
        sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
