"""What has to be known before an order is judged: what its rules look at, and nothing else."""

from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.policy import ValueTerms, excusable
from guard.policy.plan import KINDS_MAX
from guard.terms import KeyLimits, Needs, OrderType, Reason, Side
from tests.support.policy import FRIDAY, PAPER, REAL, caller, order, policies

VALUE = '[orders]\nmax_value = "1 HKD"'
COLLAR = "[orders]\nprice_collar_percent = { stock = 10, future = 5 }"
HOURS = '[instruments]\nmarkets = ["HK", "US"]\n[hours]\nHK = "09:30-16:00"\nUS = "always"'
CALL: dict[str, Any] = {"market": "US", "code": "AAPL260116C200000"}
OIL: dict[str, Any] = {"market": "FUTURES_US", "code": "CL2612"}
MARKET: dict[str, Any] = {"order_type": OrderType.MARKET}


def needs(text: str, what: Any = None, **fields: Any) -> Needs:
    """What an order needs under one policy."""
    what = what or order(**fields)
    return policies(text).on(caller(), REAL, wall=FRIDAY).needs_of(what)


@pytest.mark.parametrize(
    ("text", "fields", "wanted"),
    [
        (VALUE, {}, set()),
        (VALUE, {"side": Side.SELL}, {"quote"}),
        ('[budgets]\ndaily_value = "1 HKD"', {"side": Side.SELL}, {"quote"}),
        ("[orders]\nmax_qty = 5", {"side": Side.SELL}, set()),
        (VALUE, {"order_type": OrderType.STOP_LIMIT, "aux_price": Decimal(9)}, set()),
        ("", MARKET, set()),
        ('[orders]\ntypes = ["MARKET"]\nmax_qty = 5', MARKET, set()),
        (VALUE, MARKET, {"quote"}),
        (VALUE, {"order_type": OrderType.TRAILING_STOP}, {"quote"}),
        ('[budgets]\ndaily_value = "1 HKD"', MARKET, {"quote"}),
        ('[budgets]\nopen_value = "1 HKD"', MARKET, {"quote"}),
        ("[budgets]\nopen_orders = 1", MARKET, set()),
        (VALUE, {"price": None}, {"quote"}),
        (VALUE, CALL, {"instrument"}),
        (VALUE, OIL, {"instrument", "quote"}),
        (VALUE, OIL | {"side": Side.SELL}, {"instrument", "quote"}),
        (VALUE, OIL | {"price": "0"}, {"instrument", "quote"}),
        (VALUE, CALL | MARKET, {"instrument", "quote"}),
        ('[orders]\nmax_premium = "1 USD"', CALL, {"instrument"}),
        ('[orders]\nmax_underlying_value = "1 USD"', CALL, {"instrument", "underlying"}),
        ('[orders]\nmax_underlying_value = "1 USD"', {}, set()),
        ("", CALL, set()),
        (COLLAR, {}, {"quote"}),
        (COLLAR, MARKET | {"price": None}, set()),
        (COLLAR, {"order_type": OrderType.STOP, "aux_price": Decimal(9)}, {"quote"}),
        (COLLAR, CALL, set()),
        (COLLAR, OIL, {"quote"}),
        (HOURS, {}, {"exchange"}),
        (HOURS, {"market": "US", "code": "AAPL"}, set()),
        ('[instruments]\nblocked_symbols = ["HK.00700"]', {}, set()),
        ('[instruments]\nblocked_symbols = ["HK.00700"]', {"code": "12345"}, {"instrument"}),
        (VALUE, {"market": "FUTURES_SG", "code": "XX2612"}, {"instrument", "quote"}),
    ],
)
def test_only_what_the_rules_look_at_is_needed(text: str, fields: dict[str, Any], wanted: set[str]) -> None:
    """A purchase of shares at a limit needs nothing; sales, contracts, prices, hours are asked for by rules."""
    found = needs(text, **fields)

    assert {name for name in Needs.__struct_fields__ if getattr(found, name) is True} == wanted
    assert found.is_nothing is (not wanted)


