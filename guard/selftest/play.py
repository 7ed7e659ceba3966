"""One case played on a stage: its steps in order, and the first thing that is not as it must be."""

import asyncio
import re
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from guard.selftest.case import Ask, Case, Do, Hear, Start, Step
from guard.selftest.daemon import ASKED_BY_GUARD
from guard.selftest.hearing import heard
from guard.selftest.stage import Home, Stage
from guard.selftest.start import tried
from guard.selftest.wire import Told, request
from guard.simulator.core import Received
from guard.simulator.faults import Hold, Ids

_UNKNOWN: Final = 504
_AGAIN_S: Final = 0.002
_TEXT_MAX: Final = 300
_NUMBER: Final = "999999999"  # an order id that nobody has been given
_MARK: Final = re.compile(r"<(id )?(\d+)>")


class Player:
    """A case with its keys. `home`: whose, instead of the roles'. `last`: the code of the last refusal."""

    def __init__(self, stage: Stage, case: Case, *, home: Home | None = None) -> None:
        self._stage = stage
        self._case = case
        self._home = home
        self._told: list[Told] = []
        self.last = ""

    @property
    def key(self) -> str:
        """Whose key it is; "" for the roles' own."""
        return "" if self._home is None else self._home.key

    async def play(self, steps: Iterable[Step]) -> str | None:
        """None where all is as it must be; else what is not."""
        for place, step in enumerate(steps, 1):
            wrong = await self._step(step)
            if wrong:
                return f"step {place}: {wrong}"
        return None

    async def is_refused(self, ask: Ask) -> str | None:
        """None where the guard refused it and the daemon saw nothing; else what came of it."""
        told, received = await self._send(ask)
        self.last = told.code
        if told.code and told.status != _UNKNOWN and not _reached(received):
            return None
        return f"answered {told.status}, {len(_reached(received))} requests reached the daemon"

    async def _step(self, step: Step) -> str | None:
        stage = self._stage
        match step:
            case Ask():
                wrongs = [await self._asked(step) for _ in range(step.times)]
                return next((wrong for wrong in wrongs if wrong), None)
            case Hear():
                return await heard(stage, step, bearer=self._bearer(step.who), order=self._filled(step.order))
            case Do("revoke"):
                await stage.revoke(self._id(step.who))
            case Do("restart"):
                await stage.restart()
            case Do("tighten"):
                await stage.tighten(self._id(step.who))
            case Do():
                stage.halt(is_there=step.what == "halt")
            case Start():
                return await tried(step)
        return None

    async def _asked(self, ask: Ask) -> str | None:
        told, received = await self._send(ask)
        self._told.append(told)
        came, due = f"{told.status} {told.code or 'passed'}", f"{ask.status} {ask.code or 'passed'}"
        if came != due:
            return f"{ask.path}: {came}, not {due}: {told.text[:_TEXT_MAX]}"
        if ask.code and ask.status != _UNKNOWN and _reached(received):
            return f"{ask.path}: refused, and the daemon was sent it all the same"
        wrong = self._unlike(ask, told) or self._unsent(ask, received)
        if ask.records and not all(self._stage.daemon.recorded or [False]):
            return "the daemon had the order before the record had its decision"
        return wrong

    async def _send(self, ask: Ask) -> tuple[Told, list[Received]]:
        stage, daemon = self._stage, self._stage.daemon
        known = len(daemon.requests)
        daemon.reached = stage.disk.reached = threading.Event() if ask.records else None
        if ask.fault is not None:
            fault = ask.fault
            if isinstance(fault, Ids):
                fault = msgspec.structs.replace(fault, order_id_ex=self._filled(fault.order_id_ex))
            daemon.faults.add(fault, path=ask.path)
        body = self._at_home(self._filled(ask.body))
        method = "GET" if body is None else "POST"
        bearer = None if ask.who is None else self._bearer(ask.who)
        raw = ask.raw or request(ask.path, body, method=method, bearer=bearer, head=ask.head)
        try:
            told = await (stage.ask(raw) if ask.meanwhile is None else self._held(raw, ask.meanwhile))
        finally:
            daemon.reached = stage.disk.reached = None
            daemon.faults.clear()
        return told, list(daemon.requests)[known:]

    async def _held(self, raw: bytes, meanwhile: Do) -> Told:
        """The answer to a request during which something was done: the guard's next question waits for that."""
        stage, known = self._stage, len(self._stage.daemon.requests)
        done = asyncio.Event()
        stage.daemon.faults.add(Hold(done))
        asked = asyncio.ensure_future(stage.ask(raw))
        while len(stage.daemon.requests) == known and not asked.done():  # noqa: ASYNC110 - nobody tells when it asks
            await asyncio.sleep(_AGAIN_S)
        await self._step(meanwhile)
        done.set()
        return await asked

    def _unlike(self, ask: Ask, told: Told) -> str | None:
        """What the answer says, or does not say, against the case."""
        for text in ask.hides:
            if self._filled(text) in told.text:
                return f"{ask.path}: the answer tells {self._filled(text)!r}"
        for text in ask.shows:
            if self._filled(text) not in told.text:
                return f"{ask.path}: the answer does not tell {self._filled(text)!r}: {told.text[:_TEXT_MAX]}"
        if ask.same_as and _said(told) != _said(self._told[ask.same_as - 1]):
            return f"{ask.path}: the refusal reads otherwise than that of request {ask.same_as}"
        return None

    def _unsent(self, ask: Ask, received: list[Received]) -> str | None:
        """What the daemon was sent, or not, against the case."""
        if not ask.sends:
            return None
        sent = [call for call in received if call.path in {ask.path, "/api/cancel-all-order", "/api/modify-order"}]
        if not sent or not isinstance(sent[-1].json, dict):
            return f"{ask.path}: the daemon was sent nothing"
        for name, wanted in ask.sends.items():
            value: Any = sent[-1].json.get("c2s")
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value != self._filled(wanted):
                return f"{ask.path}: the daemon was sent {name} = {value!r}, not {wanted!r}"
        return None

    def _id(self, role: str) -> str:
        return self.key or f"{role}-{self._case.id.replace('+', '.').lower()}"

    def _bearer(self, role: str | None) -> str:
        return "" if role is None else self._stage.bearer(self._id(role))

    def _at_home(self, body: Any) -> Any:
        """The body for the account and environment that the key may use."""
        if self._home is None:
            return body
        account = self._home.account
        if isinstance(body, bytes):
            return body.replace(b"123456", str(account.acc_id).encode()).replace(b"simulate", account.env.word.encode())
        if not isinstance(body, dict):
            return body
        moved = {"acc_id": account.acc_id, "env": account.env.word, "trd_env": int(account.env)}
        plain = {"acc_id": 123456, "env": "simulate", "trd_env": 0}
        return {
            name: moved[name] if name in moved and value == plain[name] else self._at_home(value)
            for name, value in body.items()
        }

    def _filled(self, value: Any) -> Any:
        """The value with every mark replaced."""
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if not isinstance(value, str) or "<" not in value:
            return value
        expiry = self._stage.guard.clock.wall() + timedelta(days=60)
        text = value.replace("<option>", f"AAPL{expiry:%y%m%d}C200000").replace("<number>", _NUMBER)
        return _MARK.sub(self._named, text)

    def _named(self, mark: re.Match[str]) -> str:
        """The id of an order that an earlier request of the case placed; of nobody's where it placed none."""
        place = int(mark[2]) - 1
        s2c = self._told[place].json.get("s2c") if place < len(self._told) else None
        name = "order_id" if mark[1] else "order_id_ex"
        return str(s2c.get(name)) if isinstance(s2c, dict) else _NUMBER


def _reached(received: Iterable[Received]) -> list[Received]:
    """What the daemon saw and the guard does not ask on its own account."""
    return [call for call in received if call.path not in ASKED_BY_GUARD]


def _said(told: Told) -> object:
    guard = told.json.get("guard") or {}
    return told.status, told.json.get("ret_msg"), guard.get("reasons")
