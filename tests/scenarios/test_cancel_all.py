"""A cancel of all on an account that several keys share: the caller's own orders, one by one, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from guard.simulator.faults import Fault, Hold, HttpError, Reset, RetType, Unreachable
from guard.terms import Reply
from guard.walk.carrier import OnRecord
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending
from tests.support import tokens
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.guards import record, said, write_keys
from tests.support.halted import STATES
from tests.support.stage import (
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    TRADING,
    Stage,
    account,
    again,
    code_of,
    decision_of,
    is_passed,
    stage,
)
from tests.support.tokens import ISSUING

OWNERS: Final = (record("bot"), record("other"), record("desk", owner="a person"))
ALL: Final = [(CANCEL_ALL, account()), (MODIFY, account(op="CANCEL", for_all=True))]
QUICK: Final = TRADING + '[daemon]\nbroker_limits = "off"\norder_timeout_s = 1.0\n'
EVERYBODY: Final = DAILY + '[rights]\ncancel_all = "account"\n'


@asynccontextmanager
async def shared(folder: Path, *, own: int = 3, policies: str = DAILY, **more: Any) -> AsyncIterator[Stage]:
    """A stage on which `bot` has some orders, and `other` one in the midst of them."""
    async with stage(folder, *OWNERS, policies=policies, **more) as scene:
        for n in range(own):
            await scene.placed(remark=f"n{n}")
            if n == 0:
                await scene.placed(who="other", remark="theirs")
        yield scene


def names(scene: Stage, who: str = "bot") -> list[str]:
    """The key's live orders, newest first."""
    holders = scene.guard.desk.state.holders.values()
    return [str(holder.order_id_ex) for holder in holders if holder.key == who][::-1]


def sent(scene: Stage) -> list[str | None]:
    """What the daemon was asked to cancel, one by one."""
    assert all(request.json["c2s"]["modify_order_op"] == 2 for request in scene.reached(MODIFY))
    return [request.json["c2s"].get("order_id_ex") for request in scene.reached(MODIFY)]


def outcomes(reply: Reply) -> list[str]:
    """What the answer says of each order."""
    return [result["outcome"] for result in said(reply)["s2c"]["results"]]


def open_at_daemon(scene: Stage) -> set[str]:
    """What still works."""
    return {found.order_id_ex for found in scene.daemon.orders.values() if found.is_open}


async def turns_pass() -> None:
    """Whoever waits for nothing but the clock has looked at it."""
    for _ in range(20):
        await asyncio.sleep(0)


async def rest_done(scene: Stage) -> None:
    """Nothing is being done any more."""
    async with asyncio.timeout(60):
        while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def all_ended(scene: Stage) -> None:
    """A list has shown that the caller's orders are over."""
    async with asyncio.timeout(60):
        while names(scene):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


# ---------------------------------------------------------------- whose orders, and how


@pytest.mark.parametrize(("path", "body"), ALL)
async def test_w12_a_cancel_of_all_cancels_the_callers_own_newest_first(tmp_path: Path, path: str, body: Any) -> None:
    """Beside another key's order each own order is cancelled by itself; both ways to ask are one."""
    async with shared(tmp_path) as scene:
        mine, theirs = names(scene), names(scene, "other")
        reply = await scene.ask(path, body)

        assert is_passed(reply)
        assert [result["order_id_ex"] for result in said(reply)["s2c"]["results"]] == mine
        assert (outcomes(reply), said(reply)["s2c"]["pending"]) == (["accepted"] * 3, 0)
        assert sent(scene) == mine
        assert open_at_daemon(scene) == set(theirs)
        assert scene.reached(CANCEL_ALL) == []


async def test_what_was_cancelled_is_not_kept(tmp_path: Path) -> None:
    """Once every cancel has come to its end nothing is remembered of them: a long life has many."""
    async with shared(tmp_path) as scene:
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        await rest_done(scene)
        assert scene.guard.pipeline.cancelling._under_way == {}


