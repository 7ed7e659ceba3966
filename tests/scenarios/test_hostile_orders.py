"""Orders that are written to be judged as something else than they are."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.guards import order
from tests.support.stage import CANCEL_ALL, MODIFY, ORDER, account, code_of, is_passed, stage

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
