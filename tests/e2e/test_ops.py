"""The operator's door over its socket: who may look, who may change, and that callers have no such door."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest
import structlog
from msgspec import Struct

from guard.admin.answers import as_refusal, not_made
from guard.admin.change import ChangeResult
from guard.catalogue import ENDPOINTS
from guard.codes import MEANING, Code
from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.faults import Hold, Stage
from guard.terms import Answer, Failure
from tests.support.guards import (
    OPEN_POLICY,
    ask,
    codes,
    key,
    lay_out,
    lines,
    made,
    of_type,
    operate,
    order,
    record,
    running,
    said,
    write_keys,
)
from tests.support.processes import free_port, run
from tests.support.tls import write_pair

ROUTES = (
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/admin/policy"),
    ("POST", "/admin/policy/reload"),
    ("POST", "/admin/policy/approve"),
    ("POST", "/admin/keys/reload"),
    ("GET", "/admin/state"),
    ("POST", "/admin/state"),
    ("POST", f"/admin/decisions/{'0' * 26}/settle"),
    ("GET", "/admin/audit/checkpoint"),
)
CHANGES = tuple(route for route in ROUTES if route[1].startswith("/admin"))
SCOPES = {"state": "guard:operate", "settle": "guard:operate", "checkpoint": "audit:read"}  # of all others guard:policy
BODIED = ("approve", "state", "settle")  # an empty body lacks what these have to be told
WAIT_S = 10


class Seen(Struct, frozen=True):
    """A fault that says when a request has reached the daemon, then goes on."""

    reached: asyncio.Event
    then: Hold

    async def play(self, stage: Stage) -> Answer | Failure:
        """Say so, then go on."""
        self.reached.set()
        return await self.then.play(stage)


async def _raw(port: int, text: str) -> tuple[int, str]:
    """An answer to bytes as they are: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    answer = (await asyncio.wait_for(reader.read(65_536), WAIT_S)).decode()
    writer.close()
    return int(answer.split(" ", 2)[1]), answer.partition("\r\n\r\n")[2]


async def _status_of(guard: Guard, host: str) -> int:
    return (await _raw(guard.ports[1], f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))[0]


def _is_refusal(answer: aiohttp.ClientResponse, body: dict[str, Any]) -> None:
    """The one body of every refusal, whatever else it says; the codes agree, the header names it."""
    message, said, reasons = body["ret_msg"], body["guard"], body["guard"]["reasons"]
    assert (body["ret_type"], body["s2c"], body["error"], body["err_code"]) == (-1, None, message, said["code"])
    assert (reasons[0]["code"], reasons[0]["message"]) == (said["code"], message)
    assert answer.headers["Guard-Decision"] == said["decision"]
    assert said.keys() >= {"retryable", "retry_after_s", "policy_sha256"}
    assert MEANING[Code(said["code"])].status == answer.status


async def _request(port: int, method: str, path: str, *, who: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key(who)}"} if who else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text


# ---------------------------------------------------------------- looking


async def test_health_readiness_status_and_metrics_are_open_on_loopback(tmp_path: Path) -> None:
    """Nobody needs a key to look while ops is on loopback."""
    async with running(lay_out(tmp_path)) as guard:
        assert await operate(guard, "/livez", who=None) == (200, "ok\n")
        assert await operate(guard, "/readyz", who=None) == (200, {"ready": True, "degraded": False, "reasons": []})
        status, told = await operate(guard, "/status", who=None)
        assert (status, told["trading"]["enabled"], told["policies"]["ids"]) == (200, True, ["open"])
        assert told["journal"]["failed"] is None
        status, exposition = await operate(guard, "/metrics", who=None)
        assert (status, "guard_build_info{" in exposition) == (200, True)


async def test_figures_say_how_long_they_are(tmp_path: Path) -> None:
    """They are written a piece at a time: who scrapes them can tell figures that were cut off; HEAD has no body."""
    async with running(lay_out(tmp_path)) as guard, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{guard.ports[1]}/metrics"
        async with session.get(url) as answer:
            assert int(answer.headers["Content-Length"]) == len(await answer.read()) > 1_000
        async with session.head(url) as answer:
            assert int(answer.headers["Content-Length"]) > 1_000
            assert await answer.read() == b""


