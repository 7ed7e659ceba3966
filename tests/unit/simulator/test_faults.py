"""Faults on demand, each as failed and as failed after it happened."""

import asyncio
import json
from typing import Any

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import (
    STUB_ORDER_ID,
    Delay,
    Fault,
    Garbage,
    Hold,
    HttpError,
    Ids,
    Reset,
    RetType,
    Unreachable,
)
from guard.terms import Answer, Failure
from tests.support.clock import ManualClock
from tests.support.daemon import ask
from tests.support.guards import order


def _simulator() -> Simulator:
    simulator = Simulator(clock=ManualClock())
    simulator.slept = []  # type: ignore[attr-defined]

    async def sleep(seconds: float) -> None:
        simulator.slept.append(seconds)  # type: ignore[attr-defined]

    simulator.sleep = sleep
    return simulator


FAILURES: list[tuple[Any, str, bool, int]] = [
    (Unreachable(), "refused", False, 0),
    (Reset(acts=False), "reset", True, 0),
    (Reset(acts=True), "reset", True, 1),
    (Delay(9), "timeout", True, 1),
    (Delay(5), "timeout", True, 1),
    (Delay(9, Reset(acts=False)), "timeout", True, 0),
    (Delay(1, Reset(acts=True)), "reset", True, 1),
]


@pytest.mark.parametrize(("fault", "kind", "is_sent", "orders"), FAILURES)
async def test_failures_say_whether_a_byte_may_have_left(fault: Fault, kind: str, is_sent: bool, orders: int) -> None:
    """And the order exists or not, whatever the caller was told."""
    simulator = _simulator()
    simulator.faults.add(fault)
    result = await ask(simulator, "/api/order", order())

    assert isinstance(result, Failure)
    assert (result.kind, result.is_sent, len(simulator.orders)) == (kind, is_sent, orders)


ANSWERS: list[tuple[Any, int, Any]] = [
    (HttpError(503), 503, {"error": "internal error"}),
    (RetType(-100), 200, {"ret_type": -100, "ret_msg": "[err_code=none] simulated", "err_code": None, "s2c": None}),
    (
        RetType(-1, "no", 7, is_text=True),
        200,
        {"ret_type": -1, "ret_msg": "[err_code=7] no", "err_code": "7", "s2c": None},
    ),
    (
        Ids(),
        200,
        {"ret_type": 0, "ret_msg": None, "err_code": None, "s2c": {"order_id": STUB_ORDER_ID, "order_id_ex": "0"}},
    ),
    (
        Ids(0, ""),
        200,
        {"ret_type": 0, "ret_msg": None, "err_code": None, "s2c": {"order_id": 0, "order_id_ex": ""}},
    ),
]


@pytest.mark.parametrize(("fault", "status", "body"), ANSWERS)
@pytest.mark.parametrize("acts", [False, True])
async def test_answers_may_lie(fault: Any, status: int, body: Any, acts: bool) -> None:
    """Errors, timeouts of the broker, stubs and empty ids (B34): with or without an order behind them."""
    simulator = _simulator()
    simulator.faults.add(
        type(fault)(**{name: getattr(fault, name) for name in fault.__struct_fields__} | {"acts": acts})
    )
    result = await ask(simulator, "/api/order", order())

    assert isinstance(result, Answer)
    assert (result.status, json.loads(result.body), len(simulator.orders)) == (status, body, int(acts))


@pytest.mark.parametrize("acts", [False, True])
async def test_garbage_is_no_envelope(acts: bool) -> None:
    """A 200 that cannot be read."""
    simulator = _simulator()
    simulator.faults.add(Garbage(b"<html>", "text/html", acts=acts))
    result = await ask(simulator, "/api/order", order())

    assert result == Answer(200, "text/html", b"<html>")
    assert len(simulator.orders) == int(acts)


async def test_a_short_delay_is_only_a_delay() -> None:
    """The caller waits, and has its answer."""
    simulator = _simulator()
    simulator.faults.add(Delay(2))

    assert isinstance(await ask(simulator, "/api/ping"), Answer)
    assert simulator.slept == [2]  # type: ignore[attr-defined]


async def test_a_held_request_waits_for_the_test() -> None:
    """Received, not carried out, until the event is set."""
    simulator, event = _simulator(), asyncio.Event()
    simulator.faults.add(Hold(event))
    simulator.faults.add(Hold(event, Reset(acts=True)))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(ask(simulator, "/api/order", order()))
        second = group.create_task(ask(simulator, "/api/order", order()))
        await asyncio.sleep(0)
        assert (len(simulator.requests), simulator.orders) == (2, {})
        event.set()

    assert isinstance(first.result(), Answer)
    assert isinstance(second.result(), Failure)
    assert len(simulator.orders) == 2


def test_queues_are_by_path_first_then_for_any_then_standing() -> None:
    """Each queued fault is met once, a standing one until it is taken away."""
    faults = _simulator().faults
    one, two, standing = HttpError(501), HttpError(502), HttpError(503)
    faults.add(one, times=2)
    faults.add(two, path="/api/order")
    faults.always(standing, path="/api/ping")

    assert [faults.take("/api/order") for _ in range(4)] == [two, one, one, None]
    assert [faults.take("/api/ping") for _ in range(2)] == [standing, standing]
    faults.always(None, path="/api/ping")
    assert faults.take("/api/ping") is None
    faults.always(standing)
    assert faults.take("/api/ping") is standing
    faults.clear()
    assert faults.take("/api/ping") is None
