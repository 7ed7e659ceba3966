"""The road of everything that is no trade: reads, subscriptions, unlock, administration. Nothing is reserved."""

from collections.abc import Awaitable
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.errors import JournalFault
from guard.intent import encode
from guard.limits import post
from guard.server import passed_reply
from guard.terms import (
    Answer,
    Effect,
    Failure,
    Intent,
    Outbound,
    Read,
    Refusal,
    Reply,
    in_order,
    refuse,
)
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.door import late_objection, unrecorded
from guard.walk.hooks import Hooks
from guard.walk.prepare import at_once, prepare
from guard.walk.recorder import Recorder
from guard.walk.replies import UNAUTHORIZED, failed, rate_headers, refused, unusable, whose
from guard.walk.shadow import shadowed_read
from guard.walk.subscribing import DONE, SUBSCRIPTIONS, carry
from guard.walk.together import raise_fault
from guard.walk.visit import Situation, Visit

_WITHDRAWN: Final = Failure("held", "it was withdrawn while it waited for the subscription before it", is_sent=False)
_STREAM, _READ = Effect.STREAM, Effect.READ  # asked of every request
PUBLIC_LENT: Final = frozenset({"/api/ping", "/api/global-state", "/api/delay-statistics"})


class PendingCall(Struct, gc=False):
    """A request that is no trade, up to whether it passes.

    `situation` None: something has to be asked for first. `found` is what it may be sent with, or the refusal, which is
    recorded; `error` the fault of ours that met it.
    """

    visit: Visit
    intent: Intent
    hooks: Hooks
    situation: Situation | None = None
    found: Judged | Reply | None = None
    error: Exception | None = None


class PassThrough:
    """The road of what is no trade, over one recorder's desk."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._desk = recorder.desk

    async def handled(self, pending: PendingCall) -> Reply:
        """The reply to one call, taken by itself."""
        visit = pending.visit
        if visit.effect is _STREAM:
            message = "GET /ws is a WebSocket handshake: send Connection: Upgrade and Upgrade: websocket"
            return refused(self._recorder, visit, refuse(Code.BAD_HEADER, message))
        self.admit([pending])
        return await self.go_on(pending)

    async def go_on(self, pending: PendingCall) -> Reply:
        """The rest of the road of what was looked at and has not been sent."""
        if pending.situation is None and pending.error is None:
            pending.situation = await prepare(self._desk, pending.visit, pending.intent)
            self.admit([pending])
        if pending.error is not None:
            raise_fault(pending)
        if pending.found is None:
            raise AssertionError("it was not asked whether a call may pass")
        return pending.found if isinstance(pending.found, Reply) else await self.pass_on(pending)

    def admit(self, all_pending: list[PendingCall]) -> None:
        """One synchronous step for each: what is known of it; then rights, state, read rates, the record."""
        desk = self._desk
        for pending in all_pending:
            visit = pending.visit
            try:
                if pending.situation is None:
                    if visit.config is not desk.config:
                        desk.renew(visit)
                    pending.situation = at_once(desk, visit, pending.intent)
                if pending.situation is not None:
                    pending.found = _admit(self._recorder, visit, pending.situation, hooks=pending.hooks)
            except Exception as error:  # noqa: BLE001 - its own task raises it
                pending.error = error

    async def pass_on(self, pending: PendingCall) -> Reply:
        """Sends what was admitted; returns the answer, cut to what the caller may see."""
        desk, hooks, visit, situation = self._desk, pending.hooks, pending.visit, pending.situation
        if situation is None:
            raise AssertionError("what was not looked at was to be sent")
        if isinstance(situation.intent, SUBSCRIPTIONS):
            result = await _shared(desk, visit, situation, hooks=hooks)
        else:
            result = await hooks.pass_on(desk, situation, _outbound(desk, visit, situation))
        return self.concluded(pending, result)

    def outbound(self, pending: PendingCall) -> Outbound:
        """What is sent of a read that was admitted."""
        if pending.situation is None:
            raise AssertionError("what was not looked at was to be sent")
        return _outbound(self._desk, pending.visit, pending.situation)

    def concluded(self, pending: PendingCall, result: Answer | Failure) -> Reply:
        """What its caller is told of the daemon's answer, or of why there is none."""
        desk, hooks, visit, situation = self._desk, pending.hooks, pending.visit, pending.situation
        endpoint, judged = visit.endpoint, pending.found
        if endpoint is None or situation is None or not isinstance(judged, Judged):
            raise AssertionError("a call to no endpoint, or that was not admitted, reached the daemon's side")
        if result is not DONE:
            visit.daemon_us += result.duration_us
            desk.metrics.daemon.add(result.duration_us / 1e6)
        headers = rate_headers(desk.traffic, judged.claims, t_us=desk.clock.t_us())
        if not isinstance(result, Answer):
            late = (
                late_objection(desk, visit, situation)
                if result.kind == "held" and endpoint.effect is not _READ
                else None
            )
            if late is not None:
                return refused(self._recorder, visit, late, judged=judged, is_recorded=False)
            return failed(self._recorder, visit, result, effect=endpoint.effect, headers=headers)
        seen = hooks.answer_view(desk, visit, situation, answer=result)
        if isinstance(seen, Refusal):
            return unusable(visit, seen, headers=headers)
        if seen.headers or seen.answer.status == UNAUTHORIZED:
            headers = (*headers, *whose(seen.answer), *seen.headers)
        return passed_reply(seen.answer, decision=visit.id, headers=headers)