async def test_each_cancel_is_a_decision_with_an_outcome(tmp_path: Path) -> None:
    """The request is one decision that sends nothing; each order's cancel is another that names it; all read back."""
    async with shared(tmp_path) as scene:
        reply = await scene.ask(CANCEL_ALL, account())
        asked = await scene.decision(reply)
        assert (asked["effect"], "order" in asked, "of" in asked) == ("order_cancel", False, False)
        assert (await scene.outcome(reply))["verdict"] == "accepted"
        parts = [line for line in await scene.records("decision") if line.get("batch") == decision_of(reply)]
        assert [part["id"] for part in parts] == [result["decision"] for result in said(reply)["s2c"]["results"]]
        assert all(part["endpoint"] == MODIFY and part["key"] == "bot" and "of" in part for part in parts)
        ended = {line["decision"]: line["verdict"] for line in await scene.records("outcome")}
        assert [ended[part["id"]] for part in parts] == ["accepted"] * 3
        told = said(await scene.ask(f"/guard/v1/decisions/{parts[0]['id']}"))
        assert (told["batch"], told["verdict"]) == (decision_of(reply), "accepted")
        await all_ended(scene)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_alone_on_the_account_one_request_is_enough(tmp_path: Path) -> None:
    """Where every known order is the caller's the daemon is asked once, and the answer still tells of each order."""
    async with stage(tmp_path, *OWNERS) as scene:
        mine = [await scene.placed(remark=f"n{n}") for n in range(3)]
        reply = await scene.ask(CANCEL_ALL, account())
        assert (len(scene.reached(CANCEL_ALL)), scene.reached(MODIFY)) == (1, [])
        assert [result["order_id_ex"] for result in said(reply)["s2c"]["results"]] == mine[::-1]
        assert (outcomes(reply), said(reply)["s2c"]["pending"]) == (["accepted"] * 3, 0)
        assert said(reply)["s2c"]["header"]["acc_id"] == 123456
        assert open_at_daemon(scene) == set()


async def test_under_cancel_all_account_everybodys_orders_end(tmp_path: Path) -> None:
    """rights.cancel_all = "account" is the account's emergency exit: one request, whoever's orders they are."""
    async with shared(tmp_path, policies=EVERYBODY) as scene:
        assert is_passed(await scene.ask(CANCEL_ALL, account(), who="other"))
        assert (len(scene.reached(CANCEL_ALL)), scene.reached(MODIFY)) == (1, [])
        assert open_at_daemon(scene) == set()


async def test_without_orders_of_its_own_nothing_is_sent(tmp_path: Path) -> None:
    """Touch is another right: it lets a key cancel another's order by name, not all of them at once."""
    async with stage(tmp_path, *OWNERS, policies=DAILY + '[rights]\ntouch = "account"\n') as scene:
        theirs = await scene.placed(who="other")
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), said(reply)["s2c"]["pending"], is_passed(reply)) == ([], 0, True)
        assert (scene.reached(CANCEL_ALL), scene.reached(MODIFY)) == ([], [])
        assert is_passed(await scene.ask(CANCEL_ALL, account(market="US")))
        assert open_at_daemon(scene) == {theirs}


async def test_a_daemon_that_will_not_cancel_all_is_asked_one_by_one(tmp_path: Path) -> None:
    """Paper accounts refuse to cancel all at once: the orders end all the same."""
    async with stage(tmp_path, *OWNERS) as scene:
        mine = [await scene.placed(remark=f"n{n}") for n in range(3)]
        scene.daemon.faults.always(RetType(-1, "not supported"), path=CANCEL_ALL)
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), is_passed(reply)) == (["accepted"] * 3, True)
        assert sent(scene) == mine[::-1]


@pytest.mark.parametrize("name", STATES)
async def test_it_passes_in_every_state(tmp_path: Path, name: str) -> None:
    """Whatever limits, hours or state say, and with the journal broken."""
    async with shared(tmp_path, disk=FaultyDisk()) as scene:
        await STATES[name][0](scene)
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), is_passed(reply)) == (["accepted"] * 3, True)
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_only_identity_and_the_explicit_rate_stop_it(tmp_path: Path) -> None:
    """Strangers and spent cancel rates; the rate counts the request, not its orders."""
    async with shared(tmp_path, policies=DAILY.replace("[rates]", '[rates]\ncancels = "1/60s"')) as scene:
        assert code_of(await scene.ask(CANCEL_ALL, account(), who=None)) == (401, "unauthenticated")
        assert outcomes(await scene.ask(CANCEL_ALL, account())) == ["accepted"] * 3
        assert code_of(await scene.ask(CANCEL_ALL, account())) == (429, "rate")


