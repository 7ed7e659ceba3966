"""The other contestant: the same job as an experienced Python programmer would write it in an afternoon with aiohttp.

An aiohttp server, one `ClientSession`, the standard library's JSON, dicts for the limits, prometheus-client's counters,
an audit line a decision, chained by hash. An order's line is written and synced (`os.fsync` in the default executor)
before the order is sent, and its outcome is written after. It runs on uvloop, which costs one line and helps it.

It is honest work, not a straw man, but it does less than the guard: it trusts aiohttp's reading of a request, settles
nothing after a lost answer, forgets every counter when it stops, and has no policy language, reload or search.
"""

import argparse
import asyncio
import hashlib
import json
import os
import time
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import asks
import uvloop
from aiohttp import web
from prometheus_client import Counter, Histogram

REQUESTS: Final = Counter("proxy_requests_total", "Requests.", ["endpoint", "outcome"])
REFUSALS: Final = Counter("proxy_refusals_total", "Refusals.", ["code"])
SECONDS: Final = Histogram("proxy_request_seconds", "Duration.", ["endpoint"])
ORDER_FIELDS: Final = frozenset(
    {"market", "acc_id", "env", "side", "code", "qty", "price", "remark", "order_type", "time_in_force"}
)
MARKET_NUMBERS: Final = {"HK": 1, "US": 2}
QUOTE_FIELDS: Final = frozenset({"symbol"})


class Refused(Exception):
    """A request that may not pass: status, code and the sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Audit:
    """The audit file: one JSON line a decision, each with the hash of the line before."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._last = "0" * 64

    def write(self, **members: Any) -> None:
        """Append a line; it reaches the page cache."""
        entry = {"ts": datetime.now(UTC).isoformat(), **members, "prev": self._last}  # noqa: TID251 - not the product
        line = json.dumps(entry, default=str).encode()
        self._last = hashlib.sha256(line).hexdigest()
        os.write(self._file, line + b"\n")

    async def sync(self) -> None:
        """Return once everything that was written is on the disk."""
        await asyncio.get_running_loop().run_in_executor(None, os.fsync, self._file)


class Limits:
    """Counters in memory."""

    def __init__(self) -> None:
        self.windows: dict[str, deque[float]] = defaultdict(deque)
        self.spent: dict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[str, int] = defaultdict(int)
        self.seen: dict[str, float] = {}

    def rate(self, name: str, *, cap: int, window_s: float, now: float) -> None:
        """One more in a sliding window."""
        window = self.windows[name]
        while window and window[0] <= now - window_s:
            window.popleft()
        if len(window) >= cap:
            raise Refused(429, "rate", f"more than {cap} in {window_s} s")
        window.append(now)

    def duplicate(self, order: dict[str, Any], key: str, now: float) -> None:
        """The same order again."""
        mark = json.dumps([key, sorted(order.items())], default=str)
        if self.seen.get(mark, 0) > now - asks.DUPLICATE_WINDOW_S:
            raise Refused(409, "duplicate_order", "the same order again")
        self.seen[mark] = now
        while self.seen and next(iter(self.seen.values())) <= now - asks.DUPLICATE_WINDOW_S:
            del self.seen[next(iter(self.seen))]

    def spend(self, key: str, value: Decimal) -> None:
        """Money and orders of the day."""
        day = f"{key}|{datetime.now(UTC).date()}"  # noqa: TID251 - not the product
        if self.spent[day] + value > asks.DAILY_VALUE_MAX or self.orders[day] >= asks.ORDERS_PER_DAY_MAX:
            raise Refused(403, "daily_value", "the day's budget is used up")
        self.spent[day] += value
        self.orders[day] += 1


