"""What the start has built is laid together into large pages of memory, where the kernel can do that."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.largepages import PAGE_BYTES, lay_together, stretches

SMAPS: Final = """\
00400000-00c00000 r-xp 00000000 103:02 7 /usr/bin/python3
Size:               8192 kB
Rss:                8192 kB
{begin:08x}-{end:08x} {modes} 00000000 00:00 {inode}{name}
Size:               {size} kB
Rss:                {rss} kB
AnonHugePages:         0 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                  12 kB
"""
MIB: Final = 2**20


def smaps(begin: int, end: int, *, rss: int, modes: str = "rw-p", inode: int = 0, name: str = "") -> str:
    """A program, one mapping and the stack of a thread."""
    size = (end - begin) // 1024
    return SMAPS.format(begin=begin, end=end, size=size, rss=rss // 1024, modes=modes, inode=inode, name=name)


def test_whole_large_pages_of_what_is_in_use_are_laid_together() -> None:
    """The ends that fill no large page stay as they are, the heap with its name is memory like any other."""
    begin, end = 0x10_0000_0000 + MIB, 0x10_0000_0000 + 9 * MIB
    heap = smaps(begin, end, rss=8 * MIB, name="                          [heap]")
    assert list(stretches(heap.splitlines())) == [(begin + MIB, end - MIB)]
    assert list(stretches(smaps(begin + MIB, begin + 3 * MIB, rss=2 * MIB).splitlines())) == [
        (begin + MIB, begin + 3 * MIB)
    ]


@pytest.mark.parametrize(
    "left",
    [
        smaps(0x1000_0000, 0x1080_0000, rss=7 * MIB),
        smaps(0x1000_0000, 0x1080_0000, rss=8 * MIB, modes="r--p"),
        smaps(0x1000_0000, 0x1080_0000, rss=8 * MIB, modes="rw-s"),
        smaps(0x1000_0000, 0x1080_0000, rss=8 * MIB, inode=7, name=" /usr/lib/x.so"),
        smaps(0x1010_0000, 0x103F_0000, rss=0x2F_0000),
        "",
    ],
    ids=["hardly used", "never written", "shared", "of a file", "no whole page", "nothing"],
)
def test_the_rest_is_left_alone(left: str) -> None:
    """What is hardly used would become memory that nobody needs; what is not ours alone is not ours to move."""
    assert list(stretches(left.splitlines())) == []


def test_what_the_kernel_refuses_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is mapped there, or there is no such file at all: nothing was moved, and nothing raised."""
    (tmp_path / "smaps").write_text(smaps(0x10_0000, 0x90_0000, rss=8 * MIB), encoding="ascii")
    assert lay_together(tmp_path / "smaps") == 0
    assert lay_together(tmp_path / "elsewhere") == 0


PROGRAM: Final = """
from pathlib import Path
from guard.largepages import lay_together

def large():
    lines = Path("/proc/self/smaps").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))

kept = [bytes(500) for _ in range(50_000)]
before = large()
print(lay_together(), large() - before, all(each == bytes(500) for each in kept))
"""


def test_a_program_finds_its_memory_as_it_was() -> None:
    """What the kernel says to have moved lies in large pages now, and holds what it held."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter and script
    moved, more, is_same = told.stdout.split()
    assert (int(moved) % PAGE_BYTES, is_same) == (0, "True")
    assert int(more) <= int(moved), "what lay there before was counted"
    if int(moved) == 0:
        pytest.skip("this kernel lays nothing together (MADV_COLLAPSE, Linux 6.1)")
    assert int(more) > 0
