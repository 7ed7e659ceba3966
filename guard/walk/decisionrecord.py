"""The record of one decision, made from its visit, its situation, and what rules and ledger said.

What callers say of themselves (agent, intent, request id, an unknown path) is shortened, freed of control characters,
and masked where it looks like a secret.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from guard.journal import ABSENT, Decision, plain, seen_of
from guard.policy import Maker
from guard.terms import TRADE_EFFECTS, Claim, Effect, Reason, Refusal, Valuation, masked, without_digests
from guard.walk.visit import Situation, Visit

INTENT_BYTES_MAX: Final = 256
AGENTS_MAX: Final = 64  # User-Agent headers whose cleaned form is cached
_TOLD: Final = frozenset({"guard-intent", "idempotency-key", "x-request-id"})
_NEW: Final = Effect.ORDER_NEW  # asked of every trade


class Judged(Struct, gc=False):
    """What rules and ledger said, and what would be sent.

    `claims`: as the record holds them, with their `makers` and what was `used` of each counter before. `order`: the
    canonical body; `resulting`: the whole order after a change. `exits`: what the rules were told that other working
    orders take off the position. `shadow`: why shadow policies would have refused.
    """

    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker | None, ...] = ()
    used: tuple[int, ...] = ()
    order: bytes = b""
    resulting: bytes = b""
    is_simulated: bool = False
    exits: int = 0
    shadow: tuple[Reason, ...] = ()


NOT_JUDGED: Final = Judged()


def record_of(
    visit: Visit, refusal: Refusal | None, seen: Situation, *, judged: Judged, replays: str | None = None
) -> Decision:
    """The record of one decision. Members that few requests have are added last, which keeps the usual case cheap."""
    call, principal, endpoint, config = visit.call, visit.principal, visit.endpoint, visit.config
    terms, env = seen.holder if seen.order is None else seen.order, seen.env
    if seen.account is not None and visit.effect in TRADE_EFFECTS:
        env = seen.account.env  # where a trade counts, also where neither body nor order said so
    record = Decision(
        visit.id,
        visit.t_us,
        None if principal is None else principal.id,
        _unknown_path(call.path) if endpoint is None else endpoint.path,
        "allow" if refusal is None else "refuse",
        None if refusal is None else refusal.code,
        () if refusal is None else refusal.reasons,
        config.policy_sha256,
        config.config_sha256,
        visit.effect,
        environment=None if env is None else env.word,
        account=seen.acc_id,
        market=None if terms is None else terms.market,
        symbol=None if terms is None else terms.symbol,
        batch=visit.batch,
        order=Raw(judged.order) if judged.order else ABSENT,
        resulting=Raw(judged.resulting) if judged.resulting else ABSENT,
        valuation=seen.worth if isinstance(seen.worth, Valuation) else None,
        world=None if seen.world is None or not judged.claims else seen_of(seen.world, exits=judged.exits),
        claims=judged.claims,
        used=judged.used,
        shadow=judged.shadow,
        packet_id=getattr(seen.intent, "packet_id", None),
        peer=call.peer,
        user_agent=_agent(call.head.get("user-agent")),
        note=visit.why if refusal is None else refusal.note,
    )
    more = {} if _TOLD.isdisjoint(call.head) else _said(call.head)
    if refusal is not None:
        more |= {"retry_after_s": refusal.retry_after_s, "largest_qty": refusal.largest_qty}
    if visit.effect is not _NEW:
        more |= {"of": seen.holder.id if seen.holder else None, "anew": seen.comes_back}
    if replays is not None:
        more["replays"] = replays
    if principal is not None and principal.jti:
        more |= {"jti": plain(principal.jti, chars_max=100), "scopes": tuple(sorted(principal.scopes))}
    return replace(record, **more) if more else record


def _said(head: Mapping[str, str]) -> dict[str, Any]:
    """What the caller says of its request in headers."""
    key = head.get("idempotency-key")
    return {
        "intent": _intent(head.get("guard-intent")),
        "idempotency": hashlib.sha256(key.encode()).hexdigest() if key else None,
        "request_id": _plain(head.get("x-request-id")),
    }


def _unknown_path(path: str) -> str:
    """The path as asked for, without what may be a key or a digest that somebody put there."""
    return plain(masked(without_digests(path)), chars_max=100)


def _intent(text: str | None) -> str | None:
    """Guard-Intent, the caller's own reason: as UTF-8 (the edge reads heads as latin-1), at most 256 bytes."""
    if text is None:
        return None
    words = masked(text.encode("latin-1", "replace").decode("utf-8", "replace"))
    said = plain(words, chars_max=INTENT_BYTES_MAX)
    return said.encode()[:INTENT_BYTES_MAX].decode("utf-8", "ignore")


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(masked(text), chars_max=100)


_agent: Final = lru_cache(maxsize=AGENTS_MAX)(_plain)  # a program says the same with every request
