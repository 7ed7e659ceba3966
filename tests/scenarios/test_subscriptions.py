"""Subscriptions are each key's own, although the daemon knows one set of them for everybody (W18)."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator.faults import Garbage, Hold, HttpError, Reset, RetType, Unreachable
from guard.terms import Reply, Subscribe
from guard.walk import subscribing
from guard.walk.subscriptions import GONE_AFTER_US, LINES_MAX
from tests.support.guards import codes, record, said, write_keys
from tests.support.stage import Stage, stage

SUB, UNSUB = "/api/subscribe", "/api/unsubscribe"
PUSH, UNPUSH = "/api/sub-acc-push", "/api/unsub-acc-push"
TENCENT, APPLE = "HK.00700", "US.AAPL"
KEYS: Final = (
    record("bot"),
    record("other"),
    record("mine", allowed_acc_ids=[123456]),
    record("desk", owner="a person"),
)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Stage]:
    """A guard with four keys."""
    async with stage(tmp_path, *KEYS) as found:
        yield found


async def subscribe(scene: Stage, *symbols: str, who: str = "bot", types: Any = (1,), **extra: Any) -> Reply:
    """One subscription."""
    return await scene.ask(SUB, {"security_list": symbols, "sub_type_list": types, **extra}, who=who)


async def unsubscribe(scene: Stage, *symbols: str, who: str = "bot", types: Any = (1,)) -> Reply:
    """The end of one."""
    return await scene.ask(UNSUB, {"security_list": symbols, "sub_type_list": types}, who=who)


def quotes(scene: Stage) -> dict[str, list[int]]:
    """What the daemon has subscribed."""
    return dict(scene.daemon.dump()["subscribed"])


def is_done(reply: Reply) -> bool:
    """The caller was told that it was done."""
    return reply.status == 200 and said(reply)["ret_type"] == 0


def last(scene: Stage, path: str) -> dict[str, Any]:
    """What the daemon was last asked at this path."""
    return dict(scene.reached(path)[-1].json["c2s"])


async def test_w18_an_unsubscribe_does_not_cut_another_key(scene: Stage) -> None:
    """The line ends at the daemon when its last holder leaves; until then both are told that theirs has ended."""
    await subscribe(scene, TENCENT, APPLE)
    await subscribe(scene, TENCENT, who="other")

    assert is_done(await unsubscribe(scene, TENCENT, APPLE))
    assert quotes(scene) == {TENCENT: [1]}
    assert is_done(await unsubscribe(scene, TENCENT))
    assert quotes(scene) == {TENCENT: [1]}
    assert is_done(await unsubscribe(scene, TENCENT, who="other"))
    assert quotes(scene) == {}


async def test_w18_only_the_types_that_nobody_else_holds_end(scene: Stage) -> None:
    """Symbols times types: what remains is exactly what the other key holds, and the fewest calls say so."""
    await subscribe(scene, TENCENT, APPLE, types=[1, 2])
    await subscribe(scene, APPLE, types=[2, 4], who="other")

    assert is_done(await unsubscribe(scene, TENCENT, APPLE, types=[1, 2]))
    assert quotes(scene) == {APPLE: [2, 4]}
    assert len(scene.reached(UNSUB)) == 2


async def test_what_nobody_is_known_to_hold_goes_to_the_daemon(scene: Stage) -> None:
    """A line from before a restart of the guard can still be ended."""
    scene.daemon.world.subscribed[TENCENT] = {1}

    assert is_done(await unsubscribe(scene, TENCENT))
    assert quotes(scene) == {}


async def test_w18_account_pushes_are_the_union_of_the_keys(scene: Stage) -> None:
    """The daemon takes whole lists: one key's list does not end another's, and a key's later list is its whole."""
    everything = {row.account.acc_id for row in await scene.guard.desk.accounts.rows()}  # type: ignore[union-attr]
    other = min(everything - {123456})
    await scene.ask(PUSH, {"acc_id_list": [other]})
    await scene.ask(PUSH, {}, who="mine")
    assert scene.daemon.world.push_accounts == {123456, other}

    assert is_done(await scene.ask(UNPUSH, {"acc_id_list": [123456]}))
    assert scene.daemon.world.push_accounts == {123456, other}
    assert is_done(await scene.ask(UNPUSH, {}))
    assert scene.daemon.world.push_accounts == {123456}
    assert is_done(await scene.ask(UNPUSH, {}, who="mine"))
    assert scene.daemon.world.push_accounts == set()

    await scene.ask(PUSH, {"acc_id_list": [other, 123456]})
    await scene.ask(PUSH, {"acc_id_list": [other]})
    assert scene.daemon.world.push_accounts == {other}


