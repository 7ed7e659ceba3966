"""Whether this machine has large pages for who asks, and how many a process lies in."""

import platform
from pathlib import Path
from typing import Final

import pytest

_WANTED: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def _are_had() -> bool:
    if platform.system() != "Linux" or not _WANTED.exists() or "[never]" in _WANTED.read_text():
        return False
    return tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 1)


LARGE_PAGES: Final = pytest.mark.skipif(not _are_had(), reason="no large pages here")


def large_kb(pid: int | str) -> int:
    """So much of the memory of this process lies in them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")), 0)
