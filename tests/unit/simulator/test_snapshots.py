"""Snapshots by kind."""

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import s2c


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


async def test_snapshots_carry_what_the_kind_needs() -> None:
    """Multiplier and owner of options, settlement of futures, no currency anywhere."""
    symbols = ["US.AAPL261218C200000", "HK.HSI2612", "HK.00700", "HK.02800"]
    option, future, equity, trust = (await s2c(_simulator(), "/api/snapshot", {"symbols": symbols}))["snapshot_list"]

    assert option["option_ex_data"]["contract_multiplier"] == option["option_ex_data"]["contract_size"] == 100
    assert option["option_ex_data"]["owner"] == {"market": 11, "code": "AAPL"}
    assert option["option_ex_data"]["strike_time"] == "2026-12-18"
    assert future["future_ex_data"]["last_trade_time"] == "2026-12-28"
    assert "equity_ex_data" in equity
    assert list(trust) == ["basic"]
    assert "currency" not in str([option, future, equity, trust])