async def test_w18_a_key_that_wants_no_push_does_not_end_anothers(scene: Stage) -> None:
    """The flag would end pushes on the connection that all share: it is left out while another key's are in use."""
    await subscribe(scene, TENCENT, is_reg_or_un_reg_push=False)
    assert last(scene, SUB)["is_reg_or_un_reg_push"] is False
    await subscribe(scene, TENCENT, is_reg_or_un_reg_push=True, who="other")
    await subscribe(scene, TENCENT, is_reg_or_un_reg_push=False)

    assert "is_reg_or_un_reg_push" not in last(scene, SUB)


async def test_a_refused_subscription_is_not_held(scene: Stage) -> None:
    """The daemon says no, or was not reached: the key holds what it held before."""
    await subscribe(scene, TENCENT)
    for fault in (HttpError(400), Unreachable(), RetType(-1), RetType(-500)):
        scene.daemon.faults.add(fault, path=SUB)
        assert not is_done(await subscribe(scene, TENCENT, APPLE))
        assert scene.guard.desk.subscriptions.held("bot") == [(1, "00700", 1)]


@pytest.mark.parametrize("fault", [Reset, Garbage, partial(RetType, -100), partial(HttpError, 500)])
@pytest.mark.parametrize("acts", [True, False])
async def test_a_subscription_of_which_nobody_knows_is_held(scene: Stage, fault: Any, *, acts: bool) -> None:
    """It failed, or it failed but it happened: another key's end of it must not cut it, and a restart restores it."""
    scene.daemon.faults.add(fault(acts=acts), path=SUB)
    await subscribe(scene, TENCENT)
    await subscribe(scene, TENCENT, who="other")
    await unsubscribe(scene, TENCENT, who="other")

    assert quotes(scene) == {TENCENT: [1]}


@pytest.mark.parametrize("fault", [Unreachable(), Reset(acts=True), Reset(acts=False), HttpError(500)])
async def test_an_end_that_was_not_confirmed_can_be_asked_for_again(scene: Stage, fault: Any) -> None:
    """The key still holds the line, so the second time the daemon is asked again."""
    await subscribe(scene, TENCENT)
    scene.daemon.faults.add(fault, path=UNSUB)
    assert not is_done(await unsubscribe(scene, TENCENT))
    assert is_done(await unsubscribe(scene, TENCENT))

    assert quotes(scene) == {}
    assert not scene.guard.desk.subscriptions


@pytest.mark.parametrize("fault", [Unreachable(), HttpError(403)])
async def test_refused_account_pushes_leave_the_list_as_it_was(scene: Stage, fault: Any) -> None:
    """Beginning and ending alike."""
    await scene.ask(PUSH, {"acc_id_list": [123456]})
    for path in (PUSH, UNPUSH):
        scene.daemon.faults.add(fault, path=path)
        assert not is_done(await scene.ask(path, {}))
        assert scene.guard.desk.subscriptions.accounts("bot") == {123456}


@pytest.mark.parametrize("fault", [Reset, Garbage, partial(RetType, -100), partial(HttpError, 500)])
@pytest.mark.parametrize("acts", [True, False])
async def test_account_pushes_of_which_nobody_knows_are_held(scene: Stage, fault: Any, *, acts: bool) -> None:
    """Begun or ended, they failed, or failed but it happened: the key holds them, so the next list has them again."""
    for path in (PUSH, UNPUSH):
        scene.daemon.faults.add(fault(acts=acts), path=path)
        await scene.ask(path, {"acc_id_list": [123456]})
        assert scene.guard.desk.subscriptions.accounts("bot") == {123456}
        await scene.ask(PUSH, {"acc_id_list": [9032]}, who="other")
        assert last(scene, PUSH)["acc_id_list"] == [9032, 123456]
    assert is_done(await scene.ask(UNPUSH, {"acc_id_list": [123456]}))
    assert scene.guard.desk.subscriptions.accounts("bot") == frozenset()


