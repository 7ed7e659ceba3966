"""The simulator as a whole, through the port."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.catalogue import ENDPOINTS
from guard.simulator import Simulator
from guard.simulator.keys import Key
from guard.terms import Answer, Daemon, Outbound
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c, said
from tests.support.guards import order

EXAMPLES: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parents[2] / "seed" / "endpoints.json").read_text())
MEANINGLESS: Final = {"/api/reconfirm-order", "/api/unlock-trade", "/api/modify-order"}


def _example(row: dict[str, Any]) -> Any:
    return next((value for name, value in row.items() if "body" in name), None)


@pytest.mark.parametrize("row", [r for r in EXAMPLES if r["path"] != "/ws"], ids=lambda r: f"{r['method']} {r['path']}")
async def test_every_example_of_the_reference_runs(row: dict[str, Any]) -> None:
    """Status 200; success, but where the example cannot mean anything (no order 987, a placeholder for a password)."""
    envelope = await said(Simulator(clock=ManualClock()), row["path"], _example(row))

    if not row["path"].startswith("/api/admin/"):
        assert envelope["ret_type"] == (-1 if row["path"] in MEANINGLESS else 0)
        assert set(envelope) == {"ret_type", "ret_msg", "err_code", "s2c"}


@pytest.mark.parametrize("path", sorted({e.path for e in ENDPOINTS if e.method == "POST" and "admin" not in e.path}))
async def test_every_endpoint_refuses_an_unknown_name(path: str) -> None:
    """400, naming it."""
    answer = await ask(Simulator(clock=ManualClock()), path, {"bogus": 1})

    assert isinstance(answer, Answer)
    assert (answer.status, json.loads(answer.body)) == (400, {"error": "unknown field(s): bogus"})


async def test_the_same_seed_and_requests_give_the_same_world() -> None:
    """Compared whole."""

    async def run(seed: int) -> dict[str, Any]:
        simulator = Simulator(seed=seed, clock=ManualClock())
        for place in range(20):
            await s2c(simulator, "/api/order", order(price=299 + place / 10, qty=100 * (place + 1)))
            simulator.tick()
        return simulator.dump()

    assert await run(1) == await run(1)
    assert await run(1) != await run(2)


async def test_it_is_the_port_and_remembers_what_it_received() -> None:
    """Method, path, parsed body, which key was lent, the idempotency key."""
    simulator = Simulator(clock=ManualClock())
    port: Daemon = simulator
    await port.send(Outbound("POST", "/api/order", b'{"a":1.10}', 1.0, lend="public", idempotency_key="k"))
    await port.send(Outbound("POST", "/api/order", b"{", 1.0))

    first, second = simulator.requests
    assert (first.method, first.path, first.lend, first.idempotency_key) == ("POST", "/api/order", "public", "k")
    assert (first.body, str(first.json["a"]), second.json) == (b'{"a":1.10}', "1.10", None)


async def test_w20_a_write_is_replayed_by_its_key_for_ninety_seconds() -> None:
    """The header's, else the packet's; another path or another key is another request."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    packet = order(packet_id={"conn_id": 0, "serial_no": 1})
    ids = [
        (await s2c(simulator, "/api/order", body, idempotency_key=key))["order_id_ex"]
        for body, key in ((order(), "a"), (order(price=290), "a"), (order(), "b"), (packet, None), (packet, None))
    ]
    clock.advance(s=90)
    ids.append((await s2c(simulator, "/api/order", order(), idempotency_key="a"))["order_id_ex"])

    assert [ids.index(found) for found in ids] == [0, 0, 2, 3, 3, 5]
    simulator.quirks.is_idempotent = False
    assert (await s2c(simulator, "/api/order", order(), idempotency_key="a"))["order_id_ex"] not in ids


@pytest.mark.parametrize(
    ("scopes", "env", "status"),
    [
        ({"trade:real"}, "real", 200),
        ({"trade:simulate"}, "real", 403),
        ({"trade:simulate"}, "simulate", 200),
        ({"trade:real"}, "simulate", 403),
        ({"qot:read"}, "simulate", 403),
    ],
)
async def test_a_lent_key_trades_in_its_environment(scopes: set[str], env: str, status: int) -> None:
    """In memory the bearer follows from `lend`; without one it is 401."""
    key = Key("guard", sha256(b"plain").hexdigest(), frozenset(scopes))
    simulator = Simulator(clock=ManualClock(), keys=(key,))
    simulator.lent["guard"] = "plain"

    assert (await ask(simulator, "/api/order", order(env=env))).status == status  # type: ignore[union-attr]
    assert (await ask(simulator, "/api/order", order(env=env), lend="none")).status == 401  # type: ignore[union-attr]


async def test_reconfirm_is_a_read_in_the_documents_and_a_trade_in_truth() -> None:
    """One of the rows that differ."""
    key = Key("guard", sha256(b"plain").hexdigest(), frozenset({"acc:read"}))
    seen = []
    for profile in ("documented", "runtime"):
        simulator = Simulator(clock=ManualClock(), keys=(key,), profile=profile)
        simulator.lent["guard"] = "plain"
        seen.append((await ask(simulator, "/api/reconfirm-order", {})).status)  # type: ignore[union-attr]

    assert seen == [200, 403]


NAMES = st.sampled_from(
    [
        "acc_id",
        "accID",
        "env",
        "market",
        "c2s",
        "header",
        "code",
        "symbol",
        "symbols",
        "side",
        "qty",
        "price",
        "order_id",
        "op",
        "packet_id",
        "num",
        "begin",
        "freq",
        "type",
        "value",
        "key",
        "security",
        "owner",
        "plate",
        "filter_conditions",
        "begin_time",
        "end_time",
        "count",
        "kl_type",
        "trd_market",
        "for_all",
        "remark",
        "security_list",
        "sub_types",
        "id_list",
        "unlock",
        "pwd_md5",
        "acc_ids",
        "aux_price",
        "order_type",
        "trail_value",
        "currency",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(["HK", "HK.00700", "BUY", "CANCEL", "real", "00700", "2026-05-01", "", "\ud800", "1" * 30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([e for e in ENDPOINTS if e.path != "/ws"]), st.dictionaries(NAMES, VALUES, max_size=6))
async def test_no_body_is_beyond_it(endpoint: Any, body: dict[str, Any]) -> None:
    """Whatever the JSON, there is an answer of the daemon's: 200, 400 or 403."""
    simulator = Simulator(clock=ManualClock())
    answer = await simulator.send(Outbound(endpoint.method, endpoint.path, json.dumps(body).encode(), 1.0))

    assert isinstance(answer, Answer)
    assert answer.status in {200, 400, 403}
    json.loads(answer.body)