async def test_status_tells_which_policies_bind_which_are_watched_and_what_is_odd(tmp_path: Path) -> None:
    """An operator sees what is in force without reading the files; where nothing is, that too."""
    more = {
        "tight.toml": '[policy]\nid = "tight"\nmode = "shadow"\n[orders]\nper_day = 1\n',
        "idle.toml": '[applies_to]\nkeys = ["nobody-*"]\n[orders]\nper_day = 1\n',
    }
    config = lay_out(tmp_path, policies={"open.toml": OPEN_POLICY, **more})
    async with running(config) as guard:
        told = (await operate(guard, "/status", who=None))[1]["policies"]
        assert (told["sha256"], set(told["ids"])) == (guard.desk.config.policy_sha256, {"open", "idle"})
        assert told["shadows"] == ["tight"]
        assert "idle.toml: applies_to.keys: no key matches 'nobody-*'" in told["warnings"]


async def test_status_without_policies_says_so(tmp_path: Path) -> None:
    """Nothing could be loaded: no hash, no names; new orders are refused, and the answer comes all the same."""
    async with running(lay_out(tmp_path, policies={"open.toml": "no policy"})) as guard:
        status, told = await operate(guard, "/status", who=None)
        names = ("sha256", "ids", "shadows", "warnings")
        assert (status, [told["policies"][name] for name in names]) == (200, [None, [], [], []])
        assert "policies: none could be loaded; new orders are refused" in told["degraded"]


async def test_a_wrong_key_is_refused_also_where_none_is_wanted(tmp_path: Path) -> None:
    """A key that is presented but wrong is 401, so that nobody takes it for one that works; a right one may look."""
    async with running(lay_out(tmp_path, record("bot"))) as guard:
        for path in ("/status", "/metrics"):
            status, told = await operate(guard, path, who="nobody")
            assert (status, told["err_code"]) == (401, "unauthenticated")
            assert (await operate(guard, path, who="bot"))[0] == 200
        assert (await operate(guard, "/livez", who="nobody"))[0] == 200


async def test_a_daemon_that_only_the_guard_itself_asks_is_told_to_be_down(tmp_path: Path) -> None:
    """At a start without a daemon no caller's request gets as far as asking it: the guard's own questions fail."""
    toml = f'[trading]\nenabled = true\n[daemon]\nurl = "http://127.0.0.1:{free_port()}"\n'
    guard = made(lay_out(tmp_path, toml=toml))
    await guard.start()
    try:
        assert (await operate(guard, "/readyz", who=None))[1]["reasons"] == []
        assert codes(await ask(guard, "/api/order", order())) == ["reference_unavailable"]

        _, told = await operate(guard, "/readyz", who=None)
        _, metrics = await operate(guard, "/metrics", who=None)
    finally:
        await guard.stop("test over")
    assert told["reasons"] == ["daemon: did not answer the last time it was asked"]
    assert "\nguard_daemon_up 0.0\n" in str(metrics)


async def test_what_is_wrong_degrades_but_does_not_make_unready(tmp_path: Path) -> None:
    """A daemon that is down, a HALT file, an unknown order: 200 with reasons, since un-ready would cut off cancels."""
    config = lay_out(tmp_path)
    async with running(config, daemon=Simulator()) as guard:
        guard.desk.circuits.is_answering = False
        (tmp_path / "state" / "HALT").touch()

        status, told = await operate(guard, "/readyz", who=None)

    assert (status, told["ready"], told["degraded"]) == (200, True, True)
    assert [reason.partition(":")[0] for reason in told["reasons"]] == [
        "daemon",
        "a HALT file lies in the state directory",
    ]
    assert told["reasons"][1].endswith(": reads and cancels only, until it is removed")


async def test_a_fault_of_the_guards_own_has_the_body_of_every_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug behind a route is 503 `rule_error` with a decision, not a page of the library's; the door stays open."""

    def broken(_: object) -> object:
        raise ZeroDivisionError

    async with running(lay_out(tmp_path)) as guard:
        with monkeypatch.context() as patched:
            patched.setattr("guard.admin.app.status", broken)
            status, told = await operate(guard, "/status")
        assert (status, told["err_code"]) == (503, "rule_error")
        assert told["guard"]["decision"]
        assert (await operate(guard, "/status"))[0] == 200


