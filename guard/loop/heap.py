"""What glibc's allocator keeps of freed memory, and what it gives back to the system.

By default glibc returns a large buffer to the system when it is freed, and the next one is faulted in page by page,
which costs more than everything else that a large answer does. And it never returns holes: a full table of live orders
is copied to one of twice the size, and the old one's memory stays behind. So pieces of up to `PIECE_BYTES` are kept for
reuse, larger ones and whatever is free beyond `KEPT_BYTES` at the top go back by themselves, and a thread trims the
holes now and then: 0.02 ms if there are none, less than 1 ms for ten megabytes. Any other C library is left alone.

What a start loads, code and tables, lies in ten thousand pages of 4 KB: more than a TLB holds, and a miss costs double
in a virtual machine. The kernel is asked to move them into a dozen pages of 2 MB.
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
    """Called once, after the start, whose large pieces are not needed again. Ends glibc's own tuning of these."""
    option = getattr(library, "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, PIECE_BYTES)
        option(_TRIM_THRESHOLD, KEPT_BYTES)


def gather(library: object = _LIBRARY, *, wanted: Path = _WANTED, areas: Path = _AREAS) -> None:
    """Moves what there is into large pages, unless the system forbids them (`never`). 3 ms each, so called once."""
    advise = getattr(library, "madvise", None)
    with suppress(OSError):  # no Linux, or one without large pages
        if advise is not None and "[never]" not in wanted.read_text():
            for at in large(areas.read_text()):
                advise(ctypes.c_void_p(at), ctypes.c_size_t(LARGE_BYTES), _COLLAPSE)


def large(areas: str) -> Iterator[int]:
    """Where large pages fit into private and nearly full memory of this process, according to `smaps`."""
    for begin, end, taken_kb in _AREA.findall(areas):
        first, last = int(begin, 16), int(end, 16)
        if 100 * 1024 * int(taken_kb) >= _FULL_PERCENT * (last - first):
            yield from range(-(-first // LARGE_BYTES) * LARGE_BYTES, last - LARGE_BYTES + 1, LARGE_BYTES)


async def give_back(library: object = _LIBRARY, *, every_s: float = EVERY_S) -> None:
    """Gives the holes back periodically until cancelled; ends at once if the C library cannot."""
    trim = getattr(library, "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)
