"""Callers of a soak: bots that trade, readers, listeners, strangers and slow ones; what they were told is kept.

Every answer must be one that the contract knows, and a cancel must never meet a limit of the guard's.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from msgspec import Struct, field

from guard.codes import MEANING
from tests.soak.world import FEW, FEW_CODE
from tests.support.edge_attacks import CORPUS
from tests.support.guards import key, order

ODD: Final = [case for case in CORPUS if case.code is not None and len(case.raw) < 4000]
# What may stand in the way of a cancel: it is not this key's, its order has another step, or nobody can be asked.
CANCEL_MEETS: Final = frozenset(
    {"unauthenticated", "not_your_order", "outcome_unknown", "in_flight", "daemon_unreachable"}
)
OWN_CODES: Final = frozenset(code.value for code in MEANING)


class Told(Struct):
    """What callers were told: `placed` by external order id its decision, `codes` how often, `wrongs` what is a bug."""

    placed: dict[str, str] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)


class Callers:
    """All callers of one soak before a guard at `port`; they go on whatever becomes of it, until `is_over`."""

    def __init__(self, port: int, told: Told, *, seed: int, is_over: Callable[[], bool]) -> None:
        self._port = port
        self._told = told
        self._random = random.Random(seed)
        self._is_over = is_over
        self._resting: dict[str, list[str]] = {}

    async def bot(self, name: str, *, pause_s: float) -> None:
        """New orders, changes and cancels, one after the other."""
        async with self._session(name) as session:
            while not self._is_over():
                await self._one_trade(session, name)
                await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))

    async def reader(self, name: str, *, pause_s: float) -> None:
        """Market data, accounts, and what the guard itself is asked."""
        asks = (
            ("/api/quote", {"symbols": ["HK.00700"]}),
            ("/api/accounts", None),
            ("/api/orders", {"market": "HK", "acc_id": 123456, "env": "simulate"}),
            ("/guard/v1/me", None),
            ("/guard/v1/check", {"path": "/api/order", "body": order()}),
        )
        async with self._session(name) as session:
            while not self._is_over():
                path, body = self._random.choice(asks)
                await self._ask(session, path, body)
                await asyncio.sleep(pause_s)

    async def listener(self, name: str) -> None:
        """A stream that is read, and opened again when it ends."""
        async with self._session(name) as session:
            while not self._is_over():
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with session.ws_connect("/ws") as socket:
                        while not socket.closed and not self._is_over():
                            with contextlib.suppress(TimeoutError):
                                await socket.receive(timeout=0.5)
                await asyncio.sleep(0.2)

    async def stranger(self, *, pause_s: float) -> None:
        """Odd bytes of the corpus, wrong keys, and connections that stop half-way."""
        while not self._is_over():
            case = self._random.choice(ODD)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._odd(case.raw, expected=MEANING[case.code].status if case.code else 0)
            await asyncio.sleep(pause_s)

    # ------------------------------------------------------------ inside

    def _session(self, name: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port}",
            headers={"Authorization": f"Bearer {key(name)}"},
            timeout=aiohttp.ClientTimeout(total=20),
        )

    async def _one_trade(self, session: aiohttp.ClientSession, name: str) -> None:
        resting, dice = self._resting.setdefault(name, []), self._random.random()
        if not resting or dice < 0.5:
            qty, price = 100 * self._random.randint(1, 3), self._random.choice([150, 200, 250, 301, 320])
            body = order(qty=qty, price=price, code=FEW_CODE if name == FEW else "00700")
            status, said, decision = await self._ask(session, "/api/order", body)
            if status == 200 and said.get("ret_type") == 0 and said["s2c"].get("order_id_ex"):
                own = said["s2c"]["order_id_ex"]
                self._told.placed[own] = decision
                resting.append(own)
            return
        at = self._random.randrange(len(resting))
        change = {"market": "HK", "acc_id": 123456, "env": "simulate", "order_id_ex": resting[at]}
        if dice < 0.75:
            qty, price = 100 * self._random.randint(1, 4), self._random.choice([140, 190, 210, 240])
            await self._ask(session, "/api/modify-order", change | {"op": "NORMAL", "qty": qty, "price": price})
            return
        status, said, _ = await self._ask(session, "/api/modify-order", change | {"op": "CANCEL"})
        code = said.get("err_code") if isinstance(said.get("guard"), dict) else None
        if code is not None and code not in CANCEL_MEETS:
            self._told.wrongs.append(f"a cancel met {status} {code}: {said.get('ret_msg')}")
        if status == 200:
            resting.pop(at)

    async def _ask(self, session: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, dict[str, Any], str]:
        try:
            async with session.request("GET" if body is None else "POST", path, json=body) as answer:
                raw = await answer.read()
                status, decision = answer.status, answer.headers.get("Guard-Decision", "")
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._told.codes["no answer"] += 1
            await asyncio.sleep(0.05)
            return 0, {}, ""
        said = json.loads(raw) if raw.startswith(b"{") else {}
        own = said.get("guard", {}).get("code") if isinstance(said.get("guard"), dict) else None
        self._told.codes[f"{status} {own or 'passed'}"] += 1
        if not decision or (own is not None and own not in OWN_CODES) or own == "rule_error":
            self._told.wrongs.append(f"{path}: {status} {own} {raw[:200]!r}")
        return status, said, decision

    async def _odd(self, raw: bytes, *, expected: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            if self._random.random() < 0.3:
                writer.write(raw[: len(raw) // 2])
                return
            writer.write(raw)
            status = int((await reader.readuntil(b"\r\n"))[9:12])
            if status not in {expected, 503}:
                self._told.wrongs.append(f"{raw[:80]!r} got {status}, not {expected}")
        finally:
            writer.transport.abort()