async def test_whoever_comes_while_a_line_ends_waits_for_it(scene: Stage) -> None:
    """The end of the last holder and a new holder's subscription reach the daemon in that order, never the other."""
    await subscribe(scene, TENCENT)
    gate = asyncio.Event()
    scene.daemon.faults.add(Hold(gate), path=UNSUB)
    ending = asyncio.ensure_future(unsubscribe(scene, TENCENT))
    await scene.until_reached(UNSUB)
    coming = asyncio.ensure_future(subscribe(scene, TENCENT, who="other"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(scene.reached(SUB)) == 1
    gate.set()

    assert is_done(await ending)
    assert is_done(await coming)
    assert quotes(scene) == {TENCENT: [1]}


@pytest.mark.parametrize("what", ["revoked", "locked"])
@pytest.mark.parametrize("path", [SUB, PUSH])
async def test_b03_what_waited_behind_anothers_subscription_is_looked_at_again(
    scene: Stage, tmp_path: Path, path: str, what: str
) -> None:
    """Its key has ended meanwhile, or trading was locked: it does not leave, and holds nothing."""
    gate = asyncio.Event()
    scene.daemon.faults.add(Hold(gate), path=SUB)
    first = asyncio.ensure_future(subscribe(scene, APPLE, who="other"))
    await scene.until_reached(SUB)
    body = {"security_list": [TENCENT], "sub_type_list": [1]} if path == SUB else {"acc_id_list": [123456]}
    late = asyncio.ensure_future(scene.ask(path, body))
    for _ in range(20):
        await asyncio.sleep(0)
    if what == "locked":
        await scene.set_state("locked", keys=("bot",))
    else:
        write_keys(tmp_path / "keys.json", *KEYS[1:])
        await scene.guard.reload()
    gate.set()

    assert is_done(await first)
    assert codes(await late) == ["halted" if what == "locked" else "unauthenticated"]
    assert quotes(scene) == {APPLE: [1]}
    assert scene.daemon.world.push_accounts == set()
    assert not scene.guard.desk.subscriptions.held("bot")
    assert not scene.guard.desk.subscriptions.accounts("bot")


async def test_waiting_is_bounded(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than may wait for the daemon is told to come again; nothing was held for it."""
    monkeypatch.setattr(subscribing, "WAITING_MAX", 1)
    gate = asyncio.Event()
    scene.daemon.faults.add(Hold(gate), path=SUB)
    held = [asyncio.ensure_future(subscribe(scene, TENCENT, who=who)) for who in ("bot", "other")]
    await scene.until_reached(SUB)
    for _ in range(20):
        await asyncio.sleep(0)

    assert codes(await subscribe(scene, APPLE)) == ["overloaded"]
    gate.set()
    assert [is_done(await each) for each in held] == [True, True]


async def test_a_key_holds_a_bounded_number_of_lines(scene: Stage) -> None:
    """One more than the bound is refused; ending some makes room; ending is never refused for it."""
    many = tuple((1, f"{number:05}") for number in range(LINES_MAX))
    subscriptions = scene.guard.desk.subscriptions
    subscriptions.take("bot", Subscribe(is_subscribe=True, securities=many, sub_types=(1,)))

    assert codes(await subscribe(scene, APPLE)) == ["bad_value"]
    assert is_done(await subscribe(scene, APPLE, who="other"))
    assert is_done(await unsubscribe(scene, TENCENT))
    assert is_done(await subscribe(scene, APPLE))


async def _taken_back(scene: Stage) -> None:
    """The look that happens every second."""
    scene.guard.relay.tick()
    taking = scene.guard.relay._taking
    if taking is not None:
        await taking


async def test_a_revoked_keys_subscriptions_end_with_it(scene: Stage, tmp_path: Path) -> None:
    """What only it held ends at the daemon; what others hold stays. A daemon that is away is asked again later."""
    await subscribe(scene, TENCENT, APPLE)
    await subscribe(scene, APPLE, who="other")
    await scene.ask(PUSH, {"acc_id_list": [123456]})
    write_keys(tmp_path / "keys.json", *KEYS[1:])
    await scene.guard.reload()
    scene.daemon.faults.add(Unreachable(), path=UNSUB)
    await _taken_back(scene)
    assert quotes(scene) == {TENCENT: [1], APPLE: [1]}

    await _taken_back(scene)
    assert quotes(scene) == {APPLE: [1]}
    assert scene.daemon.world.push_accounts == set()
    assert scene.guard.desk.subscriptions.held("other") == [(11, "AAPL", 1)]


@pytest.mark.parametrize("fault", [HttpError(500), RetType(-1), RetType(-100), HttpError(429)])
@pytest.mark.parametrize("path", [UNSUB, UNPUSH])
async def test_what_the_daemon_does_not_end_is_asked_for_again(
    scene: Stage, tmp_path: Path, fault: Any, path: str
) -> None:
    """A broker ends nothing that is younger than a minute: what was forgotten then stayed subscribed for ever."""
    await subscribe(scene, TENCENT)
    await scene.ask(PUSH, {"acc_id_list": [123456]})
    await subscribe(scene, APPLE, who="mine")
    write_keys(tmp_path / "keys.json", KEYS[1], KEYS[3])
    await scene.guard.reload()
    scene.daemon.faults.add(fault, path=path)
    await _taken_back(scene)
    assert APPLE not in quotes(scene)  # what another key held ends all the same
    await _taken_back(scene)
    assert quotes(scene) or scene.daemon.world.push_accounts

    scene.clock.advance(s=60)
    await _taken_back(scene)
    assert not quotes(scene)
    assert not scene.daemon.world.push_accounts
    assert not scene.guard.desk.subscriptions


async def test_what_the_daemon_ends_of_a_gone_key_ends_although_it_refuses_another_line(
    scene: Stage, tmp_path: Path
) -> None:
    """One call is refused, whenever it is asked: the others are asked all the same, and only its lines stay held."""
    await subscribe(scene, TENCENT)
    await subscribe(scene, APPLE, types=[1, 2])
    await subscribe(scene, "HK.00388", types=[2])
    await subscribe(scene, "HK.00388", types=[2], who="other")
    write_keys(tmp_path / "keys.json", *KEYS[1:])
    await scene.guard.reload()
    scene.daemon.faults.add(RetType(-1), path=UNSUB)
    await _taken_back(scene)

    assert quotes(scene) == {TENCENT: [1], "HK.00388": [2]}
    assert scene.guard.desk.subscriptions.held("bot") == [(1, "00700", 1)]


@pytest.mark.parametrize("comes_by", ["socket", "request"])
async def test_a_key_that_came_back_is_asked_for_anew_when_it_is_gone_again(
    scene: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_by: str
) -> None:
    """What the daemon refused to end while it was gone before counts no more, and delays nothing."""
    monkeypatch.setattr(subscribing, "ENDING_ATTEMPTS_MAX", 2)
    await subscribe(scene, TENCENT)
    for _ in range(2):
        write_keys(tmp_path / "keys.json", *KEYS[1:])
        await scene.guard.reload()
        asked = len(scene.reached(UNSUB))
        scene.daemon.faults.add(RetType(-1), path=UNSUB)
        await _taken_back(scene)
        assert len(scene.reached(UNSUB)) == asked + 1
        write_keys(tmp_path / "keys.json", *KEYS)
        await scene.guard.reload()
        if comes_by == "socket":
            scene.guard.desk.subscriptions.arrived("bot")
        else:
            await scene.ask("/api/ping")

    assert scene.guard.desk.subscriptions.held("bot") == [(1, "00700", 1)]


async def test_a_daemon_that_ends_nothing_is_not_asked_for_ever(
    scene: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute, and after so many times no more: what a key held that is gone is nobody's then."""
    monkeypatch.setattr(subscribing, "ENDING_ATTEMPTS_MAX", 3)
    await subscribe(scene, TENCENT)
    write_keys(tmp_path / "keys.json", *KEYS[1:])
    await scene.guard.reload()
    for _ in range(5):
        scene.daemon.faults.add(RetType(-1), path=UNSUB)
        await _taken_back(scene)
        scene.clock.advance(s=60)

    assert len(scene.reached(UNSUB)) == 3
    assert not scene.guard.desk.subscriptions


async def test_expired_and_disabled_keys_hold_nothing(tmp_path: Path) -> None:
    """All that are gone are seen to in one look; a daemon that is away is not asked for the next of them."""
    until = "2026-11-22T09:47:28Z"  # a minute from now
    people = (record("bot", expires_at=until), record("mine"), *KEYS[1:2], KEYS[3])
    async with stage(tmp_path, *people) as scene:
        await subscribe(scene, TENCENT)
        await subscribe(scene, APPLE, who="mine")
        await subscribe(scene, "HK.00388", who="other")
        write_keys(tmp_path / "keys.json", people[0], record("mine", allowed_machines=["here"]), *people[2:])
        await scene.guard.reload()
        scene.clock.advance(s=60)
        scene.daemon.faults.add(Unreachable(), path=UNSUB)
        asked = len(scene.reached(UNSUB))
        await _taken_back(scene)
        assert len(scene.reached(UNSUB)) == asked + 1
        await _taken_back(scene)

        assert quotes(scene) == {"HK.00388": [1]}


async def test_a_line_that_is_being_taken_back_is_subscribed_to_after_that(scene: Stage, tmp_path: Path) -> None:
    """Another key that asks for it meanwhile waits: else the daemon would end what it holds."""
    await subscribe(scene, TENCENT)
    write_keys(tmp_path / "keys.json", *KEYS[1:])
    await scene.guard.reload()
    told = asyncio.Event()
    scene.daemon.faults.add(Hold(told), path=UNSUB)
    taking = asyncio.ensure_future(_taken_back(scene))
    await scene.until_reached(UNSUB)
    asking = asyncio.ensure_future(subscribe(scene, TENCENT, who="other"))
    for _ in range(20):
        await asyncio.sleep(0)
    told.set()
    assert is_done(await asking)
    await taking

    assert quotes(scene) == {TENCENT: [1]}


async def test_a_key_that_left_its_last_socket_long_ago_holds_nothing(scene: Stage) -> None:
    """Ten minutes without a socket and without a request; a key that asked meanwhile is still there."""
    subscriptions, clock = scene.guard.desk.subscriptions, scene.clock
    await subscribe(scene, TENCENT)
    await subscribe(scene, APPLE, who="other")
    for name in ("bot", "other"):
        subscriptions.arrived(name)
        subscriptions.left(name, now_us=clock.t_us())
    clock.advance(s=GONE_AFTER_US // 1_000_000 - 1)
    await scene.ask("/api/quote", {"security_list": [APPLE]}, who="other")
    clock.advance(s=1)
    await _taken_back(scene)

    assert quotes(scene) == {APPLE: [1]}


async def test_a_daemon_that_was_away_is_told_everything_again(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The union of lines with their flags, and of account pushes; a daemon that says no at first is asked again."""
    monkeypatch.setattr(subscribing, "RESTORE_FIRST_S", 0.0)
    await subscribe(scene, TENCENT, types=[1, 2], is_reg_or_un_reg_push=True)
    await subscribe(scene, APPLE, TENCENT, who="other")
    await scene.ask(PUSH, {"acc_id_list": [123456]})
    world = scene.daemon.world
    was, accounts = quotes(scene), world.push_accounts
    world.subscribed, world.push_accounts = {}, frozenset()
    scene.daemon.faults.add(HttpError(500), path=SUB)
    scene.daemon.faults.add(Unreachable(), path=PUSH)

    await subscribing.restore(scene.guard.desk)
    assert quotes(scene) == was
    assert world.push_accounts == accounts
    assert last(scene, SUB)["is_reg_or_un_reg_push"] is True


async def test_a_daemon_that_refuses_what_was_held_is_not_asked_for_ever(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded number of attempts, and the rest is restored all the same."""
    monkeypatch.setattr(subscribing, "RESTORE_FIRST_S", 0.0)
    monkeypatch.setattr(subscribing, "RESTORE_ATTEMPTS_MAX", 3)
    await subscribe(scene, TENCENT)
    for _ in range(3):
        scene.daemon.faults.add(HttpError(400), path=SUB)
    asked = len(scene.reached(SUB))
    await subscribing.restore(scene.guard.desk)

    assert len(scene.reached(SUB)) == asked + 3


async def test_what_is_answered_without_the_daemon_looks_like_its_own(scene: Stage) -> None:
    """The caller cannot tell whether another key holds the line."""
    await subscribe(scene, TENCENT)
    asked = json.loads((await unsubscribe(scene, TENCENT)).body)
    await subscribe(scene, TENCENT)
    await subscribe(scene, TENCENT, who="other")
    alone = json.loads((await unsubscribe(scene, TENCENT)).body)

    assert asked == alone


async def test_what_is_answered_without_the_daemon_says_nothing_of_it(scene: Stage) -> None:
    """A daemon that is down stays down in the metrics."""
    await subscribe(scene, TENCENT)
    await subscribe(scene, TENCENT, who="other")
    scene.guard.desk.circuits.is_answering = False
    assert is_done(await unsubscribe(scene, TENCENT))

    assert scene.guard.desk.circuits.is_answering is False
