"""The simulated daemon: implements the port `terms.Daemon` in memory, and is steered by its attributes.

A request is received, meets a fault if one waits for it, and is then carried out in one synchronous step: door, body,
idempotency, handler, envelope. The same seed and the same clock give the same world. `Simulator.send` never raises and
never sleeps unless a fault says so.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from msgspec import Struct

from guard.catalogue import BY_PATH, find
from guard.clock import SystemClock
from guard.simulator.faults import Faults, Stage
from guard.simulator.keys import Caller, Door, Key, Profile
from guard.simulator.orders import Order
from guard.simulator.quirks import Quirks
from guard.simulator.reading import Body, read
from guard.simulator.refusals import BadBody, Declined, Forbidden, error, failed, plain, succeeded
from guard.simulator.routes import ADMIN, HANDLERS
from guard.simulator.sessions import Mode
from guard.simulator.world import Clock, World
from guard.terms import Answer, Effect, Endpoint, Env, Failure, Outbound, Refusal

REQUESTS_KEPT: Final = 10_000
_REPLAY_FOR: Final = timedelta(seconds=90)
_REPLAYED: Final = frozenset({Effect.ORDER_NEW, Effect.ORDER_CHANGE, Effect.ORDER_CANCEL, Effect.UNLOCK})
_TRADE_SCOPES: Final = frozenset({"trade:real", "trade:simulate"})
_FAMILIES: Final = "system, quote, plate, reference, reminder, account, trade, admin; see the REST reference"


class Received(Struct, frozen=True):
    """One request as it arrived. `json` is the parsed body, None where there is none or it is no JSON.

    `lend` says which of its keys the guard lent (in memory); `headers` have lower-case names (over a socket).
    """

    method: str
    path: str
    body: bytes | None
    json: Any
    lend: str | None = None
    bearer: str | None = None
    idempotency_key: str | None = None
    headers: Mapping[str, str] = {}


class Simulator:
    """A daemon for demo and tests.

    Steer it by: `faults` (what goes wrong), `quirks` (manners), `prices[symbol]`, `liquidity[symbol]` (how much fills
    at a time), `tick()`, `world` (accounts, holdings, lock, backend), `door` (keys, profile, legacy mode), `lent` (the
    bearer that goes with each `lend`, in memory), `sleep`. Look at: `requests`, `orders`, `dump()`.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Clock | None = None,
        keys: tuple[Key, ...] | None = None,
        profile: Profile = "runtime",
        legacy: bool = False,
        sessions: Mode = "open",
    ) -> None:
        self.world = World(seed=seed, clock=clock or SystemClock(), mode=sessions)
        self.door = Door(keys, profile=profile, is_legacy=legacy)
        self.faults = Faults()
        self.requests: deque[Received] = deque(maxlen=REQUESTS_KEPT)
        self.lent: dict[str, str | None] = {}
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._replays: dict[tuple[str, str], tuple[datetime, Answer]] = {}

    # ------------------------------------------------------------ steering and looking

    @property
    def quirks(self) -> Quirks:
        """The manners that can be turned on and off."""
        return self.world.quirks

    @property
    def prices(self) -> MutableMapping[str, Decimal]:
        """Last prices by symbol; setting one moves the market there."""
        return self.world.tape.last

    @property
    def liquidity(self) -> MutableMapping[str, Decimal]:
        """The most that fills of a symbol in one match; absent: fifty board lots."""
        return self.world.liquidity

    @property
    def orders(self) -> dict[str, Order]:
        """Every order by its external id, in the order in which they came."""
        return self.world.book.by_id_ex

    def tick(self, *, moves: bool = True) -> None:
        """Let time pass: prices move (unless told not to), working orders fill, quotes are pushed."""
        self.world.tick(moves=moves)

    def dump(self) -> dict[str, Any]:
        """The state of the world as plain data, to compare two of them or to look at one."""
        world = self.world
        return {
            "step": world.tape.step,
            "prices": dict(world.tape.last),
            "orders": [order.message() for order in world.book.by_id_ex.values()],
            "fills": [fill.message() for fill in world.book.fills],
            "cash": {f"{a.env.word}:{a.acc_id}:{word}": value for (a, word), value in world.ledger.cash.items()},
            "holdings": {f"{a.env.word}:{a.acc_id}:{s}": h.qty for (a, s), h in world.ledger.holdings.items()},
            "unlocked": world.is_unlocked,
            "subscribed": {symbol: sorted(types) for symbol, types in world.subscribed.items()},
            "push_accounts": sorted(world.push_accounts),
        }

    # ------------------------------------------------------------ requests

    async def send(self, request: Outbound) -> Answer | Failure:
        """The port: a request of the guard's, in memory."""
        call = Received(
            method=request.method,
            path=request.path,
            body=request.body,
            json=parsed(request.body),
            lend=request.lend,
            bearer=self.lent.get(request.lend),
            idempotency_key=request.idempotency_key,
        )
        return await self.handle(call, timeout_s=request.timeout_s)

    async def handle(self, call: Received, *, timeout_s: float | None = None) -> Answer | Failure:
        """A request, and the fault that waits for it."""
        self.requests.append(call)
        fault = self.faults.take(call.path)
        act = partial(self._act, call)
        return act() if fault is None else await fault.play(Stage(act, self.sleep, timeout_s))

    def _act(self, call: Received) -> Answer:
        if not call.path.startswith("/api/"):
            return self._health(call.path)
        endpoint = find(call.method, call.path)
        if isinstance(endpoint, Refusal):
            known = call.path in BY_PATH
            return error(405, "method not allowed") if known else error(404, f"unknown endpoint; families: {_FAMILIES}")
        caller = self.door.admit(endpoint, call.bearer, now=self.world.now())
        if isinstance(caller, Answer):
            return caller
        self.world.is_legacy = self.door.is_legacy and self.door.keys is None
        return self._carry_out(endpoint, caller, call)

    def _health(self, path: str) -> Answer:
        words = {"/health": b"ok", "/readyz": b"ready"}
        if path not in words:
            return error(404, "not found")
        if not self.world.is_backend_up:
            return error(503, "backend is down")
        return Answer(200, "text/plain; charset=utf-8", words[path])

    def _carry_out(self, endpoint: Endpoint, caller: Caller, call: Received) -> Answer:
        try:
            if endpoint.path in ADMIN:
                return plain(200, ADMIN[endpoint.path](self.world))
            self._refuse_shape(call)
            c2s = read(endpoint.path, call.body)
            self._check_environment(endpoint, caller, c2s)
            return self._once(endpoint, c2s, call)
        except BadBody as bad:
            return error(400, str(bad))
        except Forbidden:
            return error(403, "forbidden")

    def _refuse_shape(self, call: Received) -> None:
        is_defect = self.quirks.symbol_shape_refused and call.path in {"/api/quote", "/api/kline", "/api/history-kline"}
        if is_defect and isinstance(call.json, dict) and "symbol" in call.json:
            raise BadBody("unknown field 'symbol'")

    def _check_environment(self, endpoint: Endpoint, caller: Caller, c2s: Body) -> None:
        env = (c2s.get("header") or {}).get("trd_env")
        is_bound = endpoint.is_trade and bool(_TRADE_SCOPES & set(self.door.wants(endpoint)))
        if is_bound and env is not None and not caller.may_trade(Env(env)):
            raise Forbidden

    def _once(self, endpoint: Endpoint, c2s: Body, call: Received) -> Answer:
        mark = self._mark(endpoint, c2s, call)
        if mark is None:
            return self._answer(endpoint, c2s)
        now = self.world.now()
        while self._replays and now - next(iter(self._replays.values()))[0] >= _REPLAY_FOR:
            del self._replays[next(iter(self._replays))]
        if mark not in self._replays:
            self._replays[mark] = now, self._answer(endpoint, c2s)
        return self._replays[mark][1]

    def _mark(self, endpoint: Endpoint, c2s: Body, call: Received) -> tuple[str, str] | None:
        if endpoint.effect not in _REPLAYED or not self.quirks.is_idempotent:
            return None
        packet = c2s.get("packet_id")
        key = call.idempotency_key or (json.dumps(packet, sort_keys=True, default=str) if packet else None)
        return None if key is None else (endpoint.path, key)

    def _answer(self, endpoint: Endpoint, c2s: Body) -> Answer:
        try:
            return succeeded(HANDLERS[endpoint.path](self.world, c2s))
        except Declined as no:
            is_text = self.quirks.err_code_as_text and endpoint.account.value == "none"
            return failed(-1, no.message, no.err_code, is_text=is_text)


def parsed(body: bytes | None) -> Any:
    """The body as JSON, None where it is none."""
    try:
        return json.loads(body, parse_float=Decimal) if body else None
    except ValueError:
        return None
