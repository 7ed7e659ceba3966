"""The dump: plain, and blind to what was forgotten when."""

import json

from guard.limits import State, TradingRule, advance, reserve, set_trading, settle
from guard.limits.sweep import sweep
from tests.support.dump import dump
from tests.support.ledger import SECOND, UNKNOWN, accepted, new_order, once, rate, slot, sums


def lived_in() -> State:
    """A state with something of everything."""
    state = State()
    claims = (sums("spend", "a", 5), rate("r", 5, 10), once("o", 1), slot("k", window_s=1))
    reserve(state, new_order("o", *claims), t_us=0)
    settle(state, "o", accepted("7", "x7"), t_us=1)
    reserve(state, new_order("p", *claims[:2], slot("k2", window_s=1)), t_us=2)
    settle(state, "p", UNKNOWN, t_us=3)
    set_trading(state, TradingRule("locked", keys=("b", "a")), t_us=4)
    set_trading(state, TradingRule("cancel_only"), t_us=4)
    return state


def test_a_dump_is_plain_data() -> None:
    """It is fit for JSON, and the same history gives the same text."""
    plain = dump(lived_in())
    assert json.dumps(plain) == json.dumps(dump(lived_in()))
    assert plain["holders"]["o"]["holds"] == {"a": ["s", 5]}
    assert plain["ids"] == {"real:1": {"live": {"7": "o"}, "live_ex": {"x7": "o"}, "recent": []}}
    assert [rule["state"] for rule in plain["trading"]] == ["cancel_only", "locked"]


def test_what_was_forgotten_does_not_show() -> None:
    """Two states that differ only in what was swept are equal; the open step's slot is in both."""
    lazy, eager = lived_in(), lived_in()
    for state in (lazy, eager):
        advance(state, t_us=60 * SECOND)
    sweep(eager, t_us=60 * SECOND, claims=10)
    assert len(eager.logs) < len(lazy.logs)
    assert len(eager.slots) < len(lazy.slots)
    assert dump(eager) == dump(lazy)
    assert set(dump(lazy)["slots"]) == {"k2"}


def test_a_dump_shares_nothing_with_the_state() -> None:
    """What is done to one does not reach the other."""
    state = lived_in()
    plain = dump(state)
    plain["sums"]["a"] = 0
    plain["logs"]["r"]["stamps"].clear()
    assert state.sums["a"] == 10
    assert list(state.logs["r"].stamps) == [0, 2]
