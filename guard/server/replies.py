"""Answers before they are written: refusals, in the contract's one form, and the daemon's own answers. Pure.

The only place that knows what a refusal looks like to a caller. No header of the daemon's is ever copied.
"""

import math
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct, UnsetType

from guard.codes import MEANING, Code
from guard.terms import Answer, Reason, Refusal, Reply, is_retryable

Headers = tuple[tuple[str, str], ...]

_RET_FAILED: Final = -1
_RET_TIMED_OUT: Final = -100
_GATEWAY_TIMEOUT: Final = 504
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_UNAUTHORIZED: Final = 401
_NOT_ALLOWED: Final = 405
_SELDOM_S: Final = 3600  # for a 429 that no time ends: a caller that looks at nothing else asks once an hour
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


class _ReasonPart(Struct, frozen=True):
    code: Code
    policy: str
    rule: str
    observed: str | None
    limit: str | None
    unit: str | None
    message: str
    until: str | UnsetType | None


class _GuardPart(Struct, frozen=True):
    decision: str
    code: Code
    retryable: bool
    retry_after_s: float | None
    reasons: tuple[_ReasonPart, ...]
    policy_sha256: str | None
    largest_qty: str | None


class _Body(Struct, frozen=True):
    ret_type: int
    ret_msg: str
    err_code: Code
    s2c: None
    error: str
    guard: _GuardPart


_encoder: Final = msgspec.json.Encoder()


def refusal_reply(
    refusal: Refusal,
    *,
    decision: str,
    policy_sha256: str | None,
    status: int | None = None,
    headers: Headers = (),
) -> Reply:
    """The answer to a refused request; `status` if it is not the code's own (504 for a trade of unknown outcome)."""
    code = refusal.code
    status = MEANING[code].status if status is None else status
    may_pass = is_retryable(code, refusal.reasons)
    message = refusal.reasons[0].message
    body = _Body(
        ret_type=_RET_TIMED_OUT if status == _GATEWAY_TIMEOUT else _RET_FAILED,
        ret_msg=message,
        err_code=code,
        s2c=None,
        error=message,
        guard=_GuardPart(
            decision=decision,
            code=code,
            retryable=may_pass,
            retry_after_s=refusal.retry_after_s,
            reasons=tuple(_part(reason) for reason in refusal.reasons),
            policy_sha256=policy_sha256,
            largest_qty=refusal.largest_qty,
        ),
    )
    extra: Headers = (("Guard-Decision", decision),)
    if status == _UNAUTHORIZED:
        extra += (("WWW-Authenticate", "Bearer"),)
    if status == _NOT_ALLOWED:
        extra += (("Allow", refusal.reasons[0].limit or ""),)  # RFC 9110 §15.5.6
    if status == _TOO_MANY_REQUESTS or (status == _UNAVAILABLE and may_pass):
        extra += (("Retry-After", str(_whole_seconds(refusal.retry_after_s) if may_pass else _SELDOM_S)),)
    return Reply(status, _encoder.encode(body), extra + headers)


def passed_reply(answer: Answer, *, decision: str, headers: Headers = ()) -> Reply:
    """The daemon's own answer: its status and body. JSON stays JSON, anything else can only be plain text.

    A 429 says when to come back, as the guard's own do: the daemon's own seconds, where it told some.
    """
    if answer.status == _TOO_MANY_REQUESTS:
        headers += (("Retry-After", str(_whole_seconds(answer.retry_after_s))),)
    if _is_json(answer.content_type):
        return Reply(answer.status, answer.body, (("Guard-Decision", decision), *headers), _JSON)
    plain: Headers = (("Guard-Decision", decision), ("X-Content-Type-Options", "nosniff"))
    return Reply(answer.status, answer.body, plain + headers, _TEXT)


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _JSON


def _part(reason: Reason) -> _ReasonPart:
    return _ReasonPart(
        reason.code,
        reason.policy,
        reason.rule,
        reason.observed,
        reason.limit,
        reason.unit,
        reason.message,
        reason.until,
    )


def _whole_seconds(seconds: float | None) -> int:
    """`Retry-After` in whole seconds, never too early and never zero; one second if no time is known."""
    return max(1, math.ceil(seconds)) if seconds is not None else 1
