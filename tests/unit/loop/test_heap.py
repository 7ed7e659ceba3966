"""Memory that was let go of: small pieces are used again, and holes do not stay with the process."""

import asyncio
import ctypes
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.loop import heap
from guard.supervisor import Supervisor
from tests.support.largepages import LARGE_PAGES, are_had

BLOCK: Final = 100_000  # below what the C library gives back by itself, whatever it was told
MANY: Final = 400
NO_LARGE_PAGES: Final = 41  # PR_SET_THP_DISABLE: where a system gives them unasked, one page is had for 512
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
    assert not supervisor.concerns()


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
    await asyncio.wait_for(heap.give_back(Musl()), 60)
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
        import ctypes, resource
        from guard.loop import heap
        ctypes.CDLL(None).prctl({NO_LARGE_PAGES}, 1, 0, 0, 0)

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


AREAS: Final = """\
55d0c0000000-55d0c0800000 r-xp 00001000 fe:00 123    /usr/lib/libpython3.so
Size:               8192 kB
Rss:                8192 kB
55d0c1100000-55d0c1700000 rw-p 00000000 00:00 0      [heap]
Size:               6144 kB
Rss:                5600 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
Size:               4096 kB
Rss:                4096 kB
7f0000900000-7f0001100000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                4096 kB
7f0002000000-7f0002400000 rw-s 00000000 00:00 0
Size:               4096 kB
Rss:                4096 kB
7f0003000000-7f0003400000 rw-p 00000000 fe:00 77     /var/lib/some.db
Size:               4096 kB
Rss:                4096 kB
7f0004000000-7f0004100000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                1024 kB
7ffd00000000-7ffd00400000 rw-p 00000000 00:00 0      [stack]
Size:               4096 kB
Rss:                4096 kB
"""
LARGE: Final = [0x55D0C1200000, 0x55D0C1400000, 0x7F0000000000, 0x7F0000200000]


class Advised:
    """A C library that notes what it is to advise the kernel of."""

    def __init__(self) -> None:
        self.given: list[tuple[int | None, int, int]] = []

    def madvise(self, at: ctypes.c_void_p, size: ctypes.c_size_t, advice: int) -> int:
        """-1 is what an old kernel says."""
        self.given.append((at.value, size.value, advice))
        return -1


@pytest.mark.parametrize(("said", "expected"), [("always [madvise] never", LARGE), ("always madvise [never]", [])])
def test_what_stands_is_gathered_where_large_pages_fit(tmp_path: Path, said: str, expected: list[int]) -> None:
    """Whole ones in memory that is the process's own and nearly full; none where the system is to have none."""
    wanted, areas, library = tmp_path / "enabled", tmp_path / "smaps", Advised()
    wanted.write_text(said)
    areas.write_text(AREAS)
    heap.gather(library, wanted=wanted, areas=areas)
    assert library.given == [(at, 2 * 2**20, 25) for at in expected]


def test_a_system_that_tells_nothing_is_asked_for_nothing(tmp_path: Path) -> None:
    """It has no large pages, or tells nobody where its memory lies; another library cannot ask."""
    wanted, library = tmp_path / "enabled", Advised()
    heap.gather(library, wanted=wanted)
    wanted.write_text("[always] madvise never")
    heap.gather(library, wanted=wanted, areas=tmp_path / "smaps")
    heap.gather(object(), wanted=wanted)
    assert not library.given


@LARGE_PAGES
def test_this_system_does_as_it_is_asked() -> None:
    """32 MB of small objects: at least half of them lie in large pages afterwards, and none is another."""
    text = """if True:
        from guard.loop import heap
        from tests.support.largepages import large_kb
        held = [f"{number:0400}" for number in range(80_000)]
        before = list(held)
        heap.gather()
        print(large_kb("self"), held == before)
    """
    found = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    kb, is_same = found.stdout.split()
    if int(kb) < 16_384 and not are_had():
        pytest.skip("no large pages here any more")
    assert int(kb) >= 16_384
    assert is_same == "True"
