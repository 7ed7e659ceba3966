"""Many at once: what one key or one address may take, and that a cancel and a verified key are never refused for it."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from guard.codes import Code
from guard.limits import slots
from guard.simulator.faults import Hold
from guard.terms import refuse
from tests.support import guards
from tests.support.guards import OPEN_POLICY, codes, record, said
from tests.support.stage import MODIFY, ORDER, Stage, change, code_of, is_passed, stage

QUOTE, ASKED = "/api/quote", {"symbols": ["HK.00700"]}
NARROW = "[trading]\nenabled = true\n[bounds]\nrequests_per_key_max = 3\nfailed_auths_per_minute_max = 5\n"
KEYS = (record("bot"), record("agent"), record("desk", owner="a person"))


async def busy(scene: Stage, gate: asyncio.Event) -> list[asyncio.Future[object]]:
    """A key has as many requests under way as it may."""
    scene.daemon.faults.add(Hold(gate), path=QUOTE, times=3)
    waiting: list[asyncio.Future[object]] = [asyncio.ensure_future(scene.ask(QUOTE, ASKED)) for _ in range(3)]
    await scene.until_reached(QUOTE, times=3)
    return waiting


async def test_a_key_that_has_too_many_under_way_waits_and_others_do_not(tmp_path: Path) -> None:
    """Its fourth read and its order are 503 `overloaded` with Retry-After; another key's pass, and its cancel does."""
    async with stage(tmp_path, *KEYS, toml=NARROW) as scene:
        resting, gate = await scene.placed(), asyncio.Event()
        waiting = await busy(scene, gate)
        for reply in (await scene.ask(QUOTE, ASKED), await scene.place()):
            assert code_of(reply) == (503, "overloaded")
            assert dict(reply.headers)["Retry-After"] == "1"
            assert said(reply)["guard"]["reasons"][0]["rule"] == "bounds.requests_per_key_max"
        assert is_passed(await scene.ask(QUOTE, ASKED, who="agent"))
        assert is_passed(await scene.cancel(resting))
        gate.set()
        await asyncio.gather(*waiting)
        assert is_passed(await scene.ask(QUOTE, ASKED))
        assert scene.guard.desk.in_flight.under_way == {}


async def test_an_address_that_keeps_failing_is_told_so_and_valid_keys_of_it_are_not(tmp_path: Path) -> None:
    """Five wrong keys are 401, the sixth is 429 with Retry-After; a bot of the same address never notices."""
    async with stage(tmp_path, *KEYS, toml=NARROW) as scene:
        for _ in range(5):
            assert code_of(await scene.ask(QUOTE, ASKED, who="nobody")) == (401, "unauthenticated")
        reply = await scene.ask(QUOTE, ASKED, who="nobody")
        assert code_of(reply) == (429, "rate")
        assert dict(reply.headers)["Retry-After"] == "60"
        assert code_of(await scene.ask("/guard/v1/me", who="nobody")) == (429, "rate")
        assert is_passed(await scene.ask(QUOTE, ASKED))
        assert (await scene.ask("/api/ping", who=None)).status == 200
        scene.clock.advance(s=60)
        assert code_of(await scene.ask(QUOTE, ASKED, who="nobody")) == (401, "unauthenticated")


async def test_idempotency_keys_are_bounded_and_a_cancel_passes_without_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key has as many as it may: a new one is 503; without one, again, or by another key it passes; so do cancels."""
    monkeypatch.setattr(slots, "EACH_MIN", 1)
    monkeypatch.setattr(slots, "EACH_MAX", 2)
    async with stage(tmp_path, *KEYS, policies=OPEN_POLICY) as scene:
        resting = await scene.placed(key="a")
        assert is_passed(await scene.place(key="b", price=201))
        refused = await scene.place(key="c", price=202)
        assert code_of(refused) == (503, "overloaded")
        assert codes(refused) == ["overloaded"]
        assert is_passed(await scene.place(price=203))
        assert is_passed(await scene.place(key="c", price=202, who="desk"))
        assert is_passed(await scene.place(key="b", price=201))
        assert is_passed(await scene.cancel(resting, who="bot"))
        other = await scene.placed(price=204)
        body = {"market": "HK", "acc_id": 123456, "env": "simulate", "order_id_ex": other, "op": "CANCEL"}
        assert is_passed(await scene.ask("/api/modify-order", body, idempotency_key="d"))
        assert scene.guard.desk.state.kept == {"idempotency/key=bot": 2, "idempotency/key=desk": 1}
        scene.clock.advance(s=86_401)
        assert is_passed(await scene.place(key="c", price=202))


FEW: Final = "[trading]\nenabled = true\n[bounds]\nrefusals_per_second_max = 3\n"


async def slowed(scene: Stage, path: str, body: object, who: str | None) -> bool:
    """Whether the answer to this request waits."""
    asked = guards.call(path, body, who=who)
    await scene.guard.pipeline.handle(asked)
    return asked.wait_s > 0


async def test_refusals_of_a_key_wait_beyond_so_many_and_nothing_else_does(tmp_path: Path) -> None:
    """Its fourth refusal in a second waits; what passes, its cancels, and another key's first refusal never do."""
    async with stage(tmp_path, *KEYS, toml=FEW) as scene:
        mine, theirs = await scene.placed(), await scene.placed(who="agent")
        dear = guards.order(price=99_999_999)
        assert [await slowed(scene, ORDER, dear, "bot") for _ in range(5)] == [False] * 3 + [True] * 2
        assert not await slowed(scene, QUOTE, ASKED, "bot")
        for name in (theirs, mine):  # refused, and passed
            assert not await slowed(scene, MODIFY, change(name, op="CANCEL", qty=None, price=None), "bot")
        assert not await slowed(scene, ORDER, dear, "agent")
        scene.clock.advance(s=1)
        assert not await slowed(scene, ORDER, dear, "bot")


async def test_refusals_of_an_address_wait_beyond_so_many_and_its_keys_requests_do_not(tmp_path: Path) -> None:
    """Paths that are none, wrong keys and odd bytes of one address are counted together; a key has its own count."""
    async with stage(tmp_path, *KEYS, toml=FEW) as scene:
        assert not await slowed(scene, "/api/nowhere", None, None)
        assert not await slowed(scene, QUOTE, ASKED, "nobody")
        told = [
            scene.guard.recorder.refused_at_edge(f"{n}", refuse(Code.BAD_TARGET, "odd"), "127.0.0.1") for n in range(3)
        ]
        assert [wait_s > 0 for wait_s in told] == [False, True, True]
        assert await slowed(scene, "/api/nowhere", None, None)
        assert not await slowed(scene, QUOTE, ASKED, "bot")
