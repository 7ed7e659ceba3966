"""Whatever the daemon does to a trade, the guard says what is known: accepted, refused, not sent, or unknown.

Unknown is held, shown and never sent again.
"""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from guard.limits import unknowns
from guard.simulator.faults import (
    STUB_ORDER_ID,
    Delay,
    Fault,
    Garbage,
    HttpError,
    Ids,
    Reset,
    RetType,
    Stage,
    Unreachable,
)
from guard.terms import Answer, Reply
from tests.support.guards import operate, said
from tests.support.stage import DAILY, MODIFY, ORDER, code_of, decision_of, is_passed, stage
from tests.support.stage import Stage as Scene

SOON: Final = '[trading]\nenabled = true\n[daemon]\norder_timeout_s = 0.01\nbroker_limits = "off"\n'
ENVELOPE: Final = b'{"ret_type":0,"s2c":{"order_id":5,"order_id_ex":"FH5"}'


class Row(NamedTuple):
    """A fault, the verdict on a new order, whether the daemon took the order, and what a simulated one is told."""

    fault: Fault
    verdict: str
    acted: bool = False
    passes_simulated: bool = False


FAULTS: Final = {
    "nobody listens": Row(Unreachable(), "not_sent"),
    "reset before acting": Row(Reset(acts=False), "unknown"),
    "reset after acting": Row(Reset(acts=True), "unknown", acted=True),
    "timeout after acting": Row(Delay(0.05), "unknown", acted=True),
    "timeout, then a refusal": Row(Delay(0.05, then=RetType(-1)), "unknown"),
    "400": Row(HttpError(400), "refused"),
    "401": Row(HttpError(401), "refused"),
    "403": Row(HttpError(403), "refused"),
    "404": Row(HttpError(404), "refused"),
    "408": Row(HttpError(408), "unknown"),
    "409": Row(HttpError(409), "unknown"),
    "429": Row(HttpError(429), "refused"),
    "500 before acting": Row(HttpError(500), "unknown"),
    "500 after acting": Row(HttpError(500, acts=True), "unknown", acted=True),
    "502": Row(HttpError(502), "unknown"),
    "503": Row(HttpError(503), "unknown"),
    "504": Row(HttpError(504), "unknown"),
    "302": Row(HttpError(302), "unknown"),
    "-1": Row(RetType(-1), "refused"),
    "-500": Row(RetType(-500), "refused"),
    "-100": Row(RetType(-100, acts=True), "unknown", acted=True),
    "-200": Row(RetType(-200), "unknown"),
    "-400": Row(RetType(-400), "unknown"),
    "another ret_type": Row(RetType(7), "unknown"),
    "a stub": Row(Ids(), "unknown", passes_simulated=True),
    "b34 an empty id": Row(Ids(0, ""), "unknown", passes_simulated=True),
    "a zero id": Row(Ids(STUB_ORDER_ID, "000"), "unknown", passes_simulated=True),
    "garbage": Row(Garbage(), "unknown"),
    "nothing at all": Row(Garbage(b""), "unknown"),
    "half an envelope": Row(Garbage(ENVELOPE), "unknown"),
    "an envelope said twice": Row(Garbage(b'{"ret_type":-1,' + ENVELOPE[1:] + b"}"), "unknown"),
    "a list": Row(Garbage(b"[]"), "unknown"),
    "an id that is no id": Row(Garbage(b'{"ret_type":0,"s2c":{"order_id_ex":[7]}}'), "unknown", passes_simulated=True),
    "a ret_type beyond all bounds": Row(Garbage(b'{"ret_type":1%s}' % (b"0" * 400)), "unknown"),
    "a ret_type of five thousand digits": Row(Garbage(b'{"ret_type":1%s}' % (b"0" * 5000)), "unknown"),
    "a message of a megabyte": Row(Garbage(b'{"ret_type":-1,"ret_msg":"%s"}' % (b"\\u001b" * 150_000)), "refused"),
}


@pytest.mark.parametrize("env", ["simulate", "real"])
@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_has_its_verdict(tmp_path: Path, name: str, env: str) -> None:
    """One request leaves, the record says what is known of it, unknown holds its money, and the caller is told so."""
    row = FAULTS[name]
    async with stage(tmp_path, policies=DAILY, toml=SOON) as scene:
        scene.daemon.faults.add(row.fault, path=ORDER)
        reply = await scene.place(env=env)

        assert len(scene.reached()) == 1
        assert len(scene.daemon.orders) == row.acted
        assert (await scene.outcome(reply))["verdict"] == row.verdict
        assert scene.held() == (20_000 if row.verdict == "unknown" else 0)
        if row.verdict == "unknown":
            assert_told(reply, is_stub=row.passes_simulated and env == "simulate")
        in_doubt = [step.id for step in unknowns(scene.guard.desk.state)]
        assert in_doubt == ([decision_of(reply)] if row.verdict == "unknown" else [])
        known = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
        assert known["verdict"] == row.verdict


def assert_told(reply: Reply, *, is_stub: bool) -> None:
    """The caller knows that nobody knows."""
    if is_stub:
        assert reply.status == 200
        assert dict(reply.headers)["Guard-Outcome"] == "unknown"
        return
    assert code_of(reply) == (504, "outcome_unknown")
    assert said(reply)["ret_type"] == -100
    assert said(reply)["s2c"] is None
    assert decision_of(reply) in said(reply)["ret_msg"]