@pytest.mark.parametrize("text", [VALUE, f'{VALUE}\nmax_underlying_value = "1 HKD"', HOURS])
def test_what_one_order_needs_says_nothing_of_another(text: str) -> None:
    """Under one plan each order needs what it needs under a plan that has seen no other."""
    plan = policies(text).on(caller(), REAL, wall=FRIDAY)
    bodies = [
        fields | {"side": side} | more
        for fields in ({}, OIL, CALL)
        for more in ({}, MARKET, {"price": "0"}, {"price": None})
        for side in (Side.SELL, Side.BUY)
    ]
    for fields in [*bodies, *reversed(bodies)]:
        assert plan.needs_of(order(**fields)) == needs(text, **fields), fields


def test_a_keys_own_limits_have_needs_too() -> None:
    """Money on the key values the order as a policy's does."""
    who = caller(limits=KeyLimits(max_order_value=Decimal(1)))

    assert policies().on(who, REAL, wall=FRIDAY).needs_of(order(**MARKET)).quote
    assert not policies().on(caller(), REAL, wall=FRIDAY).needs_of(order(**MARKET)).quote


def test_keys_with_the_same_needs_look_them_up_in_one_place() -> None:
    """What the policies look at is found once for all keys, unless a key's own limits look at more. It is bounded."""
    rules = policies("[orders]\nmax_qty = 1")
    by_count, by_value = KeyLimits(max_orders_per_minute=1), KeyLimits(max_order_value=Decimal(1))
    plain, alike, more = (
        rules.on(caller(name, limits=limits), REAL, wall=FRIDAY)
        for name, limits in (("a", KeyLimits()), ("b", by_count), ("c", by_value))
    )

    assert more.needs_of(order(**MARKET)).quote
    assert not plain.needs_of(order(**MARKET)).quote
    assert alike.needs_of(order(**MARKET)) is plain.needs_of(order(**MARKET))
    for number in range(2 * KINDS_MAX):
        alike.needs_of(order(code=f"{number:05}"))
        assert len(plain.needed) <= KINDS_MAX


def test_selectors_choose_needs() -> None:
    """A policy for paper needs nothing for a real order."""
    rules = policies(f'[applies_to]\nenvironments = ["simulate"]\n{COLLAR}')

    assert rules.on(caller(), PAPER, wall=FRIDAY).needs_of(order()).quote
    assert not rules.on(caller(), REAL, wall=FRIDAY).needs_of(order()).quote


def test_terms_are_the_tightest_that_bind() -> None:
    """The largest buffer and the smallest age of the policies that bind this key here and now."""
    rules = policies(
        "[orders]\nmarket_buffer_percent = 2\n[reference]\nprice_age_max_s = 9",
        "[orders]\nmarket_buffer_percent = 7.5\n[reference]\nprice_age_max_s = 1.25",
        "[applies_to]\naccounts = [2]\n[orders]\nmarket_buffer_percent = 50",
        "[policy]\nexpires_at = 2026-11-20T04:00:00Z\n[reference]\nprice_age_max_s = 0",
    )

    assert rules.on(caller(), REAL, wall=FRIDAY).terms == ValueTerms(Decimal("7.5"), 1250)
    assert rules.on(caller(), REAL, wall=FRIDAY).needs_of(order()).price_age_max_ms == 1250
    assert policies().on(caller(), REAL, wall=FRIDAY).terms == ValueTerms(Decimal(5), 5000)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], False),
        ([Code.DAILY_VALUE], True),
        ([Code.DAILY_VALUE, Code.OPEN_VALUE, Code.OPEN_ORDERS, Code.PRICE_UNAVAILABLE], True),
        ([Code.UNSUPPORTED_INSTRUMENT], True),
        ([Code.DAILY_VALUE, Code.RATE], False),
        ([Code.MAX_ORDER_VALUE], False),
        ([Code.REFERENCE_UNAVAILABLE], False),
    ],
)
def test_what_an_exit_may_be_excused_from(found: list[Code], *, expected: bool) -> None:
    """A position is asked for only where it could change the answer."""
    assert excusable([Reason(code, "") for code in found]) is expected
