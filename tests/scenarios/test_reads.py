"""Reads: forwarded byte for byte, rated, recorded as asked, and honest about a daemon that does not answer."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from guard.simulator.faults import Delay, Fault, Garbage, HttpError, Reset, RetType, Unreachable
from guard.walk.hooks import HOOKS
from tests.support.disk import FaultyDisk
from tests.support.guards import call, operate, order, record, said
from tests.support.stage import ACCOUNTS, DAILY, TRADING, account, code_of, decision_of, is_passed, stage

ROWS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parents[1] / "seed/endpoints.json").read_text())
QUOTE: Final = "/api/quote"
TENCENT: Final = {"symbol": "HK.00700"}
SOON: Final = "[trading]\nenabled = true\n[daemon]\nread_timeout_s = 0.01\n"
ODD: Final = b' {"symbol" :\t"HK.00700",\n "security_list": null} '


@pytest.mark.parametrize("row", [row for row in ROWS if row["effect"] == "read"], ids=lambda row: str(row["path"]))
async def test_every_read_of_the_reference_passes(tmp_path: Path, row: dict[str, Any]) -> None:
    """The reference's own example goes through, and what the daemon answers comes back as it was."""
    async with stage(tmp_path) as scene:
        body = None if row["method"] == "GET" else row["documented_example_body"] or {}
        reply = await scene.ask(row["path"], body)

        assert reply.status == 200
        sent = scene.reached(row["path"])[-1]
        if body is not None and "acc_id" not in body:
            assert sent.body == json.dumps(body).encode()
        assert sent.method == row["method"]
        assert sent.idempotency_key is None


async def test_bytes_go_through_untouched(tmp_path: Path) -> None:
    """Neither the question about the market nor its answer is rewritten, however oddly it is spaced."""
    answer = b'{"ret_type" : 0,\n"s2c":{"n":1.10, "id":9223372036854775807}}'
    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(Garbage(answer), path=QUOTE)
        reply = await scene.ask(QUOTE, ODD)

        assert scene.reached(QUOTE)[0].body == ODD
        assert reply.body == answer


@pytest.mark.parametrize(("rates", "cells"), [("", None), ('[rates]\nreads = "9/60s"\n', ["reads/key=bot"])])
async def test_a_read_that_claims_nothing_has_no_claims_in_its_record(
    tmp_path: Path, rates: str, cells: list[str] | None
) -> None:
    """It stays short: there is one for each read of an account. With a rate it has the claim."""
    async with stage(tmp_path, policies={"desk.toml": rates}) as scene:
        await scene.ask("/api/funds", account())
        [read] = await scene.records("decision")

        claims = read.get("claims")
        assert (None if claims is None else [claim["counter"] for claim in claims]) == cells


async def test_w11_reads_are_read_strictly_too(tmp_path: Path) -> None:
    """Unknown names, two spellings of one field and doubled keys are refused on reads as well."""
    async with stage(tmp_path) as scene:
        for body, code in [
            (b'{"symbol":"HK.00700","symbol":"US.AAPL"}', "duplicate_key"),
            (b'{"symbol":"HK.00700","code_list":["US.AAPL"]}', "conflicting_fields"),
            (b'{"symbl":"HK.00700"}', "unknown_field"),
            (b'{"symbol":NaN}', "bad_json"),
            (b"[]", "bad_json"),
            (b"", "bad_json"),
        ]:
            assert code_of(await scene.ask(QUOTE, body)) == (400, code)
        assert scene.reached(QUOTE) == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Unreachable(), 502, "daemon_unreachable"),
        (Reset(acts=False), 502, "daemon_bad_answer"),
        (Reset(acts=True), 502, "daemon_bad_answer"),
        (Delay(0.05), 504, "daemon_timeout"),
    ],
)
async def test_no_answer_is_told_as_what_it_is(tmp_path: Path, fault: Fault, status: int, code: str) -> None:
    """Without a whole answer a read is 502 or 504; it is asked once, and it is never told as an unknown trade."""
    async with stage(tmp_path, toml=SOON) as scene:
        scene.daemon.faults.add(fault, path=QUOTE)
        reply = await scene.ask(QUOTE, TENCENT)

        assert code_of(reply) == (status, code)
        assert said(reply)["ret_type"] == (-100 if status == 504 else -1)
        assert len(scene.reached(QUOTE)) == 1
        exposed = (await operate(scene.guard, "/metrics"))[1]
        assert 'guard_requests_total{endpoint="/api/quote",outcome="failed"} 1.0' in exposed