# ---------------------------------------------------------------- what goes wrong


async def test_success_is_told_only_where_no_cancel_failed(tmp_path: Path) -> None:
    """Some accepted, one refused, one unknown, one ended meanwhile: the answer says which, and is no success."""
    async with shared(tmp_path, own=4) as scene:
        for fault in (RetType(-1, "can't edit"), HttpError(500)):
            scene.daemon.faults.add(fault, path=MODIFY)
        reply = await scene.ask(CANCEL_ALL, account())
        assert outcomes(reply) == ["refused", "unknown", "accepted", "accepted"]
        told = said(reply)
        assert (reply.status, told["ret_type"], told["s2c"]["pending"]) == (200, -1, 0)
        assert told["ret_msg"] == "2 of 4 orders were not cancelled: s2c.results says which"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Unreachable(), (502, "daemon_unreachable")),
        (Reset(acts=True), (504, "outcome_unknown")),
        (Reset(acts=False), (504, "outcome_unknown")),
    ],
)
async def test_what_is_so_for_every_order_is_told_as_for_one(
    tmp_path: Path, fault: Fault, told: tuple[int, str]
) -> None:
    """A daemon that is down, or answers nothing: what a single cancel would have been told."""
    async with shared(tmp_path) as scene:
        scene.daemon.faults.always(fault, path=MODIFY)
        reply = await scene.ask(CANCEL_ALL, account())
        assert code_of(reply) == told
        assert said(reply)["ret_type"] == (-100 if told[0] == 504 else -1)
        scene.daemon.faults.clear()
        await scene.ask(CANCEL_ALL, account())
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_the_answer_comes_in_time_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A cancel that hangs is pending when the order timeout is near; what comes of it later is in the record."""
    go = asyncio.Event()
    async with shared(tmp_path, toml=QUICK) as scene:
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), said(reply)["s2c"]["pending"]) == (["pending", "accepted", "accepted"], 1)
        assert is_passed(reply)
        go.set()
        await rest_done(scene)
        ended = {line["decision"]: line["verdict"] for line in await scene.records("outcome")}
        assert ended[said(reply)["s2c"]["results"][0]["decision"]] == "accepted"
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_a_caller_that_hangs_up_changes_nothing(tmp_path: Path) -> None:
    """The program owns the work."""
    go = asyncio.Event()
    async with shared(tmp_path) as scene:
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY)
        asked.cancel()
        go.set()
        await rest_done(scene)
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_a_key_that_is_revoked_in_between_cancels_no_more(tmp_path: Path) -> None:
    """Identity is looked at for each cancel: those of a revoked key that have not left stay here."""
    go = asyncio.Event()
    async with shared(tmp_path, own=12) as scene:
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY, times=8)
        write_keys(scene.config.parent / "keys.json", *OWNERS[1:])
        await scene.guard.reload()
        go.set()
        assert outcomes(await asked) == ["accepted"] * 8 + ["not_sent"] * 4
        assert len(scene.reached(MODIFY)) == 8


async def test_a_key_whose_limits_change_in_between_goes_on_cancelling(tmp_path: Path) -> None:
    """What no limit would have stopped is not stopped by a reload of limits, down to nothing at all."""
    go = asyncio.Event()
    async with shared(tmp_path, own=12) as scene:
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY, times=8)
        tight = record("bot", max_order_value=0, max_daily_value=0, max_orders_per_minute=0, allowed_markets=["US"])
        write_keys(scene.config.parent / "keys.json", tight, *OWNERS[1:])
        await scene.guard.reload()
        go.set()
        assert outcomes(await asked) == ["accepted"] * 12
        assert open_at_daemon(scene) == set(names(scene, "other"))


@pytest.mark.parametrize("narrowed", [{"scopes": ["acc:read", "trade:simulate"]}, {"allowed_acc_ids": [9032]}])
async def test_a_key_that_may_no_longer_trade_there_cancels_no_more(tmp_path: Path, narrowed: dict[str, Any]) -> None:
    """A scope or an account that is taken away is an end, as a revocation is."""
    go = asyncio.Event()
    async with shared(tmp_path, own=12) as scene:
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY, times=8)
        write_keys(scene.config.parent / "keys.json", record("bot", **narrowed), *OWNERS[1:])
        await scene.guard.reload()
        go.set()
        assert outcomes(await asked) == ["accepted"] * 8 + ["not_sent"] * 4


async def test_whoever_asks_again_and_is_gone_first_takes_nobodys_cancels_along(tmp_path: Path) -> None:
    """A key asks, then its successor of the same name, which is revoked: the first stands, and all are cancelled."""
    go, pair = asyncio.Event(), [record(name) for name in ("bot@1", "bot@2")]
    async with stage(tmp_path, *pair, *OWNERS[1:], policies=DAILY) as scene:
        await scene.placed(who="other")
        for n in range(12):
            await scene.placed(who="bot@1", remark=f"n{n}")
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        first = asyncio.ensure_future(scene.ask(CANCEL_ALL, account(), who="bot@1"))
        await scene.until_reached(MODIFY, times=8)
        second = asyncio.ensure_future(scene.ask(CANCEL_ALL, account(), who="bot@2"))
        await asyncio.sleep(0.05)
        write_keys(scene.config.parent / "keys.json", pair[0], *OWNERS[1:])
        await scene.guard.reload()
        go.set()
        assert outcomes(await first) == ["accepted"] * 12
        assert outcomes(await second) == ["accepted"] * 12
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_a_token_that_ends_takes_no_cancels_along_that_a_longer_one_asked_for(tmp_path: Path) -> None:
    """Each of the key's credentials stands for itself: the key's own, and of one signer's tokens the longest."""
    go, toml = asyncio.Event(), f"{TRADING}{ISSUING}"
    (tmp_path / "jwks.json").write_bytes(tokens.jwks(tokens.jwk("OKP", kid="a")))
    async with shared(tmp_path, own=12, toml=toml) as scene:
        now_s = int(scene.clock.wall().timestamp())
        ends = (now_s + 600, now_s + 5)
        long, short = (tokens.token(tokens.claims(iat=now_s, exp=end), kid="a") for end in ends)
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = []
        for token in (long, short):
            head = {"authorization": f"Bearer {token}"}
            asked.append(asyncio.ensure_future(scene.ask(CANCEL_ALL, account(), who=None, **head)))
            await scene.until_reached(MODIFY, times=8)
            await asyncio.sleep(0.05)
        scene.clock.advance(s=6)
        go.set()
        assert [outcomes(await one) for one in asked] == [["accepted"] * 12] * 2
        assert open_at_daemon(scene) == set(names(scene, "other"))


