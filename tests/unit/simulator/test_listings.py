"""What instruments are, as messages."""

from datetime import date
from decimal import Decimal

import pytest

from guard.simulator import listings
from tests.support.daemon import listed


@pytest.mark.parametrize(
    ("symbol", "extra"),
    [
        ("HK.00700", set()),
        ("HK.14730", {"warrant_ex_data"}),
        ("HK.TCH260528C300000", {"option_ex_data"}),
        ("HK.HSImain", {"future_ex_data"}),
    ],
)
def test_static_information_has_the_part_of_its_kind(symbol: str, extra: set[str]) -> None:
    """And no currency, which the daemon's has not either."""
    shown = listings.static(listed(symbol))

    assert set(shown) == {"basic"} | extra
    assert "currency" not in str(shown)


def test_main_contracts_have_no_expiry() -> None:
    """A dated month has one."""
    assert listings.static(listed("HK.HSImain"))["future_ex_data"] == {"last_trade_time": "", "is_main_contract": True}
    assert listings.static(listed("HK.HSI2612"))["future_ex_data"]["last_trade_time"] == "2026-12-28"


def test_future_info_gives_the_multiplier_and_the_currency() -> None:
    """As `contract_size` and `quote_currency`."""
    shown = listings.future_info(listed("US.MNQ2612"))

    assert (shown["contract_size"], shown["quote_currency"], shown["time_zone"]) == (2, "USD", "America/New_York")


def test_chains_and_dates_agree() -> None:
    """Every expiry in the chain is among the dates."""
    owner = listed("HK.00700")
    months = listings.option_chain(owner, date(2026, 5, 1), date(2026, 6, 30))
    dates = listings.expiration_dates(owner, date(2026, 5, 1))

    assert [row["strike_time"] for row in months] == [row["strike_time"] for row in dates[:2]]
    assert listings.option_chain(listed("JP.7203"), date(2026, 5, 1), date(2026, 6, 30)) == []


def test_warrants_have_an_owner() -> None:
    """One without is a bug."""
    assert listings.warrant_row(listed("HK.14730"), Decimal("0.25"))["owner"]["code"] == "00700"
    with pytest.raises(AssertionError):
        listings.warrant_row(listed("HK.00700"), Decimal(1))