@pytest.mark.parametrize(
    "fault", [HttpError(500), HttpError(403), RetType(-1, "no quota", 7), Garbage(b"<html>", "text/html")]
)
async def test_what_the_daemon_says_is_passed(tmp_path: Path, fault: Fault) -> None:
    """The daemon's own status and body pass; what is no JSON passes as plain text that no browser runs."""
    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(fault, path=QUOTE)
        reply = await scene.ask(QUOTE, TENCENT)

        assert "guard" not in reply.body.decode()
        assert dict(reply.headers)["Guard-Decision"]
        if reply.body == b"<html>":
            assert reply.content_type.startswith("text/plain")
            assert dict(reply.headers)["X-Content-Type-Options"] == "nosniff"


async def test_reads_have_a_rate_of_their_own(tmp_path: Path) -> None:
    """rates.reads is exact, answers 429 with Retry-After, and neither uses up orders nor is used up by them."""
    async with stage(tmp_path, policies=DAILY.replace("[rates]", '[rates]\nreads = "3/10s"')) as scene:
        for _ in range(3):
            assert is_passed(await scene.ask(QUOTE, TENCENT))
            scene.clock.advance(s=1)
        refused = await scene.ask(ACCOUNTS)
        assert code_of(refused) == (429, "rate")
        assert said(refused)["guard"]["retry_after_s"] == 7
        assert dict(refused.headers)["Retry-After"] == "7"
        assert is_passed(await scene.place())
        scene.clock.advance(s=7)
        assert is_passed(await scene.ask(ACCOUNTS))
        scene.clock.advance(us=999_999)
        assert code_of(await scene.ask(QUOTE, TENCENT)) == (429, "rate")


@pytest.mark.parametrize(
    ("mode", "recorded"),
    [("account", ["/api/funds"]), ("all", ["/api/funds", QUOTE, "/api/ping"]), ("refused", [])],
)
async def test_reads_are_recorded_as_the_settings_say(tmp_path: Path, mode: str, recorded: list[str]) -> None:
    """journal.reads chooses which passed reads leave a record; what was refused or changes something always does."""
    async with stage(tmp_path, toml=f'{TRADING}[journal]\nreads = "{mode}"\n') as scene:
        await scene.ask("/api/funds", account())
        await scene.ask(QUOTE, TENCENT)
        await scene.ask("/api/ping")
        await scene.ask(QUOTE, {"no": "such name"})
        await scene.ask("/api/subscribe", {"security_list": ["HK.00700"], "sub_type_list": [1]})
        found = await scene.records("decision")

        passed = [line["endpoint"] for line in found if line["outcome"] == "allow"]
        assert passed == [*recorded, "/api/subscribe"]
        assert [line["code"] for line in found if line["outcome"] == "refuse"] == ["unknown_field"]


async def test_reads_pass_a_broken_journal_and_what_changes_something_does_not(tmp_path: Path) -> None:
    """With the record broken quotes and balances are still told; subscriptions and unlocks are not done unrecorded."""
    disk = FaultyDisk()
    async with stage(tmp_path, disk=disk) as scene:
        disk.fails["write"] = OSError(28, "No space left on device")
        assert code_of(await scene.place()) == (503, "journal_unavailable")

        assert is_passed(await scene.ask(QUOTE, TENCENT))
        assert is_passed(await scene.ask("/api/funds", account()))
        for path, body in [
            ("/api/subscribe", {"security_list": ["HK.00700"], "sub_type_list": [1]}),
            ("/api/unlock-trade", {"unlock": False}),
            ("/api/sub-acc-push", {}),
        ]:
            assert code_of(await scene.ask(path, body)) == (503, "journal_unavailable")


async def test_locked_leaves_nothing_but_cancels(tmp_path: Path) -> None:
    """Under `locked` reads are 423 for everyone it concerns, with a key or without; under `cancel_only` they pass."""
    async with stage(tmp_path) as scene:
        mine = await scene.placed()
        await scene.set_state("cancel_only")
        assert is_passed(await scene.ask(QUOTE, TENCENT))
        await scene.set_state("locked")
        for who in ("bot", None):
            assert code_of(await scene.ask("/api/ping", who=who)) == (423, "halted")
        assert code_of(await scene.ask("/api/funds", account())) == (423, "halted")
        assert is_passed(await scene.cancel(mine))
        assert (await scene.ask("/guard/v1/me")).status == 200


