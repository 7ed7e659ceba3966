"""Unlocking: whether a password may be tried now, what the daemon made of it, and what the caller is told."""

from collections.abc import Awaitable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from guard.codes import Code
from guard.terms import Answer, Failure, Outbound, Reason, Unlock
from guard.upstream import redact
from guard.walk.cooldown import EVERY, WRONG_MAX, TryResult, accounts_tried
from guard.walk.desk import Desk
from guard.walk.visit import Situation, Visit

_NOT_TRIED: Final = frozenset({401, 403, 404, 405, 413, 415, 429})  # the daemon's door, before any password
_ID_DIGITS_MAX: Final = 20  # of a uint64
_WORDS: Final = ("ret_msg", "error", "error_msg")


def waiting(desk: Desk, visit: Visit, situation: Situation) -> tuple[Reason, int] | None:
    """Why no password may be tried now, and for how long in µs (0: nobody knows); None: one may, or none is."""
    intent = situation.intent
    if not isinstance(intent, Unlock) or not intent.unlock:
        return None
    wait_us = desk.unlocks.wait_us(accounts_tried(intent, situation.rows), now_us=visit.t_us)
    if wait_us is None:
        return None
    message = f"after {WRONG_MAX} wrong passwords no other is tried for a minute, so that the broker locks nothing"
    if not wait_us:
        message = "another password is being tried on the same account; wait for its answer"
    return Reason(Code.COOLDOWN, message, rule="unlock.cooldown"), wait_us


def send(desk: Desk, situation: Situation, outbound: Outbound) -> Awaitable[Answer | Failure]:
    """Sends a call that is no trade."""
    intent = situation.intent
    if not isinstance(intent, Unlock) or not intent.unlock:
        return desk.daemon.send(outbound)
    return _tried(desk, situation, intent, outbound=outbound)


async def _tried(desk: Desk, situation: Situation, intent: Unlock, *, outbound: Outbound) -> Answer | Failure:
    """Tries a password and counts it, also if the caller hangs up meanwhile."""
    accounts = accounts_tried(intent, situation.rows)
    verdicts: dict[int, TryResult] = dict.fromkeys(accounts, "wrong")
    desk.unlocks.begin(accounts, now_us=desk.clock.t_us())
    try:
        result = await desk.daemon.send(outbound)
        verdicts = verdicts_of(result, accounts, has_code=intent.sec_otp is not None)
    finally:
        desk.unlocks.end(verdicts, now_us=desk.clock.t_us())
    return told(result) if isinstance(result, Answer) else result


def verdicts_of(result: Answer | Failure, accounts: frozenset[int], *, has_code: bool) -> dict[int, TryResult]:
    """What the daemon made of the password, account by account; if it may have been wrong, it counts as wrong."""
    if isinstance(result, Failure):
        return dict.fromkeys(accounts, "wrong" if result.is_sent else "untried")
    if result.status in _NOT_TRIED:
        return dict.fromkeys(accounts, "untried")
    envelope = _read(result.body)
    if not 200 <= result.status <= 299 or envelope.get("ret_type") != 0:  # noqa: PLR2004 - the class of successes
        return dict.fromkeys(accounts, "wrong")
    s2c = envelope.get("s2c")
    s2c = s2c if isinstance(s2c, dict) else {}
    if s2c.get("need_otp") is True:
        return dict.fromkeys(accounts, "wrong" if has_code else "untried")
    failed = _failed(s2c.get("account_result_list"))
    if None in failed:
        return dict.fromkeys(accounts, "wrong")
    found: dict[int, TryResult] = {name: "wrong" if name in failed else "right" for name in accounts}
    if EVERY in found and failed:
        found[EVERY] = "wrong"
    return found


def told(answer: Answer) -> Answer:
    """The daemon's answer without the number of tries left (B31); every other value stays as it is."""
    try:
        body = msgspec.json.encode(_redacted(msgspec.json.decode(answer.body, type=dict[str, Raw])))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = redact(answer.body.decode("utf-8", "replace")).encode()
    return replace(answer, body=body)


def _redacted(members: Mapping[str, Raw]) -> dict[str, Any]:
    shown: dict[str, Any] = dict(members)
    for name in _WORDS:
        text = msgspec.json.decode(members[name]) if name in members else None
        if isinstance(text, str):
            shown[name] = redact(text)
    s2c = msgspec.json.decode(members["s2c"]) if "s2c" in members else None
    if isinstance(s2c, dict):
        shown["s2c"] = _redacted(msgspec.json.decode(members["s2c"], type=dict[str, Raw]))
    rows = msgspec.json.decode(members["account_result_list"]) if "account_result_list" in members else None
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        found = msgspec.json.decode(members["account_result_list"], type=list[dict[str, Raw]])
        shown["account_result_list"] = [_redacted(row) for row in found]
    return shown


def _failed(rows: object) -> set[int | None]:
    """The accounts whose rows report no success; None among them: a row that cannot be read. No list: no failures."""
    if not isinstance(rows, list):
        return set() if rows is None else {None}
    return {_acc_id(row) for row in rows if not isinstance(row, dict) or row.get("success") is not True}


def _acc_id(row: object) -> int | None:
    """A number, or its digits in a text."""
    named = row.get("acc_id") if isinstance(row, dict) else None
    if isinstance(named, str) and named.isascii() and named.isdigit() and len(named) <= _ID_DIGITS_MAX:
        return int(named)
    return named if type(named) is int else None


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
