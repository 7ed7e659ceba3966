"""What the start has built, laid together into large pages of memory.

An order touches hundreds of pages of 4 KiB, and where each lies the processor has forgotten whenever something else ran
in between: at a low rate, that is with every order. Asked once, the kernel moves what is in use into pages of 2 MiB
(`MADV_COLLAPSE`, Linux 6.1), whatever its settings say of those. Nothing depends on it: elsewhere nothing happens.
"""

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = 2 * 2**20
USED_PERCENT_MIN: Final = 90  # of a stretch: the rest of it would become memory that nobody needs
_COLLAPSE: Final = 25  # MADV_COLLAPSE of asm-generic/mman-common.h
_SMAPS: Final = Path("/proc/self/smaps")


def lay_together(smaps: Path = _SMAPS) -> int:
    """Moves what is in use into large pages; how many bytes. For a thread: some milliseconds, without the interpreter.

    What the kernel refuses, for want of memory or because it knows no such thing, stays as it is.
    """
    if not smaps.exists():
        return 0
    with smaps.open(encoding="ascii", errors="replace") as lines:
        found = list(stretches(lines))
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return sum(end - begin for begin, end in found if advise(begin, end - begin, _COLLAPSE) == 0)


def stretches(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch of whole large pages within memory of our own that is mostly in use.

    `smaps`: the lines that Linux writes, one `begin-end modes offset device inode [name]` for each mapping, then
    its figures.
    """
    begin = end = 0
    for line in smaps:
        words = line.split()
        if not words[0].endswith(":"):
            first, _, last = words[0].partition("-")
            is_ours = words[1] == "rw-p" and words[4] == "0"  # no file's
            begin, end = (int(first, 16), int(last, 16)) if is_ours else (0, 0)
        elif words[0] == "Rss:" and 100 * 1024 * int(words[1]) >= USED_PERCENT_MIN * (end - begin):
            begin, end = -(-begin // PAGE_BYTES) * PAGE_BYTES, end // PAGE_BYTES * PAGE_BYTES
            if begin < end:
                yield begin, end