async def test_a_state_narrowed_to_markets_binds_orders_alone(tmp_path: Path) -> None:
    """A read is of no one market, so also under `locked` it passes, while no order of the market does."""
    async with stage(tmp_path) as scene:
        mine = await scene.placed()
        await scene.set_state("locked", markets=("HK",))
        for path, body in ((QUOTE, TENCENT), ("/api/funds", account()), ("/api/orders", account())):
            assert is_passed(await scene.ask(path, body))
        assert code_of(await scene.place()) == code_of(await scene.modify(mine, price=190)) == (423, "halted")
        assert is_passed(await scene.place(market="US", code="AAPL", price=100, qty=1))
        assert is_passed(await scene.cancel(mine))


async def test_b01_paths_and_methods_that_do_not_exist_reach_nobody(tmp_path: Path) -> None:
    """Only the 68 calls of the catalogue exist, by exact method and exact path."""
    async with stage(tmp_path) as scene:
        for path in (
            "/",
            "/api",
            "/api/",
            "/api/Quote",
            "/api/quote/",
            "//api/quote",
            "/api/quotes",
            "/metrics",
            "/admin/state",
        ):
            assert code_of(await scene.ask(path, {})) == (404, "unknown_endpoint")
            assert code_of(await scene.ask(path, {}, who=None)) == (404, "unknown_endpoint")
            assert code_of(await scene.ask(path, {}, who="nobody")) == (401, "unauthenticated")
        assert code_of(await scene.ask("/api/ping", {})) == (405, "method")
        assert code_of(await scene.ask("/api/ping", {}, who="nobody")) == (401, "unauthenticated")
        assert code_of(await scene.ask("/api/order")) == (405, "method")
        assert code_of(await scene.ask("/ws")) == (400, "bad_header")
        assert code_of(await scene.ask("/guard/v1/nothing")) == (404, "unknown_endpoint")
        assert code_of(await scene.ask("/guard/v1/me", {})) == (405, "method")
        assert scene.daemon.requests == type(scene.daemon.requests)()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/modify-user-security", {"group_name": "Favorites", "op": 1, "symbols": ["HK.00700"]}),
        ("/api/set-price-reminder", {"symbol": "HK.00700", "op": "SetAdd", "reminder_type": 1, "value": 300}),
    ],
)
async def test_w16_lists_and_reminders_are_written_under_a_scope_for_quotes_and_recorded(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    """As the daemon documents it; each has a decision of its own, also where passed reads have none."""
    toml = '[journal]\nreads = "refused"\n'
    async with stage(
        tmp_path, record("bot", scopes=["qot:read"]), record("other", scopes=["acc:read"]), toml=toml
    ) as s:
        reply = await s.ask(path, body)
        assert is_passed(reply), reply
        assert (await s.decision(reply))["endpoint"] == path
        assert code_of(await s.ask(path, body, who="other")) == (403, "scope")
        assert len(s.reached(path)) == 1


async def test_a_wrong_method_is_told_the_right_ones(tmp_path: Path) -> None:
    """Every 405 names in `Allow` what the path takes (RFC 9110 §15.5.6), as its words do."""
    async with stage(tmp_path) as scene:
        for path, allowed in [
            ("/api/order", "POST"),
            ("/api/accounts", "GET"),
            ("/api/delay-statistics", "GET, POST"),
            ("/guard/v1/me", "GET"),
            ("/guard/v1/check", "POST"),
        ]:
            reply = await scene.guard.pipeline.handle(replace(call(path), method="PUT"))
            assert (reply.status, dict(reply.headers)["Allow"]) == (405, allowed)
        status, told = await operate(scene.guard, "/admin/policy/reload")
        assert (status, told["guard"]["reasons"][0]["limit"]) == (405, "POST")


async def test_a_dry_run_tells_what_is_left_of_its_own_rate(tmp_path: Path) -> None:
    """As every rated answer does, passed or refused: 120 in a minute, and when the next one is free."""
    async with stage(tmp_path, record("bot")) as scene:
        replies = [await scene.ask("/guard/v1/check", {"path": QUOTE, "body": TENCENT}) for _ in range(121)]

    first, last = (dict(reply.headers) for reply in (replies[0], replies[-1]))
    assert first["RateLimit-Policy"] == last["RateLimit-Policy"] == '"checks";q=120;w=60'
    assert (first["RateLimit"], last["RateLimit"]) == ('"checks";r=119;t=60', '"checks";r=0;t=60')
    assert code_of(replies[-1]) == (429, "rate")
    assert last["Retry-After"] == "60"


async def test_a_dry_run_says_what_would_happen_and_does_nothing(tmp_path: Path) -> None:
    """POST /guard/v1/check answers what the real request would meet, sends and reserves nothing, at its own rate."""
    policies = DAILY.replace("[rates]", '[rates]\nreads = "1/60s"')
    async with stage(tmp_path, record("bot"), record("other"), policies=policies) as scene:
        check = "/guard/v1/check"
        mine = await scene.placed(remark="mine")
        before, requests = scene.ledger(), len(scene.daemon.requests)
        for path, body, status, code in [
            ("/api/order", order(price=200), 200, None),
            ("/api/order", order(price=200, qty=6000), 403, "max_order_value"),
            ("/api/order", order(qty="1"), 400, "bad_number"),
            ("/api/modify-order", account(order_id_ex=mine, op="NORMAL", qty=100, price=9), 200, None),
            ("/api/modify-order", account(order_id_ex="1", op="NORMAL", qty=100, price=9), 403, "unknown_order"),
            (QUOTE, TENCENT, 200, None),
            ("/api/nothing", {}, 404, "unknown_endpoint"),
            ("/ws", {}, 404, "unknown_endpoint"),
            ("/api/accounts", None, 200, None),
            ("/api/accounts", {}, 200, None),
        ]:
            told = await scene.ask(check, {"path": path, "body": body})
            assert told.status == 200
            assert said(told)["status"] == status
            assert said(told)["outcome"] == ("refuse" if code else "allow")
            assert said(told)["guard"]["code"] == code
            members = "decision code retryable retry_after_s reasons policy_sha256 largest_qty"
            assert set(members.split()) <= said(told)["guard"].keys()
        for odd, code, missing in (
            ({"path": "/api/order"}, "missing_field", "body: "),
            ({"path": "/api/order", "body": None}, "missing_field", "body: "),
            ({"body": {}}, "missing_field", "path: "),
            ({"path": "/api/order", "body": {}, "bady": {}}, "unknown_field", "path and body"),
            ({"path": 1, "body": {}}, "bad_json", "with a path"),
            ([], "bad_json", "no JSON object"),
            ({"path": "/api/nothing"}, "unknown_endpoint", "path: "),
        ):
            told = await scene.ask(check, odd)
            where = code_of(told) if told.status != 200 else (said(told)["status"], said(told)["guard"]["code"])
            assert where == (404 if code == "unknown_endpoint" else 400, code)
            assert missing in json.dumps(said(told))
        assert scene.ledger() == before
        asked = {request.path for request in list(scene.daemon.requests)[requests:]}
        assert asked <= {"/api/static-info", "/api/orders"}  # what a lot is; whether anybody knows the order
        body = {"path": "/api/modify-order", "body": account(order_id_ex=mine, op="CANCEL")}
        assert said(await scene.ask(check, body, who="other"))["guard"]["code"] == "not_your_order"
        await scene.ask(QUOTE, TENCENT)
        assert said(await scene.ask(check, {"path": QUOTE, "body": TENCENT}))["guard"]["code"] == "rate"
        many = [await scene.ask(check, {"path": QUOTE, "body": TENCENT}) for _ in range(200)]
        assert code_of(many[-1]) == (429, "rate")


async def test_a_dry_run_of_what_is_given_twice_is_none(tmp_path: Path) -> None:
    """Two paths, or two bodies: 400, as everywhere. A name that stands twice within the body is what it would meet."""
    check, whole = "/guard/v1/check", json.dumps(order())
    inner = f'{whole[:-1]},"qty":1}}'
    async with stage(tmp_path, policies=DAILY) as scene:
        for raw in (
            f'{{"path":"/api/order","body":{whole},"body":{whole}}}',
            f'{{"path":"/api/ping","path":"/api/order","body":{whole}}}',
        ):
            reply = await scene.ask(check, raw.encode())
            assert code_of(reply) == (400, "duplicate_key"), raw
        told = said(await scene.ask(check, f'{{"path":"/api/order","body":{inner}}}'.encode()))
        assert (told["status"], told["guard"]["code"]) == (400, "duplicate_key")


async def test_a_caller_sees_where_it_stands(tmp_path: Path) -> None:
    """GET /guard/v1/me tells scopes and what is used and left of every limit."""
    policies = '[orders]\nmax_value = "90000 HKD"\n[budgets]\ndaily_value = "50000 HKD"\n[rates]\nnew_orders = "3/60s"'
    async with stage(tmp_path, record("bot", max_daily_value=30_000), policies=policies) as scene:
        reply = await scene.place()
        me = said(await scene.ask("/guard/v1/me"))
        rows = {(row["policy"], row["rule"], row["subject"], row["unit"]): row for row in me["limits"]}

        assert me["id"] == "bot"
        daily = rows["key:bot", "max_daily_value", "key=bot;simulate", "HKD"]
        assert (daily["limit"], daily["used"], daily["left"]) == ("30000", "20000", "10000")
        assert daily["resets_at"] == "2026-11-23T00:30:00+00:00"  # stocks return at 08:30 there
        refused = said(await scene.place(price=201))
        assert refused["err_code"] == "daily_value"
        assert refused["error"].endswith("above 30000 HKD; some of what is used comes back at 2026-11-23T00:30:00Z")
        unused = rows["key:bot", "max_daily_value", "key=bot;real", "HKD"]
        assert unused["resets_at"] == "2026-11-22T22:00:00+00:00"  # funds, the first of the parts, at 06:00
        rate = rows["desk", "rates.new_orders", "key=bot", "orders/60s"]
        assert (rate["limit"], rate["used"], rate["left"]) == ("3", "1", "2")
        assert said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))["verdict"] == "accepted"


