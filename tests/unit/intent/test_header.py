"""The trade header."""

import pytest

from guard.terms import Env, Header
from tests.support.bodies import ACCOUNT, ORDER, codes, order, order_codes, why


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({}, Header(Env.SIMULATE, 123456, None, 1)),
        ({"env": "REAL"}, Header(Env.REAL, 123456, None, 1)),
        ({"env": 1}, Header(Env.REAL, 123456, None, 1)),
        ({"env": None}, Header(None, 123456, None, 1)),
        ({"acc_id": "281756478875559548"}, Header(Env.SIMULATE, 281756478875559548, None, 1)),
        ({"acc_id": 2**64 - 1}, Header(Env.SIMULATE, 2**64 - 1, None, 1)),
        ({"acc_id": None, "card_num": "7680"}, Header(Env.SIMULATE, None, "7680", 1)),
        ({"acc_id": None, "card_num": "1001200130017680"}, Header(Env.SIMULATE, None, "1001200130017680", 1)),
        ({"market": 1}, Header(Env.SIMULATE, 123456, None, 1)),
        ({"market": "hk"}, Header(Env.SIMULATE, 123456, None, 1)),
        ({"jp_acc_type": "JP_NISA_GENERAL"}, Header(Env.SIMULATE, 123456, None, 1, 3)),
    ],
)
def test_a_header(changes: dict[str, object], header: Header) -> None:
    """Environment, account, market, as numbers or words; a body may leave the environment out."""
    assert order(**changes).header == header


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"acc_id": None}, ["missing_field"]),
        ({"market": None}, ["missing_field"]),
        ({"acc_id": 0}, ["bad_value"]),
        ({"acc_id": "0"}, ["bad_value"]),
        ({"acc_id": 2**64}, ["bad_number"]),
        ({"acc_id": 123456.0}, ["bad_number"]),
        ({"env": 2}, ["bad_value"]),
        ({"env": True}, ["bad_value"]),
        ({"env": "paper"}, ["bad_value"]),
        ({"market": "XX"}, ["bad_value"]),
        ({"market": 0}, ["bad_value"]),
        ({"market": 7}, ["bad_value"]),
        ({"acc_id": None, "card_num": "768"}, ["bad_value"]),
        ({"acc_id": None, "card_num": 7680}, ["bad_value"]),
        ({"acc_id": None, "card_num": "\u0667\u0666\u0668\u0660"}, ["bad_value"]),
        ({"jp_acc_type": 17}, ["bad_value"]),
    ],
)
def test_what_is_no_header_is_refused(changes: dict[str, object], expected: list[str]) -> None:
    """Account and market must be named, and be what they are."""
    assert order_codes(**changes) == expected


@pytest.mark.parametrize("path", ["/api/order", "/api/cancel-all-order", "/api/funds", "/api/orders", "/api/order-fee"])
def test_b24_an_unknown_trd_market_is_refused(path: str) -> None:
    """999 once answered with real funds."""
    assert "bad_value" in codes(path, ACCOUNT | {"market": 999})


@pytest.mark.parametrize("path", ["/api/order", "/api/funds"])
def test_w11_acc_id_and_card_num_both_name_an_account(path: str) -> None:
    """Which one wins is not for the daemon to choose."""
    body = (ORDER if path == "/api/order" else ACCOUNT) | {"card_num": "7680"}

    assert codes(path, body) == ["conflicting_fields"]
    assert "give one" in why(path, body)
