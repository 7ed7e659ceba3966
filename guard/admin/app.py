"""The ops listener's routes: `/livez` `/readyz` `/status` `/metrics` and `/admin/*`.

`/admin/*` always wants a key with the scope for it and an owner. The `Host` must be this listener's, so that a page in
an operator's browser cannot be made to call it by another name (DNS rebinding).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

import msgspec
import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler

from guard.access import authenticate, bearer_of, operator_reasons, still_valid, unauthenticated
from guard.admin.answers import as_json, as_refusal, not_made
from guard.admin.asked import fitting, if_match
from guard.admin.change import ChangeResult, Who
from guard.admin.changes import Changes
from guard.admin.health import degraded, status, trading
from guard.admin.hosts import is_own_name
from guard.admin.trading import StateBody
from guard.admin.weakened import is_loopback
from guard.codes import Code
from guard.errors import JournalFault
from guard.journal import Policy
from guard.loop.resting import aside
from guard.server import EdgeBounds
from guard.settings import address
from guard.terms import Principal, Refusal, refuse
from guard.tracking import SettleBody, Settled, settle_by_hand
from guard.walk.recorder import Recorder

BODY_BYTES_MAX: Final = 65_536
PIECE_BYTES: Final = 65_536
FAILED: Final = refuse(
    Code.RULE_ERROR, "the guard failed on this request; its log says why, and /status whether it was done all the same"
)
NO_ROUTE: Final = "no such route on the ops listener, which has {}; what callers ask is on the data listener"
_log = structlog.get_logger("guard.admin")
_T = TypeVar("_T", bound=msgspec.Struct)
SERVER: Final = "opend-guard"  # else aiohttp names itself and the interpreter with their versions, to strangers too
REFUSED: Final[web.AppKey[Callable[[Refusal], web.Response]]] = web.AppKey("refused")
Act = Callable[[web.Request, Principal], Awaitable[web.Response]]


class _Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str | None = None


class _Reload(msgspec.Struct, forbid_unknown_fields=True):
    """`until`: when what this changes goes back by itself; a time with its zone."""

    reason: str | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        """In UTC, as it is told everywhere."""
        try:
            self.until = None if self.until is None else self.until.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("until: there is no such time in UTC") from error


class _Approve(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    reason: str


class Routes:
    """The handlers over one desk."""

    def __init__(self, recorder: Recorder, changes: Changes, bounds: EdgeBounds) -> None:
        self._recorder = recorder
        self._bounds = bounds
        self._desk = recorder.desk
        self._changes = changes

    # ------------------------------------------------------------ looking

    async def livez(self, _: web.Request) -> web.Response:
        """The process is alive; depends on nothing."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """503 only before callers can come in and while draining; all else is told in words, and cuts off no cancel."""
        reasons, desk = degraded(self._desk), self._desk
        unready = "draining" if desk.is_draining else "" if desk.is_open else "starting"
        if unready:
            return as_json({"ready": False, "reasons": [unready, *reasons]}, code=503)
        return as_json({"ready": True, "degraded": bool(reasons), "reasons": reasons})

    async def status(self, request: web.Request) -> web.Response:
        """What the guard is doing."""
        refusal = self._may_look(request)
        return self.refused(refusal) if refusal else as_json(status(self._desk))

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """The exposition, rendered beside the loop and written a piece at a time: it may be large."""
        refusal = self._may_look(request)
        if refusal:
            return self.refused(refusal)
        body = await aside(self._desk.metrics.render)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        response.content_length = len(body)
        try:
            async with asyncio.timeout(self._bounds.write_timeout_s):
                await response.prepare(request)
                for at in range(0, len(body) if request.method == "GET" else 0, PIECE_BYTES):
                    await response.write(body[at : at + PIECE_BYTES])
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the figures were not taken in time") from None
        return response

    # ------------------------------------------------------------ changing

    async def policy(self, _: web.Request, __: Principal) -> web.Response:
        """The policies in force, and what waits for a second person, with what it would have done in the last day."""
        config, policy_change = self._desk.config, self._changes.policies.policy_change
        policies = msgspec.Raw(config.policies.source()) if config.policies else []
        pending = await self._changes.policies.rehearsal()
        return as_json(
            {
                "sha256": config.policy_sha256 or None,
                "policies": policies,
                "shadows": [doc.id for doc in config.policies.shadow_docs] if config.policies else [],
                "until": None if policy_change.temporary is None else policy_change.temporary.until,
                "pending": None if pending is None else _waiting(*pending),
            }
        )

    async def approve_policy(self, request: web.Request, by: Principal) -> web.Response:
        """A second person's word for what waits."""
        body = await self._body(request, _Approve, by)
        if isinstance(body, web.Response):
            return body
        return self._told(await self._changes.policies.approve(body.sha256, Who(by.owner, body.reason, by)))

    async def reload_policy(self, request: web.Request, by: Principal) -> web.Response:
        """Policies read anew."""
        body = await self._body(request, _Reload, by)
        if isinstance(body, web.Response):
            return body
        named = if_match(request.headers.getall("If-Match", []))
        who = Who(by.owner, body.reason, by)
        return self._told(await self._changes.policies.reload(who, if_match=named, until=body.until))

    async def reload_keys(self, request: web.Request, by: Principal) -> web.Response:
        """Keys read anew."""
        body = await self._body(request, _Reason, by)
        if isinstance(body, web.Response):
            return body
        named = if_match(request.headers.getall("If-Match", []))
        return self._told(await self._changes.reload_keys(Who(by.owner, body.reason, by), if_match=named))

    async def checkpoint(self, _: web.Request, __: Principal) -> web.Response:
        """A checkpoint over everything recorded so far, to be kept elsewhere."""
        try:
            note = await self._desk.journal.checkpoint()
        except JournalFault as fault:
            return self.refused(refuse(Code.JOURNAL_UNAVAILABLE, str(fault)))
        return web.Response(text=note)

    async def show_state(self, _: web.Request, __: Principal) -> web.Response:
        """The trading state that binds everyone, and every rule."""
        return as_json(trading(self._desk))

    async def set_state(self, request: web.Request, by: Principal) -> web.Response:
        """The trading state, durable."""
        body = await self._body(request, StateBody, by)
        if isinstance(body, web.Response):
            return body
        return self._told(await self._changes.set_state(body, by=by.owner or by.id, principal=by))

    async def settle(self, request: web.Request, by: Principal) -> web.Response:
        """A step in doubt, ended by a person's word."""
        body = await self._body(request, SettleBody, by)
        if isinstance(body, web.Response):
            return body
        decision = request.match_info["decision"]
        return self._told(await settle_by_hand(self._recorder, decision, body, by=by))

    # ------------------------------------------------------------ who may

    def asking(self, scope: str, act: Act) -> Handler:
        """The handler behind a key with this scope."""

        async def handler(request: web.Request) -> web.StreamResponse:
            found = self._caller(request)
            if isinstance(found, Refusal):
                return self.refused(found)
            lacking = operator_reasons(found, scope)
            if lacking:
                return self.refused(Refusal(lacking))
            return await act(request, found)

        return handler

    def _caller(self, request: web.Request) -> Principal | Refusal:
        if len(request.headers.getall("Authorization", [])) > 1:
            return refuse(Code.BAD_HEADER, "Authorization is sent once")
        config = self._desk.config
        bearer = bearer_of(request.headers.get("Authorization"))
        return authenticate(config.keyring, bearer, now=self._desk.clock.wall(), issuers=config.issuers)

    def _may_look(self, request: web.Request) -> Refusal | None:
        """Nobody needs a key where looking is open; one that is presented must be right all the same."""
        settings = self._desk.config.settings
        is_open = settings.ops.open or is_loopback(settings.listen.ops)
        if is_open and "Authorization" not in request.headers:
            return None
        found = self._caller(request)
        if isinstance(found, Refusal):
            return found
        lacking = () if is_open else operator_reasons(found, "metrics:read")
        return Refusal(lacking) if lacking else None

    # ------------------------------------------------------------ bodies and answers

    async def _body(self, request: web.Request, kind: type[_T], by: Principal) -> _T | web.Response:
        """The body as its struct, which has to come in time; a field given twice is refused, as everywhere.

        Whose key has ended by then is nobody any more.
        """
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return self.refused(refuse(Code.MEDIA_TYPE, "a body is sent as it is: no Content-Encoding"))
        try:
            async with asyncio.timeout(self._bounds.body_timeout_s):
                raw = await request.read()
        except TimeoutError:
            return self.refused(refuse(Code.REQUEST_TIMEOUT, "the body did not arrive in time"))
        config = self._desk.config
        if not still_valid(config.keyring, by, now=self._desk.clock.wall(), issuers=config.issuers):
            return self.refused(unauthenticated(f"key {by.id}: revoked or ended while its body was on the way"))
        found = fitting(raw, kind)
        return self.refused(found) if isinstance(found, Refusal) else found

    def _told(self, change: ChangeResult | Settled) -> web.Response:
        refusal = not_made(change, is_closed=self._desk.journal.failed is not None)
        return as_json(change) if refusal is None else self.refused(refusal, change)

    def refused(self, refusal: Refusal, change: ChangeResult | Settled | None = None) -> web.Response:
        """The one body of every refusal, with what a change that was not made says of itself."""
        sha256 = self._desk.config.policy_sha256 or None
        return as_refusal(refusal, decision=self._desk.clock.new_id(), policy_sha256=sha256, change=change)

    @web.middleware
    async def guard_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses foreign hosts and odd versions, and gives unknown routes the contract's body."""
        if request.version not in {HttpVersion10, HttpVersion11}:  # what aiohttp takes for others may be anything
            return self.refused(refuse(Code.HTTP_VERSION, "only HTTP/1.1 and 1.0 are spoken here"))
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not is_own_name(hosts[0], address(self._desk.config.settings.listen.ops)):
            return self.refused(refuse(Code.BAD_HEADER, "Host is not this listener's name"))
        if "%" in request.raw_path.partition("?")[0]:
            return self.refused(refuse(Code.BAD_TARGET, "a path is taken as it is written: no percent signs"))
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as wrong:
            return self.refused(self._amiss(request, wrong))
        except web.HTTPRequestEntityTooLarge:
            return self.refused(refuse(Code.BODY_TOO_LARGE, f"at most {BODY_BYTES_MAX} bytes"))
        except (web.HTTPException, ConnectionError):  # an answer as it is; a caller that is gone
            raise
        except Exception:  # noqa: BLE001 - whatever was raised, the operator is owed an answer and the log the trace
            _log.exception("ops_failed", path=request.path)
            return self.refused(FAILED)

    def _amiss(self, request: web.Request, wrong: web.HTTPException) -> Refusal:
        """What there is instead. Below `/admin/` a key comes first, and one that is presented must be right."""
        if request.path.startswith("/admin/") or "Authorization" in request.headers:
            found = self._caller(request)
            if isinstance(found, Refusal):
                return found
        if not isinstance(wrong, web.HTTPMethodNotAllowed):
            return refuse(Code.UNKNOWN_ENDPOINT, NO_ROUTE.format(_routes(request.app)))
        allowed = ", ".join(sorted(wrong.allowed_methods))
        return refuse(Code.METHOD, f"this route is asked with {allowed}", limit=allowed)


