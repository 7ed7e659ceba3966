"""The daemon about itself."""

import json

import pytest

from guard.simulator import Simulator
from guard.terms import Answer
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c, said


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


async def test_state_tells_markets_and_logins() -> None:
    """A ping answers the same."""
    simulator = _simulator()
    state = await s2c(simulator, "/api/global-state")
    simulator.world.is_backend_up = False

    assert (state["market_hk"], state["market_us_future"], state["qot_logined"]) == (5, 23, True)
    assert (await s2c(simulator, "/api/ping"))["trd_logined"] is False


@pytest.mark.parametrize("path", ["/api/user-info", "/api/push-subscriber-info", "/api/delay-statistics"])
async def test_the_rest_answers(path: str) -> None:
    """With something in it."""
    assert await s2c(_simulator(), path)


async def test_w18_subscriptions_are_shared_by_all_callers() -> None:
    """Subscribed, shown, and gone when anybody unsubscribes."""
    simulator = _simulator()
    await s2c(
        simulator, "/api/subscribe", {"symbols": ["HK.00700", "US.AAPL261218C200000"], "sub_types": [1, "TICKER"]}
    )
    shown = await s2c(simulator, "/api/sub-info")
    await s2c(simulator, "/api/unsubscribe", {"symbols": ["HK.00700"], "sub_types": [1]})
    await s2c(simulator, "/api/unsubscribe", {"symbols": ["US.AAPL261218C200000"], "sub_types": [1, 4]})

    assert shown["total_used_quota"] == 4
    assert [row["sub_type"] for row in shown["conn_sub_info_list"][0]["sub_info_list"]] == [1, 4]
    assert simulator.world.subscribed == {"HK.00700": {4}}


async def test_the_flag_beats_the_path() -> None:
    """As in the daemon, where both paths are one message."""
    simulator = _simulator()
    body = {"symbols": ["HK.00700"], "sub_types": [1], "is_sub_or_un_sub": True}
    await s2c(simulator, "/api/unsubscribe", body)
    assert simulator.world.subscribed == {"HK.00700": {1}}
    assert (await ask(simulator, "/api/unsubscribe", {"is_unsub_all": True})).status == 400  # type: ignore[union-attr]


async def test_account_pushes_are_a_whole_list() -> None:
    """Not an addition; ended one by one or together."""
    simulator = _simulator()
    seen = []
    for path, accounts in (("sub", [1, "2"]), ("sub", [2, 3]), ("unsub", [2]), ("sub", [1, 2]), ("unsub", [])):
        await s2c(simulator, f"/api/{path}-acc-push", {"acc_id_list": accounts})
        seen.append(sorted(simulator.world.push_accounts))

    assert seen == [[1, 2], [2, 3], [3], [1, 2], []]


async def test_quota_details_are_given_when_asked_for() -> None:
    """By either spelling of the flag."""
    for flag in ("get_detail", "bGetDetail"):
        assert (await s2c(_simulator(), "/api/history-kl-quota", {flag: True}))["detail_list"]
    assert (await s2c(_simulator(), "/api/history-kl-quota", {}))["detail_list"] == []


async def test_administration_answers_outside_the_envelope() -> None:
    """A reload locks trading, a shutdown is counted and answered as the daemon does."""
    simulator = _simulator()
    status = await said(simulator, "/api/admin/status")
    reloaded = await said(simulator, "/api/admin/reload", {})
    stopped = await said(simulator, "/api/admin/shutdown", {})

    assert status["cache"] == {"trade_unlocked": True, "cached_cipher_count": 1, "cached_account_count": 4}
    assert (reloaded, stopped) == ({"ok": True}, {"ok": True, "shutting_down_in_secs": 1})
    assert (simulator.world.is_unlocked, simulator.world.reloads, simulator.world.shutdowns) == (False, 1, 1)


async def test_a_legacy_daemon_pushes_no_accounts() -> None:
    """403, generic."""
    simulator = Simulator(clock=ManualClock(), legacy=True)
    for path in ("/api/sub-acc-push", "/api/unsub-acc-push"):
        answer = await ask(simulator, path, {})
        assert isinstance(answer, Answer)
        assert (answer.status, json.loads(answer.body)) == (403, {"error": "forbidden"})
