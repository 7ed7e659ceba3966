"""The guard's own routes for callers: `/guard/v1/me`, `check`, `decisions/{id}` and `ws-ticket`.

A dry run (`check`) takes the same steps as the real request and ends in the same refusal. It reserves and sends nothing
and has a rate of its own, so that probing cannot get in the way of trading.
"""

import re
import secrets
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guard.access import Wait, authenticate, bearer_of, scope_reasons, visible_accounts
from guard.access.tickets import LIFE_US, PER_KEY_MAX
from guard.catalogue import BY_PATH
from guard.codes import Code
from guard.errors import JournalFault
from guard.intent import parse
from guard.limits import State, free_in_us, look, post, used
from guard.policy import Meter, meters
from guard.server import refusal_reply
from guard.server.fields import WS_PATH
from guard.terms import (
    DECISION_PATTERN,
    LEDGER_UNIT,
    Account,
    Call,
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
from guard.walk.desk import Desk, Situation, Visit
from guard.walk.door import misunderstood
from guard.walk.gather import CANCELS
from guard.walk.hooks import HOOKS
from guard.walk.judging import judge_passing, judge_trade
from guard.walk.obstacle import obstacle_to
from guard.walk.prepare import ask_more, at_once, prepare
from guard.walk.recall import on_record
from guard.walk.recorder import Recorder
from guard.walk.replies import rate_headers, refused, status_of, turned_away

PREFIX: Final = "/guard/v1/"
TICKET: Final = "/guard/v1/ws-ticket"
_METHODS: Final = {"/guard/v1/me": "GET", "/guard/v1/check": "POST", TICKET: "POST"}
_DECISION: Final = re.compile(rf"/guard/v1/decisions/({DECISION_PATTERN})")
_ACCOUNTS_TOLD: Final = 32
_CHECKS: Final = 120  # dry runs a key may ask for in a minute
_NULL: Final = b"null"
_SENT: Final = 'send {"path": "/api/order", "body": {…}}, the body as you would send it'
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


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


def is_question(call: Call) -> bool:
    """The path is one of the guard's own routes on the data listener."""
    return call.path.startswith(PREFIX)


async def answer(recorder: Recorder, visit: Visit) -> Reply:
    """The answer to one question; each needs a valid key."""
    standing, call = visit.standing, visit.call
    bearer = bearer_of(call.head.get("authorization"))
    found = authenticate(standing.keyring, bearer, now=visit.wall, issuers=standing.issuers)
    if isinstance(found, Refusal):
        return turned_away(recorder, visit, found)
    visit.principal = found
    call.is_known = True
    decision = _DECISION.fullmatch(call.path)
    wanted = _METHODS.get(call.path, "GET" if decision else None)
    if wanted is None:
        return refused(recorder, visit, refuse(Code.UNKNOWN_ENDPOINT, "no such question; see /guard/v1/me"))
    if call.method != wanted:
        return refused(recorder, visit, refuse(Code.METHOD, f"{call.path} is asked with {wanted}", limit=wanted))
    if decision is not None:
        return await _decision(recorder, visit, decision[1])
    if call.path == TICKET:
        return _ticket(recorder, visit, found)
    if wanted == "POST":
        return await _check(recorder, visit, found)
    if not recorder.desk.book.known:  # a guard that has just begun
        _ = await recorder.desk.book.rows()
        recorder.desk.renew(visit)
    return _me(recorder, visit, found)


def _json(visit: Visit, body: object) -> Reply:
    visit.outcome = "allowed"
    return Reply(200, msgspec.json.encode(body), (("Guard-Decision", visit.id),))


# ---------------------------------------------------------------- who am I, and how much is left


def _me(recorder: Recorder, visit: Visit, principal: Principal) -> Reply:
    policies = visit.standing.policies
    found = (
        ()
        if policies is None
        else meters(policies, principal, wall=visit.wall, listed=accounts_told(recorder.desk, principal))
    )
    ends = {} if policies is None else policies.ends
    limits = [_limit(recorder, visit, meter) | _until(ends.get(meter.policy)) for meter in found]
    return _json(visit, {"id": principal.id, "scopes": sorted(principal.scopes), "limits": limits})


def accounts_told(desk: Desk, principal: Principal) -> tuple[Account, ...]:
    """The accounts that the daemon has listed and the key may see; the first 32, if there are more."""
    rows = desk.book.known
    visible = visible_accounts(principal, rows)
    seen = (row.account for row in rows if visible is None or row.account in visible)
    return tuple(islice(seen, _ACCOUNTS_TOLD))


def _limit(recorder: Recorder, visit: Visit, meter: Meter) -> dict[str, object]:
    count = used_of(recorder, meter, t_us=visit.t_us)
    return {
        "policy": meter.policy,
        "rule": meter.rule,
        "subject": meter.subject,
        "limit": _text(meter.cap, meter.unit),
        "used": _text(count, meter.unit),
        "left": _text(max(0, meter.cap - count), meter.unit),
        "unit": meter.unit,
        "resets_at": _resets_at(recorder, visit, meter),
    }


def _until(end: str | None) -> dict[str, object]:
    """When a temporary policy ends, and the limit with it."""
    return {} if end is None else {"until": end}


def _resets_at(recorder: Recorder, visit: Visit, meter: Meter) -> str | None:
    """When some of it comes back: at the next reset of a part in use, or when the oldest request leaves the window."""
    state = _state_of(recorder, meter)
    if meter.resets:
        cells = zip((meter.counter, *meter.also), meter.resets, strict=False)
        in_use = [reset for cell, reset in cells if used(state, cell, t_us=visit.t_us, window_ms=meter.window_ms)]
        return min(in_use or meter.resets).isoformat()
    if not meter.window_ms:
        return None
    free_us = free_in_us(state, meter.counter, t_us=visit.t_us, window_us=meter.window_ms * 1000)
    return (visit.wall + timedelta(microseconds=free_us)).isoformat() if free_us else None


def used_of(recorder: Recorder, meter: Meter, *, t_us: int) -> int:
    """What is used of a meter's limit now."""
    state = _state_of(recorder, meter)
    cells = (meter.counter, *meter.also)
    return sum(used(state, cell, t_us=t_us, window_ms=meter.window_ms) for cell in cells)


def _state_of(recorder: Recorder, meter: Meter) -> State:
    return recorder.desk.traffic if meter.rule == "rates.reads" else recorder.desk.state


def _text(amount: int, unit: str) -> str:
    """Ledger units of money as the amount itself; counts as they are."""
    if not _CURRENCY.fullmatch(unit):
        return str(amount)
    return f"{(Decimal(amount) / LEDGER_UNIT).normalize():f}"


# ---------------------------------------------------------------- a ticket for one WebSocket handshake


def _ticket(recorder: Recorder, visit: Visit, principal: Principal) -> Reply:
    """A ticket for callers that cannot send a header with a handshake; it stands for the key, once."""
    if visit.call.body not in {b"", b"{}"}:
        return refused(recorder, visit, refuse(Code.UNKNOWN_FIELD, "a ticket is asked for with no body, or with {}"))
    found = recorder.desk.tickets.issue(principal, secrets.token_urlsafe(32), now_us=visit.t_us)
    if isinstance(found, Wait):
        limit, wait_s = str(PER_KEY_MAX), (found.until_us - visit.t_us) / 1_000_000
        refusal = refuse(Code.RATE, "too many tickets are not used yet", rule="tickets", limit=limit, unit="tickets")
        return refused(recorder, visit, Refusal(refusal.reasons, retry_after_s=wait_s))
    return _json(visit, {"ticket": found, "expires_in_s": LIFE_US // 1_000_000})


# ---------------------------------------------------------------- a dry run


async def _check(recorder: Recorder, visit: Visit, principal: Principal) -> Reply:
    rate = Claim("rate", f"checks/key={principal.name}", 1, cap=_CHECKS, window_ms=60_000)
    reply = await _tried(recorder, visit, rate)
    return replace(reply, headers=(*reply.headers, *rate_headers(recorder.desk.traffic, (rate,), t_us=visit.t_us)))


async def _tried(recorder: Recorder, visit: Visit, rate: Claim) -> Reply:
    limited = _own_rate(recorder, visit, rate)
    if limited is not None:
        return refused(recorder, visit, limited)
    asked = _asked(visit)
    if isinstance(asked, Refusal):
        return refused(recorder, visit, asked)
    verdict = await _met(recorder, visit, asked)
    if isinstance(verdict, Repeat):
        told = _passes(visit) | {"replays": verdict.replays}
        return _json(visit, {"outcome": "allow", "status": verdict.status, "guard": told})
    if verdict is None:
        return _json(visit, {"outcome": "allow", "status": 200, "guard": _passes(visit)})
    if visit.standing.policies is not None:
        verdict = dated(verdict, visit.standing.policies.ends)
    reply = refusal_reply(verdict, decision=visit.id, policy_sha256=visit.standing.policy_sha256 or None)
    inner = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
    return _json(visit, {"outcome": "refuse", "status": reply.status, "guard": inner["guard"]})


def _passes(visit: Visit) -> dict[str, object]:
    """The members of a refusal, for a request that would pass."""
    return {
        "decision": visit.id,
        "code": None,
        "retryable": False,
        "retry_after_s": None,
        "reasons": [],
        "policy_sha256": visit.standing.policy_sha256 or None,
        "largest_qty": None,
    }


def _own_rate(recorder: Recorder, visit: Visit, rate: Claim) -> Refusal | None:
    seen = look(recorder.desk.traffic, (rate,), t_us=visit.t_us)
    if isinstance(seen, Full):
        free_at_us = seen.shortfalls[0].free_at_us or visit.t_us
        refusal = refuse(Code.RATE, f"more than {_CHECKS} dry runs in a minute", limit=str(_CHECKS), unit="checks/60s")
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
    if members:
        return refuse(Code.UNKNOWN_FIELD, f"path and body are all there is here; {_SENT}")
    rows = BY_PATH.get(path, ())
    if body == _NULL and rows and all(row.method == "POST" for row in rows):
        return refuse(Code.MISSING_FIELD, f"body: is missing, and {path} takes one; {_SENT}")
    return _Check(path, body)


async def _met(recorder: Recorder, visit: Visit, check: _Check) -> Met:
    """What a request to this path would get: a POST with this body, or a GET where the path takes that."""
    rows = {row.method: row for row in BY_PATH.get(check.path, ())}
    endpoint = rows.get("GET") if check.body == _NULL or "POST" not in rows else rows["POST"]
    if endpoint is None or endpoint.path == WS_PATH:
        return refuse(Code.UNKNOWN_ENDPOINT, "path: no such endpoint; `guard endpoints` lists them")
    visit.endpoint, visit.effect = endpoint, endpoint.effect
    body = check.body if endpoint.method == "POST" else b""
    verdict = await _dry_run(recorder, visit, endpoint, body=body)
    visit.endpoint = None
    return verdict


async def _dry_run(recorder: Recorder, visit: Visit, endpoint: Endpoint, *, body: bytes) -> Met:
    """What the real request would get now."""
    desk, principal = recorder.desk, visit.principal
    if principal is None:
        raise AssertionError("a dry run without a caller")
    lacking = scope_reasons(endpoint, principal, profile=visit.standing.settings.scopes.profile)
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


# ---------------------------------------------------------------- what became of a decision


async def _decision(recorder: Recorder, visit: Visit, wanted: str) -> Reply:
    """What became of the decision; `record` is what the journal says of it, null where it is no longer kept."""
    recent = recorder.desk.recent
    known = recent.get(wanted) or recent.passed.get(wanted)
    if known is None or visit.principal is None or known.name != visit.principal.name:
        return refused(recorder, visit, refuse(Code.UNKNOWN_ENDPOINT, "no such decision of this key"))
    try:
        line = await recorder.desk.journal.find(str(known.ts), known.id)
    except JournalFault:
        line = None
    return _json(visit, known.told() | {"record": None if line is None else on_record(line)})
