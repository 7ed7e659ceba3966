"""What the C library keeps of memory that was let go of, and what goes back to the system.

Left alone, glibc gives a large answer back at once, and the next one is had anew page by page, which costs more than
all else that such an answer does. And holes stay with it for good: a table of live orders that is full is made anew at
twice its size, and what the old one took is left beside it. So pieces of up to `PIECE_BYTES` are kept for the next use,
larger ones and what is free beyond `KEPT_BYTES` at the end go back by themselves, and a thread asks for the holes now
and then: 0.02 ms where there are none, less than 1 ms where there are ten megabytes of them. Another C library is left
as it is.
"""

import asyncio
import ctypes
from typing import Final

PIECE_BYTES: Final = 16 * 2**20  # glibc takes no more than 32 MB
KEPT_BYTES: Final = 2 * PIECE_BYTES
EVERY_S: Final = 10.0  # between two askings: what is needed again at once would have to be had anew
_TRIM_THRESHOLD: Final = -1  # as <malloc.h> numbers them
_MMAP_THRESHOLD: Final = -3
_LIBRARY: Final = ctypes.CDLL(None)


def settle(library: object = _LIBRARY) -> None:
    """Once, after the start, whose large pieces are not wanted again. What is set here glibc no longer changes."""
    option = getattr(library, "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, PIECE_BYTES)
        option(_TRIM_THRESHOLD, KEPT_BYTES)


async def give_back(library: object = _LIBRARY, *, every_s: float = EVERY_S) -> None:
    """Gives the holes back again and again, until it is cancelled; ends at once where nobody can."""
    trim = getattr(library, "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)
