"""The daemon about itself: state, user, delays, subscriptions, and its administration.

All callers share one connection, as with the daemon's REST door: who unsubscribes, unsubscribes for everybody.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from guard.simulator import sessions
from guard.simulator.figures import seconds
from guard.simulator.quotes import many
from guard.simulator.reading import Body, flag, whole
from guard.simulator.refusals import BadBody, Forbidden
from guard.simulator.world import World

VERSION: Final = "1.4.90-simulated"
_QUOTA: Final = 1000
_RIGHT: Final = 2
_MARKETS: Final = {"market_hk": "HK", "market_us": "US", "market_sh": "SH", "market_sz": "SZ"}
_FUTURES: Final = {
    "market_hk_future": "HK",
    "market_us_future": "US",
    "market_sg_future": "SG",
    "market_jp_future": "JP",
}


def global_state(world: World, _: Body) -> dict[str, Any]:
    """GetGlobalState; also the answer to a ping."""
    now, mode = world.now(), world.mode
    states = {name: sessions.state(prefix, now, mode=mode) for name, prefix in _MARKETS.items()}
    states |= {name: sessions.state(prefix, now, mode=mode, is_future=True) for name, prefix in _FUTURES.items()}
    return states | {
        "qot_logined": world.is_backend_up,
        "trd_logined": world.is_backend_up,
        "server_ver": 1490,
        "server_build_no": 1,
        "time": int(now.timestamp()),
        "local_time": seconds(now),
        "program_status": {"type": 10},
        "conn_id": 0xFFFF_FFFE,
    }


def user_info(_: World, __: Body) -> dict[str, Any]:
    """GetUserInfo."""
    rights = dict.fromkeys(("hk_qot_right", "us_qot_right", "cn_qot_right", "hk_future_qot_right"), _RIGHT)
    quota = {"sub_quota": _QUOTA, "history_kl_quota": _QUOTA}
    return {"nick_name": "Simulated", "user_id": 10_000_001, "api_level": "", "user_attribution": 6} | rights | quota


def delay_statistics(_: World, __: Body) -> dict[str, Any]:
    """GetDelayStatistics."""
    row = {"proto_id": 2202, "count": 1, "total_cost_avg": Decimal(20), "open_d_cost_avg": Decimal(2)}
    replies = [row | {"net_delay_avg": Decimal(18), "is_local_reply": False}]
    return {
        "qot_push_statistics_list": [],
        "req_reply_statistics_list": replies,
        "place_order_statistics_list": [],
    }


def push_subscriber_info(world: World, _: Body) -> dict[str, Any]:
    """Health of the push stream and of the quote login."""
    others = [{"conn_id": 0xFFFF_FFFE, "acc_id": acc_id} for acc_id in sorted(world.push_accounts)]
    told = {"subscribers": others} if world.quirks.tells_subscribers else {}
    return told | {
        "push": {
            "push_stream_healthy": world.is_backend_up,
            "last_push_received_at_ms": int(world.now().timestamp() * 1000),
            "consecutive_parse_errors": 0,
            "total_pushes_received": world.tape.step,
            "resubscribe_triggers": 0,
            "circuit_breaker_trips": 0,
        },
        "qot_login": {"consecutive_failures": 0, "total_observed_false": 0, "current_backoff_ms": 0},
    }


# ---------------------------------------------------------------- subscriptions


def subscribe(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_Sub with the flag that the path implies."""
    return _subscription(world, c2s, is_subscribe=True)


def unsubscribe(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_Sub, the other way."""
    return _subscription(world, c2s, is_subscribe=False)


def _subscription(world: World, c2s: Body, *, is_subscribe: bool) -> dict[str, Any]:
    if flag(c2s, "is_unsub_all"):
        raise BadBody("is_unsub_all is not available over REST")
    said = flag(c2s, "is_sub_or_un_sub")
    types = set(c2s.get("sub_type_list") or [])
    for instrument in many(c2s):
        held = world.subscribed.setdefault(instrument.symbol, set())
        if is_subscribe if said is None else said:
            held |= types
        else:
            held -= types
        if not held:
            del world.subscribed[instrument.symbol]
    return {}


def sub_info(world: World, _: Body) -> dict[str, Any]:
    """Qot_GetSubInfo: the one connection that all REST callers share."""
    by_type: dict[int, list[Mapping[str, object]]] = {}
    for instrument in world.listed(frozenset(world.subscribed)):
        for sub_type in sorted(world.subscribed[instrument.symbol]):
            by_type.setdefault(sub_type, []).append(instrument.security)
    used = sum(map(len, world.subscribed.values()))
    rows = [{"sub_type": sub_type, "security_list": securities} for sub_type, securities in by_type.items()]
    return {
        "conn_sub_info_list": [{"sub_info_list": rows, "used_quota": used, "is_own_conn_data": True}],
        "total_used_quota": used,
        "remain_quota": _QUOTA - used,
    }


def sub_acc_push(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_SubAccPush: the list is the whole of what is subscribed, not an addition."""
    if world.is_legacy:
        raise Forbidden
    world.push_accounts = frozenset(whole("acc_id_list", item) for item in c2s.get("acc_id_list") or [])
    return {}


def unsub_acc_push(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_SubAccPush, the other way; without a list everything ends."""
    if world.is_legacy:
        raise Forbidden
    gone = frozenset(whole("acc_id_list", item) for item in c2s.get("acc_id_list") or [])
    world.push_accounts = world.push_accounts - gone if gone else frozenset()
    return {}


def history_kl_quota(world: World, c2s: Body) -> dict[str, Any]:
    """Qot_RequestHistoryKLQuota."""
    at = sessions.stamp("HK", world.now())
    row = {"security": {"market": 1, "code": "00700"}, "name": "TENCENT", "request_time": at}
    wants_detail = flag(c2s, "get_detail") or flag(c2s, "b_get_detail")
    return {"used_quota": 1, "remain_quota": _QUOTA - 1, "detail_list": [row] if wants_detail else []}


# ---------------------------------------------------------------- administration: answers outside the envelope


def status(world: World) -> dict[str, Any]:
    """GET /api/admin/status."""
    return {
        "version": VERSION,
        "login": {"online": world.is_backend_up, "user_id": 10_000_001, "attribution": "HK"},
        "platform": {"connected": world.is_backend_up},
        "brokers": [{"broker_id": 1, "name": "simulated", "status": "ok", "addr": "", "keep_alive_secs": 10}],
        "cache": {
            "trade_unlocked": world.is_unlocked,
            "cached_cipher_count": int(world.is_unlocked),
            "cached_account_count": len(world.ledger.rows),
        },
    }


def reload(world: World) -> dict[str, Any]:
    """POST /api/admin/reload: drops the trade ciphers, so trading is locked again; it reloads no keys."""
    world.is_unlocked = False
    world.reloads += 1
    return {"ok": True}


def shutdown(world: World) -> dict[str, Any]:
    """POST /api/admin/shutdown: answered as the daemon does; the simulator only counts it."""
    world.shutdowns += 1
    return {"ok": True, "shutting_down_in_secs": 1}
