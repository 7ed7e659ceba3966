"""What the machine says: CPU time of a process's threads, memory, who else is at work, and which disk a path lies on.

Linux only: everything is read from `/proc`. CPU time is the scheduler's own account in nanoseconds
(`/proc/PID/task/*/schedstat`, first number), which counts every thread and needs no sampling.
"""

import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

MEMORY_KINDS: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})
LIBRARIES: Final = ("aiohttp", "uvloop", "httptools", "msgspec", "jiter", "prometheus-client")
LOOPS: Final = 3
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Unfit(Exception):
    """The benchmark cannot tell the truth here; the message says what to change."""


def cpu_by_thread_ns(pid: int) -> dict[str, int]:
    """CPU time of each thread of a process so far, by thread id."""
    found = {}
    for path in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while its siblings are read
            found[path.name] = int((path / "schedstat").read_text().split(maxsplit=1)[0])
    return found


def cpu_between_us(before: dict[str, int], after: dict[str, int]) -> float:
    """CPU time used between two readings, in microseconds; threads that ended meanwhile are left out."""
    return sum(spent - before.get(thread, 0) for thread, spent in after.items()) / 1000


def children(pid: int) -> list[int]:
    """The processes that this one has started and that have not ended."""
    texts = [(path / "children").read_text() for path in Path(f"/proc/{pid}/task").iterdir()]
    return [int(child) for text in texts for child in text.split()]


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Unfit(f"process {pid} has no memory left to look at: it has ended")


class Usage(NamedTuple):
    """CPU seconds of the whole machine since it started: at work, taken by its host, and altogether."""

    busy_s: float
    stolen_s: float
    total_s: float


def usage() -> Usage:
    """The machine's account of itself (`/proc/stat`)."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, idle, waiting, irq, softirq, stolen = ticks
    busy = user + nice + system + irq + softirq
    return Usage(busy * _TICK_S, stolen * _TICK_S, (busy + idle + waiting + stolen) * _TICK_S)


def cpu_us(pid: int) -> float:
    """CPU time of a process so far, in microseconds."""
    return cpu_between_us({}, cpu_by_thread_ns(pid))


def foreign_percent(before: Usage, after: Usage, *, own_us: float) -> float:
    """What share of the machine others used between two readings, with what its host took away."""
    foreign_s = after.busy_s - before.busy_s + after.stolen_s - before.stolen_s - own_us / 1e6
    return max(0.0, 100 * foreign_s / max(_TICK_S, after.total_s - before.total_s))


def stolen_percent(before: Usage, after: Usage) -> float:
    """What share of the machine its host gave to others."""
    return 100 * (after.stolen_s - before.stolen_s) / max(_TICK_S, after.total_s - before.total_s)


def filesystem_of(path: Path, mounts: str) -> str:
    """The kind of filesystem that a path lies on; `mounts` is the text of `/proc/self/mountinfo`."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        # Blanks in a mount point are written as octal escapes.
        point = left.split()[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), right.split()[0]
    return kind


def real_disk(path: Path, *, mounts: str | None = None) -> str:
    """The filesystem of a directory whose syncs reach a medium. Raises `Unfit` where they reach memory only."""
    kind = filesystem_of(path.resolve(), Path("/proc/self/mountinfo").read_text() if mounts is None else mounts)
    if kind in MEMORY_KINDS:
        message = f"{path} lies on {kind}: a sync costs nothing there, and durable orders would look free. "
        raise Unfit(message + "Name a directory on a real disk with --work.")
    return kind


def calibration_ms(core: int) -> float:
    """How long a fixed loop takes now on a core, named as for `pin`: how far the machine's own speed moves.

    The shortest of a few: what interrupts one of them is no speed.
    """
    usable = os.sched_getaffinity(0)
    pin(0, core)
    try:
        return min(_loop_ms() for _ in range(LOOPS))
    finally:
        os.sched_setaffinity(0, usable)


def _loop_ms() -> float:
    began_ns, total = time.thread_time_ns(), 0
    for number in range(100_000):
        total += number % 7
    return (time.thread_time_ns() - began_ns) / 1e6


def check_linux() -> None:
    """Raises `Unfit` where the figures cannot be read."""
    if not Path("/proc/self/schedstat").exists():
        raise Unfit("CPU time is read from /proc/PID/task/*/schedstat: this needs Linux with scheduler statistics")


def cores() -> int:
    """How many cores may be used."""
    return len(os.sched_getaffinity(0))


def pin(pid: int, core: int) -> None:
    """Keep a process, and the threads that it starts from now on, on one core."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) > 1:
        os.sched_setaffinity(pid, {usable[core % len(usable)]})


def go_first() -> None:
    """This process, and all that it starts from now on, runs before whatever else wants the machine, where that may be.

    As real-time work, since priorities among the rest count within one session only. The kernel keeps a twentieth of
    the time for the others.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def moment() -> str:
    """Now, as documents name it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def described(kind: str) -> dict[str, str]:
    """Machine, versions and moment, as documents name them."""
    cpu = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": f"{cores()} x {cpu[0] if cpu else platform.machine()}",
        "memory": f"{sum(memory) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": kind,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "guard": version("opend-guard"),
        "measured": moment(),
    }


def _lines(path: str) -> Iterable[str]:
    with suppress(OSError):
        return Path(path).read_text().splitlines()
    return ()
