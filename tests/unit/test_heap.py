"""Memory that was let go of: small pieces are used again, and holes do not stay with the process."""

import asyncio
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard import heap
from guard.supervisor import Supervisor

BLOCK: Final = 100_000  # below what the C library gives back by itself, whatever it was told
MANY: Final = 400
GLIBC: Final = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library is left as it is")


def resident() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Library:
    """A C library that can do what is asked of it."""

    def __init__(self, enough: int = 1) -> None:
        self.options: list[tuple[int, int]] = []
        self.trimmed: list[int] = []
        self.over = asyncio.Event()
        self._enough = enough
        self._loop = asyncio.get_running_loop()

    def mallopt(self, name: int, value: int) -> int:
        """1 is success."""
        self.options.append((name, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        """In a thread."""
        self.trimmed.append(pad)
        if len(self.trimmed) == self._enough:
            self._loop.call_soon_threadsafe(self.over.set)
        return 1


async def test_it_is_asked_for_again_and_again() -> None:
    """Until the service is told to stop."""
    library, supervisor = Library(enough=3), Supervisor()
    _ = supervisor.start(heap.give_back(library, every_s=0.001), "heap", service=True)
    await library.over.wait()
    await supervisor.drain(timeout_s=1)
    assert set(library.trimmed) == {0}
    assert not supervisor.failures


async def test_both_thresholds_are_set() -> None:
    """By the numbers of <malloc.h>: a piece of 16 MB (-3) is kept, and 32 MB at the end of the heap (-1)."""
    library = Library()
    heap.settle(library)
    assert library.options == [(-3, 16_777_216), (-1, 33_554_432)]


async def test_another_c_library_is_left_as_it_is() -> None:
    """Neither call stands in musl: nothing is set, and the service ends."""
    asked: list[str] = []

    class Musl:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            raise AttributeError(name)

    heap.settle(Musl())
    await asyncio.wait_for(heap.give_back(Musl()), 5)
    assert asked == ["mallopt", "malloc_trim"]


@GLIBC
async def test_holes_beside_what_is_held_go_back() -> None:
    """Every other block is let go of, so nothing of it lies at the end of the heap."""
    blocks = [b"x" * BLOCK for _ in range(MANY)]
    del blocks[::2]
    before, going = resident(), asyncio.ensure_future(heap.give_back(every_s=0))
    while before - resident() < MANY // 2 * BLOCK * 0.8:
        await asyncio.sleep(0.001)
        assert not going.done()
    going.cancel()
    assert len(blocks) == MANY // 2


def faults(bytes_: int, *, settled: bool) -> int:
    """Pages that the system gives for four pieces at a time, made and let go of three times after the first."""
    text = f"""if True:
        import resource
        from guard import heap

        def told():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        def answers():
            held = [b"x" * {bytes_} for _ in range(4)]

        if {settled}:
            heap.settle()
        answers()
        before = told()
        answers(), answers(), answers()
        print(told() - before)
    """
    found = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return int(found.stdout)


@GLIBC
def test_memory_of_large_answers_is_used_again() -> None:
    """Of 14,600 pages that four answers of 5 MB take three times, none is had anew."""
    assert faults(5_000_000, settled=False) > 10_000
    assert faults(5_000_000, settled=True) < 100


@GLIBC
def test_what_is_larger_goes_back_at_once() -> None:
    """However often: without a word glibc would have kept up to twice 20 MB from the first one on."""
    assert faults(20_000_000, settled=True) > 50_000
