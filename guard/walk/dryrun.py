"""A dry run: `POST /guard/v1/check` takes the same steps as the real request and ends in the same refusal.

It reserves and sends nothing, and has a rate of its own, so that probing cannot get in the way of trading.
"""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guard.access import scope_reasons
from guard.catalogue import BY_PATH
from guard.codes import Code
from guard.intent import parse
from guard.intent.strict import load
from guard.limits import check_claims, post
from guard.server import refusal_reply
from guard.server.fields import WS_PATH
from guard.terms import (
    Claim,
    Effect,
    Endpoint,
    Full,
    Needs,
    Principal,
    Refusal,
    Reply,
    dated,
    in_order,
    refuse,
)
from guard.walk.desk import Desk
from guard.walk.door import misunderstood
from guard.walk.gather import CANCELS
from guard.walk.hooks import HOOKS
from guard.walk.judging import judge_passing, judge_trade
from guard.walk.obstacle import obstacle_to
from guard.walk.prepare import ask_more, at_once, prepare
from guard.walk.recorder import Recorder
from guard.walk.repeats import status_of
from guard.walk.replies import json_answer, rate_headers, refused
from guard.walk.visit import Situation, Visit

CHECKS_PER_MINUTE_MAX: Final = 120  # dry runs a key may ask for in a minute
_NULL: Final = b"null"
_SENT: Final = 'send {"path": "/api/order", "body": {…}}, the body as you would send it'


class _Check(Struct):
    """The path of the request to try and its body as it would be sent; `null` for a path that takes GET only."""

    path: str
    body: bytes


class Repeat(Struct, frozen=True):
    """The Idempotency-Key was used before: the answer to decision `replays`, with this status, would be given again."""

    replays: str
    status: int


Met = Refusal | Repeat | None
"""What a request would get: its refusal, the answer that it got before, or (None) leave to pass."""


async def check(recorder: Recorder, visit: Visit, principal: Principal) -> Reply:
    """The answer to `POST /guard/v1/check`, with where the rate of dry runs stands."""
    rate = Claim("rate", f"checks/key={principal.name}", 1, cap=CHECKS_PER_MINUTE_MAX, window_ms=60_000)
    reply = await _tried(recorder, visit, rate)
    return replace(reply, headers=(*reply.headers, *rate_headers(recorder.desk.traffic, (rate,), t_us=visit.t_us)))


async def _tried(recorder: Recorder, visit: Visit, rate: Claim) -> Reply:
    limited = _own_rate(recorder, visit, rate)
    if limited is not None:
        return refused(recorder, visit, limited)
    asked = _asked(visit)
    if isinstance(asked, Refusal):
        return refused(recorder, visit, asked)
    met = await _met(recorder, visit, asked)
    if isinstance(met, Repeat):
        told = _passes(visit) | {"replays": met.replays}
        return json_answer(visit, {"outcome": "allow", "status": met.status, "guard": told})
    if met is None:
        return json_answer(visit, {"outcome": "allow", "status": 200, "guard": _passes(visit)})
    if visit.config.policies is not None:
        met = dated(met, visit.config.policies.ends)
    reply = refusal_reply(met, decision=visit.id, policy_sha256=visit.config.policy_sha256 or None)
    inner = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    return json_answer(visit, {"outcome": "refuse", "status": reply.status, "guard": inner["guard"]})


def _passes(visit: Visit) -> dict[str, object]:
    """The members of a refusal, for a request that would pass."""
    return {
        "decision": visit.id,
        "code": None,
        "retryable": False,
        "retry_after_s": None,
        "reasons": [],
        "policy_sha256": visit.config.policy_sha256 or None,
        "largest_qty": None,
    }


def _own_rate(recorder: Recorder, visit: Visit, rate: Claim) -> Refusal | None:
    seen = check_claims(recorder.desk.traffic, (rate,), t_us=visit.t_us)
    if isinstance(seen, Full):
        free_at_us = seen.shortfalls[0].free_at_us or visit.t_us
        refusal = refuse(
            Code.RATE,
            f"more than {CHECKS_PER_MINUTE_MAX} dry runs in a minute",
            limit=str(CHECKS_PER_MINUTE_MAX),
            unit="checks/60s",
        )
        return Refusal(refusal.reasons, retry_after_s=(free_at_us - visit.t_us) / 1_000_000)
    post(recorder.desk.traffic, (rate,), t_us=visit.t_us)
    return None


