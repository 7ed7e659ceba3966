"""What a caller is told of its own decision from the record, by whoever would learn more from it, or on a bad day."""

import asyncio
from pathlib import Path
from typing import Any, Final

from guard.journal.segments import segment_numbers, segment_path
from tests.support.guards import said
from tests.support.stage import DAILY, Stage, decision_of, is_passed, stage

SHADOW: Final = '[policy]\nid = "watched"\nmode = "shadow"\n[budgets]\ndaily_value = "1000 HKD"\n'
ASKED: Final = 200


async def recalled(scene: Stage, decision: str) -> Any:
    """The record of a decision as its own caller is told it."""
    return said(await scene.ask(f"/guard/v1/decisions/{decision}"))["record"]


async def test_a_record_that_is_told_tells_no_shadow_and_nothing_of_the_account(tmp_path: Path) -> None:
    """With a shadow policy that would refuse, or without: the same members and counters."""
    told = []
    for name, policies in (("with", {"desk.toml": DAILY, "watched.toml": SHADOW}), ("without", {"desk.toml": DAILY})):
        (tmp_path / name).mkdir()
        async with stage(tmp_path / name, policies=policies) as scene:
            reply = await scene.place()
            assert is_passed(reply)
            record = await recalled(scene, decision_of(reply))
            assert (b"/shadow:" in segment_path(scene.guard.directory, 1).read_bytes()) == (name == "with")
            told.append((sorted(record), record["claims"]))
    assert told[0] == told[1]
    assert not {"world", "shadow", "note", "peer"} & set(told[0][0])
    assert not any(claim["counter"].startswith("exits/") for claim in told[0][1])


async def test_many_who_ask_at_once_leave_the_threads_to_others(tmp_path: Path) -> None:
    """Each is answered whole, and what else needs a thread gets one before they are through."""
    async with stage(tmp_path, policies=DAILY) as scene:
        decision = decision_of(await scene.place())
        asking = [asyncio.ensure_future(recalled(scene, decision)) for _ in range(ASKED)]
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)
        assert not all(each.done() for each in asking)
        records = await asyncio.gather(*asking)
    assert all(record["symbol"] == "HK.00700" for record in records)


async def test_a_record_that_cannot_be_read_is_told_as_none(tmp_path: Path) -> None:
    """The decision and its end are told all the same: they are in memory, and nothing is answered 500."""
    async with stage(tmp_path, policies=DAILY) as scene:
        decision = decision_of(await scene.place())
        await scene.written()
        path = segment_path(scene.guard.directory, segment_numbers(scene.guard.directory)[-1])
        path.rename(path.with_suffix(".away"))
        told = said(await scene.ask(f"/guard/v1/decisions/{decision}"))
        path.with_suffix(".away").rename(path)
    assert (told["verdict"], told["record"]) == ("accepted", None)