async def test_a_caller_sees_until_when_a_temporary_limit_binds(tmp_path: Path) -> None:
    """Limits of a policy that ends say so; those that stay say nothing of an end."""
    lasting = '[orders]\nmax_value = "90000 HKD"\nper_day = 9\n'
    brief = "[policy]\nexpires_at = 2026-11-23T08:00:00Z\n[orders]\nper_day = 5\n"
    async with stage(tmp_path, policies={"desk.toml": lasting, "brief.toml": brief}) as scene:
        limits = said(await scene.ask("/guard/v1/me"))["limits"]

        assert {(row["policy"], row["limit"], row.get("until")) for row in limits} == {
            ("brief", "5", "2026-11-23T08:00:00+00:00")
        }


async def test_what_became_of_a_read_is_told_like_any_other_decision(tmp_path: Path) -> None:
    """It is kept as little as it is: whose it was, when, which endpoint; to others it is none."""
    async with stage(tmp_path) as scene:
        began = scene.clock.wall()
        reply = await scene.ask("/api/quote", {"symbol": "HK.00700"})
        place = f"/guard/v1/decisions/{decision_of(reply)}"
        told = said(await scene.ask(place))

        assert (told["decision"], told["outcome"], told["endpoint"]) == (decision_of(reply), "allow", "/api/quote")
        assert datetime.fromisoformat(told["ts"]) == began
        assert {told[name] for name in ("code", "verdict", "order_id", "batch", "record")} == {None}
        assert code_of(await scene.ask(place, who="desk")) == (404, "unknown_endpoint")


async def steps_of_three(folder: Path, path: str, body: Any, *steps: str) -> list[str]:
    """In which order three requests of one turn take these steps."""
    async with stage(folder) as scene:
        log: list[str] = []

        def noting(step: str, hook: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*args: Any, **more: Any) -> Any:
                log.append(step)
                return hook(*args, **more)

            return noted

        scene.guard.pipeline.hooks = replace(HOOKS, **{step: noting(step, getattr(HOOKS, step)) for step in steps})
        supervisor = scene.guard.desk.supervisor
        await asyncio.gather(*(supervisor.start(scene.ask(path, body), "ask") for _ in range(3)))
        return log


async def test_reads_of_one_turn_are_judged_together_and_sent_together(tmp_path: Path) -> None:
    """What is judged and sent one after the other finds its code warm, and the daemon awake."""
    log = await steps_of_three(tmp_path, QUOTE, TENCENT, "parse", "judge_passing", "pass_on", "answer_view")

    assert log == ["parse"] * 3 + ["judge_passing"] * 3 + ["pass_on", "answer_view"] * 3
