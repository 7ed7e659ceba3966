"""Caps in money: own currency first, else through exchange rates; and what counters are called."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from guard.codes import Code
from guard.policy.amounts import MetCap, MoneyCaps, amounts_of, currency_of_tag
from guard.policy.fx import Fx, fx_of
from guard.terms import Missing, Money

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def rates(**pairs: str) -> Fx:
    """A table of today."""
    found = fx_of(pairs, as_of=date(2026, 11, 20))
    assert isinstance(found, Fx)
    return found


def met(caps: MoneyCaps, amount: str, currency: str) -> tuple[MetCap, ...]:
    """Every cap that an amount meets."""
    found = caps.meet(Money(Decimal(amount), currency), wall=NOON, at_any_age=False)
    assert isinstance(found, tuple)
    return found


def test_w08_an_order_meets_the_amount_in_its_own_currency() -> None:
    """W08: rates are for currencies without an amount only."""
    caps = amounts_of({"HKD": Decimal(100), "USD": Decimal(50)}, rates(USDHKD="7.8"))
    (one,) = met(caps, "60", "USD")

    assert (one.cap, one.value, one.conversion, one.tag) == (Decimal(50), Money(Decimal(60), "USD"), None, "USD")
    assert not one.fits


def test_a_stranger_meets_every_amount_that_it_can_be_converted_into() -> None:
    """The order of the amounts must not matter, so all of them bind."""
    caps = amounts_of({"HKD": Decimal(100), "USD": Decimal(50), "SGD": Decimal(1)}, rates(USDHKD="7.8", USDJPY="156"))
    found = met(caps, "1560", "JPY")

    assert [(one.value.amount, one.value.currency, one.fits) for one in found] == [
        (Decimal(78), "HKD", True),
        (Decimal(10), "USD", True),
    ]
    assert [one.tag for one in found] == ["HKD+JPY", "USD+JPY"]


@pytest.mark.parametrize(("cap", "amount", "fits"), [("0", "1", False), ("1", "1", True), ("1", "1.00001", False)])
def test_caps_are_inclusive(cap: str, amount: str, *, fits: bool) -> None:
    """At the cap passes, beyond it not, and zero allows nothing."""
    (one,) = met(amounts_of({"HKD": Decimal(cap)}, None), amount, "HKD")

    assert one.fits is fits


@pytest.mark.parametrize(("amount", "fits"), [("779.9999", True), ("780", True), ("780.00001", False)])
def test_converted_caps_are_inclusive_to_the_last_digit(amount: str, *, fits: bool) -> None:
    """Rounding up never lets anything over the cap, and never refuses what is exactly at it."""
    (one,) = met(amounts_of({"USD": Decimal(100)}, rates(USDHKD="7.8")), amount, "HKD")

    assert one.fits is fits


@pytest.mark.parametrize("fx", [None, "table"])
def test_without_a_way_the_rate_is_missing(fx: str | None) -> None:
    """No table, or a table that does not know the currency."""
    caps = amounts_of({"HKD": Decimal(100)}, rates(USDHKD="7.8") if fx else None)
    found = caps.meet(Money(Decimal(1), "SGD"), wall=NOON, at_any_age=False)

    assert isinstance(found, Missing)
    assert found.code is Code.FX_UNAVAILABLE
    assert found.message == (
        "the order is in SGD; the limit is in HKD, and there is no exchange rate: "
        "the policy needs an amount in SGD, or a rate in [fx]"
    )


def test_a_keys_own_amount_stands_in_every_currency() -> None:
    """Each by itself, whatever rates there are."""
    (one,) = met(MoneyCaps(in_each=Decimal(5)), "6", "JPY")

    assert (one.cap, one.tag, one.fits) == (Decimal(5), "JPY", False)


def test_a_counters_tag_names_what_it_adds_up() -> None:
    """Its own currency first, then those that are converted into it; those with an amount of their own are not."""
    caps = amounts_of({"USD": Decimal(1), "SGD": Decimal(1)}, rates(USDHKD="7.8", USDJPY="150", USDSGD="1.3"))

    assert caps.tag_of("USD") == "USD+HKD+JPY"
    assert caps.tag_of("SGD") == "SGD+HKD+JPY"
    assert amounts_of({"USD": Decimal(1)}, None).tag_of("USD") == "USD"
    assert currency_of_tag("USD+HKD+JPY") == "USD"


def test_a_conversion_is_told() -> None:
    """Rate, date and buffer stand in the refusal."""
    fx = fx_of({"USDHKD": "7.8"}, as_of=date(2026, 11, 20), buffer_percent=Decimal(1))
    assert isinstance(fx, Fx)
    (one,) = met(amounts_of({"USD": Decimal(100)}, fx), "7800", "HKD")

    assert one.told == "; in USD at USDHKD 7.8 of 2026-11-20 + 1 %"
    assert met(amounts_of({"HKD": Decimal(1)}, fx), "1", "HKD")[0].told == ""
    assert amounts_of({"USD": Decimal(100)}, fx).conversions(Money(Decimal(1), "HKD"), wall=NOON)
    assert not amounts_of({"USD": Decimal(100)}, fx).conversions(Money(Decimal(1), "SGD"), wall=NOON)
    assert not amounts_of({"HKD": Decimal(100)}, None).conversions(Money(Decimal(1), "HKD"), wall=NOON)
