"""The table of listed instruments."""

import pytest

from guard.simulator.instruments import LISTED, MARKETS


@pytest.mark.parametrize("prefix", ["HK", "US", "SG", "JP"])
def test_each_main_market_has_instruments(prefix: str) -> None:
    """There is something to trade on Hong Kong, the US, Singapore and Japan."""
    assert [row for row in LISTED.values() if row.prefix == prefix]


def test_every_row_is_usable() -> None:
    """Every row has a known market, a positive price and a positive step."""
    for row in LISTED.values():
        assert row.prefix in MARKETS
        assert row.base > 0
        assert row.spread > 0


def test_codes_may_contain_a_point() -> None:
    """The prefix ends at the first point only."""
    assert LISTED["US.BRK.B"].code == "BRK.B"
    assert LISTED["US.BRK.B"].security == {"market": 11, "code": "BRK.B"}


def test_the_reference_prices_are_where_the_examples_expect_them() -> None:
    """Tencent is at 300, Apple at 200, and the renminbi counter trades in CNH."""
    assert LISTED["HK.00700"].base == 300
    assert LISTED["US.AAPL"].base == 200
    assert LISTED["HK.80700"].currency == "CNH"
