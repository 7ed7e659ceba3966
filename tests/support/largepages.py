"""Whether this machine has large pages for who asks, and how many a process lies in."""

import mmap
from pathlib import Path
from typing import Final

import pytest

_WANTED: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_COLLAPSE: Final = 25  # MADV_COLLAPSE
_PROBE_BYTES: Final = 16 * 2**20


def are_had() -> bool:
    """Asked for and given: a kernel before 6.1 knows no such request, one whose memory is in small pieces has none."""
    if not _WANTED.exists() or "[never]" in _WANTED.read_text():
        return False
    with mmap.mmap(-1, _PROBE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as probe:
        probe.write(b"x" * _PROBE_BYTES)
        try:
            probe.madvise(_COLLAPSE)
        except OSError:
            return False
    return True


LARGE_PAGES: Final = pytest.mark.skipif(not are_had(), reason="no large pages here")


def large_kb(pid: int | str) -> int:
    """So much of the memory of this process lies in them; none where it becomes another program while it is read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except ProcessLookupError:  # what was opened is the memory of before
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")), 0)
