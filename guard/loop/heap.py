"""What the C library keeps of memory that was let go of, and what goes back to the system.

Left alone, glibc gives a large answer back at once, and the next one is had anew page by page, which costs more than
all else that such an answer does. And holes stay with it for good: a table of live orders that is full is made anew at
twice its size, and what the old one took is left beside it. So pieces of up to `PIECE_BYTES` are kept for the next use,
larger ones and what is free beyond `KEPT_BYTES` at the end go back by themselves, and a thread asks for the holes now
and then: 0.02 ms where there are none, less than 1 ms where there are ten megabytes of them. Another C library is left
as it is.

What is read in at a start, programs and tables, lies in ten thousand pages of 4 KB: more than a processor finds its way
to without looking each up, in a virtual machine twice. The kernel is asked to move them into a dozen pages of 2 MB.
"""

import asyncio
import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 16 * 2**20  # glibc takes no more than 32 MB
KEPT_BYTES: Final = 2 * PIECE_BYTES
EVERY_S: Final = 10.0  # between two askings: what is needed again at once would have to be had anew
_TRIM_THRESHOLD: Final = -1  # as <malloc.h> numbers them
_MMAP_THRESHOLD: Final = -3
_LIBRARY: Final = ctypes.CDLL(None)
LARGE_BYTES: Final = 2 * 2**20  # of a large page, on the processors that are common
_COLLAPSE: Final = 25  # as <linux/mman.h> numbers it, since Linux 6.1; an earlier one refuses, and nothing has changed
_WANTED: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_AREAS: Final = Path("/proc/self/smaps")
_AREA: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ 00:00 0 *(?:\[heap\])?\n.*?^Rss: +(\d+) kB$", re.MULTILINE | re.DOTALL
)
_FULL_PERCENT: Final = 90  # of an area that is taken: large pages are taken whole, and the guard is to be no larger


def settle(library: object = _LIBRARY) -> None:
    """Once, after the start, whose large pieces are not wanted again. What is set here glibc no longer changes."""
    option = getattr(library, "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, PIECE_BYTES)
        option(_TRIM_THRESHOLD, KEPT_BYTES)


def gather(library: object = _LIBRARY, *, wanted: Path = _WANTED, areas: Path = _AREAS) -> None:
    """What there is comes to lie in large pages, unless the system is to have none (`never`); 3 ms each: once."""
    advise = getattr(library, "madvise", None)
    with suppress(OSError):  # no Linux, or one without large pages
        if advise is not None and "[never]" not in wanted.read_text():
            for at in large(areas.read_text()):
                advise(ctypes.c_void_p(at), ctypes.c_size_t(LARGE_BYTES), _COLLAPSE)


def large(areas: str) -> Iterator[int]:
    """Where large pages fit into memory that is this process's own and nearly full, by what `smaps` tells."""
    for begin, end, taken_kb in _AREA.findall(areas):
        first, last = int(begin, 16), int(end, 16)
        if 100 * 1024 * int(taken_kb) >= _FULL_PERCENT * (last - first):
            yield from range(-(-first // LARGE_BYTES) * LARGE_BYTES, last - LARGE_BYTES + 1, LARGE_BYTES)


async def give_back(library: object = _LIBRARY, *, every_s: float = EVERY_S) -> None:
    """Gives the holes back again and again, until it is cancelled; ends at once where nobody can."""
    trim = getattr(library, "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)
