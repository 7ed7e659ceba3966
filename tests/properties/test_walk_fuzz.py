"""Whatever a caller asks, the walk answers with a status and a code of the contract: never 500, never an exception.

And whatever comes through has left a decision before it left the guard.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from guard.catalogue import ENDPOINTS
from guard.codes import MEANING, Code
from guard.simulator import Simulator
from guard.terms import Call, Reply
from tests.support.clock import ManualClock
from tests.support.guards import key, lay_out, made, record
from tests.support.stage import Stage, account, change

ROWS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parents[1] / "seed/endpoints.json").read_text())
STATUSES: Final = {meaning.status for meaning in MEANING.values()} | {200, 504}
EXAMPLES: Final = [row["documented_example_body"] or {} for row in ROWS] + [
    {"c2s": {"header": {"trd_env": 0, "acc_id": 123456, "trd_market": 1}, "trd_side": 1, "code": "00700", "qty": 1}},
    change("7571418"),
    account(order_id=5, op="CANCEL"),
    {"path": "/api/order", "body": {}},
]
PATHS: Final = [endpoint.path for endpoint in ENDPOINTS] + [
    *("/guard/v1/me", "/guard/v1/check", "/guard/v1/decisions/01K00000000000000000000000", "/guard/v1/", "/", ""),
]
WHO: Final = [
    None,
    "",
    "Bearer",
    f"Bearer {key('bot')}",
    f"Bearer {key('some')}",
    "Bearer a.b.c",
    f"bearer {key('bot')}",
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["HK.00700", "simulate", "REAL", 123456, 2**64, -1, 0, 1e308, "CANCEL", "NORMAL", "0", "", "\x00"]
    )
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
names = st.sampled_from(sorted({name for body in EXAMPLES for name in body})) | st.text(max_size=8)
objects = st.dictionaries(names, values, max_size=6)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """An example of the reference with some members changed, taken away, added, or wrapped."""
    body = dict(draw(st.sampled_from(EXAMPLES)))
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2)) if body else ():
        body.pop(name, None)
    body |= draw(st.dictionaries(names, values, max_size=3))
    return {"c2s": body} if draw(st.booleans()) else body


bodies = (
    st.binary(max_size=60)
    | (mutated() | objects | values).map(lambda value: json.dumps(value).encode())
    | st.builds(lambda value, at: json.dumps(value).encode()[:at], mutated(), st.integers(0, 200))
)
heads = st.fixed_dictionaries(
    {},
    optional={
        "idempotency-key": st.text(st.characters(max_codepoint=255), min_size=1, max_size=40),
        "traceparent": st.text(max_size=60),
        "user-agent": st.text(max_size=200),
        "x-request-id": st.text(max_size=200),
        "guard-intent": st.text(max_size=300),
    },
)
calls = st.builds(
    lambda method, path, head, who, body, token: Call(
        method, path, head | ({} if who is None else {"authorization": who}), body, "192.0.2.1", token
    ),
    method=st.sampled_from(["GET", "POST", "POST", "POST", "PUT", ""]),
    path=st.sampled_from(PATHS) | st.text(max_size=30).map(lambda text: f"/api/{text}"),
    head=heads,
    who=st.sampled_from(WHO) | st.text(max_size=20),
    body=st.just(b"") | bodies,
    token=st.none() | st.text(max_size=10),
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Stage]]:
    """One guard for all examples, on a loop of its own."""
    directory = tmp_path_factory.mktemp("fuzz")
    clock = ManualClock()
    config = lay_out(
        directory, record("bot"), record("some", allowed_acc_ids=[9032], scopes=["acc:read", "trade:real"])
    )
    daemon = Simulator(clock=clock)
    with asyncio.Runner() as runner:
        guard = made(config, daemon=daemon, clock=clock)
        runner.run(guard.start())
        found = Stage(guard, daemon, clock, config)
        yield runner, found
        runner.run(found.guard.stop("over"))


OWN: Final = frozenset({"/api/accounts", "/api/orders", "/api/history-orders", "/api/positions", "/api/order-fills"})
"""What the guard asks for itself at any time."""


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(Call("POST", "/api/order", {"authorization": WHO[3] or ""}, b'{"\\ud800":1}', "::1"))
@example(Call("POST", "/api/\ud800", {}, b"", "::1"))
@example(Call("GET", "/api/ping", {"authorization": WHO[3] or "", "guard-intent": "\ud800\x1b[2J"}, b"", "::1"))
@example(Call("GET", "/api/ping", {}, b"", "::1", "\ud800"))
@given(calls)
def test_any_call_is_answered_as_the_contract_says(scene: tuple[asyncio.Runner, Stage], call: Call) -> None:
    """Any path, method, body and headers: a documented status, a documented code, and a decision's id."""
    runner, stage = scene
    before = len(stage.daemon.requests)
    reply = runner.run(asyncio.wait_for(stage.guard.pipeline.handle(call), 60))

    assert isinstance(reply, Reply)
    told = json.loads(reply.body) if reply.content_type == "application/json" else {}
    refusal = told.get("guard") if isinstance(told, dict) else None
    assert len(dict(reply.headers)["Guard-Decision"]) == 26
    if isinstance(refusal, dict) and "reasons" in refusal and "err_code" in told:
        assert reply.status in STATUSES
        assert Code(refusal["code"]) is not Code.RULE_ERROR, told
        assert refusal["code"] == refusal["reasons"][0]["code"] == told["err_code"]
        reached = [request for request in list(stage.daemon.requests)[before:] if request.path == call.path]
        assert refusal["code"] == "outcome_unknown" or reached == [] or call.path in OWN
    else:
        assert reply.status < 500
    stage.clock.advance(s=1)


def test_the_record_of_the_fuzz_is_whole(scene: tuple[asyncio.Runner, Stage]) -> None:
    """After all that the journal has not failed, and a guard that folds it stands where this one stands."""
    runner, stage = scene
    assert stage.guard.journal.failed is None
    before = stage.ledger()
    runner.run(stage.guard.stop("again"))
    guard = made(stage.config, daemon=stage.daemon, clock=stage.clock)
    runner.run(guard.start())
    stage.guard = guard
    assert stage.ledger() == before
