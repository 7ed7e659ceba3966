"""The trading state: strictest wins, a rule replaces only its own scope."""

import pytest

from guard.limits import State, TradingRule, TradingState, set_trading, trading_for, trading_rule
from guard.terms import Account, Env
from tests.support.ledger import REAL


def ruled(*rules: TradingRule) -> State:
    """A state with these rules."""
    state = State()
    for rule in rules:
        set_trading(state, rule, t_us=rule.t)
    return state


def test_without_a_rule_everything_is_active() -> None:
    """No rule, no restriction."""
    assert trading_for(State(), key="bot", account=REAL, market="HK") == "active"
    assert trading_rule(State(), key="bot", account=REAL, market="HK") is None


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("reduce_only", "cancel_only"), "cancel_only"),
        (("locked", "cancel_only", "reduce_only"), "locked"),
        (("reduce_only",), "reduce_only"),
    ],
)
def test_the_strictest_wins(rules: tuple[TradingState, ...], expected: str) -> None:
    """Locked beats cancel_only, that reduce_only, that active, in whatever order they were set."""
    state = ruled(*(TradingRule(word, keys=("bot", f"k{n}")) for n, word in enumerate(rules)))
    assert trading_for(state, key="bot", account=REAL, market="HK") == expected


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        (TradingRule("locked"), True),
        (TradingRule("locked", keys=("bot",)), True),
        (TradingRule("locked", keys=("other",)), False),
        (TradingRule("locked", accounts=(1, 5)), True),
        (TradingRule("locked", accounts=(2,)), False),
        (TradingRule("locked", markets=("US", "HK")), True),
        (TradingRule("locked", markets=("US",)), False),
        (TradingRule("locked", keys=("bot",), markets=("US",)), False),
        (TradingRule("locked", drill=True), True),
    ],
)
def test_every_list_given_must_match(rule: TradingRule, applies: bool) -> None:
    """An empty list does not narrow; a drill binds like the real thing."""
    expected = "locked" if applies else "active"
    assert trading_for(ruled(rule), key="bot", account=REAL, market="HK") == expected


def test_an_account_is_meant_in_both_environments() -> None:
    """An operator who names an account number stops it wherever it trades."""
    state = ruled(TradingRule("cancel_only", accounts=(1,)))
    assert trading_for(state, key="bot", account=Account(Env.SIMULATE, 1), market="HK") == "cancel_only"


def test_a_request_without_account_or_market_meets_only_rules_for_all() -> None:
    """A quote is on no account: a rule narrowed to accounts or markets is not about it."""
    narrow = ruled(TradingRule("locked", accounts=(1,)), TradingRule("locked", markets=("HK",)))
    assert trading_for(narrow, key="bot", account=None, market=None) == "active"
    assert trading_for(ruled(TradingRule("locked")), key="bot", account=None, market=None) == "locked"


def test_a_rule_replaces_the_one_of_the_same_scope() -> None:
    """The order of a list means nothing; the time moves on."""
    state = ruled(
        TradingRule("locked", keys=("a", "b"), t=5), TradingRule("reduce_only", keys=("b", "a"), by="ana", t=9)
    )
    assert trading_for(state, key="a", account=None, market=None) == "reduce_only"
    rule = trading_rule(state, key="a", account=None, market=None)
    assert rule is not None
    assert rule.by == "ana"
    assert state.at_us == 9


def test_active_removes_only_its_own_scope() -> None:
    """A key set active stays locked while everyone is."""
    state = ruled(TradingRule("locked"), TradingRule("cancel_only", keys=("a",)), TradingRule("active", keys=("a",)))
    assert trading_for(state, key="a", account=None, market=None) == "locked"
    set_trading(state, TradingRule("active"), t_us=1)
    assert trading_for(state, key="a", account=None, market=None) == "active"
    assert state.trading == {}
