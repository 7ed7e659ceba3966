"""Exchange rates: exact, rounded up, fresh, and read both ways."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from guard.codes import Code
from guard.policy.fx import Fx, fx_of
from guard.policy.notation import Bad
from guard.terms import Conversion, Missing, Money

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AS_OF = date(2026, 11, 20)


def table(rates: dict[str, str], **fields: object) -> Fx:
    """Rates that are right."""
    found = fx_of(rates, **{"as_of": AS_OF} | fields)  # type: ignore[arg-type]
    assert isinstance(found, Fx), found
    return found


def told(fx: Fx, amount: str, source: str, target: str) -> str:
    """What an amount comes to."""
    found = fx.convert(Money(Decimal(amount), source), target, wall=NOON)
    assert isinstance(found, Conversion)
    assert found.value.currency == target
    return str(found.value.amount.normalize())


@pytest.mark.parametrize(
    ("rates", "amount", "pair", "expected"),
    [
        ({"USDHKD": "7.80"}, "1000", ("USD", "HKD"), "7.8E+3"),
        ({"USDHKD": "7.80"}, "7800", ("HKD", "USD"), "1E+3"),
        ({"USDHKD": "7.80"}, "1", ("HKD", "USD"), "0.1283"),  # 0.128205… rounded up
        ({"USDHKD": "7.80"}, "0.00001", ("HKD", "USD"), "0.0001"),
        ({"USDJPY": "155.5"}, "15550", ("JPY", "USD"), "1E+2"),
        ({"USDHKD": "7.8", "USDJPY": "156"}, "1560", ("JPY", "HKD"), "78"),
        ({"USDHKD": "7.8", "USDJPY": "156"}, "78", ("HKD", "JPY"), "1.56E+3"),
        ({"USDHKD": "8", "USDCNH": "4", "CNHHKD": "3"}, "1", ("CNH", "HKD"), "3"),  # a direct rate beats a cross
    ],
)
def test_w08_an_amount_is_converted_exactly(
    rates: dict[str, str], amount: str, pair: tuple[str, str], expected: str
) -> None:
    """W08: a pair serves both ways and over a third currency; what is not whole is rounded up, never down."""
    assert told(table(rates), amount, *pair) == expected


def test_of_two_ways_the_dearer_counts() -> None:
    """Over USD 100 JPY are 5 HKD, over CNH 6: the larger amount meets the cap."""
    fx = table({"USDJPY": "100", "USDHKD": "5", "CNHJPY": "10", "CNHHKD": "0.6"})

    assert told(fx, "100", "JPY", "HKD") == "6"
    assert fx.legs["JPY", "HKD"].rates == "CNHJPY 10, CNHHKD 0.6"


def test_the_buffer_is_added_once() -> None:
    """1 % on top, over however many rates."""
    fx = table({"USDHKD": "8", "USDJPY": "160"}, buffer_percent=Decimal(1))

    assert told(fx, "100", "USD", "HKD") == "808"
    assert told(fx, "160", "JPY", "HKD") == "8.08"


def test_a_pair_that_is_not_joined_has_no_answer() -> None:
    """Two currencies without a way between them: not stale, just unknown."""
    assert table({"USDHKD": "7.8"}).convert(Money(Decimal(1), "SGD"), "HKD", wall=NOON) is None


@pytest.mark.parametrize(
    ("days", "is_believed"), [(-2, False), (-1, True), (0, True), (5, True), (6, False), (400, False)]
)
def test_w08_rates_have_an_age(days: int, *, is_believed: bool) -> None:
    """Inclusive on the last day; a date of tomorrow is one of another zone, later ones are a mistake."""
    found = table({"USDHKD": "7.8"}).convert(Money(Decimal(1), "USD"), "HKD", wall=NOON + timedelta(days=days))

    assert isinstance(found, Conversion) is is_believed
    if isinstance(found, Missing):
        assert found.code is Code.FX_UNAVAILABLE
        assert "2026-11-20" in found.message
        assert f"{days} days old" in found.message or days < 0


def test_a_conversion_says_where_it_comes_from() -> None:
    """W08: rate, date and buffer go into the record."""
    fx = table({"USDHKD": "7.80"}, buffer_percent=Decimal("0.5"))
    found = fx.convert(Money(Decimal(780), "HKD"), "USD", wall=NOON)

    assert found == Conversion(Money(Decimal("100.5"), "USD"), "USDHKD 7.8", AS_OF, Decimal("0.5"))


def test_rates_are_exact_fractions() -> None:
    """A third is a third: no digits are lost on the way there and back."""
    fx = table({"USDHKD": "3"})

    assert fx.legs["HKD", "USD"].factor * fx.legs["USD", "HKD"].factor == Fraction(1)


@pytest.mark.parametrize(
    "rates",
    [
        {"USDHKD": "0"},
        {"USDHKD": "0.000"},
        {"USDHKD": "-7.8"},
        {"USDHKD": "7,8"},
        {"USDHKD": "1e3"},
        {"USDHKD": "NaN"},
        {"USDHKD": ""},
        {"USDHKD": "07.8"},
        {"USDHKD": "1234567890"},
        {"USDUSD": "1"},
        {"USDEUR": "1"},
        {"usdhkd": "7.8"},
        {"USD": "1"},
        {"USDHKD": "7.8", "HKDUSD": "0.128"},
    ],
)
def test_what_is_no_rate_is_refused(rates: dict[str, str]) -> None:
    """Zero, signs, exponents, strange or doubled pairs."""
    found = fx_of(rates, as_of=AS_OF)

    assert isinstance(found, Bad)
    assert found.code == "bad_fx"
