"""What trades of one turn of the loop may not do to each other: share ids, faults, or the room in the queue."""

import asyncio
from pathlib import Path


from guard.simulator.faults import Ids
from tests.support.stage import ACCOUNTS, DAILY, ORDER, code_of, is_passed, stage


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