def waiting(scene: Stage, go: asyncio.Event) -> None:
    """A cancel of all of a caller's waits before its last look, as it does for a connection."""
    hooks = scene.guard.pipeline.hooks

    def when_recorded(recorder: Recorder, sending: Sending, told: OnRecord) -> None:
        async def later() -> None:
            await go.wait()
            hooks.carrying.when_recorded(recorder, sending, told)

        if sending.visit.call.path == CANCEL_ALL:
            _ = scene.guard.supervisor.start(later(), "record")
        else:
            hooks.carrying.when_recorded(recorder, sending, told)

    carrying = structs.replace(hooks.carrying, when_recorded=when_recorded)
    scene.guard.pipeline.hooks = structs.replace(hooks, carrying=carrying)


@pytest.mark.parametrize("touch", ["own", "account"])
async def test_an_order_of_another_that_comes_in_between_is_not_met(tmp_path: Path, touch: str) -> None:
    """Decided as one request, and then another key's order is placed: the key's own end one by one, and that stays."""
    go = asyncio.Event()
    async with stage(tmp_path, *OWNERS, policies=DAILY + f'[rights]\ntouch = "{touch}"\n') as scene:
        mine = [await scene.placed(remark=f"n{n}") for n in range(2)]
        waiting(scene, go)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        async with asyncio.timeout(60):
            while CANCEL_ALL not in {line["endpoint"] for line in await scene.records("decision")}:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        theirs = await scene.placed(who="other")
        go.set()
        reply = await asked
        assert (scene.reached(CANCEL_ALL), sent(scene), outcomes(reply)) == ([], mine[::-1], ["accepted"] * 2)
        assert open_at_daemon(scene) == {theirs}
        ended = {line["decision"]: line["verdict"] for line in await scene.records("outcome")}
        assert ended[decision_of(reply)] == "not_sent"