async def test_only_draining_is_unready(tmp_path: Path) -> None:
    """While an order is still on its way the guard says 503 on /readyz, 200 on /livez, and waits for the order."""
    simulator, reached, gate = Simulator(), asyncio.Event(), asyncio.Event()
    simulator.faults.add(Seen(reached, Hold(gate)), path="/api/order")
    config = lay_out(tmp_path)
    guard = made(config, daemon=simulator)
    await guard.start()
    ops = guard.ports[1]
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(ask(guard, "/api/order", order()))
        await asyncio.wait_for(reached.wait(), WAIT_S)
        stopping = tasks.create_task(guard.stop("test"))
        await asyncio.sleep(0)
        ready = await _request(ops, "GET", "/readyz")
        alive = await _request(ops, "GET", "/livez")
        gate.set()

    assert (ready[0], ready[1]["ready"], ready[1]["reasons"]) == (503, False, ["draining"])
    assert alive == (200, "ok\n")
    assert (sending.result().status, list(stopping.result())) == (200, [])
    assert [line["type"] for line in lines(config)][-3:] == ["decision", "outcome", "stop"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:22501", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:22501", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:22501", 400),
        ("10.0.0.1", 400),
        ("localhost.", 400),
        ("", 400),
    ],
)
async def test_the_host_must_be_this_listeners(tmp_path: Path, host: str, status: int) -> None:
    """A page that rebinds its own name to 127.0.0.1 is refused on every route, open ones too."""
    async with running(lay_out(tmp_path)) as guard:
        assert await _status_of(guard, host) == status


async def test_no_answer_tells_versions_of_the_software_that_gives_it(tmp_path: Path) -> None:
    """Whoever finds the listener learns no versions, also where its request cannot be read."""
    async with running(lay_out(tmp_path)) as guard:
        for line in (
            "GET /livez HTTP/1.1",
            "GET /nowhere HTTP/1.1",
            "GET /admin/state HTTP/1.1",
            "GET / HTTP/1.0",
            "GE T",
        ):
            text = f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
            writer.write(text.encode())
            said = await reader.read()
            writer.close()
            assert said.startswith(b"HTTP/1.")
            assert b"\r\nServer: opend-guard\r\n" in said
            assert b"aiohttp" not in said.lower()


async def test_host_is_sent_once(tmp_path: Path) -> None:
    """Two Host fields are refused, whichever is right."""
    async with running(lay_out(tmp_path)) as guard:
        text = "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert (await _raw(guard.ports[1], text))[0] == 400


async def test_beyond_loopback_looking_wants_metrics_read_and_an_address_is_a_host(tmp_path: Path) -> None:
    """On all addresses: any address of the machine is a Host, no name is; figures want metrics:read, not just admin."""
    toml = '[listen]\ndata = "127.0.0.1:0"\nops = "0.0.0.0:0"\n'
    admin = record("admin", owner="a person", scopes=["admin"])
    keys = (record("scraper", scopes=["metrics:read"]), record("reader", scopes=["qot:read"]), admin)
    async with running(lay_out(tmp_path, *keys, toml=toml)) as guard:
        assert await _status_of(guard, "10.1.2.3:22501") == 200
        assert await _status_of(guard, "guard.example") == 400
        for path in ("/metrics", "/status"):
            found = [(await operate(guard, path, who=who))[0] for who in (None, "nobody", "reader", "admin", "scraper")]
            assert found == [401, 401, 403, 403, 200], path
        assert (await operate(guard, "/readyz", who=None))[0] == 200


async def test_figures_may_be_opened_by_setting(tmp_path: Path) -> None:
    """`[ops] open` lets anybody look, and is told as weakened; changes still want a key."""
    toml = '[listen]\ndata = "127.0.0.1:0"\nops = "0.0.0.0:0"\n[ops]\nopen = true\n'
    async with running(lay_out(tmp_path, toml=toml)) as guard:
        status, told = await operate(guard, "/status", who=None)

        assert status == 200
        assert "ops.open: metrics and status need no key" in told["weakened"]
        assert (await operate(guard, "/admin/state", who=None))[0] == 401


# ---------------------------------------------------------------- who may change


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_change_wants_a_key_its_scope_and_an_owner(tmp_path: Path, method: str, path: str) -> None:
    """401 without a valid key, 403 without the scope or without an owner; a broken body comes after that."""
    scope = SCOPES.get(path.rpartition("/")[2], "guard:policy")
    others = sorted({"guard:operate", "guard:policy", "audit:read", "metrics:read"} - {scope})
    keys = (
        record("trader", owner="a person", scopes=["trade:real", "qot:read"]),
        record("other", owner="a person", scopes=others),
        record("machine", scopes=["admin", scope]),
        record("person", owner="a person", scopes=[scope]),
        record("chief", owner="a person", scopes=["admin"]),
    )
    async with running(lay_out(tmp_path, *keys)) as guard:
        found = {
            who: await _request(guard.ports[1], method, path, who=who)
            for who in (None, "nobody", "trader", "other", "machine", "person", "chief")
        }

    assert [found[who][0] for who in (None, "nobody")] == [401, 401]
    assert [found[who][1]["err_code"] for who in ("trader", "other", "machine")] == ["scope"] * 3
    reached = 400 if method == "POST" and path.endswith(BODIED) else 200
    assert [found[who][0] for who in ("person", "chief")] == [reached] * 2


