"""The trading state: strictest wins, a rule replaces only its own scope."""

import pytest

from guard.limits import (
    BREAKER,
    State,
    TradingRule,
    TradingState,
    key_rule,
    post,
    set_trading,
    trading_for,
    trading_rule,
    used,
)
from guard.terms import Account, Claim, Env
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


@pytest.mark.parametrize(
    ("rule", "is_reset"),
    [
        (TradingRule("active", keys=("bot",)), True),
        (TradingRule("active", keys=("other", "bot")), True),
        (TradingRule("active"), False),
        (TradingRule("active", keys=("other",)), False),
        (TradingRule("active", keys=("bot",), markets=("HK",)), False),
        (TradingRule("active", keys=("bot",), accounts=(1,)), False),
    ],
)
def test_active_for_a_key_ends_what_its_breaker_did(rule: TradingRule, is_reset: bool) -> None:
    """The breaker's rule goes, and what it counted; what others count of the key stays."""
    state = ruled(TradingRule("cancel_only", keys=("bot",), by=BREAKER))
    post(state, tuple(Claim("rate", f"{word}/key=bot", 1, window_ms=1000) for word in ("breaker_x", "orders")), t_us=1)
    set_trading(state, rule, t_us=2)

    assert (key_rule(state, "bot") is None) is is_reset
    assert used(state, "breaker_x/key=bot", t_us=2, window_ms=1000) == (0 if is_reset else 1)
    assert used(state, "orders/key=bot", t_us=2, window_ms=1000) == 1


def test_active_for_several_keys_leaves_a_persons_word_about_one() -> None:
    """Only what a breaker did to a key is part of the key's own state."""
    state = ruled(TradingRule("locked", keys=("bot",), by="desk"), TradingRule("active", keys=("bot", "other")))
    assert trading_for(state, key="bot", account=REAL, market="HK") == "locked"