async def test_an_order_of_another_that_comes_in_between_is_met_where_that_is_the_right(tmp_path: Path) -> None:
    """Under cancel_all = "account" one request still ends them all."""
    go = asyncio.Event()
    async with stage(tmp_path, *OWNERS, policies=EVERYBODY) as scene:
        await scene.placed()
        waiting(scene, go)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.placed(who="other")
        go.set()
        assert is_passed(await asked)
        assert (len(scene.reached(CANCEL_ALL)), open_at_daemon(scene)) == (1, set())


async def test_what_a_stop_cuts_off_as_it_begins_has_an_outcome(tmp_path: Path) -> None:
    """Each cancel is decided and recorded in the turn before its task begins: it was not sent."""
    async with asyncio.timeout(60), shared(tmp_path) as scene:
        asking = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        while not any(task.get_name().startswith("cancel ") for task in asyncio.all_tasks()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        await scene.guard.supervisor.drain(0)
        asking.cancel()
        settled = {line["decision"]: line["verdict"] for line in await scene.records("outcome")}
        parts = [line["id"] for line in await scene.records("decision") if line.get("batch")]
        assert parts
        assert [settled.get(part) for part in parts] == ["not_sent"] * len(parts)
        assert sent(scene) == []


async def test_a_crash_in_between_leaves_a_record_that_reads_back(tmp_path: Path) -> None:
    """What had left is in doubt and followed up; what had not is not begun again by itself."""
    go = asyncio.Event()
    async with shared(tmp_path, own=12) as scene:
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY, times=8)
        config = await scene.killed(tmp_path / "killed")
        go.set()
        await asked
        scene.daemon.faults.clear()
    scene.daemon.requests.clear()
    async with again(config, daemon=scene.daemon, clock=scene.clock) as scene:
        doubts = [step for step in scene.guard.desk.state.steps.values() if step.status == "unknown"]
        assert len(doubts) == 8
        assert scene.reached(MODIFY) == []
        for _ in range(4):
            scene.clock.advance(s=31)
            await scene.guard.reconciler.turn()
        assert scene.ledger()["steps"] == {}
        assert scene.reached(MODIFY) == []


async def test_a_disk_that_fails_leaves_gaps_and_cancels_all_the_same(tmp_path: Path) -> None:
    """The request and each of its cancels are told as gaps at the next start."""
    disk = FaultyDisk()
    async with shared(tmp_path, disk=disk) as scene:
        disk.fails["write"] = NO_SPACE
        assert code_of(await scene.place(remark="breaks")) == (503, "journal_unavailable")
        reply = await scene.ask(CANCEL_ALL, account())
        assert outcomes(reply) == ["accepted"] * 3
        disk.fails.clear()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        (gap,) = await scene.records("gap")
        assert gap["decisions"] == [decision_of(reply), *(r["decision"] for r in said(reply)["s2c"]["results"])]


# ---------------------------------------------------------------- again, at once, and at which pace


async def test_the_same_idempotency_key_tells_of_the_same_cancels(tmp_path: Path) -> None:
    """Nothing is sent again; the answer tells what each cancel has come to, also after a restart; another body is a
    conflict.
    """
    async with shared(tmp_path) as scene:
        first = said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
        second = said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
        other = await scene.ask(CANCEL_ALL, account(market="US"), idempotency_key="k")
        assert code_of(other) == (409, "idempotency_conflict")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        third = said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
        for told in (second, third):
            assert (told["ret_type"], told["s2c"]["header"]) == (0, first["s2c"]["header"])
            for name in ("decision", "order_id", "order_id_ex", "outcome"):
                assert [r[name] for r in told["s2c"]["results"]] == [r[name] for r in first["s2c"]["results"]]
        assert len(scene.reached(MODIFY)) == 3


