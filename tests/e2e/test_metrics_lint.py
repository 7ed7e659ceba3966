"""A live scrape: well-formed by Prometheus' own tool, bounded whatever callers send, and free of secrets."""

import asyncio
import json
import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import structlog

from guard.clock import SystemClock
from guard.lifecycle import Guard
from guard.metrics import FAMILIES
from guard.simulator import Simulator
from guard.simulator.faults import Hold, HttpError, Reset
from guard.terms import Call
from tests.support.edge import until
from tests.support.guards import (
    OPEN_POLICY,
    ask,
    call,
    guarded,
    key,
    lay_out,
    lines,
    operate,
    order,
    record,
    running,
    said,
)
from tests.support.processes import external

NOT_YET: Final = {
    "guard_orders_outside_total",
    "guard_config_drift",
    "guard_shadow_divergence_total",
    "guard_reference_age_seconds",
}
"""Promised metrics whose subject may not exist yet; the rest is always exposed."""

CONTRACT: Final = re.findall(
    r"\w+",
    """
guard_requests_total guard_refusals_total guard_requests_by_key_total guard_refusals_by_key_total
guard_request_duration_seconds guard_overhead_seconds guard_upstream_duration_seconds guard_order_outcomes_total
guard_unknown_orders guard_orders_outside_total guard_limit_used_ratio guard_trading_state guard_policy_info
guard_policy_reloads_total guard_policy_last_reload_success guard_policy_last_success_timestamp_seconds
guard_config_drift guard_shadow_divergence_total guard_journal_records_total guard_journal_fsync_seconds
guard_journal_queue guard_journal_failed guard_journal_free_bytes guard_journal_last_checkpoint_timestamp_seconds
guard_clock_steps_total guard_daemon_up guard_daemon_trade_unlocked guard_breaker_open guard_reference_age_seconds
guard_ws_connections guard_ws_frames_total guard_ws_closed_total guard_upstream_dials_total guard_steps_in_flight
guard_key_expiry_timestamp_seconds guard_tls_not_after_timestamp_seconds guard_build_info
""",
)

BESIDE: Final = {"guard_connections_open", "guard_connections_total", "guard_connections_cut_total"}
"""Metrics that the contract does not name."""


async def _traffic(guard: Guard, simulator: Simulator) -> None:
    """One of everything: passed, refused, failed, unknown, not authenticated, reloaded, a socket, another state."""
    await ask(guard, "/api/ping", who=None)
    await ask(guard, "/api/quote", {"symbols": ["HK.00700"]})
    placed = said(await ask(guard, "/api/order", order(price=250.0)))["s2c"]
    await ask(guard, "/api/order", order(price=-1))
    await ask(guard, "/api/order", order(price=10_000_001))
    await ask(guard, "/api/order", order(), who="nobody")
    await ask(guard, "/api/nothing")
    for fault in (Reset(acts=True), HttpError(502)):
        simulator.faults.add(fault, path="/api/order")
        await ask(guard, "/api/order", order(qty=200))
    body = {"market": "HK", "acc_id": 123456, "env": "simulate", "op": "CANCEL", "order_id": placed["order_id"]}
    await ask(guard, "/api/modify-order", body)
    await operate(guard, "/admin/policy/reload", {})
    await operate(guard, "/admin/state", {"state": "cancel_only", "reason": "a drill", "drill": True})


async def _scrape(guard: Guard) -> str:
    exposition = (await operate(guard, "/metrics", who=None))[1]
    assert isinstance(exposition, str)
    return exposition


def _series(exposition: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in exposition.splitlines() if line and not line.startswith("#")}


async def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    """`promtool check metrics` reads the scrape of a guard that has seen everything, and has no remark."""
    promtool = external("promtool")
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        await _traffic(guard, simulator)
        exposition = await _scrape(guard)

    command = [promtool, "check", "metrics"]
    done = await asyncio.to_thread(
        subprocess.run, command, input=exposition.encode(), capture_output=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr.decode(), done.stdout.decode()) == (0, "", "")


