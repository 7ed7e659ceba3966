"""Futures: multiplier and quote currency."""

from decimal import Decimal
from typing import Any

import pytest

from guard.reference.futures import FutureTerms, currency_word, parse_future_info
from tests.support.reference import security


def terms(**members: Any) -> FutureTerms:
    """One contract, read."""
    row = {"security": security("HK.HSI2612"), "contract_size": Decimal("50.0"), "quote_currency": "HKD"} | members
    found = parse_future_info({"future_info_list": [row]})
    assert found is not None
    return found["HK.HSI2612"]


def test_w07_a_contract_has_a_multiplier_and_a_currency() -> None:
    """Money a point, in what it is quoted in (W07)."""
    assert terms() == FutureTerms(Decimal(50), "HKD")


@pytest.mark.parametrize("size", [0, Decimal(-50), None, "50", True, Decimal("1E+999")])
def test_a_size_that_is_none_is_none(size: object) -> None:
    """It is then not valued at all."""
    assert terms(contract_size=size).multiplier is None


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("HKD", "HKD"),
        (" hkd ", "HKD"),
        ("港元", "HKD"),
        ("美元", "USD"),
        ("US Dollar", "USD"),
        ("CNY", "CNH"),
        ("人民币", "CNH"),
        ("日元", "JPY"),
        ("新加坡元", "SGD"),
        ("EUR", "EUR"),
        ("points", ""),
        ("港元/点", ""),
        ("", ""),
        (None, ""),
        (2, ""),
    ],
)
def test_w08_currencies_are_written_in_the_language_of_the_login(written: object, word: str) -> None:
    """One currency, several names; what is none is not guessed (W08)."""
    assert currency_word(written) == word


def test_rows_that_cannot_be_read_are_left_out() -> None:
    """And no list is no answer."""
    assert parse_future_info({"future_info_list": [{}, {"security": {}}, 3]}) == {}
    assert parse_future_info({"future_info_list": 3}) is None
