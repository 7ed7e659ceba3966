"""One document made into rules, and whom it selects."""

from decimal import Decimal

import msgspec
import pytest

from guard.policy import PolicyDoc
from guard.policy.assemble import bound_of
from guard.policy.schema import Orders
from guard.terms import Account, Env
from tests.support.policy import WHOLE, doc


def test_every_key_of_a_policy_becomes_a_rule() -> None:
    """Nothing that a policy says is lost on the way to its rules."""
    bound = bound_of(doc(WHOLE))

    breakers = tuple(limit.name for limit in bound.breaker)
    assert (*(rule.name for rule in (*bound.rules, *bound.reads, *bound.cancels)), *breakers) == (
        "instruments.markets",
        "instruments.blocked_symbols",
        "instruments.symbols",
        "orders.sides",
        "orders.types",
        "orders.time_in_force",
        "hours",
        "orders.max_qty",
        "orders.max_value",
        "orders.max_premium",
        "orders.max_underlying_value",
        "orders.price_collar_percent",
        "orders.duplicate_window_s",
        "orders.per_day",
        "budgets.daily_value",
        "budgets.open_orders",
        "budgets.open_value",
        "rates.new_orders",
        "rates.changes",
        "rates.changes",
        "rates.reads",
        "rates.cancels",
        "breaker.unknowns",
        "breaker.daemon_refusals",
        "breaker.daemon_refusals",
    )
    assert (bound.buffer_percent, bound.price_age_max_ms) == (Decimal(5), 5000)
    assert [rule.name for rule in bound.converting] == [
        "orders.max_value",
        "orders.max_premium",
        "orders.max_underlying_value",
        "budgets.daily_value",
        "budgets.open_value",
    ]
    assert bound.touch == "own"
    assert bound.covers
    assert {rule.policy for rule in bound.rules} == {"desk"}


def test_an_empty_policy_has_no_rules() -> None:
    """What is left out does not exist."""
    bound = bound_of(doc(""))

    assert bound.rules == bound.reads == bound.cancels == ()
    assert not bound.covers
    assert not bound.converting


def test_a_cap_on_options_alone_is_no_cover() -> None:
    """An order on shares would meet no money limit."""
    assert not bound_of(doc('[orders]\nmax_premium = "1 HKD"\nmax_underlying_value = "1 HKD"')).covers


@pytest.mark.parametrize(
    ("text", "key", "env", "is_selected"),
    [
        ("", "bot-a", Env.REAL, True),
        ('keys = ["bot-*"]', "bot-a", Env.REAL, True),
        ('keys = ["bot-?"]', "bot-ab", Env.REAL, False),
        ('keys = ["Bot-a"]', "bot-a", Env.REAL, False),
        ("keys = []", "bot-a", Env.REAL, False),
        ('keys = ["bot-*"]\nexcept_keys = ["bot-a"]', "bot-a", Env.REAL, False),
        ('except_keys = ["bot-a"]', "bot-b", Env.REAL, True),
        ("except_keys = []", "bot-b", Env.REAL, True),
        ('environments = ["real"]', "bot-a", Env.REAL, True),
        ('environments = ["real"]', "bot-a", Env.SIMULATE, False),
        ('environments = ["real"]', "bot-a", None, True),
        ("environments = []", "bot-a", None, False),
        ("accounts = []", "bot-a", None, False),
    ],
)
def test_every_selector_given_must_match(text: str, key: str, env: Env | None, *, is_selected: bool) -> None:
    """None given is everyone, [] is nobody; keys match as they are written."""
    assert bound_of(doc(f"[applies_to]\n{text}")).selects(key, env) is is_selected


def test_accounts_are_numbers() -> None:
    """A policy for accounts reaches these alone."""
    bound = bound_of(doc("[applies_to]\naccounts = [281756478875559548]"))

    assert bound.reaches(Account(Env.REAL, 281756478875559548))
    assert not bound.reaches(Account(Env.REAL, 281756478875559547))


def test_a_document_that_was_never_checked_is_a_bug() -> None:
    """Rules are made of checked documents only."""
    unchecked = PolicyDoc("desk", "desk.toml", orders=msgspec.structs.replace(Orders(), max_value=("much",)))

    with pytest.raises(AssertionError, match="checked"):
        bound_of(unchecked)
