"""Orders that are written to be judged as something else than they are, or to slip past what stopped them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from guard.simulator.faults import Reset
from guard.simulator.orders import Status
from tests.support.daemon import Busy
from tests.support.guards import codes, order, record, said, write_keys
from tests.support.stage import CANCEL_ALL, DAILY, MODIFY, ORDER, account, code_of, decision_of, is_passed, stage

US_ONLY = """
[orders]
max_value = ["100000 HKD", "100000 USD"]
[instruments]
markets = ["US", "HK_FUND"]
blocked_symbols = ["US.AAPL"]
"""


@pytest.mark.parametrize(
    ("market", "code"), [("US", "US.HK.00700"), ("US", "US.US.AAPL"), ("HK_FUND", "HK.US.AAPL"), ("US", "US.CN.600519")]
)
async def test_w03_a_second_prefix_names_no_other_market(tmp_path: Path, market: str, code: str) -> None:
    """The daemon reads a code's prefix before anything else: one that is left in a code would be what is traded."""
    async with stage(tmp_path, policies=US_ONLY) as s:
        reply = await s.ask(ORDER, order(market=market, code=code, price=10, qty=100))

        assert code_of(reply) == (400, "bad_value")
        assert not s.reached()


@pytest.mark.parametrize(
    ("market", "code"),
    [("US_FUND", "AAPL260116C200000"), ("US_FUND", "US.AAPL"), ("HK_FUND", "00700"), ("HK_FUND", "HK.80700")],
)
async def test_w03_nothing_listed_is_traded_as_a_fund(tmp_path: Path, market: str, code: str) -> None:
    """The daemon goes by the code: an option would be valued without its multiplier, a share have a fund's hours."""
    async with stage(tmp_path, policies='[orders]\nmax_value = ["2000 HKD", "2000 USD"]') as s:
        reply = await s.ask(ORDER, order(market=market, code=code, price=5, qty=100))

        assert code_of(reply) == (400, "bad_value")
        assert "listed" in said(reply)["ret_msg"]
        assert not s.reached()
        fund = "HK0000123456" if market == "HK_FUND" else "IE00B4L5Y983"
        await s.ask(ORDER, order(market=market, code=fund, price=5, qty=100))
        assert len(s.reached()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"aux_price": 250},
        {"trail_type": "RATIO", "trail_value": 5},
        {"trail_spread": 1},
        {"market": "FUTURES", "price": 200.123456789},
        {"market": "US"},
    ],
)
async def test_a_change_cannot_make_what_could_not_be_placed(tmp_path: Path, odd: dict[str, Any]) -> None:
    """A limit order takes no trigger, no trail and no other market's header by a change; and it can be changed on."""
    async with stage(tmp_path) as s:
        placed = await s.placed()

        assert code_of(await s.modify(placed, **odd)) == (400, "bad_value")
        assert not s.reached(MODIFY)
        assert is_passed(await s.modify(placed, qty=200))


async def test_w12_a_cancel_of_everything_names_the_market_that_was_looked_at(tmp_path: Path) -> None:
    """Without a market FTAPI takes every order of the account, other keys' in other markets too."""
    async with stage(tmp_path) as s:
        assert is_passed(await s.ask(CANCEL_ALL, account()))
        assert is_passed(await s.ask(MODIFY, account(op="CANCEL", for_all=True)))

        sent = s.reached(CANCEL_ALL) + s.reached(MODIFY)
        assert [request.json["c2s"]["trd_market"] for request in sent] == [1, 1]


async def test_a_halt_reaches_orders_that_wait_for_a_connection(tmp_path: Path) -> None:
    """The HALT file is looked at before each send, not only before the wait for one."""
    daemon = Busy()
    async with stage(tmp_path, daemon=daemon, policies=DAILY) as s:
        asked = asyncio.ensure_future(s.place())
        await daemon.waiting.wait()
        (tmp_path / "state" / "HALT").touch()
        daemon.free.set()

        reply = await asked
        assert code_of(reply) == (423, "halted")
        assert not s.reached()
        assert s.held() == 0
        assert (await s.outcome(reply))["verdict"] == "not_sent"


@pytest.mark.parametrize("waited_s", [9, 11])
async def test_an_order_that_waits_too_long_for_a_connection_is_told_its_age(tmp_path: Path, waited_s: int) -> None:
    """It was the guard that held it: nothing is said of the daemon, which is up."""
    daemon = Busy()
    async with stage(tmp_path, daemon=daemon, policies=DAILY) as s:
        asked = asyncio.ensure_future(s.place())
        await daemon.waiting.wait()
        s.clock.advance(s=waited_s)
        daemon.free.set()

        reply = await asked
        assert s.guard.desk.circuits.is_answering is not False
        if waited_s == 9:
            assert is_passed(reply)
        else:
            assert code_of(reply) == (503, "overloaded")
            assert "decided 11 s ago" in said(reply)["ret_msg"]
            assert "decided 11 s ago" in (await s.outcome(reply))["message"]
            assert not s.reached()
            assert s.held() == 0


