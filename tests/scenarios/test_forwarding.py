"""The daemon is sent what was judged, in one canonical form, under the guard's own names."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from guard.intent import order_of
from tests.support.guards import order
from tests.support.stage import ORDER, decision_of, is_passed, stage

SPELLINGS: Final = [
    order(),
    order(code="HK.00700"),
    {**order(), "order_type": "normal", "time_in_force": "DAY", "env": "SIMULATE"},
    {
        "c2s": {
            "header": {"trd_env": 0, "acc_id": "123456", "trd_market": 1},
            "trd_side": 1,
            "order_type": 1,
            "code": "00700",
            "qty": 100,
            "price": 300,
            "sec_market": 1,
        }
    },
]


@pytest.mark.parametrize("body", SPELLINGS)
async def test_b12_b26_w03_the_daemon_is_sent_what_was_judged(tmp_path: Path, body: dict[str, Any]) -> None:
    """However the order was spelt, the daemon receives one canonical form, and it is the one on record."""
    async with stage(tmp_path) as scene:
        reply = await scene.ask(ORDER, body)

        assert is_passed(reply)
        sent = scene.reached()[0]
        assert sent.body is not None
        decision = await scene.decision(reply)
        assert decision["order"] == json.loads(sent.body)
        assert decision["order"]["c2s"] == {
            "packet_id": decision["order"]["c2s"]["packet_id"],
            "header": {"trd_env": 0, "acc_id": 123456, "trd_market": 1},
            "trd_side": 1,
            "order_type": 1,
            "code": "00700",
            "qty": 100,
            "price": 300,
            "sec_market": 1,
            "remark": f"g:{decision_of(reply)}",
            "time_in_force": 0,
        }
        judged = order_of(sent.body)
        assert (judged.market, judged.symbol) == (decision["market"], decision["symbol"]) == ("HK", "HK.00700")
        assert decision["valuation"]["value"] == {"amount": "30000", "currency": "HKD"}
        assert (sent.path, sent.method) == (ORDER, "POST")


@pytest.mark.parametrize(
    "body",
    [
        order(code="US.AAPL"),  # an HK header, a US code
        order(sec_market=2),
        {**order(), "accID": 281756478875559548},
        {**order(), "trd_env": 1},
        {"c2s": {"header": {"trd_env": 0, "acc_id": 123456, "trd_market": 1}}, **order()},
        order(Qty=1),
        order(qty="100"),
        order(price="300"),
    ],
)
async def test_w03_w11_what_tells_two_stories_reaches_nobody(tmp_path: Path, body: dict[str, Any]) -> None:
    """A body that could be read in two ways is refused with 400 and never normalised."""
    async with stage(tmp_path) as scene:
        reply = await scene.ask(ORDER, body)

        assert reply.status == 400
        assert scene.reached() == []


async def test_the_guard_signs_orders_and_keeps_what_callers_wrote(tmp_path: Path) -> None:
    """An order without a remark carries its decision; one that has a remark keeps it."""
    async with stage(tmp_path) as scene:
        first, second = await scene.place(), await scene.place(remark="mine")

        remarks = [request.json["c2s"]["remark"] for request in scene.reached()]
        assert remarks == [f"g:{decision_of(first)}", "mine"]
        assert is_passed(second)


async def test_an_order_is_not_signed_where_that_is_turned_off(tmp_path: Path) -> None:
    """With stamp_remark = false an order goes without a remark."""
    toml = "[trading]\nenabled = true\n[daemon]\nstamp_remark = false\n"
    async with stage(tmp_path, toml=toml) as scene:
        await scene.place()

        assert "remark" not in scene.reached()[0].json["c2s"]


async def test_keys_of_the_caller_end_at_the_guard(tmp_path: Path) -> None:
    """The daemon gets the guard's own key, Idempotency-Key and packet id, never the caller's."""
    header = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
    body: dict[str, Any] = {"packet_id": {"conn_id": 77, "serial_no": 1234}, "header": header}
    body |= {"trd_side": 1, "order_type": 1, "code": "00700", "qty": 100, "price": 200}
    async with stage(tmp_path) as scene:
        reply = await scene.ask(ORDER, {"c2s": body}, idempotency_key="callers-own")

        sent = scene.reached()[0]
        assert sent.lend == "guard"
        assert sent.idempotency_key == decision_of(reply)
        assert sent.json["c2s"]["packet_id"]["conn_id"] == 0
        assert sent.json["c2s"]["packet_id"] != body["packet_id"]
        assert (await scene.decision(reply))["packet_id"] == [77, 1234]
        assert b"callers-own" not in (tmp_path / "state/journal/00000001.jsonl").read_bytes()


async def test_b18_packet_ids_do_not_come_back(tmp_path: Path) -> None:
    """Two orders never share a packet id, which the daemon would answer from memory."""
    async with stage(tmp_path) as scene:
        for n in range(3):
            assert is_passed(await scene.place(remark=f"r{n}"))

        serials = [request.json["c2s"]["packet_id"]["serial_no"] for request in scene.reached()]
        assert len(set(serials)) == 3
        assert len(scene.daemon.orders) == 3
