"""The whole guard before a daemon that notes every byte: whatever comes in, only catalogue constants go out.

The corpus goes over sockets to the data listener, with keys that are wrong and with one that is right, and a shorter
one to the ops listener.
"""

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from guard.admin.runner import CONNECTIONS_MAX, OpsRunner
from guard.codes import MEANING, Code
from guard.listeners import bounds_of
from tests.support.edge import until
from tests.support.edge_attacks import CORPUS
from tests.support.edge_corpus import Case, get, head, post
from tests.support.guards import guarded, key, order
from tests.support.scripted_daemon import ScriptedDaemon, Talk, answer

SEED: Final = json.loads((Path(__file__).parents[1] / "seed" / "endpoints.json").read_text())
METHODS: Final = {row["path"]: {one["method"] for one in SEED if one["path"] == row["path"]} for row in SEED}
OPEN: Final = {(row["method"], row["path"]) for row in SEED if not row["documented_scope_any_of"]}
QUESTIONS: Final = {"/guard/v1/me": {"GET"}, "/guard/v1/check": {"POST"}, "/guard/v1/decisions/01K7Z9W3": set[str]()}
LINE: Final = re.compile(rb"(GET|POST) (/[A-Za-z0-9/-]+) HTTP/1\.1")
FIELDS: Final = frozenset(
    {"host", "accept", "authorization", "idempotency-key", "traceparent", "content-type", "content-length"}
)
DAEMONS_KEY: Final = "Bearer fc_test"


async def asked(port: int, raw: bytes) -> tuple[int, bytes]:
    """The status and the body of one request on a connection of its own, which the guard may not have reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    answer = await reader.readuntil(b"\r\n\r\n")
    if answer.startswith(b"HTTP/1.1 100 "):
        answer = await reader.readuntil(b"\r\n\r\n")
    status, found = int(answer[9:12]), re.search(rb"\r\nContent-Length: (\d+)\r\n", answer)
    length = int(found[1]) if found and not raw.startswith(b"HEAD ") else 0
    body = await reader.readexactly(length)
    writer.transport.abort()
    return status, body


def expected(case: Case) -> set[int]:
    """What the whole guard answers, by the seed's table of endpoints and not by the guard's; keys are not its own."""
    if case.code is not None:
        return {MEANING[case.code].status}
    methods = QUESTIONS.get(case.path, METHODS.get(case.path))
    if methods is None:
        return {404}
    if case.path in QUESTIONS:
        return {401}  # whose key is not known learns nothing of what there is
    if case.method not in methods:
        return {405}
    has_key = case.token is not None or re.search(rb"\r\nauthorization:", case.raw, re.IGNORECASE) is not None
    if has_key or ((case.method, case.path) not in OPEN and case.path != "/ws"):
        return {401}
    return {101, 502} if case.path == "/ws" else {200}


def check(daemon: ScriptedDaemon) -> None:
    """The daemon saw catalogue constants, fields of the guard's own, and bodies that are one JSON object."""
    for raw in daemon.requests:
        top, _, body = raw.partition(b"\r\n\r\n")
        line, *fields = top.split(b"\r\n")
        found = LINE.fullmatch(line)
        assert found is not None, line
        assert found[1].decode() in METHODS[found[2].decode()], line
        if found[2] == b"/ws":
            continue  # the guard's own handshake
        named = dict(field.decode().split(": ", 1) for field in fields)
        assert len(named) == len(fields), "no field twice"
        assert {name.lower() for name in named} <= FIELDS, named
        assert named.get("Authorization", DAEMONS_KEY) == DAEMONS_KEY
        assert (found[1] == b"POST") == ("Content-Length" in named)
        assert not body or isinstance(json.loads(body), dict)


@pytest.mark.parametrize("is_known", [False, True], ids=["wrong key", "right key"])
async def test_the_corpus_before_the_whole_guard(tmp_path: Path, is_known: bool) -> None:
    """Each raw request gets the status of the table; after each, the daemon has seen only catalogue constants."""
    async with guarded(tmp_path) as (guard, daemon):
        for case in CORPUS:
            raw = case.raw.replace(b"Bearer k1", b"Bearer " + key("bot").encode()) if is_known else case.raw
            if is_known and case.code is None:
                continue  # what a right key may do is told elsewhere
            status, body = await asked(guard.ports[0], raw)
            assert status in expected(case), case.name
            if case.code is not None and body:
                assert json.loads(body)["err_code"] == case.code, case.name
            check(daemon)
        assert not guard.supervisor.concerns()


