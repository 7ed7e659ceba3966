"""What trades of one turn of the loop may not do to each other: share ids, faults, or the room in the queue."""

import asyncio
import gc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from guard.access import unauthenticated
from guard.journal import replay
from guard.simulator.faults import Ids
from guard.terms import Refusal
from guard.walk import closing
from guard.walk.carrier import CARRYING
from guard.walk.desk import Desk
from guard.walk.hooks import HOOKS
from guard.walk.visit import Visit
from tests.support.guards import said
from tests.support.journal import no_room_for_what_passes
from tests.support.stage import ACCOUNTS, DAILY, ORDER, ROOM_FOR_THREE, code_of, decision_of, is_passed, stage

SMALL: Final = DAILY.replace("[orders]", "[orders]\nmax_qty = 300")
MIXED: Final = (("a", 100), ("b", 400), ("c", 100), ("d", 500), ("e", 600))
"""Orders of one turn, with their quantities, of which three are too large."""


async def test_b33_one_answer_is_not_that_of_two_orders(tmp_path: Path) -> None:
    """The daemon gives two orders the same ids in one turn: the first one's, and of the other nobody knows."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        for _ in "ab":
            scene.daemon.faults.add(Ids(77, "X77"), path=ORDER)
        replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        assert is_passed(replies[0])
        assert code_of(replies[1]) == (504, "outcome_unknown")
        assert [(await scene.outcome(reply))["verdict"] for reply in replies] == ["accepted", "unknown"]
        assert scene.held() == 40_000


class _Broken(Exception):
    """A fault of ours."""


@pytest.mark.parametrize("hook", ["judge", "verdict", "settle"])
async def test_a_fault_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    """Neither it nor the trades that were decided or settled with it, which its traceback holds."""
    met: list[weakref.ref[_Broken]] = []

    def breaking(*_: Any, **__: Any) -> Any:
        error = _Broken()
        met.append(weakref.ref(error))
        raise error

    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        if hook == "judge":
            scene.guard.pipeline.hooks = replace(HOOKS, judge=breaking)
        elif hook == "verdict":
            scene.guard.pipeline.hooks = replace(HOOKS, carrying=replace(CARRYING, verdict=breaking))
        with monkeypatch.context() as patch:
            if hook == "settle":
                patch.setattr(closing, "settle", breaking)
            replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        assert {reply.status for reply in replies} == {503 if hook == "judge" else 504}
        gc.collect()
        assert [one() for one in met] == [None, None]


async def test_a_second_look_tells_only_what_it_saw(tmp_path: Path) -> None:
    """The key is revoked while more is asked for: its refusal is recorded without the claims of the look before."""
    looks: list[str] = []

    def revoked(_: Desk, visit: Visit) -> Refusal | None:
        looks.append(visit.id)
        return None if len(looks) == 1 else unauthenticated("revoked meanwhile")

    async with stage(tmp_path, policies=ROOM_FOR_THREE) as scene:
        scene.hold(1000)
        assert is_passed(await scene.sell(100))
        scene.guard.pipeline.hooks = replace(HOOKS, revoked=revoked)
        reply = await scene.sell(500)
        assert len(looks) == 2
        assert code_of(reply) == (401, "unauthenticated")
        assert "claims" not in await scene.decision(reply)


async def test_a_repeat_of_what_could_not_be_recorded_was_under_way(tmp_path: Path) -> None:
    """The first of a turn gives its Idempotency-Key back; the second met it taken, and is told to ask again."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        with no_room_for_what_passes():
            first, second = await asyncio.gather(*[scene.place(key="k") for _ in "ab"])
        assert code_of(first) == (503, "journal_unavailable")
        assert code_of(second)[1] == "in_flight"
        assert is_passed(await scene.place(key="k"))


async def test_what_is_recorded_at_once_stands_in_the_order_in_which_it_took_room(tmp_path: Path) -> None:
    """Decisions and outcomes of a turn: each order's own, as its caller is told it."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        before = scene.guard.journal.last_seq
        replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        assert all(is_passed(reply) for reply in replies)
        await scene.guard.journal.durable(scene.guard.journal.last_seq)
        lines = [line for line in replay(tmp_path / "state") if line.seq > before]
        names = [dict(reply.headers)["Guard-Decision"] for reply in replies]
        assert [line.members()["id"] for line in lines if line.type == "decision"] == names
        assert [line.members()["decision"] for line in lines if line.type == "outcome"] == names


async def test_refusals_of_a_turn_stand_among_its_orders_and_are_counted_once(tmp_path: Path) -> None:
    """In the order in which all of them were decided; what each caller is told is on record."""
    async with stage(tmp_path, policies=SMALL) as scene:
        await scene.place(qty=900)  # and what would be asked for before a refusal is at hand
        before = len(await scene.records("decision"))
        replies = await asyncio.gather(*[scene.place(remark=word, qty=qty) for word, qty in MIXED])
        assert [is_passed(reply) for reply in replies] == [qty <= 300 for _, qty in MIXED]
        decided = (await scene.records("decision"))[before:]
        assert [one["id"] for one in decided] == [decision_of(reply) for reply in replies]
        refused = [one for one in decided if one["outcome"] == "refuse"]
        assert [one["reasons"][0]["message"] for one in refused] == [
            said(reply)["guard"]["reasons"][0]["message"] for reply in replies if not is_passed(reply)
        ]
        shown = scene.guard.desk.metrics.render()
        assert b'guard_refusals_total{code="max_order_qty",policy="desk"} 4.0' in shown
        assert b'guard_refusals_by_key_total{code="max_order_qty",key="bot"} 4.0' in shown
        assert [known.outcome for known in scene.guard.desk.recent.latest(len(MIXED))].count("refuse") == 3


async def test_a_refusal_of_a_turn_that_finds_no_place_is_told_all_the_same(tmp_path: Path) -> None:
    """Once, and counted once."""
    async with stage(tmp_path, policies=SMALL) as scene:
        await scene.place(qty=900)
        with no_room_for_what_passes():
            replies = await asyncio.gather(*[scene.place(remark=word, qty=qty) for word, qty in MIXED])
        told = {"max_order_qty": 3, "journal_unavailable": 2}
        assert Counter(code_of(reply)[1] for reply in replies) == told
        shown = scene.guard.desk.metrics.render()
        assert b'guard_refusals_total{code="max_order_qty",policy="desk"} 4.0' in shown


async def test_a_queue_that_is_full_for_all_of_a_turn_lets_none_of_them_out(tmp_path: Path) -> None:
    """Each gives its room back; the next ones pass."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        with no_room_for_what_passes():
            replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        assert {code_of(reply) for reply in replies} == {(503, "journal_unavailable")}
        assert scene.held() == 0
        assert scene.guard.desk.unwritten == 0
        assert is_passed(await scene.place(remark="c"))


async def test_those_of_one_turn_take_room_in_the_queue_one_after_the_other(tmp_path: Path) -> None:
    """There is room for three records: an order that passes leaves some for its outcome, so two pass."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        journal = scene.guard.journal
        before = journal.last_seq
        journal.has_room = lambda records: journal.last_seq - before + records <= 3  # type: ignore[method-assign]
        replies = await asyncio.gather(*[scene.place(remark=word) for word in "abcd"])
        assert [is_passed(reply) for reply in replies] == [True, True, False, False]
        assert {code_of(reply) for reply in replies[2:]} == {(503, "overloaded")}
        assert scene.guard.desk.unwritten == 0
