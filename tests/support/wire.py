"""The simulator behind a socket that is bad at its work: it answers late, in pieces, cut off, or not at all."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random  # noqa: TID251 - seeded
from typing import Final

from guard.simulator import Simulator
from guard.simulator.core import Received, parsed
from guard.terms import Answer
from tests.support.scripted_daemon import Talk, answer, scripted

_LINE: Final = re.compile(rb"(GET|POST) (\S+) HTTP/1\.1\r\n")
_KEY: Final = re.compile(rb"\r\nIdempotency-Key: (\S+)\r\n")
WORSE: Final = ("fails", "garbage", "cut off", "in pieces", "gone before")
TRADES: Final = (*["well"] * 10, *WORSE, "late", "later", "gone after", "reset", "silent", "silent after", "refuses")
LISTS: Final = (*["well"] * 5, *WORSE, *["lags"] * 6)
LAG: Final = timedelta(seconds=20)  # how old a list may be that is given again
LISTED: Final = frozenset({"/api/orders", "/api/history-orders"})
_UNDONE: Final = frozenset({"fails", "garbage", "gone before", "silent", "refuses"})
_SAID: Final = {
    "refuses": Answer(200, "application/json", b'{"ret_type":-1,"ret_msg":"no","err_code":null,"s2c":null}'),
    "fails": Answer(500, "application/json", b'{"error":"internal"}'),
    "garbage": Answer(200, "application/json", b"\x00<html>"),
}


def asked_in(raw: bytes) -> Received:
    """A request as it stands on the wire."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, key = _LINE.match(raw), _KEY.search(head + b"\r\n")
    assert line is not None
    name = None if key is None else key[1].decode()
    return Received(line[1].decode(), line[2].decode(), body or None, parsed(body or None), idempotency_key=name)


class Wire:
    """`is_bad`: whether anything goes wrong. `arrived`: the decisions of trades, as often as they have arrived.

    `told`: by decision, what was answered in whole. `acting`: requests that have arrived and are not carried out yet.
    """

    def __init__(self, simulator: Simulator, dice: Random) -> None:
        self.simulator, self._dice = simulator, dice
        self.is_bad = True
        self.told: dict[str, bytes] = {}
        self.arrived: list[str] = []
        self.acting = 0
        self._lists: dict[str, tuple[datetime, Answer]] = {}

    async def serve(self, talk: Talk) -> None:
        """One connection."""
        while raw := await talk.request():
            asked = asked_in(raw)
            name = asked.idempotency_key
            moods = TRADES if name else LISTS if asked.path in LISTED else ("well",)
            mood = self._dice.choice(moods) if self.is_bad else "well"
            self.arrived += [name] if name else []
            self.acting += 1
            try:
                found = await self._carried_out(asked, mood)
            finally:
                self.acting -= 1
            if found is None or mood in {"gone after", "reset", "silent after"}:
                await self._leave(talk, mood)
                return
            if mood != "cut off":
                self.told |= {name: found.body} if name else {}
            await self._say(talk, answer(found.body, status=f"{found.status} Said"), mood)
            if mood == "cut off":
                return

    async def _carried_out(self, asked: Received, mood: str) -> Answer | None:
        """What to say; None: nothing."""
        for _ in range(self._dice.randint(1, 12) if mood in {"late", "silent after"} else 0):
            await asyncio.sleep(0)
        if mood in _UNDONE:
            return _SAID.get(mood)
        now, known = self.simulator.world.now(), self._lists.get(asked.path)
        if mood == "lags" and known is not None and now - known[0] <= LAG:
            return known[1]
        found = await self.simulator.handle(asked)
        assert isinstance(found, Answer)
        if asked.path in LISTED:
            self._lists[asked.path] = now, found
        return found

    async def _leave(self, talk: Talk, mood: str) -> None:
        if mood == "reset":
            talk.reset()
        elif mood in {"silent", "silent after"}:
            await talk.hang()

    async def _say(self, talk: Talk, said: bytes, mood: str) -> None:
        if mood == "cut off":
            said = said[: self._dice.randint(1, len(said) - 1)]
        if mood == "later":
            await asyncio.sleep(self._dice.choice([0.001, 0.005, 0.03]))
        while mood == "in pieces" and len(said) > 1:
            size = self._dice.randint(1, min(60, len(said) - 1))
            await talk.say(said[:size])
            said = said[size:]
            await asyncio.sleep(0)
        await talk.say(said)


@asynccontextmanager
async def wired(simulator: Simulator, dice: Random) -> AsyncIterator[tuple[Wire, str]]:
    """The daemon and its address."""
    wire = Wire(simulator, dice)
    async with scripted(default=wire.serve) as daemon:
        yield wire, f"http://127.0.0.1:{daemon.port}"
