"""Replies: refusals (recorded before they are told), and outcomes of trades."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from guard.codes import Code
from guard.limits import RateClaims, State, left_of, ratelimit_fields
from guard.server import passed_reply, refusal_reply
from guard.terms import (
    TRADE_EFFECTS,
    Answer,
    Claim,
    Effect,
    Env,
    Failure,
    Outcome,
    Refusal,
    Reply,
    Verdict,
    dated,
    refuse,
)
from guard.walk.decisionrecord import Judged
from guard.walk.door import failed_login
from guard.walk.recorder import Recorder
from guard.walk.visit import Situation, Visit

UNAUTHORIZED: Final = 401
_ANSWERED: Final = frozenset({Verdict.ACCEPTED, Verdict.REFUSED})

Headers = tuple[tuple[str, str], ...]
_log = structlog.get_logger("guard")
OUR_FAULT: Final = "the guard failed on this request; its log says why"


def refused(
    recorder: Recorder,
    visit: Visit,
    refusal: Refusal,
    *,
    situation: Situation | None = None,
    judged: Judged | None = None,
    is_recorded: bool = True,
) -> Reply:
    """The reply to a refusal, which is recorded first. `is_recorded` False: its record is the trade's outcome."""
    refusal = as_told(recorder, visit, refusal)
    if is_recorded:
        recorder.refused(visit, refusal, situation=situation, judged=judged)
    else:
        recorder.refused_late(visit, refusal)
    return told(recorder, visit, refusal, judged=judged)


def as_told(recorder: Recorder, visit: Visit, refusal: Refusal) -> Refusal:
    """The refusal as its caller and the record are told it: with what is known only now."""
    if refusal.code is Code.BREAKER_OPEN:
        refusal = replace(refusal, retry_after_s=_until_probe_s(recorder, visit))
    policies = visit.config.policies
    return refusal if policies is None else dated(refusal, policies.ends)


def told(recorder: Recorder, visit: Visit, refusal: Refusal, *, judged: Judged | None) -> Reply:
    """The reply to a refusal that is recorded and counted."""
    desk = recorder.desk
    counts = desk.state if visit.effect in TRADE_EFFECTS else desk.traffic  # reads are counted apart from trades
    return refusal_reply(
        refusal,
        decision=visit.id,
        policy_sha256=visit.config.policy_sha256 or None,
        headers=rate_headers(counts, judged.claims, t_us=desk.clock.t_us()) if judged else (),
    )


def _until_probe_s(recorder: Recorder, visit: Visit) -> float | None:
    """In how many seconds the open circuit lets a request through."""
    circuit = recorder.desk.circuits.of(is_trade=visit.effect in TRADE_EFFECTS)
    owner = visit.principal.name if visit.principal is not None else ""
    wait_us = circuit.wait_us(recorder.desk.clock.mono_us(), owner=owner)
    return None if wait_us is None else wait_us / 1_000_000


def whose(answer: Answer) -> Headers:
    """Marks a 401 as the daemon's own: it is not about the caller's key at the guard."""
    return (("Guard-Note", "this 401 is the daemon's"),) if answer.status == UNAUTHORIZED else ()


def json_answer(visit: Visit, body: object) -> Reply:
    """The guard's own answer to a question of a caller with a key."""
    visit.outcome = "allowed"
    return Reply(200, msgspec.json.encode(body), (("Guard-Decision", visit.id),))


def turned_away(recorder: Recorder, visit: Visit, refusal: Refusal) -> Reply:
    """The reply to a caller whose credential did not verify."""
    return refused(recorder, visit, failed_login(recorder.desk, visit, refusal))


def failed(recorder: Recorder, visit: Visit, failure: Failure, *, effect: Effect, headers: Headers = ()) -> Reply:
    """The reply to a call that is no trade and got no whole answer. Nothing is retried."""
    is_open = failure.kind == "open"
    refusal = (
        _left_alone(recorder, visit, f"{failure.message}; nothing was sent") if is_open else _failure(failure, effect)
    )
    return unusable(visit, refusal, headers=headers)


def _left_alone(recorder: Recorder, visit: Visit, message: str) -> Refusal:
    """The refusal where the circuit opened after the decision."""
    return replace(refuse(Code.BREAKER_OPEN, message), retry_after_s=_until_probe_s(recorder, visit))


def _failure(failure: Failure, effect: Effect) -> Refusal:
    if not failure.is_sent:
        return refuse(Code.DAEMON_UNREACHABLE, f"the daemon cannot be reached: {failure.message}; nothing was sent")
    what = "" if effect is Effect.READ else "; it may have acted on the request"
    if failure.kind == "timeout":
        return refuse(Code.DAEMON_TIMEOUT, f"the daemon did not answer in time{what}")
    return refuse(Code.DAEMON_BAD_ANSWER, f"the daemon's answer cannot be used: {failure.message}{what}")


