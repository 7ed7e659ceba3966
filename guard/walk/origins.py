"""Pages in a browser: which may call, and what their browsers are told (Fetch standard, CORS protocol).

None by default. A page from an origin that the settings name may read its answers and send the headers that callers
send; the key still decides everything. Any other page is given no permission: its browser asks before each request that
carries a key or JSON, is refused, and sends nothing. There are no cookies.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from guard.server import Asker, Begin
from guard.terms import Reply
from guard.walk.replies import Headers

_ASKED_METHOD: Final = "access-control-request-method"
_EXPOSED: Final = "Guard-Decision, Guard-Filtered, Guard-Note, Guard-Outcome, RateLimit, RateLimit-Policy, Retry-After"
_HEADERS: Final = "Authorization, Content-Type, Guard-Intent, Idempotency-Key, traceparent, X-Request-Id"
_METHODS: Final = "GET, POST"
_MAX_AGE_S: Final = "600"
_VARY: Final = ("Vary", "Origin")
_NO_CONTENT: Final = 204


def with_origins(begin: Begin, allowed: frozenset[str], *, new_id: Callable[[], str]) -> Begin:
    """Begins requests of pages from these origins too; unchanged without any."""
    return Origins(begin, allowed, new_id).begin if allowed else begin


class Origins:
    """Answers preflight requests, and has CORS headers added to the answers that pages are given."""

    def __init__(self, begin: Begin, allowed: frozenset[str], new_id: Callable[[], str]) -> None:
        self._begin = begin
        self._allowed = allowed
        self._new_id = new_id

    def begin(self, askers: Sequence[Asker]) -> None:
        """Begins them, those of pages with what their browsers need to hand the answers on."""
        asking: list[Asker] = []
        for asker in askers:
            call = asker.call
            origin = call.head.get("origin")
            if origin is None:
                asking.append(asker)
            elif origin not in self._allowed:
                asking.append(_Page(asker, (_VARY,)))
            elif call.method == "OPTIONS" and _ASKED_METHOD in call.head:
                asker.answer(_preflight(origin, self._new_id()))
            else:
                asking.append(_Page(asker, _permission(origin)))
        if asking:
            self._begin(asking)


class _Page:
    """A page that asks; `told` is what its browser is told besides."""

    def __init__(self, asker: Asker, told: Headers) -> None:
        self._asker = asker
        self._told = told
        self.call = asker.call
        self.fail = asker.fail
        self.cut = asker.cut

    def answer(self, reply: Reply) -> None:
        """With what the browser is told."""
        self._asker.answer(replace(reply, headers=(*reply.headers, *self._told)))


def _permission(origin: str) -> Headers:
    return ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED), _VARY


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
