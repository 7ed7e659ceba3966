"""Memory that was let go of does not stay with the process."""

import asyncio
from pathlib import Path
from typing import Final

from guard.released import give_back, trim
from guard.supervisor import Supervisor

BLOCK: Final = 100_000  # below what the C library gives back by itself, whatever it was told
MANY: Final = 400


def resident() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def test_it_is_asked_for_again_and_again() -> None:
    """Until the service is told to stop."""
    loop, asked, over = asyncio.get_running_loop(), list[int](), asyncio.Event()

    def release(pad: int) -> None:
        asked.append(pad)
        if len(asked) == 3:
            loop.call_soon_threadsafe(over.set)

    supervisor = Supervisor()
    _ = supervisor.start(give_back(release, every_s=0.001), "released", service=True)
    await over.wait()
    await supervisor.drain(timeout_s=1)
    assert set(asked) == {0}
    assert supervisor.failures_total == 0


def test_holes_beside_what_is_held_go_back() -> None:
    """Every other block is let go of, so nothing of it lies at the end of the heap."""
    release = trim()
    assert release is not None, "these tests run where glibc is"
    blocks = [b"x" * BLOCK for _ in range(MANY)]
    del blocks[::2]
    before = resident()
    release(0)
    assert before - resident() > MANY // 2 * BLOCK * 0.8
    assert len(blocks) == MANY // 2
