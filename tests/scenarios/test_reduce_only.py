"""`reduce_only`: what makes a known position smaller passes, together at most the position; nothing flips it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from guard.simulator.faults import Delay, RetType, Unreachable
from guard.simulator.faults import Stage as Call
from guard.terms import Answer, Env, Failure, Reply
from tests.support.guards import codes, order, record, said
from tests.support.stage import ORDER, Stage, again, code_of, is_passed, stage

POSITIONS: Final = "/api/positions"
KEYS: Final = (record("bot"), record("other"), record("desk", owner="a person"))


async def test_exits_pass_up_to_the_position_and_never_more(tmp_path: Path) -> None:
    """Working exits of whichever key count; a cancel gives room back; what would increase is refused."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        assert code_of(await scene.place(qty=100)) == (403, "reduce_only")
        refused = await scene.sell(400)
        assert code_of(refused) == (403, "reduce_only")
        reason = said(refused)["guard"]["reasons"][0]
        assert (reason["observed"], reason["limit"]) == ("400", "300")
        first = await scene.sell(200)
        assert is_passed(first)
        assert code_of(await scene.sell(200, who="other")) == (403, "reduce_only")
        assert is_passed(await scene.sell(100, who="other"))
        assert code_of(await scene.sell(100)) == (403, "reduce_only")
        assert len(scene.reached(ORDER)) == 2


@pytest.mark.parametrize(("held", "side", "passes"), [(200, "SELL", True), (-200, "BUY", True), (0, "SELL", False)])
async def test_the_side_is_the_positions_opposite(tmp_path: Path, held: int, side: str, *, passes: bool) -> None:
    """A long position is sold, a short one bought back; a flat one leaves nothing to reduce."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(held)
        await scene.set_state("reduce_only")
        other = "BUY" if side == "SELL" else "SELL"
        assert code_of(await scene.place(side=other, qty=100)) == (403, "reduce_only")
        scene.clock.advance(s=6)
        reply = await scene.place(side=side, qty=200)
        assert is_passed(reply) is passes
        assert passes or codes(reply) == ["reduce_only"]


async def test_a_position_that_cannot_be_told_reduces_nothing(tmp_path: Path) -> None:
    """No answer, no exit: the refusal says what is not known; a cancel passes all the same."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        name = await scene.placed()
        await scene.set_state("reduce_only")
        scene.daemon.faults.always(Unreachable(), path=POSITIONS)
        refused = await scene.sell(100)
        assert code_of(refused) == (403, "reduce_only")
        assert "position" in said(refused)["ret_msg"]
        assert is_passed(await scene.cancel(name))


async def test_a_change_is_held_to_the_same(tmp_path: Path) -> None:
    """A working exit may be made larger up to the position, its own part left out; an entry may not be changed."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        entry = await scene.placed()
        await scene.set_state("reduce_only")
        reply = await scene.sell(100)
        name = said(reply)["s2c"]["order_id_ex"]
        scene.clock.advance(s=6)
        assert code_of(await scene.modify(name, qty=400, price=400)) == (403, "reduce_only")
        scene.clock.advance(s=6)
        assert is_passed(await scene.modify(name, qty=300, price=400))
        scene.clock.advance(s=6)
        assert code_of(await scene.modify(entry, qty=50)) == (403, "reduce_only")
        assert is_passed(await scene.cancel(entry))


async def test_two_exits_at_once_cannot_both_have_the_position(tmp_path: Path) -> None:
    """What the first one takes is taken when the second is decided, though both saw the same position."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(100)
        await scene.set_state("reduce_only")
        await scene.ask("/api/accounts")
        scene.daemon.faults.always(Delay(0.01), path=POSITIONS)
        replies = await asyncio.gather(*(scene.sell(100, who=who) for who in ("bot", "other", "desk")))
        assert sum(is_passed(reply) for reply in replies) == 1
        assert len(scene.reached(ORDER)) == 1