async def test_b33_the_answer_of_an_earlier_order_is_not_this_ones(tmp_path: Path) -> None:
    """An id that another order was given before proves nothing: unknown, and told so in either environment."""
    for env in ("simulate", "real"):
        directory = tmp_path / env
        directory.mkdir()
        async with stage(directory, policies=DAILY) as scene:
            earlier = scene.daemon.orders[await scene.placed(env=env)]
            scene.daemon.faults.add(Ids(earlier.order_id, earlier.order_id_ex), path=ORDER)
            reply = await scene.place(env=env, remark="another")

            assert code_of(reply) == (504, "outcome_unknown")
            assert scene.held() == 40_000


async def test_a_repeated_stub_stays_a_stub(tmp_path: Path) -> None:
    """The daemon answers every simulated US order with the same stub: each passes, marked as unknown."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.daemon.quirks.us_simulate_stubs = True
        for n in range(3):
            reply = await scene.place(market="US", code="AAPL", price=100, remark=f"n{n}")
            assert_told(reply, is_stub=True)
            assert said(reply)["s2c"]["order_id"] == STUB_ORDER_ID


async def test_a_stub_with_a_bad_status_does_not_pass(tmp_path: Path) -> None:
    """Only a success can be a stub: a 500 with ret_type 0 is 504 in the simulated environment too."""

    class Confused:
        async def play(self, _: Stage) -> Answer:
            return Answer(500, "application/json", b'{"ret_type":0,"s2c":{"order_id":0}}')

    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(Confused(), path=ORDER)
        assert code_of(await scene.place()) == (504, "outcome_unknown")


@pytest.mark.parametrize("ret_type", [-100, -200, -400])
async def test_an_order_that_happened_although_nobody_said_so_is_sent_once(tmp_path: Path, ret_type: int) -> None:
    """The daemon acted and did not say so: there is one order, and the caller's own retry is stopped by its key."""
    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(RetType(ret_type, acts=True), path=ORDER)
        await scene.place(key="k")
        again = await scene.place(key="k")

        assert code_of(again) == (409, "outcome_unknown")
        assert len(scene.reached()) == len(scene.daemon.orders) == 1


Change = Callable[[Scene, str], Awaitable[Reply]]


async def _modify(scene: Scene, order: str) -> Reply:
    return await scene.modify(order, price=250)


async def _cancel(scene: Scene, order: str) -> Reply:
    return await scene.cancel(order)


@pytest.mark.parametrize(("act", "held"), [(_modify, 25_000), (_cancel, 20_000)])
@pytest.mark.parametrize("name", [name for name, row in FAULTS.items() if not row.passes_simulated])
async def test_changes_and_cancels_meet_the_same_verdicts(tmp_path: Path, name: str, act: Change, held: int) -> None:
    """A change of unknown outcome holds the larger of old and new, a cancel holds what its order holds."""
    row = FAULTS[name]
    async with stage(tmp_path, policies=DAILY, toml=SOON) as scene:
        order = await scene.placed()
        scene.daemon.faults.add(row.fault, path=MODIFY)
        reply = await act(scene, order)

        assert len(scene.reached(MODIFY)) == 1
        assert (await scene.outcome(reply))["verdict"] == row.verdict
        assert scene.held() == Decimal(held if row.verdict == "unknown" else 20_000)
        if row.verdict == "unknown":
            assert_told(reply, is_stub=False)


async def test_what_is_unknown_is_shown(tmp_path: Path) -> None:
    """The operator sees every trade in doubt, in the status, the readiness and the metrics."""
    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(HttpError(500), path=ORDER)
        reply = await scene.place()

        assert (await operate(scene.guard, "/status"))[1]["unknown"] == [decision_of(reply)]
        words = "with unknown outcome: named in /status, see guard settle"
        assert (await operate(scene.guard, "/readyz"))[1]["reasons"] == [f"1 trade {words}"]
        exposed = (await operate(scene.guard, "/metrics"))[1]
        assert "guard_unknown_orders 1.0" in exposed
        assert 'guard_order_outcomes_total{outcome="unknown"} 1.0' in exposed
        scene.daemon.faults.add(HttpError(500), path=ORDER)
        await scene.place(price=201)
        assert (await operate(scene.guard, "/readyz"))[1]["reasons"] == [f"2 trades {words}"]


async def test_the_state_on_disk_says_what_memory_says(tmp_path: Path) -> None:
    """After every fault there is, a restart finds exactly the ledger that was there before."""
    async with stage(tmp_path, policies=DAILY, toml=SOON) as scene:
        for n, row in enumerate(FAULTS.values()):
            scene.daemon.faults.add(row.fault, path=ORDER)
            await scene.place(remark=f"n{n}", key=f"k{n}")
            scene.clock.advance(us=7)
        before = scene.ledger()
    async with stage(tmp_path, policies=DAILY, toml=SOON, clock=scene.clock) as scene:
        assert json.dumps(scene.ledger(), sort_keys=True) == json.dumps(before, sort_keys=True)
        assert is_passed(await scene.place(remark="and on"))
