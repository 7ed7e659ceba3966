"""One at a time, and how many wait: a lock whose queue can be looked at, so that whoever comes may be turned away."""

import asyncio


class InTurn:
    """`async with` it; `waiting` counts those who do not have the turn yet."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.waiting = 0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self.waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
