"""A lock that tells how many wait for it, so that further ones can be turned away."""

import asyncio


class CountedLock:
    """Used with `async with`; `waiting` counts those who do not have the lock yet."""

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
