"""Who may talk to the daemon next, and on which connection."""

import asyncio
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.terms import Failure, Outbound
from guard.upstream.connection import DaemonConnection
from guard.upstream.pool import (
    TRADE_IDLE_MAX_S,
    IdleConnections,
    RequestSlots,
    SlotWaiter,
    Urgency,
    WaitQueue,
    urgency_of,
)

CANCEL, TRADE, OTHER = Urgency.CANCEL, Urgency.TRADE, Urgency.OTHER


async def turns(count: int = 3) -> None:
    """Let everyone who can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def later(seconds: float = 5.0) -> float:
    """A deadline."""
    return asyncio.get_running_loop().time() + seconds


def take(slots: RequestSlots, urgency: Urgency, seconds: float = 5.0) -> "asyncio.Task[Failure | None]":
    """Someone who wants a slot."""
    return asyncio.ensure_future(slots.take(urgency, deadline_s=later(seconds)))


@pytest.mark.parametrize(
    ("request_", "urgency"),
    [
        (Outbound("POST", "/api/modify-order", b"", 1.0, is_trade=True, is_cancel=True), CANCEL),
        (Outbound("POST", "/api/order", b"", 1.0, is_trade=True), TRADE),
        (Outbound("GET", "/api/ping", None, 1.0), OTHER),
    ],
)
def test_urgency_follows_what_a_request_does(request_: Outbound, urgency: Urgency) -> None:
    """Cancels before trades before the rest."""
    assert urgency_of(request_) is urgency


@pytest.mark.parametrize(
    ("slots_max", "expected"), [(1, (1, 1, 1)), (2, (2, 2, 2)), (3, (3, 2, 1)), (6, (6, 4, 2)), (64, (64, 62, 60))]
)
async def test_slots_are_kept_for_those_who_come_first(slots_max: int, expected: tuple[int, int, int]) -> None:
    """Of each urgency alone, as many get a slot as the reserve of the more urgent leaves."""
    for urgency, count in zip((CANCEL, TRADE, OTHER), expected, strict=True):
        slots = RequestSlots(slots_max=slots_max, waiters_max=100)
        waiting = [take(slots, urgency) for _ in range(slots_max + 3)]
        await turns()

        assert slots.in_use == count
        slots.close()
        await asyncio.gather(*waiting)


async def test_a_freed_slot_goes_to_the_most_urgent_in_order_of_arrival() -> None:
    """Cancels first, then trades, then the rest; first come first served among equals; nobody overtakes."""
    slots = RequestSlots(slots_max=1, waiters_max=10)
    assert await slots.take(OTHER, deadline_s=later()) is None
    served: list[str] = []

    async def one(name: str, urgency: Urgency) -> None:
        assert await slots.take(urgency, deadline_s=later()) is None
        served.append(name)
        slots.give_back()

    arrivals = [("r1", OTHER), ("t1", TRADE), ("r2", OTHER), ("c1", CANCEL), ("t2", TRADE), ("c2", CANCEL)]
    tasks = []
    for name, urgency in arrivals:
        tasks.append(asyncio.ensure_future(one(name, urgency)))
        await turns()
    slots.give_back()
    await asyncio.gather(*tasks)

    assert served == ["c1", "c2", "t1", "t2", "r1", "r2"]
    assert slots.in_use == 0


async def test_waiting_is_bounded_in_number_and_time() -> None:
    """Too many waiters: refused at once; too long: the same; in both cases nothing was sent and nothing is lost."""
    slots = RequestSlots(slots_max=1, waiters_max=1)
    assert await slots.take(OTHER, deadline_s=later()) is None
    waiting = take(slots, OTHER, 0.01)
    await turns()

    refused = await slots.take(OTHER, deadline_s=later())
    late = await waiting

    assert refused is not None
    assert (refused.kind, refused.is_sent) == ("held", False)
    assert late is not None
    assert (late.kind, late.is_sent) == ("held", False)
    slots.give_back()
    assert slots.in_use == 0


async def test_a_slot_given_to_someone_who_just_left_goes_on() -> None:
    """Cancelled in the very turn in which the slot came: the next in line gets it."""
    slots = RequestSlots(slots_max=1, waiters_max=10)
    assert await slots.take(OTHER, deadline_s=later()) is None
    first, second = take(slots, OTHER), take(slots, OTHER)
    await turns()

    slots.give_back()
    first.cancel()

    assert await second is None
    assert first.cancelled() or isinstance(first.exception(), asyncio.CancelledError)
    assert slots.in_use == 1


async def test_a_closed_pool_gives_no_slots() -> None:
    """Those who wait and those who come are refused, unsent."""
    slots = RequestSlots(slots_max=1, waiters_max=10)
    assert await slots.take(OTHER, deadline_s=later()) is None
    waiting = take(slots, TRADE)
    await turns()
    slots.close()

    slots.give_back()

    assert not slots.take_now(CANCEL)
    for refused in (await waiting, await slots.take(CANCEL, deadline_s=later())):
        assert refused is not None
        assert (refused.kind, refused.is_sent) == ("held", False)
    assert slots.in_use == 0


async def test_someone_who_left_as_he_was_turned_away_gives_nothing_back() -> None:
    """He had no slot: one more would be under way than may be."""
    slots = RequestSlots(slots_max=1, waiters_max=10)
    assert await slots.take(OTHER, deadline_s=later()) is None
    waiting = take(slots, TRADE)
    await turns()

    slots.close()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert slots.in_use == 1


async def test_owners_take_turns() -> None:
    """One request of a key waits behind one of a key that has a hundred waiting, and not behind all of them."""
    slots, served = RequestSlots(slots_max=1, waiters_max=1000), list[str]()
    assert await slots.take(OTHER, deadline_s=later()) is None

    async def one(owner: str) -> None:
        assert await slots.take(OTHER, deadline_s=later(), owner=owner) is None
        served.append(owner)
        slots.give_back()

    waiting = [asyncio.ensure_future(one(owner)) for owner in ["hog"] * 100 + ["bot", "agent", "bot"]]
    await turns()
    slots.give_back()
    await asyncio.gather(*waiting)
    assert served[:5] == ["hog", "bot", "agent", "hog", "bot"]
    assert served[5:] == ["hog"] * 98


async def test_no_owner_fills_a_line_against_others() -> None:
    """Where a line is full, whoever has fewer waiting takes the place of the latest of whoever has most, unsent."""
    slots, told = RequestSlots(slots_max=1, waiters_max=4), dict[str, Failure | None]()
    assert await slots.take(CANCEL, deadline_s=later()) is None

    async def one(name: str) -> None:
        told[name] = await slots.take(CANCEL, deadline_s=later(), owner=name[0])
        if told[name] is None:
            slots.give_back()

    waiting = []
    for name in ("h1", "h2", "h3", "h4", "h5", "b1", "b2", "b3"):
        waiting.append(asyncio.ensure_future(one(name)))
        await turns()
    slots.give_back()
    await asyncio.gather(*waiting)
    assert [name for name, failure in told.items() if failure is None] == ["h1", "b1", "h2", "b2"]
    assert {failure.kind for failure in told.values() if failure is not None} == {"held"}
    assert slots.in_use == 0


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["", "a", "b"])), max_size=40))
async def test_a_line_serves_everybody_once(steps: list[tuple[bool, str]]) -> None:
    """Against a model: each owner in its own order, no owner twice while another waits, nobody lost."""
    line, model = WaitQueue(), dict[str, list[SlotWaiter]]()
    for is_coming, owner in steps:
        if is_coming:
            waiter: SlotWaiter = asyncio.get_running_loop().create_future()
            line.append(waiter, owner)
            model.setdefault(owner, []).append(waiter)
        elif model.get(owner):
            line.remove(model[owner].pop(), owner)
            line.remove(asyncio.get_running_loop().create_future(), owner)
            if not model[owner]:
                del model[owner]
    while model:
        assert line.count == sum(map(len, model.values()))
        owner = next(iter(model))
        waiting = model.pop(owner)
        assert line.popleft() is waiting.pop(0)
        if waiting:
            model[owner] = waiting
    assert not line.count


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from(list(Urgency)), st.booleans()), max_size=30))
def test_slots_are_never_lost_nor_made(slots_max: int, plan: list[tuple[Urgency, bool]]) -> None:
    """Any mix of arrivals, departures and cancellations stays within the bound and ends at zero."""

    async def main() -> None:
        slots = RequestSlots(slots_max=slots_max, waiters_max=100)
        running: list[asyncio.Task[None]] = []
        most = 0

        async def one(urgency: Urgency) -> None:
            nonlocal most
            assert await slots.take(urgency, deadline_s=later()) is None
            most = max(most, slots.in_use)
            try:
                await turns(2)
            finally:
                slots.give_back()

        for urgency, is_cancelled in plan:
            running.append(asyncio.ensure_future(one(urgency)))
            await turns(1)
            if is_cancelled:
                running[len(running) // 2].cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert most <= slots_max
        assert slots.in_use == 0

    asyncio.run(main())


class FakeConnection:
    """What `IdleConnections` asks of a connection."""

    def __init__(self) -> None:
        self.idle_since_s = 0.0
        self.is_open = True

    def drop(self) -> None:
        """Closed."""
        self.is_open = False


def put(idle: IdleConnections, idle_s: float = 0.0) -> FakeConnection:
    """A connection that has been idle for so long."""
    connection = FakeConnection()
    idle.put(cast("DaemonConnection", connection))
    connection.idle_since_s -= idle_s
    return connection


async def test_the_connection_used_last_is_used_first() -> None:
    """The others grow old and are dropped."""
    idle = IdleConnections(idle_max_s=15.0)
    first, second = put(idle), put(idle)

    assert idle.pick(is_trade=False) is cast("DaemonConnection", second)
    assert idle.pick(is_trade=False) is cast("DaemonConnection", first)
    assert idle.pick(is_trade=False) is None
    idle.close()


async def test_a_trade_takes_no_connection_that_was_idle_for_two_seconds() -> None:
    """Older ones stay for reads."""
    idle = IdleConnections(idle_max_s=15.0)
    old = put(idle, TRADE_IDLE_MAX_S)

    assert idle.pick(is_trade=True) is None
    assert idle.pick(is_trade=False) is cast("DaemonConnection", old)
    young = put(idle, TRADE_IDLE_MAX_S - 0.5)
    assert idle.pick(is_trade=True) is cast("DaemonConnection", young)
    idle.close()


async def test_idle_connections_are_dropped_when_their_time_is_over() -> None:
    """One timer, oldest first, until none is left, and then none; the next one has a timer again."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    idle = IdleConnections(idle_max_s=0.02)
    first = put(idle)
    await asyncio.sleep(0.01)
    second = put(idle)

    await asyncio.sleep(0.05)

    assert not first.is_open
    assert not second.is_open
    assert len(idle) == 0
    third = put(idle)
    await asyncio.sleep(0.05)
    assert not third.is_open
    assert faults == []


async def test_closing_and_forgetting_leave_nothing_behind() -> None:
    """A connection that is lost is not handed out; closing drops the rest."""
    idle = IdleConnections(idle_max_s=15.0)
    lost, kept = put(idle), put(idle)
    idle.forget(cast("DaemonConnection", lost))
    idle.forget(cast("DaemonConnection", lost))
    idle.close()
    idle.drop_oldest()

    assert lost.is_open
    assert not kept.is_open
    assert len(idle) == 0