async def test_every_metric_of_the_contract_is_there_with_its_labels(tmp_path: Path) -> None:
    """Each promised name is exposed, but for those without a subject yet; others are named here."""
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        await _traffic(guard, simulator)
        exposition = await _scrape(guard)

    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE))
    assert set(CONTRACT) <= set(FAMILIES) | NOT_YET
    assert set(FAMILIES) - set(CONTRACT) == BESIDE
    assert typed == {name: family.kind for name, family in FAMILIES.items()}
    for name, family in FAMILIES.items():
        for labels in re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} ", exposition, re.MULTILINE):
            found = [label for label in re.findall(r'(\w+)="', labels) if label != "le"]
            assert sorted(found) == sorted(family.labels), name


async def test_figures_are_what_happened(tmp_path: Path) -> None:
    """Counters say allowed, refused and failed as the contract means them; unknown orders are shown as such."""
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        await _traffic(guard, simulator)
        shown = _values(await _scrape(guard))

    assert shown['guard_requests_total{endpoint="/api/order",outcome="allowed"}'] == 1
    assert shown['guard_requests_total{endpoint="/api/order",outcome="refused"}'] == 3
    assert shown['guard_requests_total{endpoint="/api/order",outcome="failed"}'] == 2
    assert shown['guard_requests_total{endpoint="other",outcome="refused"}'] == 1
    assert shown['guard_refusals_total{code="max_order_value",policy="open"}'] == 1
    assert shown['guard_refusals_by_key_total{code="max_order_value",key="bot"}'] == 1
    assert shown['guard_order_outcomes_total{outcome="accepted"}'] == 2
    assert shown['guard_order_outcomes_total{outcome="unknown"}'] == 2
    assert shown["guard_unknown_orders"] == 2
    assert shown["guard_steps_in_flight"] == 0
    assert shown['guard_trading_state{state="cancel_only"}'] == 1
    assert shown['guard_trading_state{state="active"}'] == 0
    assert shown['guard_policy_reloads_total{result="unchanged"}'] == 1
    assert shown['guard_request_duration_seconds_count{endpoint="/api/order"}'] == 6


async def test_gauges_are_what_is_so_at_this_moment(tmp_path: Path) -> None:
    """An order under way, an open socket, the record with its queue, room and signature, the last good policies."""
    simulator, gate, clock = Simulator(), asyncio.Event(), SystemClock()
    simulator.faults.add(Hold(gate), path="/api/order")
    began_s = clock.wall().timestamp()
    async with running(lay_out(tmp_path), daemon=simulator) as guard, aiohttp.ClientSession() as session:
        stream = await session.ws_connect(f"http://127.0.0.1:{guard.ports[0]}/ws")
        sending = asyncio.ensure_future(ask(guard, "/api/order", order()))
        await until(lambda: any(seen.path == "/api/order" for seen in simulator.requests))
        guard.journal.append("a", {}, lazy=True)
        ((_, queued),) = guard.desk.metrics._readings["guard_journal_queue"]()
        meanwhile = _values(await _scrape(guard))
        gate.set()
        assert (await sending).status == 200
        await stream.close()
        await until(lambda: guard.relay.connections == 0)
        await guard.journal.checkpoint()
        records = len(lines(tmp_path / "guard.toml"))
        after = _values(await _scrape(guard))
        last, now_s, free = guard.journal.last_seq, clock.wall().timestamp(), shutil.disk_usage(tmp_path).free

    for gauge in ("guard_steps_in_flight", "guard_ws_connections"):
        assert (meanwhile[gauge], after[gauge]) == (1, 0), gauge
    assert queued >= 1
    assert after["guard_journal_queue"] == 0
    assert records <= after["guard_journal_records_total"] <= last
    assert abs(after["guard_journal_free_bytes"] - free) < 2**30
    for moment in ("guard_policy_last_success_timestamp_seconds", "guard_journal_last_checkpoint_timestamp_seconds"):
        assert began_s <= after[moment] <= now_s, moment
    assert after["guard_daemon_up"] == 1


