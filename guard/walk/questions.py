"""The guard's own routes for callers: `/guard/v1/me`, `check`, `decisions/{id}` and `ws-ticket`."""

import re
import secrets
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

from guard.access import Wait, authenticate, bearer_of, visible_accounts
from guard.access.tickets import LIFE_US, PER_KEY_MAX
from guard.codes import Code
from guard.errors import JournalFault
from guard.limits import State, free_in_us, used
from guard.policy import Meter, meters
from guard.terms import (
    DECISION_PATTERN,
    LEDGER_UNIT,
    Account,
    Call,
    Principal,
    Refusal,
    Reply,
    refuse,
)
from guard.walk.desk import Desk
from guard.walk.dryrun import check
from guard.walk.recall import on_record
from guard.walk.recent import RECENT_MAX
from guard.walk.recorder import Recorder
from guard.walk.replies import json_answer, refused, turned_away
from guard.walk.visit import Visit

PREFIX: Final = "/guard/v1/"
TICKET: Final = "/guard/v1/ws-ticket"
_METHODS: Final = {"/guard/v1/me": "GET", "/guard/v1/check": "POST", TICKET: "POST"}
_DECISION: Final = re.compile(rf"/guard/v1/decisions/({DECISION_PATTERN})")
ACCOUNTS_TOLD_MAX: Final = 32
_NO_DECISION: Final = (
    f"no such decision of this key is remembered (the latest {RECENT_MAX} are, fewer after a restart); people at the "
    "guard's machine find older ones on record with `guard explain ID`"
)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def is_question(call: Call) -> bool:
    """The path is one of the guard's own routes on the data listener."""
    return call.path.startswith(PREFIX)


async def answer(recorder: Recorder, visit: Visit) -> Reply:
    """The answer to one question; each needs a valid key."""
    config, call = visit.config, visit.call
    bearer = bearer_of(call.head.get("authorization"))
    found = authenticate(config.keyring, bearer, now=visit.wall, issuers=config.issuers)
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
        return await check(recorder, visit, found)
    if not recorder.desk.accounts.known:  # a guard that has just begun
        _ = await recorder.desk.accounts.rows()
        recorder.desk.renew(visit)
    return _me(recorder, visit, found)


# ---------------------------------------------------------------- who am I, and how much is left


def _me(recorder: Recorder, visit: Visit, principal: Principal) -> Reply:
    policies = visit.config.policies
    found = (
        ()
        if policies is None
        else meters(policies, principal, wall=visit.wall, listed=accounts_told(recorder.desk, principal))
    )
    ends = {} if policies is None else policies.ends
    limits = [_limit(recorder, visit, meter) | _until(ends.get(meter.policy)) for meter in found]
    return json_answer(visit, {"id": principal.id, "scopes": sorted(principal.scopes), "limits": limits})


def accounts_told(desk: Desk, principal: Principal) -> tuple[Account, ...]:
    """The accounts that the daemon has listed and the key may see; the first 32, if there are more."""
    rows = desk.accounts.known
    visible = visible_accounts(principal, rows)
    seen = (row.account for row in rows if visible is None or row.account in visible)
    return tuple(islice(seen, ACCOUNTS_TOLD_MAX))


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
    return json_answer(visit, {"ticket": found, "expires_in_s": LIFE_US // 1_000_000})


# ---------------------------------------------------------------- what became of a decision


async def _decision(recorder: Recorder, visit: Visit, wanted: str) -> Reply:
    """What became of the decision; `record` is what the journal says of it, null where it is no longer kept."""
    recent = recorder.desk.recent
    known = recent.get(wanted) or recent.passed.get(wanted)
    if known is None or visit.principal is None or known.name != visit.principal.name:
        return refused(recorder, visit, refuse(Code.UNKNOWN_ENDPOINT, _NO_DECISION))
    try:
        line = await recorder.desk.journal.find(str(known.ts), known.id)
    except JournalFault:
        line = None
    return json_answer(visit, known.told() | {"record": None if line is None else on_record(line)})
