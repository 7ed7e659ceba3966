"""What a key is shown: under `rights.see = "own"` its own orders and fills, live, ended, and after a restart."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator.faults import Garbage
from guard.terms import Outbound, Reply
from tests.support.guards import OPEN_POLICY, record, said
from tests.support.stage import Stage, account, again, code_of, stage

OWN: Final = {"open.toml": OPEN_POLICY, "own.toml": '[applies_to]\nkeys = ["bot-*"]\n[rights]\nsee = "own"\n'}
KEYS: Final = (record("bot-a"), record("bot-b"), record("desk", owner="a person"))
ORDERS: Final = "/api/orders"
PAST: Final = {"filter_conditions": {"begin_time": "2020-01-01 00:00:00", "end_time": "2030-01-01 00:00:00"}}
LISTS: Final = {
    "/api/orders": "order_list",
    "/api/history-orders": "order_list",
    "/api/order-fills": "order_fill_list",
    "/api/history-order-fills": "order_fill_list",
    "/api/order-fee": "order_fee_list",
}


def ids(reply: Reply, name: str = "order_list") -> set[str]:
    """The orders that an answer shows."""
    told = said(reply)
    assert told["ret_type"] == 0, told
    return {row["order_id_ex"] for row in told["s2c"][name]}


def hidden(reply: Reply) -> str | None:
    """How many rows the answer says are not shown."""
    return dict(reply.headers).get("Guard-Filtered")


async def test_each_key_sees_its_own_orders_and_the_answer_says_how_many_it_does_not(tmp_path: Path) -> None:
    """Rows go whole, 64-bit ids stay as they are; who is not bound by `own` sees the account."""
    async with stage(tmp_path, *KEYS, policies=OWN) as s:
        mine, theirs = await s.placed(who="bot-a"), await s.placed(who="bot-b", qty=200)
        whole = await s.ask(ORDERS, account(), who="desk")
        for who, shown in (("bot-a", mine), ("bot-b", theirs)):
            reply = await s.ask(ORDERS, account(), who=who)
            assert (ids(reply), hidden(reply)) == ({shown}, "1")
            (row,) = said(reply)["s2c"]["order_list"]
            assert row in said(whole)["s2c"]["order_list"]
        assert (ids(whole), hidden(whole)) == ({mine, theirs}, None)


@pytest.mark.parametrize("path", sorted(LISTS))
async def test_orders_fills_and_fees_are_cut_also_when_they_have_ended_and_after_a_restart(
    tmp_path: Path, path: str
) -> None:
    """A filled order is nobody's counter any more, and still its owner's to see."""
    async with stage(tmp_path, *KEYS, policies=OWN) as s:
        sold: dict[str, Any] = {"price": 390, "qty": 100}
        mine, theirs = await s.placed(who="bot-a", **sold), await s.placed(who="bot-b", **sold)
        await looked(s)
        assert not s.guard.desk.state.holders
    async with again(s.config, daemon=s.daemon, clock=s.clock) as s:
        body = account() | ({"order_id_ex_list": [mine, theirs]} if path == "/api/order-fee" else PAST)
        if path in {"/api/orders", "/api/order-fills"}:
            del body["filter_conditions"]
        for who, shown in (("bot-a", mine), ("bot-b", theirs)):
            reply = await s.ask(path, body, who=who)
            assert (ids(reply, LISTS[path]), hidden(reply)) == ({shown}, "1")


async def test_orders_placed_elsewhere_are_not_shown(tmp_path: Path) -> None:
    """Nobody's order is not one's own, before and after the guard has heard of it."""
    async with stage(tmp_path, *KEYS, policies=OWN) as s:
        mine = await s.placed(who="bot-a")
        await elsewhere(s)
        for _ in range(2):
            reply = await s.ask(ORDERS, account(), who="bot-a")
            assert (ids(reply), hidden(reply)) == ({mine}, "1")
            await looked(s)


async def test_an_order_whose_answer_was_lost_is_its_owners(tmp_path: Path) -> None:
    """The stamp in its remark says so until its ids are known: nobody places it again because it cannot be seen."""
    async with stage(tmp_path, *KEYS, policies=OWN) as s:
        s.daemon.faults.add(Garbage(acts=True), path="/api/order")
        assert code_of(await s.place(who="bot-a")) == (504, "outcome_unknown")
        assert len(ids(await s.ask(ORDERS, account(), who="bot-a"))) == 1
        assert not ids(await s.ask(ORDERS, account(), who="bot-b"))


@pytest.mark.parametrize(("env", "cut"), [("real", None), ("simulate", "0")])
async def test_the_tightest_word_of_the_policies_that_bind_counts(tmp_path: Path, env: str, cut: str | None) -> None:
    """What is said of simulated orders does not bind real ones; beside "account", "own" is the tighter."""
    policies = {
        "all.toml": OPEN_POLICY + '[rights]\nsee = "account"\n',
        "own.toml": '[applies_to]\nenvironments = ["simulate"]\n[rights]\nsee = "own"\n',
    }
    async with stage(tmp_path, policies=policies) as s:
        body = account(env=env, acc_id=123456 if env == "simulate" else 281756478875559548)
        assert hidden(await s.ask(ORDERS, body)) == cut


async def test_a_list_that_cannot_be_cut_is_not_shown(tmp_path: Path) -> None:
    """502 rather than somebody else's orders."""
    async with stage(tmp_path, *KEYS, policies=OWN) as s:
        s.daemon.faults.add(Garbage(), path=ORDERS)
        assert code_of(await s.ask(ORDERS, account(), who="bot-a")) == (502, "daemon_bad_answer")


async def test_without_policies_a_key_sees_its_own(tmp_path: Path) -> None:
    """Nobody knows what they would say; what may have to be hidden is."""
    broken = {"desk.toml": "[rights]\nsee = 7\n"}
    async with stage(tmp_path, policies=broken) as s:
        await elsewhere(s)
        assert not ids(await s.ask(ORDERS, account()))


async def elsewhere(s: Stage) -> None:
    """An order that the guard did not place."""
    body: dict[str, Any] = {"market": "HK", "acc_id": 123456, "env": "simulate", "side": "BUY", "code": "00700"}
    body |= {"qty": 300, "price": 200}
    await s.daemon.send(Outbound("POST", "/api/order", json.dumps(body).encode(), 1.0))


async def looked(s: Stage) -> None:
    """The guard has looked at the daemon's lists."""
    await s.guard.reconciler.turn()
    s.clock.advance(s=6)
    await s.guard.reconciler.turn()