async def test_an_answer_again_is_no_success_where_the_first_was_none(tmp_path: Path) -> None:
    """What failed is told as failed each time, with its order and the reason, also after a restart; a request for all
    that the daemon refused is told by its cancels.
    """
    async with shared(tmp_path) as scene:
        scene.daemon.faults.add(RetType(-1, "can't edit"), path=MODIFY)
        first = said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
        assert first["ret_type"] == -1
        assert [r["outcome"] for r in first["s2c"]["results"]] == ["refused", "accepted", "accepted"]
        failed = first["s2c"]["results"][0]
        assert "can't edit" in failed["message"]
        assert said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k")) == first
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k")) == first
    alone = tmp_path / "alone"
    alone.mkdir()
    async with stage(alone, *OWNERS) as scene:
        await scene.placed()
        scene.daemon.faults.add(RetType(-1, "not supported"), path=CANCEL_ALL)
        for _ in range(2):
            told = said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
            assert (told["ret_type"], [r["outcome"] for r in told["s2c"]["results"]]) == (0, ["accepted"])


async def test_what_failed_is_tried_again_while_the_rest_goes_on(tmp_path: Path) -> None:
    """A second request joins the cancels that are under way, and begins those anew that have failed."""
    go = asyncio.Event()
    async with shared(tmp_path, toml=QUICK) as scene:
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        scene.daemon.faults.add(RetType(-1, "busy"), path=MODIFY)
        first = await scene.ask(CANCEL_ALL, account())
        assert outcomes(first) == ["pending", "refused", "accepted"]
        second = await scene.ask(CANCEL_ALL, account())
        assert outcomes(second)[:2] == ["pending", "accepted"]
        go.set()
        await rest_done(scene)
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_what_has_ended_is_soon_known_to_have(tmp_path: Path) -> None:
    """The lists are asked when the cancels are done, so that a second request finds nothing left to cancel."""
    async with shared(tmp_path) as scene:
        await scene.ask(CANCEL_ALL, account())
        await all_ended(scene)
        again_asked = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(again_asked), is_passed(again_asked)) == ([], True)


async def test_two_at_once_cancel_no_order_twice(tmp_path: Path) -> None:
    """The second is told of the same cancels."""
    async with shared(tmp_path) as scene:
        first, second = await asyncio.gather(*(scene.ask(CANCEL_ALL, account()) for _ in range(2)))
        assert outcomes(first) == outcomes(second) == ["accepted"] * 3
        assert len(scene.reached(MODIFY)) == 3


@pytest.mark.parametrize("is_alone", [True, False])
async def test_an_order_that_is_on_its_way_is_cancelled_once_it_has_a_name(tmp_path: Path, *, is_alone: bool) -> None:
    """An order that the daemon has not answered yet cannot be named, and is not forgotten."""
    go = asyncio.Event()
    async with shared(tmp_path, own=1, toml=QUICK) as scene:
        if is_alone:
            await scene.cancel(names(scene, "other")[0], who="other")
            await scene.guard.reconciler.turn()
            scene.clock.advance(s=6)
            await scene.guard.reconciler.turn()
            assert names(scene, "other") == []
        scene.daemon.faults.add(Hold(go), path=ORDER)
        coming = asyncio.ensure_future(scene.place(remark="coming"))
        await scene.until_reached(times=3)
        reply = await scene.ask(CANCEL_ALL, account())
        assert (sorted(outcomes(reply)), said(reply)["s2c"]["pending"]) == (["accepted", "pending"], 1)
        go.set()
        assert is_passed(await coming)
        await rest_done(scene)
        assert open_at_daemon(scene) == set(names(scene, "other"))


async def test_an_order_that_never_gets_a_name_is_given_up(tmp_path: Path) -> None:
    """Its own answer was lost and nobody finds it: after two minutes its cancel is told as unknown."""
    async with shared(tmp_path, own=1, toml=QUICK) as scene:
        scene.daemon.faults.add(Reset(acts=False), path=ORDER)
        assert (await scene.place(remark="lost")).status == 504
        scene.daemon.faults.always(HttpError(500), path="/api/orders")
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), said(reply)["s2c"]["pending"]) == (["pending", "accepted"], 1)
        scene.clock.advance(s=121)
        await rest_done(scene)
        assert len(scene.reached(MODIFY)) == 1