def settled(
    recorder: Recorder, visit: Visit, outcome: Outcome, *, result: Answer | Failure | None, judged: Judged
) -> Reply:
    """The reply to a trade once its verdict is known; `result` None: the guard itself failed on the way.

    In the simulated environment a stub answer is passed on, marked as unknown.
    """
    state = recorder.desk.state
    headers = rate_headers(state, judged.claims, t_us=state.at_us)  # it was settled in this turn
    if isinstance(result, Answer) and outcome.verdict in _ANSWERED:
        return passed_reply(result, decision=visit.id, headers=(*whose(result), *headers))
    if isinstance(result, Answer) and judged.is_simulated and is_stub(outcome):
        return passed_reply(result, decision=visit.id, headers=(("Guard-Outcome", "unknown"), *headers))
    if outcome.verdict is not Verdict.NOT_SENT:
        return _unknown(visit, headers)
    if result is None:
        refusal = refuse(Code.RULE_ERROR, f"{OUR_FAULT}; nothing was sent, nothing is held")
        return unusable(visit, refusal, headers=headers)
    if isinstance(result, Failure) and result.kind == "open":
        message = f"{outcome.message}; nothing was sent, nothing is held"
        return unusable(visit, _left_alone(recorder, visit, message), headers=headers)
    message = f"the daemon cannot be reached: {outcome.message}; nothing was sent, nothing is held"
    return unusable(visit, refuse(Code.DAEMON_UNREACHABLE, message), headers=headers)


async def walked(recorder: Recorder, visit: Visit, walk: Callable[[], Awaitable[Reply]]) -> Reply:
    """What the rest of its walk replies to a request, which is then counted."""
    try:
        return await walk()
    except Exception:  # noqa: BLE001 - a bug of ours must refuse, not answer 500 or let through
        return broke(recorder, visit)
    finally:
        recorder.finished(visit)


def broke(recorder: Recorder, visit: Visit) -> Reply:
    """The reply after the bug of ours that is being handled; the log has its trace.

    A refusal, or `outcome_unknown` for a trade that had been let through.
    """
    _log.exception("walk_failed", decision=visit.id, path=visit.call.path)
    recorder.desk.supervisor.fault("request", event="walk_failed")
    if visit.outcome == "allowed" and visit.effect in TRADE_EFFECTS:
        return _unknown(visit)
    if not visit.is_decided:
        return refused(recorder, visit, refuse(Code.RULE_ERROR, OUR_FAULT))
    return unusable(visit, refuse(Code.RULE_ERROR, OUR_FAULT))


def is_stub(outcome: Outcome) -> bool:
    """A success without an order id: the daemon's answer to a simulated order that it never sent (B34)."""
    own = outcome.order_id_ex if outcome.order_id_ex is not None else outcome.order_id
    is_success = outcome.status is not None and 200 <= outcome.status <= 299  # noqa: PLR2004 - the class of successes
    return is_success and outcome.ret_type == 0 and not (own or "").strip("0")


def _unknown(visit: Visit, headers: Headers = ()) -> Reply:
    message = (
        "the request was sent and its outcome is not known; what it reserved stays held until it is. "
        f"Do not send it again: look at the daemon's order list, or name decision {visit.id} to your operator"
    )
    if visit.effect is Effect.ORDER_CANCEL:
        message = (
            "the cancel was sent and its outcome is not known; the daemon's order list tells it. It does no harm "
            f"twice: send it again, without the same Idempotency-Key, or name decision {visit.id} to your operator"
        )
    return unusable(visit, refuse(Code.OUTCOME_UNKNOWN, message), status=504, headers=headers)


def unusable(visit: Visit, refusal: Refusal, *, status: int | None = None, headers: Headers = ()) -> Reply:
    """The reply to a request that was let through but has no answer to pass on; no second decision is recorded."""
    visit.outcome = "failed"
    sha256 = visit.config.policy_sha256 or None
    return refusal_reply(refusal, decision=visit.id, policy_sha256=sha256, status=status, headers=headers)


def trade_body(situation: Situation, s2c: Mapping[str, object], *, failed: int, of: int) -> bytes:
    """An answer of the guard's own in the daemon's envelope: an error if some, `failed` of `of` cancels, failed."""
    account = situation.account
    header = {
        "trd_env": int(Env.REAL if account is None else account.env),
        "acc_id": 0 if account is None else account.acc_id,
        "trd_market": getattr(getattr(situation.intent, "header", None), "trd_market", 0),
    }
    message = f"{failed} of {of} orders were not cancelled: s2c.results says which" if failed else None
    envelope = {"ret_type": -1 if failed else 0, "ret_msg": message, "err_code": None}
    return msgspec.json.encode({**envelope, "s2c": {"header": header, **s2c}})


def rate_headers(state: State, claims: Sequence[Claim], *, t_us: int) -> Headers:
    """Where the caller's rates stand: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).

    Of each rate among these claims: what it allows in which window, what is left of it as `state` counts it at `t_us`,
    and in how many whole seconds some of it comes back.
    """
    if not claims:
        return ()
    policies, quotas = claims.fields if isinstance(claims, RateClaims) else ratelimit_fields(claims)
    lefts = left_of(state, quotas, t_us=t_us)
    return (("RateLimit-Policy", policies), ("RateLimit", lefts)) if lefts else ()
