"""A key's own limits, and those of the start-up flags."""

from decimal import Decimal

import pytest

from guard.codes import Code
from guard.policy.keylimits import rules_of_limits
from guard.terms import Effect, KeyLimits, Side
from tests.support.policy import asked, caller, codes, order, policies

EVERY = KeyLimits(
    allowed_markets=("US", "FUTURES"),
    allowed_symbols=("US.AAPL",),
    allowed_trd_sides=("SELL",),
    max_order_value=Decimal(500),
    max_daily_value=Decimal(400),
    max_orders_per_minute=0,
    hours_window="00:00-01:00",
)


def test_b06_every_limit_of_a_key_binds() -> None:
    """B06: all seven limits refuse, each under the key's policy and the field's own name."""
    judgement = asked(policies(), who=caller(limits=EVERY))

    assert [(reason.code, reason.rule) for reason in judgement.reasons] == [
        (Code.MARKET, "allowed_markets"),
        (Code.SYMBOL, "allowed_symbols"),
        (Code.SIDE, "allowed_trd_sides"),
        (Code.HOURS, "hours_window"),
        (Code.MAX_ORDER_VALUE, "max_order_value"),
        (Code.RATE, "max_orders_per_minute"),
    ]
    assert {reason.policy for reason in judgement.reasons} == {"key:bot-a"}
    assert [claim.cap for claim in judgement.claims] == [4_000_000]


def test_b02_a_keys_limits_bind_changes() -> None:
    """B02: a change meets the same limits as a new order."""
    new = asked(policies(), who=caller(limits=EVERY))
    change = asked(policies(), who=caller(limits=EVERY), effect=Effect.ORDER_CHANGE)

    assert codes(change) == codes(new)


def test_w08_a_bare_number_is_in_the_orders_own_currency() -> None:
    """W08: 500 is 500 of whatever the order is in, inclusive."""
    who = caller(limits=KeyLimits(max_order_value=Decimal(500)))

    for market, code in (("HK", "00700"), ("US", "AAPL"), ("JP", "7203")):
        assert not codes(asked(policies(), order("50", "10", market=market, code=code), who=who))
        assert codes(asked(policies(), order("50", "10.001", market=market, code=code), who=who)) == [
            Code.MAX_ORDER_VALUE
        ]


def test_flags_bind_everyone() -> None:
    """The start-up flags are the policy `flags`, whoever asks."""
    rules = policies(flags=KeyLimits(allowed_trd_sides=("BUY",)))

    assert not codes(asked(rules))
    judgement = asked(rules, order(side=Side.SELL), who=caller("other"))
    assert [(reason.code, reason.policy) for reason in judgement.reasons] == [(Code.SIDE, "flags")]


def test_a_key_without_limits_adds_none() -> None:
    """What was left out does not exist."""
    assert rules_of_limits(KeyLimits(), policy="key:a", tz="UTC").rules == ()


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (KeyLimits(allowed_markets=("HKK",)), "allowed_markets"),
        (KeyLimits(allowed_symbols=("00700",)), "allowed_symbols"),
        (KeyLimits(allowed_symbols=("HK.700",)), "allowed_symbols"),
        (KeyLimits(allowed_trd_sides=("buy",)), "allowed_trd_sides"),
        (KeyLimits(max_order_value=Decimal("NaN")), "max_order_value"),
        (KeyLimits(max_order_value=Decimal(-1)), "max_order_value"),
        (KeyLimits(max_order_value=Decimal("0.00001")), "max_order_value"),
        (KeyLimits(max_daily_value=Decimal(2) ** 53), "max_daily_value"),
        (KeyLimits(max_orders_per_minute=-1), "max_orders_per_minute"),
        (KeyLimits(max_orders_per_minute=100_001), "max_orders_per_minute"),
        (KeyLimits(hours_window="9-5"), "hours_window"),
    ],
)
def test_a_limit_that_cannot_be_read_refuses_everything(limits: KeyLimits, field: str) -> None:
    """An unreadable limit is an error at load; a key that brings one along all the same may do nothing."""
    found = rules_of_limits(limits, policy="key:a", tz="UTC")

    assert [name for name, _ in found.errors] == [field]
    judgement = asked(policies(), who=caller(limits=limits))
    assert codes(judgement) == [Code.RULE_ERROR]
    assert field in judgement.reasons[0].message


def test_a_window_needs_a_zone() -> None:
    """`keys.tz` must be a zone where a key has hours."""
    found = rules_of_limits(KeyLimits(hours_window="09:00-17:00"), policy="key:a", tz="Moon/Base")

    assert [(name, bad.code) for name, bad in found.errors] == [("hours_window", "bad_zone")]