@pytest.mark.parametrize(("method", "path"), [change for change in CHANGES if change[0] == "POST"])
async def test_whose_key_ends_before_the_body_is_there_changes_nothing(tmp_path: Path, method: str, path: str) -> None:
    """The head was let in; what counts is whose the key is when the change would be made."""
    body = json.dumps({"state": "locked", "reason": "x"} if path.endswith("state") else {"reason": "x"}).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key('late')}\r\n"
    config = lay_out(tmp_path, record("desk", owner="a person"), record("late", owner="another"))
    async with running(config) as guard:
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
        writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:1])
        await writer.drain()
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        assert (await operate(guard, "/admin/keys/reload", {}))[1]["changes"] == ["key late removed"]
        before = len(lines(config))
        writer.write(body[1:])
        answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nWWW-Authenticate: Bearer" in answer
        assert guard.desk.state.trading == {}
        assert len(lines(config)) == before


async def test_authorization_is_sent_once(tmp_path: Path) -> None:
    """Two Authorization fields are refused, a good one among them or not."""
    async with running(lay_out(tmp_path)) as guard:
        fields = f"Authorization: Bearer {key('desk')}\r\n" * 2
        status, body = await _raw(
            guard.ports[1], f"GET /admin/state HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"
        )

    assert (status, json.loads(body)["err_code"]) == (400, "bad_header")


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nAuthorization: \0Bearer gk_secret\r\n\r\n", 400, "bad_header"),
        ("GET /livez HTTP\n/1.1\r\nHost: localhost\r\nAuthorization: Bearer gk_secret\r\n\r\n", 400, "bad_header"),
        ("gk_secret\0 /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_header"),
        (f"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: gk_secret{'x' * 20_000}\r\n\r\n", 431, "headers_too_large"),
    ],
)
async def test_what_cannot_be_read_is_refused_like_all_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, status: int, code: str
) -> None:
    """In the one body of refusals, and with nothing of the request in it: a key may stand beside the odd character.

    Nor is it logged: whoever reaches the door could fill the disk with that.
    """
    structlog.reset_defaults()
    async with running(lay_out(tmp_path)) as guard:
        found, body = await _raw(guard.ports[1], text)

    told, logged = json.loads(body), "".join(capsys.readouterr())
    assert not [word for word in ("ops_failed", "gk_secret") if word in logged]
    assert (found, told["err_code"], told["guard"]["reasons"][0]["code"]) == (status, code, code)
    assert "gk_secret" not in body


@pytest.mark.parametrize("path", ["/%61dmin/state", "/admin/%73tate", "/livez%2f", "/%6civez"])
async def test_a_path_with_percent_signs_is_refused(tmp_path: Path, path: str) -> None:
    """What is odd is refused, never normalised: what stands before this listener may look at paths as they are."""
    async with running(lay_out(tmp_path)) as guard:
        asked = f"GET {path}?a=%20 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key('desk')}\r\n"
        status, body = await _raw(guard.ports[1], f"{asked}Connection: close\r\n\r\n")
        assert (status, json.loads(body)["err_code"]) == (400, "bad_target")
        assert (await _request(guard.ports[1], "GET", "/metrics?a=%20"))[0] == 200


async def test_who_has_no_key_is_not_told_what_there_is_below_admin(tmp_path: Path) -> None:
    """Nor by which method; and a wrong key is wrong wherever it is presented."""
    wrong = "Authorization: Bearer gk_wrong\r\n"
    async with running(lay_out(tmp_path)) as guard:
        for method, path, fields in (
            ("GET", "/admin/nosuch", ""),
            ("GET", "/admin/nosuch", wrong),
            ("DELETE", "/admin/state", ""),
            ("GET", "/nosuch", wrong),
        ):
            asked = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"
            status, body = await _raw(guard.ports[1], asked)
            assert (status, json.loads(body)["err_code"]) == (401, "unauthenticated"), path
        assert (await _request(guard.ports[1], "DELETE", "/admin/state", who="desk"))[1]["err_code"] == "method"
        assert (await _request(guard.ports[1], "GET", "/nosuch"))[1]["err_code"] == "unknown_endpoint"