async def test_the_scope_narrows_and_the_account_is_meant(tmp_path: Path) -> None:
    """A state for one key leaves others alone; the position of one environment is no other's."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300, env=Env.REAL)
        await scene.set_state("reduce_only", keys=("bot",))
        assert code_of(await scene.sell(100)) == (403, "reduce_only")
        assert is_passed(await scene.sell(100, env="real"))
        assert is_passed(await scene.place(who="other"))


async def test_an_order_decided_before_the_state_is_not_sent_after_it(tmp_path: Path) -> None:
    """The last look: it was not judged as an exit, so it is none."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.ask("/api/accounts")

        async def once_decided() -> None:
            while not scene.guard.desk.state.steps:  # noqa: ASYNC110 - nobody tells when an order is decided
                await asyncio.sleep(0)
            await scene.set_state("reduce_only")

        reply, _ = await asyncio.gather(scene.place(), once_decided())
        assert code_of(reply) == (403, "reduce_only")
        assert (await scene.decision(reply))["outcome"] == "allow"
        assert (await scene.outcome(reply))["verdict"] == "not_sent"
        assert scene.reached(ORDER) == []
        assert scene.held("exits") == 0


async def test_it_outlives_a_restart_with_what_works(tmp_path: Path) -> None:
    """State and working exits are in the record."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        assert is_passed(await scene.sell(200))
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as after:
        assert code_of(await after.sell(200)) == (403, "reduce_only")
        assert is_passed(await after.sell(100))


async def test_dry_runs_leave_the_last_question_for_the_position_to_what_is_sent(tmp_path: Path) -> None:
    """However often somebody asks whether he might get out: whoever does get out is not kept from it."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        body = {"path": ORDER, "body": order(side="SELL", qty=100)}
        told = []
        for _ in range(4):
            scene.clock.advance(us=1)
            told.append(said(await scene.ask("/guard/v1/check", body, who="other")))
        scene.clock.advance(us=1)
        assert [one["status"] for one in told] == [200, 200, 403, 403]
        assert "is left to exits" in told[3]["guard"]["reasons"][0]["message"]
        assert is_passed(await scene.sell(100))


async def test_a_dry_run_asks_for_the_position_too(tmp_path: Path) -> None:
    """It says what the real order would be told."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        for qty, status in ((300, 200), (400, 403)):
            scene.clock.advance(s=6)
            body = {"path": ORDER, "body": order(side="SELL", qty=qty, price=400)}
            assert said(await scene.ask("/guard/v1/check", body))["status"] == status


async def test_policies_still_bind_an_exit(tmp_path: Path) -> None:
    """Reducing is no excuse for `max_value`, and every reason is told."""
    async with stage(tmp_path, *KEYS, policies='[orders]\nmax_value = "50000 HKD"') as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        assert code_of(await scene.sell(200)) == (403, "max_order_value")
        scene.clock.advance(s=6)
        assert codes(await scene.place(qty=500)) == ["reduce_only", "max_order_value"]
        assert is_passed(await scene.sell(100))


class Late(Struct, frozen=True):
    """The daemon answers as things are now, and the answer arrives once the event is set."""

    until: asyncio.Event

    async def play(self, stage: Call) -> Answer | Failure:
        """Act, then wait."""
        result = stage.act()
        await self.until.wait()
        return result


async def _meanwhile(scene: Stage, ask: Coroutine[Any, Any, Reply], *happens: Callable[[], Awaitable[Any]]) -> Reply:
    """What becomes of a request whose position was read before all this happened and was learned, and arrives after."""
    arrived, asked = asyncio.Event(), len(scene.reached(POSITIONS))
    scene.daemon.faults.add(Late(arrived), path=POSITIONS)

    async def learn() -> None:
        await scene.until_reached(POSITIONS, times=asked + 1)
        for each in happens:
            await each()
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        arrived.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(learn())
        return await ask


def _filled(scene: Stage, name: str, qty: int) -> Callable[[], Awaitable[None]]:
    """So much of a sale is executed."""

    async def fill() -> None:
        _fill(scene, name, qty)

    return fill


def _sold(scene: Stage, qty: int, *, filled: int) -> Callable[[], Awaitable[None]]:
    """A key that is not bound to exits sells, and so much of that is executed."""

    async def sell() -> None:
        reply = await scene.place(who="other", side="SELL", qty=qty, price=400)
        _fill(scene, said(reply)["s2c"]["order_id_ex"], filled)

    return sell


async def _exit(scene: Stage, qty: int) -> str:
    """An order that closes a position of so many shares, listed by the daemon."""
    scene.hold(qty)
    await scene.set_state("reduce_only")
    name: str = said(await scene.sell(qty))["s2c"]["order_id_ex"]
    scene.clock.advance(s=6)
    await scene.guard.reconciler.turn()
    return name


async def test_a_fill_that_is_learned_while_the_position_is_on_its_way_frees_nothing(tmp_path: Path) -> None:
    """The position was read before the fill: it must not be sold a second time."""
    async with stage(tmp_path, *KEYS) as scene:
        name = await _exit(scene, 100)
        reply = await _meanwhile(scene, scene.sell(100), _filled(scene, name, 100))
        assert scene.held("exits") == 0
        assert code_of(reply) == (403, "reduce_only")


@pytest.mark.parametrize(("sold", "filled"), [(200, 200), (200, 100), (100, 100)])
async def test_a_sale_that_comes_and_goes_while_the_position_is_on_its_way_has_come_off_it(
    tmp_path: Path, sold: int, filled: int
) -> None:
    """The position was read before it, and no list shows it any more; beside that an exit was filled that was known."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(400)
        await scene.set_state("reduce_only", keys=["bot"])
        name = said(await scene.sell(200))["s2c"]["order_id_ex"]
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        happens = _sold(scene, sold, filled=filled), _filled(scene, name, 200)
        left = 200 - sold
        assert code_of(await _meanwhile(scene, scene.sell(left + 100), *happens)) == (403, "reduce_only")
        assert scene.held("exits") == sold - filled
        if left:
            assert is_passed(await scene.sell(left))


