"""Watch lists and price reminders."""

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import s2c, said


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


async def test_watch_lists_are_changed() -> None:
    """W16: with no more than `qot:read`."""
    simulator = _simulator()
    body = {"group_name": "mine", "symbols": ["HK.00005", "US.TSLA"]}
    for op in ("ADD", "ADD", "DEL"):
        symbols = body["symbols"] if op == "ADD" else ["US.TSLA", "HK.00001"]
        await s2c(simulator, "/api/modify-user-security", body | {"op": op, "symbols": symbols})
    listed = (await s2c(simulator, "/api/user-security", {"group_name": "mine"}))["static_info_list"]

    assert [row["basic"]["security"]["code"] for row in listed] == ["00005"]
    assert (await s2c(simulator, "/api/user-security", {"group_name": "nobody's"}))["static_info_list"] == []


async def test_reminders_live_until_they_are_deleted() -> None:
    """Add, change, disable, delete one, delete all."""
    simulator = _simulator()
    tencent = {"symbol": "HK.00700"}
    keys = [
        (
            await s2c(
                simulator, "/api/set-price-reminder", tencent | {"op": "SetAdd", "reminder_type": 1, "value": 300.0}
            )
        )["key"]
        for _ in range(2)
    ]
    await s2c(simulator, "/api/set-price-reminder", tencent | {"op": "MODIFY", "key": keys[0], "value": 310})
    await s2c(simulator, "/api/set-price-reminder", tencent | {"op": "DISABLE", "key": keys[0]})
    await s2c(simulator, "/api/set-price-reminder", tencent | {"op": "DEL", "key": keys[1]})
    listed = (await s2c(simulator, "/api/price-reminder", tencent))["price_reminder_list"]

    assert [(row["key"], row["value"], row["is_enable"]) for row in listed[0]["item_list"]] == [(keys[0], 310, False)]
    assert (await s2c(simulator, "/api/price-reminder", {"market": "US"}))["price_reminder_list"] == []
    assert (await said(simulator, "/api/set-price-reminder", tencent | {"op": "DEL", "key": 99}))["ret_type"] == -1
    await s2c(simulator, "/api/set-price-reminder", tencent | {"op": "DEL_ALL"})
    assert simulator.world.reminders == {}