async def test_the_data_listener_has_none_of_these_routes(tmp_path: Path) -> None:
    """Each route of ops is a 404 on data, also for an administrator, and the daemon hears nothing of it."""
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        for method, path in ROUTES:
            status, told = await _request(guard.ports[0], method, path, who="desk")
            assert (status, told["err_code"]) == (404, "unknown_endpoint"), path

    assert not simulator.requests


async def test_the_ops_listener_has_none_of_the_daemons_routes(tmp_path: Path) -> None:
    """None of the 68 endpoints and none of the callers' own questions is answered on ops."""
    theirs = {(row.method, row.path) for row in ENDPOINTS} | {
        ("GET", "/guard/v1/me"),
        ("POST", "/guard/v1/check"),
        ("GET", "/"),
        ("GET", "/docs"),
    }
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        for method, path in theirs:
            status, told = await _request(guard.ports[1], method, path, who="desk")
            assert (status, told["err_code"]) == (404, "unknown_endpoint"), path
        assert (await _request(guard.ports[1], "DELETE", "/metrics"))[1]["err_code"] == "method"

    assert not simulator.requests


async def test_whoever_asks_the_ops_listener_amiss_is_told_what_it_has(tmp_path: Path) -> None:
    """Each of its routes by name, and where callers ask instead."""
    async with running(lay_out(tmp_path)) as guard:
        _, told = await _request(guard.ports[1], "POST", "/admin/reload", who="desk")

    assert "the data listener" in told["error"]
    for _, path in ROUTES:
        assert path.replace("0" * 26, "{decision}") in told["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"state":"halted","reason":"x"}', 400),
        (b'{"state":"locked","reason":"x","sope":{}}', 400),
        (b'{"state":"active","state":"locked","reason":"x"}', 400),
        (b'{"state":"locked"}', 400),
        (b'{"state":"locked","reason":"x","scope":{"markets":["MARS"]}}', 422),
        (b'{"state":"locked","reason":"  "}', 422),
        (b'{"state":"active","reason":"x","cancel_working":true}', 422),
        (b'{"state":"locked","reason":"' + b"x" * 70_000 + b'"}', 413),
        (b"[" * 60_000, 400),
    ],
)
async def test_a_body_that_does_not_fit_changes_nothing(tmp_path: Path, body: bytes, status: int) -> None:
    """Broken, misspelt, doubled, too large or impossible: refused with a code, and trading is as it was."""
    async with running(lay_out(tmp_path)) as guard, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{guard.ports[1]}/admin/state"
        answer = await session.post(url, data=body, headers={"Authorization": f"Bearer {key('desk')}"})

        assert answer.status == status, await answer.text()
        _is_refusal(answer, await answer.json())
        assert guard.desk.state.trading == {}


# ---------------------------------------------------------------- changing


async def test_a_policy_edit_is_checked_swapped_and_recorded(tmp_path: Path) -> None:
    """Applied, unchanged, refused with every error and the old one still in force; each with who, why, from and to."""
    config = lay_out(tmp_path)
    policy = tmp_path / "policies" / "open.toml"
    async with running(config) as guard:
        was = guard.desk.config.policy_sha256
        policy.write_text('[orders]\nmax_value = "100 HKD"\n')
        status, applied = await operate(guard, "/admin/policy/reload", {"reason": "smaller"})
        assert (status, applied["result"], applied["kind"]) == (200, "applied", "tighter")
        assert codes(await ask(guard, "/api/order", order())) == ["max_order_value"]

        assert (await operate(guard, "/admin/policy/reload", {}))[1]["result"] == "unchanged"

        policy.write_text('[orders]\nmax_valu = "1 HKD"\nmax_qty = "many"\n')
        status, refused = await operate(guard, "/admin/policy/reload", {})
        assert (status, refused["result"], refused["sha256"]) == (422, "refused", applied["sha256"])
        assert {error["path"] for error in refused["errors"]} == {"orders.max_valu", "orders.max_qty"}
        assert {error["file"] for error in refused["errors"]} == {"open.toml"}
        assert codes(await ask(guard, "/api/order", order())) == ["max_order_value"]
        exposition = (await operate(guard, "/metrics"))[1]

    assert "guard_policy_last_reload_success 0.0" in exposition
    assert 'guard_policy_reloads_total{result="refused"} 1.0' in exposition
    start, change, bad = of_type(config, "policy")
    assert (start["reason"], start["sha256"]) == ("start", was)
    assert [change[name] for name in ("result", "from_sha256", "sha256", "by", "reason")] == [
        "applied",
        was,
        applied["sha256"],
        "a person",
        "smaller",
    ]
    assert (bad["result"], bad["sha256"], len(bad["errors"])) == ("refused", applied["sha256"], 2)


