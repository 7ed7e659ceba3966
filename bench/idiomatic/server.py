"""The proxy itself: three middlewares and two handlers."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import structlog
from access import Key, Keyring
from aiohttp import web
from audit import Audit
from limits import Limits, Reservation, rate_fields
from orders import READ_NAMES, Order, canonical, order_of, parsed
from policy import Asked, Policy, violations
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from reference import Reference
from refusals import Refused, in_order, refused

BUCKETS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
REQUESTS: Final = Counter("proxy_requests_total", "Requests.", ["endpoint", "outcome"])
BY_KEY: Final = Counter("proxy_requests_by_key_total", "Requests.", ["key", "outcome"])
REFUSALS: Final = Counter("proxy_refusals_total", "Refusals.", ["code"])
OUTCOMES: Final = Counter("proxy_order_outcomes_total", "Orders.", ["outcome"])
SECONDS: Final = Histogram("proxy_request_seconds", "Duration.", ["endpoint"], buckets=BUCKETS)
UPSTREAM_SECONDS: Final = Histogram("proxy_upstream_seconds", "The daemon's part.", buckets=BUCKETS)
ANSWERS_MAX: Final = 10_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon said."""

    status: int
    body: bytes
    verdict: str
    order_id: Any = None
    order_id_ex: Any = None

    @classmethod
    def of(cls, status: int, body: bytes) -> Self:
        """The answer with its verdict: accepted, refused or unknown; only evidence counts."""
        try:
            said = json.loads(body)
            ret_type, s2c = said.get("ret_type"), said.get("s2c") or {}
        except (ValueError, AttributeError):
            return cls(status, body, "unknown")
        ids = s2c.get("order_id"), s2c.get("order_id_ex")
        if ret_type in {-1, -500} or (400 <= status < 500 and status not in {408, 409}):
            return cls(status, body, "refused")
        has_id = ids[1] not in {None, "", "0"}
        return cls(status, body, "accepted" if status == 200 and ret_type == 0 and has_id else "unknown", *ids)