def _shared(desk: Desk, visit: Visit, situation: Situation, *, hooks: Hooks) -> Awaitable[Answer | Failure]:
    """Sends as much of a subscription as no other key holds; it may have waited behind another key's."""

    async def ask(intent: Intent) -> Answer | Failure:
        if late_objection(desk, visit, situation) is not None:
            return _WITHDRAWN
        meant = replace(situation, intent=intent)
        return await hooks.pass_on(desk, meant, _outbound(desk, visit, meant))

    return carry(desk, visit, situation, ask=ask)


def _admit(recorder: Recorder, visit: Visit, situation: Situation, *, hooks: Hooks) -> Judged | Reply:
    """One synchronous step: rights, state, read rates, the record."""
    desk = recorder.desk
    gone = hooks.revoked(desk, visit)
    if gone is not None:
        return refused(recorder, visit, gone)
    visit.t_us = max(visit.t_us, desk.traffic.at_us)  # no earlier than the counters' time, in the record too
    assessment = hooks.judge_passing(desk, visit, situation)
    if assessment.reasons:
        refusal = Refusal(in_order(assessment.reasons), assessment.retry_after_s)
        return refused(recorder, visit, refusal, situation=situation, judged=assessment.judged)
    judged, policies = assessment.judged, visit.config.policies
    if policies is not None and policies.shadows:
        judged = shadowed_read(desk, visit, judged, shadows=policies.shadows)
    try:
        recorder.allowed(visit, situation, judged)
    except JournalFault as fault:
        if visit.effect is not _READ:  # what changes something is not done unrecorded
            return refused(recorder, visit, unrecorded(desk.journal, fault))
    if visit.principal is not None:
        desk.subscriptions.seen(visit.principal.name, now_us=visit.t_us)
    post(desk.traffic, judged.claims, t_us=visit.t_us)
    visit.outcome = "allowed"
    return judged


def _outbound(desk: Desk, visit: Visit, situation: Situation) -> Outbound:
    endpoint, principal, intent = visit.endpoint, visit.principal, situation.intent
    if endpoint is None:
        raise AssertionError("a call to no endpoint was to be sent")
    if isinstance(intent, Read):
        body = intent.body  # as it came; None for a GET
    else:
        env, acc_id, serial = situation.env, situation.acc_id, desk.next_serial()
        body = encode(intent, env=env, acc_id=acc_id, serial=serial, remark=None)
    # On a public row the guard lends its own daemon key only to a key that has what the daemon asks there.
    may_borrow = principal is not None and (
        bool(endpoint.documented) or not principal.scopes.isdisjoint(endpoint.runtime)
    )
    return Outbound(
        method=endpoint.method,
        path=endpoint.path,
        body=body,
        timeout_s=visit.config.settings.daemon.read_timeout_s,
        lend="guard" if may_borrow else "public" if endpoint.path in PUBLIC_LENT else "none",
        owner="" if principal is None else principal.name,
        traceparent=visit.call.head.get("traceparent"),
        may_leave=None if endpoint.effect is _READ else partial(_may_leave, desk, visit, situation),
    )


def _may_leave(desk: Desk, visit: Visit, situation: Situation) -> bool:
    """Nothing stands against it by now."""
    return late_objection(desk, visit, situation) is None
