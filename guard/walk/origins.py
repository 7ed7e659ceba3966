"""Pages in a browser: which may call, and what their browsers are told (Fetch standard, CORS protocol).

None by default. A page from an origin that the settings name may read its answers and send the headers that callers
send; the key still decides everything. Any other page is given no permission: its browser asks before each request that
carries a key or JSON, is refused, and sends nothing. There are no cookies.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from guard.terms import Call, Reply

Handler = Callable[[Call], Awaitable[Reply]]

_ASKED_METHOD: Final = "access-control-request-method"
_EXPOSED: Final = "Guard-Decision, Guard-Filtered, Guard-Note, Guard-Outcome, RateLimit, RateLimit-Policy, Retry-After"
_HEADERS: Final = "Authorization, Content-Type, Guard-Intent, Idempotency-Key, traceparent, X-Request-Id"
_METHODS: Final = "GET, POST"
_MAX_AGE_S: Final = "600"
_VARY: Final = ("Vary", "Origin")
_NO_CONTENT: Final = 204


def with_origins(handler: Handler, allowed: frozenset[str], *, new_id: Callable[[], str]) -> Handler:
    """The handler, made to serve pages from these origins too; unchanged without any."""
    return Origins(handler, allowed, new_id).handle if allowed else handler


class Origins:
    """Answers preflight requests, and adds CORS headers to the answers of one handler."""

    def __init__(self, handler: Handler, allowed: frozenset[str], new_id: Callable[[], str]) -> None:
        self._handler = handler
        self._allowed = allowed
        self._new_id = new_id

    async def handle(self, call: Call) -> Reply:
        """The answer, with what the browser of an allowed page needs to hand it on."""
        origin = call.head.get("origin")
        if origin is None:
            return await self._handler(call)
        if origin not in self._allowed:
            reply = await self._handler(call)
            return replace(reply, headers=(*reply.headers, _VARY))
        if call.method == "OPTIONS" and _ASKED_METHOD in call.head:
            return _preflight(origin, self._new_id())
        reply = await self._handler(call)
        said = (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED), _VARY)
        return replace(reply, headers=(*reply.headers, *said))


def _preflight(origin: str, decision: str) -> Reply:
    """What the page may send; the request itself is judged when it comes."""
    said = (
        ("Guard-Decision", decision),
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", _HEADERS),
        ("Access-Control-Max-Age", _MAX_AGE_S),
        _VARY,
    )
    return Reply(_NO_CONTENT, b"", said)