class Proxy:
    """The proxy's handlers."""

    def __init__(self, daemon: str, audit: Audit, *, is_synced: bool) -> None:
        self.daemon, self.audit, self.limits, self.is_synced = daemon, audit, Limits(), is_synced
        self.keys = {asks.digest(number): asks.key_id(number) for number in range(asks.KEYS)}
        self.session: aiohttp.ClientSession | None = None

    async def lifespan(self, _app: web.Application) -> AsyncIterator[None]:
        """One session for the life of the server."""
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self.session:
            yield

    @web.middleware
    async def counted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refusals become answers, and everything is counted."""
        began, outcome = time.perf_counter(), "allowed"
        try:
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            outcome = "refused"
            REFUSALS.labels(refused.code).inc()
            body = {"ret_type": -1, "ret_msg": refused.message, "err_code": refused.code, "s2c": None}
            response = web.json_response(body, status=refused.status)
        REQUESTS.labels(request.path, outcome).inc()
        SECONDS.labels(request.path).observe(time.perf_counter() - began)
        return response

    async def quote(self, request: web.Request) -> web.Response:
        """A read: key, rate, names of the fields; the body goes on as it came."""
        key = self.key(request)
        raw = await request.read()
        self.fields(raw, QUOTE_FIELDS)
        self.limits.rate(f"reads/{key}", cap=asks.RATE_MAX, window_s=asks.READ_WINDOW_S, now=time.monotonic())
        status, body = await self.forward(request.path, raw)
        return web.Response(body=body, status=status, content_type="application/json")

    async def order(self, request: web.Request) -> web.Response:
        """An order: judged, written down and synced, sent, its outcome written down."""
        key, decision = self.key(request), uuid.uuid4().hex
        order = self.fields(await request.read(), ORDER_FIELDS)
        try:
            self.judge(order, key)
        except Refused as refused:
            self.audit.write(type="decision", id=decision, key=key, outcome="refuse", code=refused.code, order=order)
            raise
        self.audit.write(type="decision", id=decision, key=key, outcome="allow", order=order)
        if self.is_synced:
            await self.audit.sync()
        status, body = await self.forward(request.path, canonical(order, decision))
        s2c = json.loads(body).get("s2c") or {}
        self.audit.write(type="outcome", decision=decision, status=status, order_id=s2c.get("order_id"))
        return web.Response(body=body, status=status, content_type="application/json")

    def key(self, request: web.Request) -> str:
        """The id of the caller's key."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        found = self.keys.get(hashlib.sha256(bearer.encode()).hexdigest())
        if scheme != "Bearer" or found is None:
            raise Refused(401, "unauthenticated", "a valid key is needed")
        return found

    def fields(self, raw: bytes, known: frozenset[str]) -> dict[str, Any]:
        """The body, if all its fields are known."""
        try:
            body: dict[str, Any] = json.loads(raw, parse_float=Decimal)
        except ValueError:
            raise Refused(400, "bad_json", "the body is not JSON") from None
        if unknown := body.keys() - known:
            raise Refused(400, "unknown_field", f"unknown: {', '.join(unknown)}")
        return body

    def judge(self, order: dict[str, Any], key: str) -> None:
        """The same limits as the guard's policy."""
        now, value = time.monotonic(), order["qty"] * Decimal(order["price"])
        symbol = f"{order['market']}.{order['code']}"
        checks = (
            (order["env"] == "simulate" and order["acc_id"] == asks.ACC_ID, "account"),
            (order["market"] in asks.MARKETS, "market"),
            (symbol != asks.BLOCKED and symbol.startswith(("HK.", "US.")), "symbol"),
            (order["side"] in asks.SIDES, "side"),
            (order.get("order_type", "NORMAL") in asks.ORDER_TYPES, "order_type"),
            (order.get("time_in_force", "DAY") in asks.TIMES_IN_FORCE, "time_in_force"),
            (0 < order["qty"] <= asks.QTY_MAX, "max_order_qty"),
            (value <= asks.ORDER_VALUE_MAX and value <= asks.KEY_ORDER_VALUE_MAX, "max_order_value"),
        )
        for is_good, code in checks:
            if not is_good:
                raise Refused(403, code, f"refused by {code}")
        self.limits.rate(f"orders/{key}", cap=asks.RATE_MAX, window_s=60, now=now)
        self.limits.rate(f"new_orders/{key}", cap=asks.RATE_MAX, window_s=asks.ORDER_WINDOW_S, now=now)
        self.limits.duplicate(order, key, now)
        self.limits.spend(key, value)

    async def forward(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Ask the daemon."""
        if self.session is None:
            raise web.HTTPServiceUnavailable
        headers = {"Authorization": f"Bearer {asks.DAEMON_KEY}", "Content-Type": "application/json"}
        async with self.session.post(self.daemon + path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()


def canonical(order: dict[str, Any], decision: str) -> bytes:
    """The order as the daemon is sent it."""
    c2s = {
        "header": {"trd_env": 0, "acc_id": order["acc_id"], "trd_market": MARKET_NUMBERS[order["market"]]},
        "trd_side": asks.SIDES.index(order["side"]) + 1,
        "order_type": 1,
        "code": order["code"],
        "qty": order["qty"],
        "price": float(order["price"]),
        "remark": order.get("remark", decision),
    }
    return json.dumps({"c2s": c2s}).encode()


def main() -> None:
    """Serve until the process is ended."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--daemon", required=True)
    arguments.add_argument("--audit", type=Path, required=True)
    arguments.add_argument("--unsynced", action="store_true")
    given = arguments.parse_args()
    proxy = Proxy(given.daemon, Audit(given.audit), is_synced=not given.unsynced)
    app = web.Application(middlewares=[proxy.counted])
    app.cleanup_ctx.append(proxy.lifespan)
    app.router.add_post("/api/quote", proxy.quote)
    app.router.add_post("/api/order", proxy.order)
    web.run_app(app, host="127.0.0.1", port=given.port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