async def test_a_start_without_good_policies_is_told_as_no_success(tmp_path: Path) -> None:
    """Their files are wrong: nothing was loaded well, whatever the time of the start, until a reload is."""
    names = ("guard_policy_last_reload_success", "guard_policy_last_success_timestamp_seconds")
    began_s = SystemClock().wall().timestamp()
    async with running(lay_out(tmp_path, policies={"open.toml": "no policy"})) as guard:
        at_first = _values(await _scrape(guard))
        (tmp_path / "policies" / "open.toml").write_text(OPEN_POLICY)
        assert (await operate(guard, "/admin/policy/reload", {}))[1]["result"] == "applied"
        after = _values(await _scrape(guard))

    assert [at_first[name] for name in names] == [0, 0]
    assert after[names[0]] == 1
    assert after[names[1]] >= began_s


async def test_the_daemons_answers_are_timed_and_its_connections_counted(tmp_path: Path) -> None:
    """Each answer to a caller once, whatever else the guard asks; each connection as it is opened."""
    timed, dialled = "guard_upstream_duration_seconds_count", "guard_upstream_dials_total"
    async with guarded(tmp_path) as (guard, daemon):
        before = _values(await _scrape(guard))
        for _ in range(3):
            await ask(guard, "/api/quote", {"symbols": ["HK.00700"]})
        after = _values(await _scrape(guard))
        connections = daemon.connections

    assert after[timed] - before[timed] == 3
    assert 1 <= after[dialled] == connections


async def test_connections_that_were_cut_are_counted_by_why(tmp_path: Path) -> None:
    """One that made room, one whose request did not arrive; none of them before."""
    bounds = "connections_max = 1\nrequest_timeout_s = 2.0\n"
    toml = f'[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n[bounds]\n{bounds}'
    async with running(lay_out(tmp_path, toml=toml)) as guard:
        assert guard._listener is not None
        counts, place = guard._listener.counts, ("127.0.0.1", guard.ports[0])
        before = _values(await _scrape(guard))
        writers = [(await asyncio.open_connection(*place))[1] for _ in range(2)]
        writers[1].write(b"GET /api/ping HTTP/1.1\r\n")
        await until(lambda: counts.evicted == 1 and counts.timed_out == 1)
        for writer in writers:
            writer.close()
        await until(lambda: counts.open == 0)
        after = _values(await _scrape(guard))

    cut = 'guard_connections_cut_total{{reason="{}"}}'
    assert {why: before[cut.format(why)] for why in counts.cut} == dict.fromkeys(counts.cut, 0)
    assert {why: after[cut.format(why)] for why in counts.cut} == counts.cut
    assert (after["guard_connections_total"], after["guard_connections_open"]) == (2, 0)


async def test_connections_are_counted_while_they_are_open(tmp_path: Path) -> None:
    """As many as there are now, and all there ever were."""
    toml = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n[bounds]\nrequest_timeout_s = 3600\n'
    async with running(lay_out(tmp_path, toml=toml)) as guard:
        assert guard._listener is not None
        counts, place, seen = guard._listener.counts, ("127.0.0.1", guard.ports[0]), list[tuple[float, float]]()
        for _ in range(2):
            writers = [(await asyncio.open_connection(*place))[1] for _ in range(3)]
            await until(lambda: counts.open == 3)
            told = _values(await _scrape(guard))
            seen.append((told["guard_connections_open"], told["guard_connections_total"]))
            for writer in writers:
                writer.close()
            await until(lambda: counts.open == 0)

    assert seen == [(3, 3), (3, 6)]


