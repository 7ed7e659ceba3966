"""What a start takes: a new process until it says that it is ready, in seconds and in CPU seconds; then what it holds.

Without a record; with the one that a busy guard left behind; with a long one without a snapshot, so that every record
is read back and the chain verified from the first, once with policies that are new to it, which count the past anew,
once with the same as before; and with the snapshot that the guard then made beside its work. The disk's cache is warm.
"""

import time
import tomllib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import contestants
import machine
import msgspec
from contestants import BIN, CONTESTANT_CORE, Server

QUIET_SHARE: Final = 0.05
QUIET_S: Final = 300.0
KEPT_S: Final = 7  # the guard looks after its record every five seconds
NEW: Final = "with policies that are new to it"
KEPT: Final = "after a snapshot"


class Start(msgspec.Struct):
    """From the process to its being ready: records there are, CPU seconds, seconds; then bytes resident, at rest.

    `how`: what sets it apart from a plain restart.
    """

    records: int
    seconds: float
    ready_s: float
    rss: int
    how: str = ""


def started(folder: Path, *, how: str = "") -> Start:
    """The guard of this folder as a new process, until it has nothing left to do; a `NEW` one makes no snapshot yet."""
    records = sum(_lines(path) for path in (folder / "state" / "journal").glob("*.jsonl"))
    began_s = time.monotonic()
    with again(folder, "guard") as server:
        _until_ready(server.ops)
        ready_s, cpu_s = time.monotonic() - began_s, machine.cpu_us(server.pid) / 1e6
        until_quiet(server.pid, for_s=0 if how == NEW else KEPT_S)
        return Start(records, cpu_s, ready_s, machine.rss_bytes(server.pid), how)


@contextmanager
def again(folder: Path, name: str) -> Iterator[Server]:
    """The guard that is laid out in this folder, with whatever record it has."""
    config = folder / "guard.toml"
    listen = tomllib.loads(config.read_text())["listen"]
    port, ops = (int(listen[door].rpartition(":")[2]) for door in ("data", "ops"))
    command, log = [str(BIN / "guard"), "serve", "--config", str(config)], folder / "again.log"
    with contestants.serving(name, command, port=port, core=CONTESTANT_CORE, log=log, ops=ops) as server:
        yield server


def until_quiet(*pids: int, for_s: int = 1) -> None:
    """Return once the processes have had next to nothing to do for so long, nor a child, which folds closed segments.

    It is the mean that counts: a guard with 100 000 live orders looks through them whenever it asks the daemon.
    """
    end_s, used = time.monotonic() + QUIET_S, deque[list[float]](maxlen=for_s + 1)
    while time.monotonic() < end_s:
        if any(map(machine.children, pids)):
            used.clear()
        used.append([machine.cpu_us(pid) for pid in pids])
        spent = (now - was for was, now in zip(used[0], used[-1], strict=True))
        if len(used) > for_s and max(spent) <= QUIET_SHARE * for_s * 1e6:
            return
        time.sleep(1.0)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(2**20), b""))


def _until_ready(port: int) -> None:
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.005)