@dataclass
class Proxy:
    """Handlers and middlewares over one set of counters."""

    keyring: Keyring
    policy: Policy
    limits: Limits
    audit: Audit
    reference: Reference
    daemon: str
    daemon_key: str
    halt: Path
    serial: int = 0
    session: aiohttp.ClientSession | None = None
    answers: dict[tuple[str, str | None], tuple[Order, Answer | None]] = field(default_factory=dict)

    async def lifespan(self, _app: web.Application) -> AsyncIterator[None]:
        """One session for the life of the server."""
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self.session:
            yield

    # ------------------------------------------------------------ middlewares

    @web.middleware
    async def observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request is counted and has its line in the access log."""
        began = time.perf_counter()
        request["decision"], request["outcome"] = uuid.uuid4().hex, "allowed"
        response = await handler(request)
        seconds = time.perf_counter() - began
        endpoint = request.match_info.route.resource.canonical if request.match_info.route.resource else "other"
        key = request["key"].id if "key" in request else ""
        REQUESTS.labels(endpoint, request["outcome"]).inc()
        BY_KEY.labels(key, request["outcome"]).inc()
        SECONDS.labels(endpoint).observe(seconds)
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status,
            outcome=request["outcome"],
            key=key,
            decision=request["decision"],
            peer=request.remote,
            milliseconds=round(seconds * 1000, 3),
        )
        return response

    @web.middleware
    async def answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A refusal becomes its answer; every answer names its decision."""
        try:
            response = await handler(request)
        except Refused as no:
            request["outcome"] = "refused"
            REFUSALS.labels(no.code).inc()
            headers = {"WWW-Authenticate": "Bearer"} if no.status == 401 else None
            response = web.json_response(no.body(request["decision"]), status=no.status, headers=headers)
        except web.HTTPException as no:  # aiohttp's own: no such path, too large a body
            request["outcome"] = "refused"
            response = web.json_response({"ret_type": -1, "ret_msg": no.reason, "s2c": None}, status=no.status)
        response.headers["Guard-Decision"] = request["decision"]
        response.headers["Cache-Control"] = "no-store"
        return response

    @web.middleware
    async def authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """All but the metrics need a key."""
        if request.path != "/metrics":
            request["key"] = self.keyring.identify(request.headers.get("Authorization", ""))
        return await handler(request)

    # ------------------------------------------------------------ handlers

    async def metrics(self, _request: web.Request) -> web.Response:
        """For Prometheus."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def read(self, request: web.Request) -> web.Response:
        """A read: scope, names of the fields, rate; the body goes on as it came."""
        key: Key = request["key"]
        if "qot:read" not in key.scopes:
            raise refused("scope", "needs the scope qot:read")
        raw = await request.read()
        parsed(raw, READ_NAMES[request.path])
        fields = self.limits.read(key, time.monotonic())
        try:
            status, body = await self.ask(request.path, raw)
        except TimeoutError:
            raise refused("daemon_timeout", "the daemon did not answer in time") from None
        except aiohttp.ClientError as fault:
            raise refused("daemon_unreachable", f"the daemon is not there: {fault}") from None
        return web.Response(body=body, status=status, content_type="application/json", headers=fields)

    async def order(self, request: web.Request) -> web.Response:
        """An order: judged, written down and synced, sent, its outcome settled and written down."""
        key: Key = request["key"]
        order = order_of(await request.read())
        key.check_scope(order.env)
        await self.reference.check_account(self.ask, order)
        value = await self.reference.value(self.ask, order)
        asked = Asked(order, key, value, datetime.now(UTC))  # noqa: TID251 - not the product
        name = (key.id, request.headers.get("Idempotency-Key"))
        answer = self.before(name, order)
        if answer is None:
            reservation = self.judge(asked, request)
            self.remember(name, order, None)
            await self.audit.sync()
            answer = await self.send(asked, reservation, request)
            self.remember(name, order, answer)
        fields = rate_fields(self.limits.windows(key), time.monotonic())
        return web.Response(body=answer.body, status=answer.status, content_type="application/json", headers=fields)

    def before(self, name: tuple[str, str | None], order: Order) -> Answer | None:
        """What was answered to this Idempotency-Key before. Raises `Refused`."""
        if name[1] is None or name not in self.answers:
            return None
        same, answer = self.answers[name]
        if same != order:
            raise refused("idempotency_conflict", "this key belongs to another order")
        if answer is None:
            raise refused("in_flight", "the order of this key is under way, or nobody knows what came of it")
        return answer

    def remember(self, name: tuple[str, str | None], order: Order, answer: Answer | None) -> None:
        """The order of an Idempotency-Key, and its answer once it is there."""
        if name[1] is None:
            return
        self.answers[name] = order, answer
        if len(self.answers) > ANSWERS_MAX:
            del self.answers[next(iter(self.answers))]

    def judge(self, asked: Asked, request: web.Request) -> Reservation:
        """Every rule and every counter, then the decision's line; between a look and its reservation is no await."""
        now, counters = time.monotonic(), self.limits.counters(asked)
        reasons = [*violations(self.policy, asked), *self.limits.violations(asked, counters, now)]
        if reasons:
            reasons = in_order(reasons)
            told = [reason._asdict() for reason in reasons]
            self.write(asked, request, outcome="refuse", code=reasons[0].code, reasons=told)
            raise Refused(*reasons)
        reservation = self.limits.reserve(asked, counters, now)
        uses = [use._asdict() for use in reservation.uses]
        self.write(asked, request, outcome="allow", code=None, reasons=[], limits=uses)
        return reservation

    def write(self, asked: Asked, request: web.Request, **members: Any) -> None:
        """The line of a decision."""
        self.audit.write(
            "decision",
            id=request["decision"],
            key=asked.key.id,
            endpoint=request.path,
            policy=self.policy.id,
            order=asked.order._asdict(),
            symbol=asked.order.symbol,
            value=asked.value,
            currency=asked.order.market.currency,
            peer=request.remote,
            **members,
        )

    async def send(self, asked: Asked, reservation: Reservation, request: web.Request) -> Answer:
        """To the daemon, unless trading was halted meanwhile; what came of it is settled and written down."""
        if self.halt.exists():
            self.settle("not_sent", reservation, request)
            raise refused("halted", "trading is halted")
        self.serial += 1
        body = canonical(asked.order, decision=request["decision"], serial=self.serial)
        try:
            answer = Answer.of(*await self.ask(request.path, json.dumps(body).encode()))
        except aiohttp.ClientConnectorError as fault:
            self.settle("not_sent", reservation, request)
            raise refused("daemon_unreachable", f"nothing was sent: {fault}") from None
        except (aiohttp.ClientError, TimeoutError):
            self.settle("unknown", reservation, request)
            raise refused("outcome_unknown", "the order was sent and nobody knows what came of it") from None
        self.settle(answer.verdict, reservation, request, answer=answer)
        if answer.verdict == "unknown":
            raise refused("outcome_unknown", "the daemon's answer says nothing that can be trusted")
        return answer

    def settle(
        self, verdict: str, reservation: Reservation, request: web.Request, *, answer: Answer | None = None
    ) -> None:
        """Money is free again only where the order is known to be none."""
        if verdict in {"refused", "not_sent"}:
            self.limits.release(reservation)
        OUTCOMES.labels(verdict).inc()
        self.audit.write(
            "outcome",
            decision=request["decision"],
            verdict=verdict,
            status=answer.status if answer else None,
            order_id=answer.order_id if answer else None,
            order_id_ex=answer.order_id_ex if answer else None,
        )

    async def ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        """One request to the daemon: our key and no field of the caller's."""
        if self.session is None:
            raise AssertionError("asked before the start")
        headers = {"Authorization": f"Bearer {self.daemon_key}", "Content-Type": "application/json"}
        with UPSTREAM_SECONDS.time():
            async with self.session.post(self.daemon + path, data=body, headers=headers) as answer:
                return answer.status, await answer.read()