def _values(exposition: str) -> dict[str, float]:
    rows = [line.rpartition(" ") for line in exposition.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


async def test_ten_thousand_foreign_names_add_no_series(tmp_path: Path) -> None:
    """Random paths, keys, tokens, agents, symbols and accounts: the scrape has as many series as before."""
    async with running(lay_out(tmp_path)) as guard:
        for number in range(60):  # every kind of answer once, so that its series exists
            await guard.pipeline.handle(_foreign(number))
        before = _series(await _scrape(guard))
        for number in range(60, 10_000):
            await guard.pipeline.handle(_foreign(number))
        after = _series(await _scrape(guard))

    assert after == before
    assert len(after) < 400


def _foreign(number: int) -> Call:
    """A request that names something nobody knows, of one of six kinds."""
    name = f"x{number * 7919 % 1_000_003}"
    match number % 6:
        case 0:
            return call(f"/api/{name}", who="bot")
        case 1:
            return call("/api/order", order(), who=name)
        case 2:
            return call("/api/order", order(code=name.upper()))
        case 3:
            return call("/api/order", order(acc_id=number + 1))
        case 4:
            return call(f"/guard/v1/decisions/{number:026d}", user_agent=name, x_request_id=name)
        case _:
            return call("/api/quote", {name: number})


async def test_more_keys_than_labels_are_counted_as_other(tmp_path: Path) -> None:
    """Beyond `metrics.keys_max` a key has no series of its own, neither in counters nor in limits."""
    toml = '[trading]\nenabled = true\n[metrics]\nkeys_max = 3\n[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n'
    keys = [record(f"bot-{number}", max_orders_per_minute=9) for number in range(8)]
    async with running(lay_out(tmp_path, *keys, toml=toml)) as guard:
        for number in range(8):
            await ask(guard, "/api/order", order(), who=f"bot-{number}")
        exposition = await _scrape(guard)

    assert set(re.findall(r'guard_requests_by_key_total\{key="([^"]*)"', exposition)) == {
        "bot-0",
        "bot-1",
        "bot-2",
        "other",
    }
    assert set(re.findall(r'guard_limit_used_ratio\{key="([^"]*)"', exposition)) == {"bot-0", "bot-1", "bot-2"}


# ---------------------------------------------------------------- secrets

CANARY: Final = "c4nary9d7e5f"
PASSWORD_MD5: Final = "5f4dcc3b5aa765d61d8327deb882cf99"


async def test_no_answer_log_record_or_metric_tells_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Bearer keys, tokens in the target, trade passwords and their MD5 go through every door and are found nowhere."""
    caplog.set_level(logging.DEBUG)
    structlog.reset_defaults()
    secrets = [CANARY, PASSWORD_MD5, key("bot"), key("desk")]
    config, simulator = lay_out(tmp_path), Simulator()
    async with running(config, daemon=simulator) as guard, aiohttp.ClientSession() as session:
        told = [await _everything(guard)]
        data = f"http://127.0.0.1:{guard.ports[0]}"
        for path in (f"/ws?token={CANARY}", f"/ws?token={key('bot')}x", f"/api/order?token={CANARY}", f"/{CANARY}"):
            async with session.get(data + path) as answer:
                text, headers = await answer.text(), str(answer.headers)
                told.append(f"{text}{headers}".replace(f"/{CANARY}", "") if path == f"/{CANARY}" else text + headers)
        shown = [await operate(guard, path) for path in ("/status", "/metrics", "/admin/policy", "/admin/state")]
        told.append(json.dumps(shown))
    captured = capsys.readouterr()
    told += [captured.out, captured.err, caplog.text]
    told += [path.read_text().replace(f'"/{CANARY}"', "") for path in (tmp_path / "state").rglob("*") if path.is_file()]

    assert not [(secret, text[:200]) for text in told for secret in secrets if secret in text]


async def _everything(guard: Guard) -> str:
    unlock: dict[str, Any] = {"unlock": True, "pwd_md5": PASSWORD_MD5, "acc_ids": [123456]}
    calls = (
        call("/api/unlock-trade", unlock),
        call("/api/unlock-trade", unlock | {"password": CANARY}),
        call("/api/unlock-trade", json.dumps(unlock)[:-1].encode()),
        call("/api/order", order(), who=CANARY),
        call("/api/order", order(), who=None, authorization=f"Basic {CANARY}"),
        call("/api/order", order(), who=None, authorization=f"Bearer a.{CANARY}.c"),
        call("/api/order", order() | {"pwd_md5": PASSWORD_MD5}),
        call("/api/order", order(), idempotency_key=CANARY),
        call("/api/order", order(), cookie=f"session={CANARY}", x_api_key=CANARY),
        call("/api/admin/reload", {"password": CANARY}),
    )
    replies = [await guard.pipeline.handle(one) for one in calls]
    return "".join(reply.body.decode() + str(reply.headers) for reply in replies)