async def test_if_match_guards_against_a_stale_change(tmp_path: Path) -> None:
    """With If-Match a reload is done only where the policies in force are those that were looked at."""
    async with running(lay_out(tmp_path)) as guard, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{guard.ports[1]}/admin/policy"
        headers = {"Authorization": f"Bearer {key('desk')}"}
        seen = (await (await session.get(url, headers=headers)).json())["sha256"]
        (tmp_path / "policies" / "open.toml").write_text(OPEN_POLICY + "max_qty = 7\n")

        stale = await session.post(f"{url}/reload", headers=headers | {"If-Match": f'"{"0" * 64}"'})
        right = await session.post(f"{url}/reload", headers=headers | {"If-Match": f'"{seen}"'})

        assert (stale.status, right.status) == (412, 200)
        told = await stale.json()
        _is_refusal(stale, told)
        assert (told["err_code"], told["result"], told["sha256"]) == ("stale", "stale", seen)


async def test_a_change_that_was_not_made_is_a_refusal_with_every_error(tmp_path: Path) -> None:
    """Policies, keys and a settlement that do not fit: 422, the one body of refusals, a reason for each error."""
    config = lay_out(tmp_path)
    async with running(config) as guard, aiohttp.ClientSession() as session:
        base, headers = f"http://127.0.0.1:{guard.ports[1]}/admin", {"Authorization": f"Bearer {key('desk')}"}
        (tmp_path / "policies" / "open.toml").write_text('[orders]\nmax_valu = "1 HKD"\nmax_qty = "many"\n')
        (tmp_path / "keys.json").write_text('{"version":1,"keys":[{"id":"a b"},{"id":"c d"}]}')
        settle = {"verdict": "refused", "reason": "the broker's app shows nothing"}
        for path, asked in (("policy/reload", {}), ("keys/reload", {}), (f"decisions/{'0' * 26}/settle", settle)):
            answer = await session.post(f"{base}/{path}", json=asked, headers=headers)
            told = await answer.json()

            _is_refusal(answer, told)
            reasons = told["guard"]["reasons"]
            assert (answer.status, told["err_code"], told["result"]) == (422, "invalid", "refused")
            assert [reason["code"] for reason in reasons] == ["invalid"] * len(told["errors"])
            for reason, error in zip(reasons, told["errors"], strict=True):
                assert (error if isinstance(error, str) else error["message"]) in reason["message"]
                assert reason["rule"] == ("" if isinstance(error, str) else error["path"])


def test_a_change_that_could_not_be_recorded_is_a_503_that_may_be_tried_again() -> None:
    """It says so as every refusal does, `journal_unavailable` with Retry-After; what was made is no refusal."""
    change = ChangeResult("unrecorded", "0" * 64, errors=("disk full",))
    refusal = not_made(change)
    assert refusal is not None
    answer = as_refusal(refusal, decision="D", policy_sha256=None, change=change)

    told = msgspec.json.decode(cast("bytes", answer.body))
    assert (answer.status, told["err_code"], told["result"]) == (503, "journal_unavailable", "unrecorded")
    assert (answer.headers["Retry-After"], answer.headers["Guard-Decision"]) == ("1", "D")
    closed = not_made(change, is_closed=True)
    assert closed is not None
    assert "Retry-After" not in as_refusal(closed, decision="D", policy_sha256=None, change=change).headers
    assert [not_made(ChangeResult(done, "")) for done in ("applied", "unchanged", "pending")] == [None] * 3


@pytest.mark.parametrize("path", ["/admin/state", "/admin/decisions/01K00000000000000000000000/settle"])
async def test_whose_key_ends_while_the_body_is_on_its_way_changes_nothing(tmp_path: Path, path: str) -> None:
    """A body may take its time: 401, as if the key had been revoked before."""
    bodies = {"/admin/state": {"state": "locked", "reason": "because"}}
    body = json.dumps(bodies.get(path, {"verdict": "refused", "reason": "because"}))
    async with running(lay_out(tmp_path)) as guard:
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
        head = f"Host: localhost\r\nAuthorization: Bearer {key('desk')}\r\nContent-Length: {len(body)}"
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n{body[:9]}".encode())
        while not (guard._ops and guard._ops.is_answering):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        write_keys(tmp_path / "keys.json", record("bot"))
        await guard.reload()
        writer.write(body[9:].encode())
        answer = (await asyncio.wait_for(reader.read(), WAIT_S)).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 401 ")
        assert guard.desk.state.trading == {}


