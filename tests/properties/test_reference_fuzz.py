"""Any bytes from the daemon are a value or nothing; never an exception, never an impossible price."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.reference import Reference
from guard.reference.envelope import Declined, Silence, opened
from guard.reference.futures import parse_future_info
from guard.reference.positions import Holdings, parse_positions
from guard.reference.sessions import GlobalState, parse_global_state, parse_market_states
from guard.reference.snapshot import parse_snapshot
from guard.reference.static import parse_static_info
from guard.reference.tradingdays import Calendar, parse_trading_days
from guard.supervisor import Supervisor
from guard.terms import Answer, Failure, Instrument, Missing, Outbound, Quote, World
from tests.support.clock import ManualClock
from tests.support.reference import ACCOUNT, ALL, MONDAY, order

NAMES = [
    "security", "market", "code", "basic", "type", "sec_type", "lot_size", "cur_price", "bid_price", "ask_price",
    "last_close_price", "update_timestamp", "is_suspend", "pre_market", "price", "option_ex_data", "warrant_ex_data",
    "future_ex_data", "owner", "strike_price", "contract_size", "contract_size_float", "contract_multiplier",
    "last_settle_price", "quote_currency", "market_state", "time", "trade_date_type", "qty", "position_side",
    "sec_market", "currency", "header", "acc_id", "trd_env", "market_hk", "qot_logined", "snapshot_list",
    "static_info_list", "future_info_list", "market_info_list", "trade_date_list", "position_list",
]  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, 2, 3, 8, 10, 11, 99, 1795401000])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["00700", "HK.00700", "AAPL", "HKD", "港元", "2026-11-23", "", "x" * 40, "\u202e"])
    | st.text(max_size=8)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)
MARKET = st.sampled_from([1, 2, 11, 99, "1", None])
SECURITY = st.fixed_dictionaries({"market": MARKET, "code": st.just("00700") | LEAVES})
OURS = {"security": {"market": 1, "code": "00700"}}
BASIC = st.dictionaries(st.sampled_from(NAMES), LEAVES, max_size=10).map(lambda members: members | OURS)
ROW = st.dictionaries(st.sampled_from(NAMES), TREES | SECURITY, max_size=8)
ROWS = st.lists(ROW | st.fixed_dictionaries({"basic": BASIC}) | TREES, max_size=4)
S2C = st.dictionaries(st.sampled_from(NAMES[-12:]), ROWS | TREES, max_size=4)


def listed(prices: dict[str, Any]) -> dict[str, Any]:
    """A share that the daemon lists as one, with these prices."""
    return {
        "static_info_list": [{"basic": OURS | {"lot_size": 100, "sec_type": 3}}],
        "snapshot_list": [{"basic": OURS | {"type": 3, "lot_size": 100, "is_suspend": False} | prices}],
    }


LISTED = st.fixed_dictionaries(
    dict.fromkeys(("cur_price", "last_close_price", "bid_price", "ask_price", "update_timestamp"), LEAVES)
).map(listed)

PARSERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "snapshot": parse_snapshot,
    "static": parse_static_info,
    "futures": parse_future_info,
    "global state": parse_global_state,
    "market states": parse_market_states,
    "trading days": lambda s2c: parse_trading_days(s2c, begin=date(2026, 11, 22), end=date(2026, 12, 8)),
    "positions": lambda s2c: parse_positions(s2c, account=ACCOUNT),
}


def envelope(s2c: object, ret_type: object = 0) -> bytes:
    """The daemon's envelope around anything."""
    return json.dumps({"ret_type": ret_type, "ret_msg": "no", "s2c": s2c}).encode()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 999),
    st.binary(max_size=200) | st.builds(envelope, TREES, LEAVES) | st.builds(envelope, S2C),
)
def test_any_bytes_are_an_answer_or_none(status: int, body: bytes) -> None:
    """Whatever the status: a result comes with 200 alone."""
    found = opened(status, body)
    assert isinstance(found, Declined | Silence) or (status == 200 and isinstance(found, dict))


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS.keys())
@settings(max_examples=60, deadline=None)
@given(s2c=S2C)
def test_any_result_is_read_or_left(parse: Callable[[dict[str, Any]], object], s2c: dict[str, Any]) -> None:
    """By every parser, with the numbers as the envelope gives them."""
    found = opened(200, envelope(s2c))
    assert isinstance(found, dict | Silence)
    result = parse(found) if isinstance(found, dict) else None
    assert result is None or isinstance(result, dict | GlobalState | Calendar | Holdings)


class Nonsense:
    """A daemon that says these bytes to everything."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._place = 0

    async def send(self, _: Outbound) -> Answer | Failure:
        """The next of them."""
        self._place += 1
        return Answer(200, "application/json", self._answers[self._place % len(self._answers)])


def prices_of(world: World) -> list[Decimal]:
    """Every price of a world."""
    quotes = [part for part in (world.quote, world.underlying) if isinstance(part, Quote)]
    shown = [(q.last, q.bid, q.ask, q.prev_close, q.extended) for q in quotes]
    return [price for row in shown for price in row if price is not None]


@settings(max_examples=40, deadline=None)
@given(
    answers=st.lists(st.binary(max_size=50) | st.builds(envelope, S2C, LEAVES) | st.builds(envelope, S2C), min_size=1)
    | st.lists(st.builds(envelope, LISTED), min_size=1, max_size=1),
    symbol=st.sampled_from(["HK.00700", "US.AAPL261218C200000", "HK.HSI2612"]),
)
@example(answers=[envelope(listed({"cur_price": 300.2, "bid_price": 0, "ask_price": -1}))], symbol="HK.00700")
async def test_a_daemon_that_says_anything_gives_a_world_or_missing_parts(answers: list[bytes], symbol: str) -> None:
    """No price of zero, none below zero but a future's, no multiplier of nothing; and nothing raises."""
    clock, supervisor = ManualClock(MONDAY), Supervisor()

    async def sleep(seconds: float) -> None:
        clock.advance(us=round(seconds * 1_000_000))

    reference = Reference(Nonsense(answers), clock, supervisor, sleep=sleep)
    market = "FUTURES_HK" if symbol == "HK.HSI2612" else symbol[:2]
    await reference.prepare(order(symbol, market), account=ACCOUNT, needs=ALL)
    world = reference.peek(order(symbol, market), account=ACCOUNT, needs=ALL, position_since_us=0)

    assert isinstance(world.instrument, Instrument | Missing)
    if isinstance(world.instrument, Instrument):
        assert world.instrument.multiplier > 0
        assert world.instrument.currency
    assert all(price != 0 for price in prices_of(world))
    if symbol == "HK.00700" and isinstance(world.instrument, Instrument) and world.instrument.kind == "stock":
        assert all(price > 0 for price in prices_of(world))
    await supervisor.drain(1)
    assert supervisor.concerns() == ()
