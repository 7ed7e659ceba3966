"""Whether the daemon's trading is unlocked, according to its admin API; for a metric, never for a decision (B19).

Asked once a minute with the guard's own key; without `admin` there, nothing is known.
"""

import asyncio
from typing import Final

import msgspec

from guard.terms import Answer, Daemon, Outbound

PATH: Final = "/api/admin/status"
EVERY_S: Final = 60.0
WAIT_S: Final = 5.0
_OK: Final = 200


class _Cache(msgspec.Struct):
    trade_unlocked: bool


class _Status(msgspec.Struct):
    cache: _Cache


class Unlocked:
    """`is_unlocked`: what the latest answer said; None where there is none, or none that can be read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.is_unlocked: bool | None = None

    async def look(self) -> None:
        """Asks once."""
        answer = await self._daemon.send(Outbound("GET", PATH, None, WAIT_S))
        self.is_unlocked = _read(answer.body) if isinstance(answer, Answer) and answer.status == _OK else None

    async def watch(self) -> None:
        """Asks until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()


def _read(body: bytes) -> bool | None:
    try:
        return msgspec.json.decode(body, type=_Status).cache.trade_unlocked
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
