"""Cancel all: what it means for the key that asks, and what the key is told.

It means the key's own orders of the account and market. Where nobody else has an order there that the guard knows of,
or `rights.cancel_all` is "account", the daemon is sent one request for all. Otherwise, and where the daemon refuses
that (paper accounts do), each of the key's orders is cancelled by itself. The answer comes within the order timeout and
says what has become of each order by then, and how many are still pending.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import msgspec

from guard.codes import Code
from guard.limits import Holder
from guard.server import passed_reply
from guard.terms import Answer, Refusal, Reply, Verdict, refuse
from guard.walk.cancelling import Cancelling
from guard.walk.cancelscope import orders_in_scope
from guard.walk.closing import Closing
from guard.walk.recorder import Recorder
from guard.walk.replies import Headers, rate_headers, trade_body, unusable
from guard.walk.sending import Sending
from guard.walk.targets import ENDED, PENDING, Requester, Target
from guard.walk.visit import Situation, Visit

RESULTS_MAX: Final = 2_000  # orders that an answer lists; it counts them all
_PART_OF_TIMEOUT: Final = 0.9  # a caller that waits just as long would miss an answer at the very end
_DONE: Final = frozenset({Verdict.ACCEPTED.value, ENDED})


class CancelAlls:
    """Answers to cancel-all requests, on one recorder's desk."""

    def __init__(self, recorder: Recorder, cancelling: Cancelling) -> None:
        self._recorder = recorder
        self._desk = recorder.desk
        self._cancelling = cancelling

    def begin(self, sending: Sending, holders: Sequence[Holder]) -> tuple[Target, ...]:
        """Begins to cancel these orders one by one, as parts of this request."""
        visit = sending.visit
        requester = Requester(batch=visit.id, principal=visit.principal, peer=visit.call.peer)
        return self._cancelling.begin(requester, holders)

    async def one_by_one(self, sending: Sending) -> Reply:
        """Cancels each of the key's own orders, since the one request for all was not sent or was refused."""
        return await self.told(sending, self.begin(sending, self._own(sending)))

    def _own(self, sending: Sending) -> list[Holder]:
        principal = sending.visit.principal
        return [
            h
            for h in orders_in_scope(self._desk, sending.situation)
            if principal is not None and h.key == principal.name
        ]

    async def told(self, sending: Sending, targets: Sequence[Target]) -> Reply:
        """The answer, once every order is done or time is up."""
        visit = sending.visit
        spent_s = (self._desk.clock.t_us() - visit.started_us) / 1_000_000
        left_s = visit.config.settings.daemon.order_timeout_s * _PART_OF_TIMEOUT - spent_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(left_s, 0)):
                for target in targets:
                    await target.done.wait()
        headers = rate_headers(self._desk.state, sending.judged.claims, t_us=self._desk.clock.t_us())
        refusal = _of_all(targets)
        if refusal is not None:
            status = 504 if refusal.code is Code.OUTCOME_UNKNOWN else None
            return unusable(visit, refusal, status=status, headers=headers)
        return _passed(visit, sending.situation, targets, headers=headers)

    async def all_at_once(self, sending: Sending, carried: Closing, reply: Reply) -> Reply:
        """The answer after the daemon's own to one request for all."""
        visit, own = sending.visit, self._own(sending)
        if carried.outcome.verdict is Verdict.REFUSED and own:
            return await self.one_by_one(sending)
        if carried.outcome.verdict is not Verdict.ACCEPTED or not isinstance(carried.result, Answer):
            return reply
        done = [target for h in own if (target := Target(h.id, h.account, decision=visit.id)).name(h)]
        # An order without a name may have come after the request for all: it is cancelled once it has one.
        coming = self.begin(sending, [h for h in own if h.is_nameless])
        for target in done:
            target.end(Verdict.ACCEPTED.value)
        return msgspec.structs.replace(reply, body=_with_results(reply.body, (*done, *coming)))


def _of_all(targets: Sequence[Target]) -> Refusal | None:
    """The refusal, where it is the same for every order: nothing was sent, or no outcome is known."""
    outcomes = {target.outcome for target in targets}
    if outcomes == {Verdict.NOT_SENT.value}:
        message = f"no order was cancelled: {targets[0].message}; nothing was sent"
        return refuse(Code.DAEMON_UNREACHABLE, message)
    if outcomes == {Verdict.UNKNOWN.value}:
        return refuse(Code.OUTCOME_UNKNOWN, f"what became of {len(targets)} cancels is not known; ask again")
    return None


def _passed(visit: Visit, situation: Situation, targets: Sequence[Target], *, headers: Headers) -> Reply:
    """The guard's own answer: a success only if no cancel has failed."""
    failed = sum(1 for target in targets if target.outcome not in _DONE and target.outcome != PENDING)
    s2c = {"order_id": 0, "order_id_ex": "", **results(targets)}
    body = trade_body(situation, s2c, failed=failed, of=len(targets))
    return passed_reply(Answer(200, "application/json", body), decision=visit.id, headers=headers)


def results(targets: Sequence[Target]) -> dict[str, object]:
    """One entry for each order, and how many are pending."""
    pending = sum(1 for target in targets if target.outcome == PENDING)
    return {"results": [target.told() for target in targets[:RESULTS_MAX]], "pending": pending}


def _with_results(body: bytes, targets: Sequence[Target]) -> bytes:
    """The daemon's own answer with what it means for each order; unchanged where it cannot be read."""
    try:
        envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        s2c = msgspec.json.decode(envelope.get("s2c", msgspec.Raw(b"{}")), type=dict[str, msgspec.Raw] | None) or {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    return msgspec.json.encode({**envelope, "s2c": {**s2c, **results(targets)}})