async def test_a_sale_that_the_daemon_refused_meanwhile_has_come_off_nothing(tmp_path: Path) -> None:
    """Its refusal is evidence: who may only get out is not kept from it by an order that never was."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(100)
        await scene.set_state("reduce_only", keys=["bot"])
        scene.daemon.faults.add(RetType(-1, "no"), path=ORDER)

        async def refused() -> None:
            assert not is_passed(await scene.place(who="other", side="SELL", qty=100, price=400))

        assert is_passed(await _meanwhile(scene, scene.sell(100), refused))


async def test_what_is_sold_after_the_position_arrived_is_watched_no_more(tmp_path: Path) -> None:
    """Also where nobody answered."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(200)
        await scene.set_state("reduce_only", keys=["bot"])
        assert is_passed(await scene.sell(100))
        scene.daemon.faults.add(Unreachable(), path=POSITIONS)
        assert code_of(await scene.sell(100)) == (403, "reduce_only")
        assert scene.guard.desk.state.rising == {}


def _fill(scene: Stage, name: str, qty: int, *, price: int = 400) -> None:
    """So much of a sale is executed, and comes off the position."""
    book, row = scene.daemon.world.book, scene.daemon.orders[name]
    book.fill(row, qty=Decimal(qty), price=Decimal(price), at=scene.clock.wall())
    scene.hold(-qty)


async def test_of_a_partly_filled_exit_only_the_rest_is_still_to_come(tmp_path: Path) -> None:
    """Its price may be changed, as may its quantity up to what is left of the position; one share more may not."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        name = said(await scene.sell(200))["s2c"]["order_id_ex"]
        _fill(scene, name, 150)
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()

        assert is_passed(await scene.modify(name, qty=200, price=390))
        scene.clock.advance(s=6)
        refused = await scene.modify(name, qty=301, price=390)
        assert code_of(refused) == (403, "reduce_only")
        assert said(refused)["guard"]["reasons"][0]["limit"] == "300"
        scene.clock.advance(s=6)
        assert is_passed(await scene.modify(name, qty=300, price=390))
        scene.clock.advance(s=6)
        assert code_of(await scene.sell(1)) == (403, "reduce_only")


async def test_a_list_that_lags_behind_a_change_lets_no_position_be_sold_twice(tmp_path: Path) -> None:
    """It still shows the exit for less than was accepted last; all of that is still to come off the position."""
    async with stage(tmp_path, *KEYS) as scene:
        name = await _exit(scene, 100)
        scene.hold(200)
        scene.clock.advance(s=6)
        assert is_passed(await scene.modify(name, qty=300, price=400))
        scene.daemon.orders[name].qty = Decimal(100)
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        assert scene.held("exits") == 300
        assert code_of(await scene.sell(200)) == (403, "reduce_only")


async def test_a_fill_of_its_own_that_is_learned_meanwhile_makes_a_change_no_larger(tmp_path: Path) -> None:
    """The position was read before the fill: what came off it since is not to be sold once more."""
    async with stage(tmp_path, *KEYS) as scene:
        name = await _exit(scene, 100)
        reply = await _meanwhile(scene, scene.modify(name, qty=140, price=390), _filled(scene, name, 40))
        assert scene.held("exits") == 60
        assert code_of(reply) == (403, "reduce_only")