def _asked(visit: Visit) -> _Check | Refusal:
    """The request to try. Its body is not parsed here: what is wrong with it, the dry run itself tells."""
    try:
        members = msgspec.json.decode(visit.call.body, type=dict[str, msgspec.Raw])
        path = msgspec.json.decode(members.pop("path"), type=str)
    except KeyError:
        return refuse(Code.MISSING_FIELD, f"path: is missing; {_SENT}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return refuse(Code.BAD_JSON, f"the body is no JSON object with a path; {_SENT}")
    body = bytes(members.pop("body", _NULL))
    twice = _named_twice(visit.call.body, body)
    if twice is not None:
        return twice
    if members:
        return refuse(Code.UNKNOWN_FIELD, f"path and body are all there is here; {_SENT}")
    rows = BY_PATH.get(path, ())
    if body == _NULL and rows and all(row.method == "POST" for row in rows):
        return refuse(Code.MISSING_FIELD, f"body: is missing, and {path} takes one; {_SENT}")
    return _Check(path, body)


def _named_twice(whole: bytes, body: bytes) -> Refusal | None:
    """That path or body is given twice. A name that stands twice in the body itself is what the dry run tells."""
    outer, inner = load(whole), load(body)
    if not isinstance(outer, Refusal) or outer.code is not Code.DUPLICATE_KEY:
        return None
    return None if isinstance(inner, Refusal) and inner.code is Code.DUPLICATE_KEY else outer


async def _met(recorder: Recorder, visit: Visit, check: _Check) -> Met:
    """What a request to this path would get: a POST with this body, or a GET where the path takes that."""
    rows = {row.method: row for row in BY_PATH.get(check.path, ())}
    endpoint = rows.get("GET") if check.body == _NULL or "POST" not in rows else rows["POST"]
    if endpoint is None or endpoint.path == WS_PATH:
        return refuse(Code.UNKNOWN_ENDPOINT, "path: no such endpoint; `guard endpoints` lists them")
    visit.endpoint, visit.effect = endpoint, endpoint.effect
    body = check.body if endpoint.method == "POST" else b""
    met = await _dry_run(recorder, visit, endpoint, body=body)
    visit.endpoint = None
    return met


async def _dry_run(recorder: Recorder, visit: Visit, endpoint: Endpoint, *, body: bytes) -> Met:
    """What the real request would get now."""
    desk, principal = recorder.desk, visit.principal
    if principal is None:
        raise AssertionError("a dry run without a caller")
    lacking = scope_reasons(endpoint, principal, profile=visit.config.settings.scopes.profile)
    if lacking:
        return Refusal(lacking)
    intent = parse(endpoint, body)
    if isinstance(intent, Refusal):
        return misunderstood(endpoint, principal, intent)
    if type(intent) in CANCELS:
        visit.effect = Effect.ORDER_CANCEL
    situation = at_once(desk, visit, intent) or await prepare(desk, visit, intent)
    if not endpoint.is_trade:
        seen = judge_passing(desk, visit, situation)
        return Refusal(in_order(seen.reasons), seen.retry_after_s) if seen.reasons else None
    found = _trade(desk, visit, situation)
    while isinstance(found, Needs):  # at most once
        situation = await ask_more(desk, visit, situation, more=found, is_dry=True)
        found = _trade(desk, visit, situation)
    return found


def _trade(desk: Desk, visit: Visit, situation: Situation) -> Met | Needs:
    """What the synchronous step of the walk would find, by the same function; `Needs`: what is to be asked yet."""
    assessment = judge_trade(desk, visit, situation)
    obstacle = obstacle_to(desk, visit, situation, assessment=assessment, hooks=HOOKS)
    if obstacle is None:
        return None
    if obstacle.first is not None:
        return Repeat(obstacle.replays, status_of(obstacle.first))
    return obstacle.refusal if obstacle.more is None else obstacle.more