async def test_a_key_comes_and_goes_without_a_restart(tmp_path: Path) -> None:
    """A reload lets a new key in and a revoked one out; a broken file changes nothing and says everything."""
    config = lay_out(tmp_path)
    path = tmp_path / "keys.json"
    desk, late = record("desk", owner="a person"), record("late")
    async with running(config) as guard:
        assert (await ask(guard, "/guard/v1/me", who="late")).status == 401
        path.write_text(json.dumps({"version": 1, "keys": [desk, late]}))
        applied = await operate(guard, "/admin/keys/reload", {"reason": "late came, bot went"})
        assert (applied[0], applied[1]["changes"]) == (200, ["key late added", "key bot removed"])
        assert (await ask(guard, "/guard/v1/me", who="late")).status == 200
        assert (await ask(guard, "/guard/v1/me", who="bot")).status == 401

        path.write_text(json.dumps({"version": 1, "keys": [desk, {**late, "max_order_value": 9}]}))
        assert (await operate(guard, "/admin/keys/reload", {}))[1]["changes"] == ["key late changed"]

        path.write_text(json.dumps({"version": 1, "keys": [{**desk, "scope": []}, {**late, "id": "a b"}]}))
        status, refused = await operate(guard, "/admin/keys/reload", {})
        assert (status, len(refused["errors"])) == (422, 2)
        assert (await ask(guard, "/guard/v1/me", who="late")).status == 200

    lines = of_type(config, "keys")
    assert [line["result"] for line in lines] == ["applied", "applied", "refused"]
    assert [(line.get("added"), line.get("removed"), line.get("changed")) for line in lines] == [
        (["late"], ["bot"], None),
        (None, None, ["late"]),
        (None, None, None),
    ]


@pytest.mark.parametrize(
    ("state", "new", "read", "cancel"),
    [("active", 200, 200, 200), ("cancel_only", 423, 200, 200), ("locked", 423, 423, 200)],
)
async def test_trading_states(tmp_path: Path, state: str, new: int, read: int, cancel: int) -> None:
    """`cancel_only`: reads and cancels; `locked`: cancels only; both durable, with who and why."""
    config, simulator = lay_out(tmp_path), Simulator()
    async with running(config, daemon=simulator) as guard:
        placed = said(await ask(guard, "/api/order", order(price=250.0)))["s2c"]
        status, told = await operate(guard, "/admin/state", {"state": state, "reason": "a drill", "drill": True})
        assert (status, told["changes"]) == (200, [f"trading is {state}"])

        body = {"market": "HK", "acc_id": 123456, "env": "simulate", "op": "CANCEL", "order_id": placed["order_id"]}
        assert (await ask(guard, "/api/order", order(qty=200))).status == new
        assert (await ask(guard, "/api/funds", {"acc_id": 123456, "env": 0, "market": 1})).status == read
        assert (await ask(guard, "/api/modify-order", body)).status == cancel
        exposition = (await operate(guard, "/metrics"))[1]

    assert f'guard_trading_state{{state="{state}"}} 1.0' in exposition
    (line,) = of_type(config, "state")
    assert [line[name] for name in ("state", "by", "reason", "drill")] == [state, "a person", "a drill", True]

    async with running(config, daemon=simulator) as guard:
        assert (await ask(guard, "/api/order", order(qty=300))).status == new


async def test_a_state_binds_whom_it_names(tmp_path: Path) -> None:
    """A scope narrows to keys, accounts and markets; who is not named trades on."""
    async with running(lay_out(tmp_path, record("bot"), record("other"), record("desk", owner="p"))) as guard:
        scope = {"keys": ["bot"], "markets": ["HK"]}
        answer = await operate(guard, "/admin/state", {"state": "cancel_only", "reason": "odd orders", "scope": scope})

        assert answer[1]["changes"] == ["trading is cancel_only for keys bot; markets HK"]
        assert codes(await ask(guard, "/api/order", order())) == ["halted"]
        assert (await ask(guard, "/api/order", order(), who="other")).status == 200
        assert (await operate(guard, "/admin/state"))[1]["rules"][0]["keys"] == ["bot"]


