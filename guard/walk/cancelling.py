"""Many orders cancelled one by one: newest first, at the broker's pace, each cancel a decision with its outcome.

Used by a cancel-all that must not touch other keys' orders, and by an operator who sets a state with `cancel_working`.
The program owns the work: it goes on after the caller was answered or has hung up. An order that is already being
cancelled is not cancelled twice; its cancel is sent in the name of the first requester who still may. An order that the
daemon has not named yet (its answer is pending, or was lost) is cancelled once it has a name. After a crash the work is
not taken up again; every cancel that was sent is in the record.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from guard.access import renewed
from guard.catalogue import find
from guard.errors import JournalFault
from guard.intent import order_of
from guard.limits import Holder, check_claims
from guard.terms import (
    Account,
    Call,
    CancelAll,
    CancelOrder,
    Claim,
    Effect,
    Endpoint,
    Env,
    Full,
    Header,
    Outcome,
    Taken,
    Verdict,
)
from guard.walk.broker import bucket_claims, bucket_of
from guard.walk.cancelscope import orders_in_scope
from guard.walk.carrier import Carrier
from guard.walk.closing import close, hold
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.outgoing import opening_of, outbound_of
from guard.walk.recorder import Recorder
from guard.walk.repeats import ONE_BY_ONE
from guard.walk.sending import Sending
from guard.walk.targets import ENDED, Requester, Target
from guard.walk.visit import Situation, Visit

IN_FLIGHT_MAX: Final = 8  # cancels of one account that wait for the daemon at one time
KEPT_FOR_OTHERS: Final = 4  # of the broker's bucket: while many are cancelled, somebody's single cancel finds room
UNNAMED_WAIT_US: Final = 120_000_000  # how long an order is waited for that the daemon has not named yet
SLICE_S: Final = 0.05
ONE: Final = "/api/modify-order"
ALL: Final = "/api/cancel-all-order"
_log = structlog.get_logger("guard")


class Cancelling:
    """All one-by-one cancels that are under way on one recorder's desk."""

    def __init__(self, recorder: Recorder, carrier: Carrier) -> None:
        self._recorder = recorder
        self._carrier = carrier
        self._desk: Desk = recorder.desk
        self._under_way: dict[str, Target] = {}

    def begin(self, requester: Requester, holders: Iterable[Holder], *, as_one: bool = False) -> tuple[Target, ...]:
        """Begins to cancel these orders in this order, and returns their targets, which tell what becomes of each.

        Must be called in the step in which the orders were looked up. `as_one`: these are all the working orders of
        their accounts and markets, so one request may cancel those of each.
        """
        found, fresh = [], []
        for holder in holders:
            target = self._under_way.get(holder.id)
            if target is None or target.done.is_set():
                target = self._under_way[holder.id] = Target(holder.id, holder.account)
                target.name(holder)
                fresh.append(target)
            target.add_requester(requester)
            found.append(target)
        if fresh:
            _ = self._desk.supervisor.start(
                self._carry(requester, fresh, as_one=as_one), f"cancels of {requester.batch}"
            )
        return tuple(found)

    async def _carry(self, requester: Requester, targets: list[Target], *, as_one: bool) -> None:
        """One task for each account, since the broker counts by account."""
        accounts: dict[Account, list[Target]] = {}
        for target in targets:
            accounts.setdefault(target.account, []).append(target)
        try:
            await asyncio.gather(*(self._account(requester, own, as_one=as_one) for own in accounts.values()))
        finally:
            for target in targets:
                if self._under_way.get(target.of) is target:
                    del self._under_way[target.of]
                if not target.done.is_set():
                    target.end(Verdict.NOT_SENT.value, "the guard was stopped")
            _log.info(
                "orders_cancelled", batch=requester.batch, why=requester.why, **Counter(one.outcome for one in targets)
            )

    async def _account(self, requester: Requester, targets: list[Target], *, as_one: bool) -> None:
        if as_one:
            await self._at_once(requester, targets)
        room, until_us = asyncio.Semaphore(IN_FLIGHT_MAX), self._desk.clock.t_us() + UNNAMED_WAIT_US
        waiting = [target for target in targets if not await self._is_begun(target, room)]
        while waiting and self._desk.clock.t_us() < until_us and not self._desk.is_draining:
            await asyncio.sleep(SLICE_S)
            waiting = [target for target in waiting if not await self._is_begun(target, room)]
        for target in waiting:
            target.end(Verdict.UNKNOWN.value, "the daemon has not told under which name it knows the order")
        for target in targets:
            await target.done.wait()
        self._desk.order_lists.refresh_soon(targets[0].account)  # so that the ends of these orders are learned soon

    async def _is_begun(self, target: Target, room: asyncio.Semaphore) -> bool:
        """True: its cancel is on its way, or no longer needed. False: the order has no name yet."""
        holder = self._desk.state.holders.get(target.of)
        if target.done.is_set() or (holder is not None and not target.name(holder)):
            return target.done.is_set()
        await room.acquire()
        try:
            sending = await self._decided(target)
        except BaseException:
            room.release()
            raise
        if sending is None:
            target.end(ENDED)
            room.release()
            return True
        task = self._desk.supervisor.start(self._sent(sending, target), f"cancel {sending.visit.id}")
        task.add_done_callback(lambda _: self._is_left(sending, room))
        return True

    def _is_left(self, sending: Sending, room: asyncio.Semaphore) -> None:
        """Its task has ended; where a stop ended it before it began, it is settled here."""
        room.release()
        if not sending.is_over:
            close(self._recorder, sending, Outcome(Verdict.NOT_SENT, message="the guard was stopped"))

    async def _decided(self, target: Target) -> Sending | None:
        """Decides one cancel as soon as the broker's pace allows; None: the order has ended meanwhile."""
        while (holder := self._desk.state.holders.get(target.of)) is not None:
            header = order_of(holder.order).header
            intent = CancelOrder(header, holder.order_id, holder.order_id_ex)
            requester = self._requester(target) or next(iter(target.requesters.values()))  # none may: it is told why
            visit, situation = self._visit(requester, ONE), _situation(intent, holder.account, holder)
            wait_s = self._wait_s(visit, situation)
            if not wait_s:
                target.decision = visit.id
                return self._take(visit, situation)
            await asyncio.sleep(min(wait_s, SLICE_S))
        return None

    def _requester(self, target: Target) -> Requester | None:
        """The first requester who still may cancel; None: nobody does."""
        return next((found for one in target.requesters.values() if (found := self._renewed(one)) is not None), None)

    def _renewed(self, requester: Requester) -> Requester | None:
        """The requester with the key's present rights; None: the key is no longer valid. The guard itself always is.

        Limits that have changed meanwhile do not stop a cancel: no limit would have stopped it when it was asked for.
        """
        config, principal = self._desk.config, requester.principal
        if principal is None:
            return requester
        fresh = renewed(config.keyring, principal, now=self._desk.clock.wall(), issuers=config.issuers)
        return None if fresh is None else replace(requester, principal=fresh)

    async def _sent(self, sending: Sending, target: Target) -> None:
        outcome, message = Verdict.UNKNOWN.value, ""
        try:
            carried = await self._carrier.carried(sending)
            while carried.late is not None and self._requester(target) is not None:  # its key ended before it left
                again = await self._decided(target)
                if again is None:
                    outcome = ENDED
                    return
                carried = await self._carrier.carried(again)
            outcome, message = carried.outcome.verdict.value, carried.outcome.message
        finally:
            target.end(outcome, message)

    # ------------------------------------------------------------ all of an account and market at once

    async def _at_once(self, requester: Requester, targets: list[Target]) -> None:
        """One request for the orders of each market; those that the daemon refuses are cancelled one by one later."""
        markets: dict[tuple[int, int | None], tuple[Header, list[Target]]] = {}
        for target in targets:
            holder = self._desk.state.holders.get(target.of)
            if holder is not None and target.name(holder):
                header = order_of(holder.order).header
                markets.setdefault((header.trd_market, header.jp_acc_type), (header, []))[1].append(target)
        for header, own in markets.values():
            if len(own) > 1:
                known = frozenset(target.of for target in targets)
                await self._all(requester, CancelAll(header, header.trd_market), own, known=known)

    async def _all(
        self, requester: Requester, intent: CancelAll, targets: list[Target], *, known: frozenset[str]
    ) -> None:
        """`known`: the orders that the request may cancel; if it would cancel another as well, it is not sent."""
        situation = _situation(intent, targets[0].account, None)
        while True:
            visit = self._visit(self._renewed(requester) or requester, ALL)
            wait_s = self._wait_s(visit, situation)
            if not wait_s:
                break
            await asyncio.sleep(min(wait_s, SLICE_S))
        sending = self._take(visit, situation)
        sending.reaches_others = lambda: any(
            holder.id not in known for holder in orders_in_scope(self._desk, situation)
        )
        carried = await self._carrier.carried(sending)
        if carried.outcome.verdict is Verdict.ACCEPTED:
            for target in targets:
                target.decision = visit.id
                target.end(Verdict.ACCEPTED.value)

    # ------------------------------------------------------------ one request

    def _visit(self, requester: Requester, path: str) -> Visit:
        visit = self._desk.open_visit(Call("POST", path, {}, b"", requester.peer))
        endpoint = find("POST", path)
        if not isinstance(endpoint, Endpoint):
            raise AssertionError(f"{path} is not in the catalogue")  # noqa: TRY004 - a bug, not a type
        visit.endpoint, visit.effect, visit.principal = endpoint, Effect.ORDER_CANCEL, requester.principal
        visit.batch, visit.why = requester.batch, requester.why
        return visit

    def _take(self, visit: Visit, situation: Situation) -> Sending:
        """Decides, records and holds the cancel in one step. A broken journal does not stop a cancel."""
        outbound = outbound_of(self._desk, visit, situation)
        if outbound is None or outbound.body is None:
            raise AssertionError("a cancel of an order without an account")
        claims = tuple(claim for claim, _ in bucket_claims(visit, situation))
        seen = check_claims(self._desk.state, claims, t_us=visit.t_us)
        used = () if isinstance(seen, Taken) else seen.used
        judged = Judged(claims, used=used, order=outbound.body, is_simulated=situation.env is Env.SIMULATE)
        counter = bucket_of(visit, situation)
        if counter is not None:  # now: the next cancel looks before this one is sent
            self._desk.spacing.take(counter, Effect.ORDER_CANCEL, now_us=self._desk.clock.mono_us())
        sending = Sending(
            visit, situation, outbound, judged, record_cancel(self._recorder, visit, situation, judged=judged)
        )
        hold(self._recorder, sending, opening_of(visit, situation, judged))
        return sending

    def _wait_s(self, visit: Visit, situation: Situation) -> float:
        """How long the next request of this bucket has to wait for the broker's sake; 0: not at all."""
        counter, endpoint = bucket_of(visit, situation), visit.endpoint
        if counter is None or endpoint is None or endpoint.bucket is None:
            return 0
        desk, bucket = self._desk, endpoint.bucket
        gap_us = desk.spacing.next_us.get(counter, 0) - desk.clock.mono_us()
        claim = Claim("rate", counter, 1, cap=bucket.count - KEPT_FOR_OTHERS, window_ms=bucket.window_s * 1000)
        seen = check_claims(desk.state, (claim,), t_us=desk.clock.t_us())
        free_us = (seen.shortfalls[0].free_at_us or 0) - desk.clock.t_us() if isinstance(seen, Full) else 0
        return max(gap_us, free_us, 0) / 1_000_000


def record_cancel(recorder: Recorder, visit: Visit, situation: Situation, *, judged: Judged) -> int | None:
    """Records the cancel: its seq; None where the journal is broken, and the cancel is noted as a gap and goes on."""
    try:
        return recorder.allowed(visit, situation, judged)
    except JournalFault as fault:
        recorder.gap(visit, fault)
        return None


def close_split(recorder: Recorder, sending: Sending, each: Sequence[Holder]) -> None:
    """The one request for all is not sent itself, so its decision is settled, and its outcome recorded, at once."""
    message = f"{ONE_BY_ONE}: {len(each)} orders"
    close(recorder, sending, Outcome(Verdict.ACCEPTED, status=200, ret_type=0, message=message))
    if sending.seq is not None:
        _ = recorder.desk.supervisor.start(recorder.watch(sending.visit, sending.seq), f"record {sending.visit.id}")


def _situation(intent: CancelOrder | CancelAll, account: Account, holder: Holder | None) -> Situation:
    found = Situation(intent, acc_ids=(account.acc_id,), holder=holder)
    found.locate(account.env, account.acc_id)
    return found
