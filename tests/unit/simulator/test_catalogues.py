"""Plates, filters, calendars, derivatives, watch lists, reminders."""

from typing import Any

import pytest

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


async def test_plates_hold_their_members() -> None:
    """Both ways: a plate's securities, a security's plates."""
    simulator = _simulator()
    plates = (await s2c(simulator, "/api/list-plates", {"market": "HK", "plate_set_type": "ALL"}))["plate_info_list"]
    members = (await s2c(simulator, "/api/plate-security", {"plate": "HK.BK1002"}))["static_info_list"]
    owners = (await s2c(simulator, "/api/owner-plate", {"symbols": ["HK.00005"]}))["owner_plate_list"]

    assert [row["plate"]["code"] for row in plates] == ["BK1001", "BK1002", "BK1003"]
    assert [row["basic"]["security"]["code"] for row in members] == ["00005", "00939"]
    assert [row["name"] for row in owners[0]["plate_info_list"]] == ["Banks"]


async def test_filters_give_pages() -> None:
    """The last one says so."""
    simulator = _simulator()
    first = await s2c(simulator, "/api/stock-filter", {"market": "US", "begin": 0, "num": 5})
    rest = await s2c(simulator, "/api/stock-filter", {"market": "US", "begin": 5, "num": 200})

    assert (len(first["data_list"]), first["last_page"], rest["last_page"]) == (5, False, True)
    assert len(rest["data_list"]) == first["all_count"] - 5


async def test_calendars_are_weekdays_of_a_market_or_security() -> None:
    """Markets numbered as calendars are."""
    simulator = _simulator()
    span = {"begin_time": "2026-11-20", "end_time": "2026-11-24"}
    by_market = await s2c(simulator, "/api/trading-days", {"market": "US"} | span)
    by_security = await s2c(simulator, "/api/trading-days", {"symbol": "HK.00700"} | span)

    assert [row["time"] for row in by_market["trade_date_list"]] == ["2026-11-20", "2026-11-23", "2026-11-24"]
    assert by_security == by_market


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/trading-days", {"market": 99}),
        ("/api/trading-days", {"begin_time": "soon"}),
        ("/api/trading-days", {"begin_time": "2026-02-01", "end_time": "2026-01-01"}),
        ("/api/option-chain", {"owner": "HK.00700", "begin_time": "2020-01-01", "end_time": "2030-01-01"}),
        ("/api/option-chain", {"owner": "HK.00700", "begin_time": "9999-12-31"}),
        ("/api/plate-set", {"market": 999}),
    ],
)
async def test_odd_spans_and_markets_are_400(path: str, body: dict[str, Any]) -> None:
    """No such market, no date, the wrong order, too long."""
    assert (await ask(_simulator(), path, body)).status == 400  # type: ignore[union-attr]


async def test_the_references_option_chain_has_contracts() -> None:
    """Whose codes can then be asked for."""
    simulator = _simulator()
    body = {"owner": "HK.00700", "begin_time": "2026-05-01", "end_time": "2026-06-01"}
    months = (await s2c(simulator, "/api/option-chain", body))["option_chain"]
    code = months[0]["option"][0]["call"]["basic"]["security"]["code"]

    assert len(months) == 1
    assert (await s2c(simulator, "/api/quote", {"symbol": f"HK.{code}"}))["basic_qot_list"]
    assert (await s2c(simulator, "/api/option-expiration-date", {"owner": "HK.00700"}))["date_list"]


async def test_futures_and_warrants_of_an_owner() -> None:
    """By reference type; the futures are the main contracts."""
    simulator = _simulator()
    warrants = await s2c(simulator, "/api/reference", {"symbol": "HK.00700", "reference_type": "WARRANT"})
    futures = await s2c(simulator, "/api/get-reference", {"symbol": "HK.800000", "reference_type": "FUTURE"})
    rows = (await s2c(simulator, "/api/warrant", {"owner": "HK.00700"}))["warrant_data_list"]
    mains = (await s2c(simulator, "/api/future-info", {}))["future_info_list"]
    one = (await s2c(simulator, "/api/future-info", {"symbols": ["HK.HSI2612", "HK.00700"]}))["future_info_list"]

    assert [row["basic"]["security"]["code"] for row in warrants["static_info_list"]] == ["14730"]
    assert len(futures["static_info_list"]) == 3
    assert [row["stock"]["code"] for row in rows] == ["14730"]
    assert (await s2c(simulator, "/api/warrant", {"owner": "HK.00005"}))["warrant_data_list"] == []
    assert len(mains) == 13
    assert [(row["security"]["code"], row["contract_size"]) for row in one] == [("HSI2612", 50)]


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/api/code-change", "code_change_list"),
        ("/api/ipo-list", "ipo_list"),
        ("/api/suspend", "security_suspend_list"),
        ("/api/holding-change", "holding_change_list"),
    ],
)
async def test_what_never_happens_here_is_an_empty_list(path: str, member: str) -> None:
    """With the member that the message has."""
    assert (await s2c(_simulator(), path, {}))[member] == []


async def test_rehab_is_one_dividend() -> None:
    """Of a hundredth of the base price."""
    assert (await s2c(_simulator(), "/api/rehab", {"symbol": "HK.00700"}))["rehab_list"][0]["dividend"] == 3