ANSWER: Final = answer(
    extra="Server: FutuOpenD\r\nSet-Cookie: sid=1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n"
    "X-Hop: 1\r\nX-Powered-By: x\r\nAccess-Control-Allow-Origin: *\r\nLocation: http://evil/\r\n"
    "WWW-Authenticate: Basic\r\nVia: x\r\nCache-Control: public\r\n"
)
OWN_FIELDS: Final = {"content-type", "content-length", "date", "guard-decision", "connection", "cache-control"}


async def test_nothing_of_the_daemons_head_reaches_a_caller(tmp_path: Path) -> None:
    """Cookies, hop-by-hop fields, CORS and whatever else it says end at the guard; only the media type is read."""

    async def says(talk: Talk) -> None:
        while await talk.request():
            await talk.say(ANSWER)

    async with guarded(tmp_path, says) as (guard, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[0])
        writer.write(get())
        head_ = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")[1:]
        writer.transport.abort()
    assert {line.partition(":")[0].lower() for line in head_} <= OWN_FIELDS
    assert "content-type: application/json" in [line.lower() for line in head_]
    assert "public" not in str(head_)


SMUGGLED: Final = post(f"Authorization: Bearer {key('bot')}", body=json.dumps(order()).encode())


@pytest.mark.parametrize(
    "raw",
    [
        get() + SMUGGLED,
        post(f"Authorization: Bearer {key('bot')}", body=SMUGGLED),
        head("POST /api/quote HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
        head("POST /api/quote HTTP/1.1", "Host: a", "Content-Length: 0", "Content-Length: 9") + SMUGGLED,
        head("GET /api/ping HTTP/1.1", "Host: a", "Content-Length: 9") + SMUGGLED,
        head("GET /ws HTTP/1.1", "Host: a", "Upgrade: websocket") + SMUGGLED,
        head("GET /api/ping HTTP/1.0", "Host: a") + SMUGGLED,
        b"GET /api/ping HTTP/1.1\r\nHost: a\r\n\n" + SMUGGLED,
    ],
    ids=["after a GET", "as a body", "after chunks", "two lengths", "a body of a GET", "handshake", "1.0", "bare LF"],
)
async def test_an_order_hidden_in_another_request_is_never_placed(tmp_path: Path, raw: bytes) -> None:
    """With a key that could place it, whichever way it is smuggled, no order reaches the daemon."""
    async with guarded(tmp_path) as (guard, daemon):
        status, _ = await asked(guard.ports[0], raw)
        assert 400 <= status <= 499 or status == MEANING[Code.HTTP_VERSION].status
        assert not [seen for seen in daemon.requests if b"/api/order" in seen.split(b"\r\n")[0]]


OPS: Final = [
    ("GET /livez HTTP/1.1", (), 200),
    ("GET /livez?x=1 HTTP/1.1", (), 200),
    ("HEAD /livez HTTP/1.1", (), 200),
    ("POST /livez HTTP/1.1", ("Content-Length: 0",), 405),
    ("GET /nothing HTTP/1.1", (), 404),
    ("GET //livez HTTP/1.1", (), 404),
    ("GET /admin HTTP/1.1", (), 404),
    ("GET /admin/../admin/state HTTP/1.1", (), 401),
    ("GET /admin/%2e%2e/livez HTTP/1.1", (), 400),
    ("GET /admin%2fstate HTTP/1.1", (), 400),
    ("GET /api/order HTTP/1.1", (), 404),
    ("GET /guard/v1/me HTTP/1.1", (), 404),
    ("GET http://127.0.0.1/livez HTTP/1.1", (), 200),
    ("GET http://evil/admin/state HTTP/1.1", (), 401),
    ("GET /admin/state HTTP/1.1", (), 401),
    ("GET /admin/state HTTP/1.1", ("Authorization: Bearer k1",), 401),
    ("GET /admin/state HTTP/1.1", ("Authorization: Bearer a", "Authorization: Bearer b"), 400),
    ("GET /admin/state HTTP/1.1", ("X-Forwarded-User: desk", "Remote-User: desk"), 401),
    ("GET /admin/state HTTP/1.1", ("Cookie: session=desk",), 401),
    ("POST /admin/policy/reload HTTP/1.1", ("Content-Length: 2",), 401),
    ("POST /admin/policy/reload HTTP/1.1", ("Transfer-Encoding: chunked", "Content-Length: 2"), 400),
    ("POST /admin/policy/reload HTTP/1.1", ("Content-Length: 2", "Content-Length: 3"), 400),
    ("POST /admin/policy/reload HTTP/1.1", ("Transfer-Encoding: cow",), 400),
    ("GET /livez HTTP/1.1", ("Host: evil",), 400),
    ("GET /livez HTTP/1.1", ("X : y",), 400),
    ("GET /livez HTTP/1.1", ("X\x00: y",), 400),
    ("GET /livez HTTP/1.1", ("X: " + "y" * 20_000,), 431),
    ("G@T /livez HTTP/1.1", (), 400),
    ("GET /livez", (), 505),
    ("GET /livez HTTP/2.0", (), 505),
    ("GET /livez HTTP/0.9", (), 505),
    ("GET /livez HTTP/1.0", (), 200),
    ("\x16\x03\x01\x02", (), 400),
]


async def test_a_shorter_corpus_before_the_ops_listener(tmp_path: Path) -> None:
    """No key, no change: each request has its status, and nothing of it is in the record or at the daemon."""
    async with guarded(tmp_path) as (guard, daemon):
        before = guard.journal.last_seq
        for line, fields, status in OPS:
            raw = head(line, "Host: 127.0.0.1", *fields) + b"{}"[: 2 if "Content-Length: 2" in fields else 0]
            assert (await asked(guard.ports[1], raw))[0] == status, (line, fields)
        assert (await asked(guard.ports[1], head("GET /livez HTTP/1.1", "Accept: */*")))[0] == 400
        assert guard.journal.last_seq == before
        assert daemon.requests == []


CANARY: Final = "fc_canary0123456789"


@pytest.mark.parametrize(
    "raw",
    [
        head("GET /status HTTP/1.1", "Host: localhost", f"Authorization: Bearer {CANARY}\x01"),
        head("GET /status HTTP/1.1", "Host: localhost", f"Authorization : Bearer {CANARY}"),
        head("GET /status HTTP/1.1", "Host: localhost", f"Authorization: Bearer {CANARY}{'x' * 9000}"),
        head("GET /status HTTP/1.1", "Host: localhost", f"Content-Length: {CANARY}"),
        head(f"GET /status?key={CANARY} HTTP/1.1", "Host: localhost", "X y: z"),
        head("POST /admin/state HTTP/1.1", "Host: localhost", "Content-Encoding: gzip", "Content-Length: 19")
        + CANARY.encode(),
    ],
    ids=["odd character", "blank", "too long", "in another field", "in the target", "coded body"],
)
async def test_nothing_of_what_the_ops_listener_cannot_read_is_logged(
    tmp_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key beside an odd character is refused with the request and is in no line of the log; nor is a trace."""
    async with guarded(tmp_path) as (guard, _):
        assert (await asked(guard.ports[1], raw))[0] in {400, 401, 431}
        await asyncio.sleep(0)
    told = capfd.readouterr()
    assert not [text for text in (told.out, told.err, caplog.text) if CANARY in text or "Traceback" in text]


async def test_a_coded_body_is_told_so_and_a_fault_of_ours_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is discreet about requests is not silent about faults."""
    async with guarded(tmp_path) as (guard, _):
        fields = (f"Authorization: Bearer {key('desk')}", "Content-Encoding: gzip", "Content-Length: 2")
        answer = await asked(guard.ports[1], head("POST /admin/state HTTP/1.1", "Host: localhost", *fields) + b"{}")
        assert answer[0] == 415
        assert "Traceback" not in capfd.readouterr().err
        assert isinstance(guard._ops, OpsRunner)
        guard._ops._make.keywords["logger"].exception("a bug", exc_info=ValueError("of ours"))
        told = capfd.readouterr()
        assert "a bug" in told.out + told.err


async def test_the_operator_gets_in_past_any_number_of_connections(tmp_path: Path) -> None:
    """Hundreds of silent connections to the ops listener hold no more files than its bound, and /livez answers."""
    async with guarded(tmp_path) as (guard, _):
        silent = []
        for _ in range(5 * CONNECTIONS_MAX):
            _, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
            silent.append(writer)
        assert (await asked(guard.ports[1], head("GET /livez HTTP/1.1", "Host: localhost")))[0] == 200
        assert isinstance(guard._ops, OpsRunner)
        assert guard._ops.connections <= CONNECTIONS_MAX
        for writer in silent:
            writer.transport.abort()


SWIFT: Final = "request_timeout_s = 1.0\nidle_timeout_s = 2.0\n"


async def cut(reader: asyncio.StreamReader) -> None:
    """Everything is read away until the guard ends the connection."""
    with contextlib.suppress(ConnectionResetError):
        while await reader.read(2**16):
            pass


@pytest.mark.parametrize(
    ("sent", "ends_s"),
    [
        (b"", 1.0),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 1.0),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 2.0),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: ", 2.0),
    ],
    ids=["nothing", "half a head", "a request and nothing", "a request and half a head"],
)
async def test_the_operators_door_waits_no_longer_than_the_callers(tmp_path: Path, sent: bytes, ends_s: float) -> None:
    """Silence, a head that trickles, and what comes after an answer: each ends in its time, and `/livez` answers."""
    async with guarded(tmp_path, bounds=SWIFT) as (guard, _):
        now = asyncio.get_running_loop().time
        began_s = now()
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
        writer.write(sent)
        trickling = asyncio.ensure_future(_trickle(writer) if not sent.endswith(b"\n") and sent else asyncio.sleep(0))
        assert (await asked(guard.ports[1], head("GET /livez HTTP/1.1", "Host: localhost")))[0] == 200
        await cut(reader)
        assert ends_s <= now() - began_s
        assert isinstance(guard._ops, OpsRunner)
        assert guard._ops._bounds == bounds_of(guard.settings), "its own times, not those left out"
        trickling.cancel()
        writer.transport.abort()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.05)