async def test_b03_a_revoked_key_does_not_send_what_waits(tmp_path: Path) -> None:
    """A key that is taken away while its order waits for a connection: the order stays here."""
    daemon = Busy()
    async with stage(tmp_path, daemon=daemon) as s:
        asked = asyncio.ensure_future(s.place())
        await daemon.waiting.wait()
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        await s.guard.reload()
        daemon.free.set()

        assert code_of(await asked) == (401, "unauthenticated")
        assert not s.reached()


@pytest.mark.parametrize("what", ["revoked", "locked"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/unlock-trade", {"unlock": True, "pwd_md5": "0" * 32}),
        ("/api/admin/reload", {}),
        ("/api/subscribe", {"symbols": ["HK.00700"], "sub_types": ["BASIC"]}),
        ("/api/set-price-reminder", {"symbol": "HK.00700", "op": 1}),
    ],
)
async def test_b03_nothing_that_changes_something_leaves_late(
    tmp_path: Path, path: str, body: dict[str, Any], what: str
) -> None:
    """A password, or whatever else is no order, that waits for a connection: it stays here once the key has ended."""
    daemon = Busy()
    daemon.busy_for = frozenset({path})
    async with stage(tmp_path, daemon=daemon) as s:
        asked = asyncio.ensure_future(s.ask(path, body))
        await daemon.waiting.wait()
        if what == "locked":
            await s.set_state("locked", keys=("bot",))
        else:
            write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
            await s.guard.reload()
        daemon.free.set()

        assert code_of(await asked) == ((423, "halted") if what == "locked" else (401, "unauthenticated"))
        assert not s.reached(path)
        assert s.guard.desk.circuits.is_answering is not False


async def test_a_refusal_that_no_waiting_cures_names_no_wait(tmp_path: Path) -> None:
    """A full rate beside an account that is none: the exact wait of the rate is no promise for the order."""
    rated = '[orders]\nmax_value = "100000 HKD"\n[rates]\nnew_orders = "1/30s"\n'
    async with stage(tmp_path, policies=rated) as s:
        assert is_passed(await s.place())
        reply = await s.place(acc_id=77, qty=200)
        asked = {"path": ORDER, "body": order(acc_id=77, price=200, qty=200)}
        tried = said(await s.ask("/guard/v1/check", asked))

        assert codes(reply) == ["account", "rate"]
        assert said(reply)["guard"]["retry_after_s"] is None
        assert tried["guard"]["retry_after_s"] is None
        assert said(await s.place(qty=200))["guard"]["retry_after_s"] == 30


async def test_nobody_writes_the_guards_own_mark_on_an_order(tmp_path: Path) -> None:
    """A small order that bears the mark of a large one in doubt would be taken for it, and its end free the money."""
    async with stage(tmp_path, policies=DAILY) as s:
        s.daemon.faults.add(Reset(acts=True), path=ORDER)
        large = await s.place(qty=200)
        assert code_of(large) == (504, "outcome_unknown")
        for remark in (f"g:{decision_of(large)}", f" g:{decision_of(large)} "):
            s.daemon.faults.add(Reset(acts=True), path=ORDER)
            assert code_of(await s.place(qty=100, remark=remark)) == (400, "bad_value")
        for placed in s.daemon.orders.values():
            if placed.qty == 100:
                placed.status = Status.CANCELLED_ALL
        for _ in range(2):
            await s.guard.reconciler.turn()
            s.clock.advance(s=31)
        assert s.held() == 40_000


@pytest.mark.parametrize("code", ["AAPL", "US.AAPL"])
async def test_b16_the_market_is_the_codes_in_judging_counting_and_sending(tmp_path: Path, code: str) -> None:
    """With or without its prefix: dollars are counted, American rules bind, and the daemon is told that market."""
    keys = (record("bot", allowed_markets=["US"]), record("other", allowed_markets=["HK"]))
    async with stage(tmp_path, *keys, policies=DAILY) as s:
        american = order(market="US", code=code, price=100, qty=10)
        assert code_of(await s.ask(ORDER, american, who="other")) == (403, "market")
        reply = await s.ask(ORDER, american)
        assert is_passed(reply)
        assert (await s.decision(reply))["valuation"]["value"] == {"amount": "1000", "currency": "USD"}
        sent = s.reached()[0].json["c2s"]
        assert (sent["header"]["trd_market"], sent["sec_market"], sent["code"]) == (2, 2, "AAPL")
        assert code_of(await s.place(who="bot")) == (403, "market")