def _routes(app: web.Application) -> str:
    """All that there are, in words."""
    return ", ".join(sorted({route.resource.canonical for route in app.router.routes() if route.resource}))


def _waiting(record: Policy, replay: Mapping[str, object] | None) -> dict[str, object]:
    """What waits for a second person."""
    return {
        "sha256": record.sha256,
        "from_sha256": record.from_sha256,
        "by": record.by,
        "key": record.key,
        "reason": record.reason,
        "kind": record.kind,
        "changes": record.changes,
        "until": record.until,
        "replay": replay,
    }


async def _signed(_request: web.BaseRequest, answer: web.StreamResponse) -> None:
    answer.headers["Server"] = SERVER


def build_app(recorder: Recorder, changes: Changes, bounds: EdgeBounds) -> web.Application:
    """The application of the ops listener."""
    routes = Routes(recorder, changes, bounds)
    app = web.Application(middlewares=[routes.guard_host], client_max_size=BODY_BYTES_MAX)
    app[REFUSED] = routes.refused
    app.on_response_prepare.append(_signed)
    app.router.add_get("/livez", routes.livez)
    app.router.add_get("/readyz", routes.readyz)
    app.router.add_get("/status", routes.status)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/admin/policy", routes.asking("guard:policy", routes.policy))
    app.router.add_post("/admin/policy/reload", routes.asking("guard:policy", routes.reload_policy))
    app.router.add_post("/admin/policy/approve", routes.asking("guard:policy", routes.approve_policy))
    app.router.add_post("/admin/keys/reload", routes.asking("guard:policy", routes.reload_keys))
    app.router.add_get("/admin/audit/checkpoint", routes.asking("audit:read", routes.checkpoint))
    app.router.add_get("/admin/state", routes.asking("guard:operate", routes.show_state))
    app.router.add_post("/admin/decisions/{decision}/settle", routes.asking("guard:operate", routes.settle))
    app.router.add_post("/admin/state", routes.asking("guard:operate", routes.set_state))
    return app