async def test_a_body_for_the_operators_door_has_to_come_in_time(tmp_path: Path) -> None:
    """408 with the contract's body, however the bytes trickle; nothing is changed."""
    async with guarded(tmp_path, bounds=SWIFT) as (guard, _):
        before = guard.journal.last_seq
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
        line, bearer = "POST /admin/state HTTP/1.1", f"Authorization: Bearer {key('desk')}"
        writer.write(head(line, "Host: localhost", bearer, "Content-Length: 2000"))
        trickling = asyncio.ensure_future(_trickle(writer))
        answered = await reader.readuntil(b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 408 ")
        assert b'"err_code":"request_timeout"' in await reader.readuntil(b"}")
        trickling.cancel()
        writer.transport.abort()
        assert guard.journal.last_seq == before


async def test_figures_that_are_not_taken_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the callers' door: whoever asks for them and does not read is ended in time."""
    monkeypatch.setattr("guard.lifecycle.bounds_of", lambda settings: replace(bounds_of(settings), write_timeout_s=0.3))
    async with guarded(tmp_path) as (guard, _):
        monkeypatch.setattr(guard.desk.metrics, "render", lambda: bytes(2**25))
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1], limit=1024)
        writer.write(head("GET /metrics HTTP/1.1", "Host: localhost"))
        ops = guard._ops
        assert isinstance(ops, OpsRunner)
        await until(lambda: ops.is_answering)
        await until(lambda: ops.connections == 0)
        await cut(reader)
        writer.transport.abort()


async def test_a_second_signal_waits_for_nobody_at_the_operators_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that never comes would have an hour here; in a hurry it is cut, and the guard is closed."""
    monkeypatch.setattr("guard.admin.runner.STOP_S", 3600.0)
    async with guarded(tmp_path, bounds="request_timeout_s = 3600\n") as (guard, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", guard.ports[1])
        bearer = f"Authorization: Bearer {key('desk')}"
        writer.write(head("POST /admin/state HTTP/1.1", "Host: localhost", bearer, "Content-Length: 2000"))
        while guard._ops is None or not guard._ops.is_answering:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
        guard.hurry.set()
        await guard.stop("in a hurry")
        assert guard._ops.connections == 0
        await cut(reader)
        writer.transport.abort()