async def test_a_halt_file_is_looked_at_before_each_order(tmp_path: Path) -> None:
    """No restart, no reload: the file is there, nothing new leaves; it is gone, all is as before."""
    async with running(lay_out(tmp_path)) as guard:
        halt = tmp_path / "state" / "HALT"
        halt.touch()
        assert codes(await ask(guard, "/api/order", order())) == ["halted"]
        halt.unlink()
        await asyncio.sleep(0)  # what one turn of the loop decides looks once
        assert (await ask(guard, "/api/order", order())).status == 200


@pytest.mark.parametrize(
    ("state", "halted"),
    [("active", "cancel_only"), ("reduce_only", "cancel_only"), ("cancel_only", "cancel_only"), ("locked", "locked")],
)
async def test_a_halt_file_shows_as_the_state_that_it_makes(tmp_path: Path, state: str, halted: str) -> None:
    """The strictest wins, in what is told as in what is done; `null` as a scope is one left out."""
    async with running(lay_out(tmp_path)) as guard:
        assert (await operate(guard, "/admin/state", {"state": state, "reason": "x", "scope": None}))[0] == 200
        halt = tmp_path / "state" / "HALT"
        for is_there, shown in ((False, state), (True, halted)):
            halt.unlink(missing_ok=True) if not is_there else halt.touch()
            assert (await operate(guard, "/admin/state"))[1]["state"] == shown
            assert (await operate(guard, "/status"))[1]["trading"]["state"] == shown
            assert f'guard_trading_state{{state="{shown}"}} 1.0' in (await operate(guard, "/metrics"))[1]


async def test_an_account_may_be_named_by_digits_in_a_text(tmp_path: Path) -> None:
    """As in a trade: programs that round numbers beyond 2**53 can still say which account they mean."""
    async with running(lay_out(tmp_path)) as guard:
        for accounts, status in ((["281756478875559548", 123456], 200), (["1e5"], 400), ([""], 400), (["-1"], 400)):
            body = {"state": "cancel_only", "reason": "x", "scope": {"accounts": accounts}}
            assert (await operate(guard, "/admin/state", body))[0] == status
        assert (await operate(guard, "/admin/state"))[1]["rules"][0]["accounts"] == [281756478875559548, 123456]
        assert codes(await ask(guard, "/api/order", order())) == ["halted"]


# ---------------------------------------------------------------- a socket file


@pytest.mark.parametrize("has_certificate", [False, True])
async def test_ops_may_be_a_socket_file_of_the_owners(tmp_path: Path, *, has_certificate: bool) -> None:
    """`unix:PATH`: mode 0600, never TLS, looked at over it, and the commands reload through it."""
    path = tmp_path / "ops.sock"
    toml = f'[listen]\ndata = "127.0.0.1:{free_port()}"\nops = "unix:{path}"\n'
    if has_certificate:
        write_pair(tmp_path)
        toml += 'tls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    config = lay_out(tmp_path, toml=toml)
    async with running(config):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert path.stat().st_mode & 0o777 == 0o600
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("http://localhost/status") as answer,
        ):
            assert answer.status == 200

        (tmp_path / "policies" / "open.toml").write_text(OPEN_POLICY + "max_qty = 7\n")
        done = await asyncio.to_thread(
            run, "policy", "reload", "--config", config, cwd=tmp_path, env={"GUARD_KEY": key("desk")}
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("applied: sha256 ")
    async with running(config):  # a file that the last guard left behind is replaced
        assert stat.S_ISSOCK(path.stat().st_mode)


async def test_a_start_tells_of_ways_past_the_guard(tmp_path: Path) -> None:
    """B30: a native port of the daemon's that this host reaches is a weakened control, in the record and `/status`."""
    native = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.2", 11111)
    config = lay_out(tmp_path, toml='[daemon]\nurl = "http://127.0.0.2:9"\n')
    guard = made(config)
    async with native:
        await guard.start()
    try:
        _, told = await operate(guard, "/status")
        (start,) = of_type(config, "start")

        past = (
            "open on 127.0.0.2 beside the daemon's REST port: 11111 (native TCP); what goes there walks past the guard"
        )
        assert [sentence for sentence in told["weakened"] if sentence.startswith(past)]
        assert start["weakened"] == told["weakened"]
    finally:
        await guard.stop("test over")