async def test_the_brokers_pace_is_kept_and_room_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twenty requests in half a minute sixteen are used, the others are for single cancels; gaps are kept.

    Whoever waits looks at the scene's clock in each turn of the loop, so no sleep of real time is part of this.
    """
    monkeypatch.setattr("guard.walk.cancelling.SLICE_S", 0)
    toml = TRADING + '[daemon]\nbroker_limits = "documented"\norder_timeout_s = 2\n'
    async with stage(tmp_path, *OWNERS, toml=toml) as scene:
        theirs = await scene.placed(who="other", remark="theirs")
        for n in range(20):
            scene.clock.advance(s=3)
            await scene.placed(remark=f"n{n}")
        scene.clock.advance(s=60)
        asked = asyncio.ensure_future(scene.ask(CANCEL_ALL, account(), idempotency_key="k"))
        for n in range(1, 17):
            await scene.until_reached(MODIFY, times=n)
            scene.clock.advance(us=39_000)
            await turns_pass()
            assert len(scene.reached(MODIFY)) == n
            scene.clock.advance(us=1_000)
        reply = await asked
        assert said(reply)["s2c"]["pending"] == 4
        assert said(await scene.ask(CANCEL_ALL, account(), idempotency_key="k")) == said(reply)
        assert is_passed(await scene.cancel(theirs, who="other"))
        assert len(scene.reached(MODIFY)) == 17
        async with asyncio.timeout(60):
            while open_at_daemon(scene):
                scene.clock.advance(s=8)
                await turns_pass()
        await rest_done(scene)


async def test_an_answer_never_lists_more_than_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out of the list was cancelled as well."""
    monkeypatch.setattr("guard.walk.cancelall.RESULTS_MAX", 2)
    async with shared(tmp_path) as scene:
        reply = await scene.ask(CANCEL_ALL, account())
        assert (outcomes(reply), said(reply)["s2c"]["pending"]) == (["accepted"] * 2, 0)
        assert open_at_daemon(scene) == set(names(scene, "other"))


@pytest.mark.parametrize(("path", "body"), ALL)
async def test_its_record_does_not_rest(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """Nobody waits for a cancel's record, but it is on its way to the disk at once; its outcome may rest a little."""
    async with shared(tmp_path) as scene:
        append, seen = scene.guard.journal.append, list[tuple[str, bool]]()

        def noted(
            type_: str, members: Any, *, wall_us: int | None = None, lazy: bool = False, yields: bool = False
        ) -> int:
            seen.append((type_, lazy))
            return append(type_, members, wall_us=wall_us, lazy=lazy, yields=yields)

        scene.guard.journal.append = noted  # type: ignore[method-assign]
        assert is_passed(await scene.ask(path, body))
    assert ("decision", False) in seen
    assert ("decision", True) not in seen


async def test_an_order_that_is_cancelled_anew_is_not_forgotten_when_the_first_request_ends(tmp_path: Path) -> None:
    """The first is told no and still waits for another order; the second asks again; the third joins the second."""
    async with shared(tmp_path, own=2) as scene:
        newest, oldest = names(scene)
        slow, again_slow = asyncio.Event(), asyncio.Event()
        for fault in (Hold(slow), RetType(-1), Hold(again_slow)):
            scene.daemon.faults.add(fault, path=MODIFY)
        asks = [asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))]
        await scene.until_reached(MODIFY, times=2)
        asks.append(asyncio.ensure_future(scene.ask(CANCEL_ALL, account())))
        await scene.until_reached(MODIFY, times=3)
        slow.set()
        assert "refused" in outcomes(await asks[0])
        for _ in range(20):
            await asyncio.sleep(0)
        asks.append(asyncio.ensure_future(scene.ask(CANCEL_ALL, account())))
        for _ in range(20):
            await asyncio.sleep(0)
        again_slow.set()
        await asyncio.gather(*asks)
        assert sent(scene) == [newest, oldest, oldest]
