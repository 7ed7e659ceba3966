"""Unlocking: two wrong passwords and no other is tried for a minute, by whichever way the accounts are named."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator.changes import PASSWORD_MD5
from guard.simulator.faults import Delay, Hold, HttpError, RetType, Unreachable
from guard.terms import Answer, Reply
from guard.walk.cooldown import ACCOUNTS_MAX, COOLDOWN_US, WRONG_MAX, Cooldowns
from guard.walk.unlocking import told, verdicts_of
from tests.support.guards import record, said
from tests.support.stage import DAILY, TRADING, Stage, code_of, is_passed, stage

UNLOCK: Final = "/api/unlock-trade"
WRONG: Final = {"unlock": True, "pwd_md5": "0" * 32}
RIGHT: Final = {"unlock": True, "pwd_md5": PASSWORD_MD5}
UNLOCKS_IN_30_S: Final = 10  # by the broker's documents
OTHER: Final = 281756478875559548
KEYS: Final = (record("bot"), record("other"), record("some", allowed_acc_ids=[OTHER]))


async def _try(scene: Stage, body: dict[str, Any] = WRONG, *, who: str = "bot", **more: Any) -> Reply:
    return await scene.ask(UNLOCK, body | more, who=who)


async def test_after_two_wrong_passwords_no_other_is_tried_for_a_minute(tmp_path: Path) -> None:
    """429 `cooldown` with the exact time, for every key, and the right password waits too; locking does not."""
    async with stage(tmp_path, *KEYS) as scene:
        for _ in range(2):
            assert said(await _try(scene))["ret_type"] == -1
            scene.clock.advance(s=10)
        refused = await _try(scene, RIGHT, who="other")
        assert code_of(refused) == (429, "cooldown")
        assert said(refused)["guard"]["retry_after_s"] == 50
        assert dict(refused.headers)["Retry-After"] == "50"
        assert len(scene.reached(UNLOCK)) == 2
        assert is_passed(await scene.ask(UNLOCK, {"unlock": False}))
        scene.clock.advance(us=50_000_000 - 1)
        assert code_of(await _try(scene, RIGHT)) == (429, "cooldown")
        scene.clock.advance(us=1)
        assert is_passed(await _try(scene, RIGHT))


async def test_a_third_wrong_password_cools_down_at_once_and_a_right_one_forgets(tmp_path: Path) -> None:
    """Guessing goes on at one a minute; after a right password there are two tries again."""
    async with stage(tmp_path, *KEYS) as scene:
        for _ in range(2):
            await _try(scene)
        scene.clock.advance(us=COOLDOWN_US)
        assert said(await _try(scene))["ret_type"] == -1
        assert code_of(await _try(scene)) == (429, "cooldown")
        scene.clock.advance(us=COOLDOWN_US)
        assert is_passed(await _try(scene, RIGHT))
        assert said(await _try(scene))["ret_type"] == -1
        assert is_passed(await _try(scene, RIGHT))
        assert said(await _try(scene))["ret_type"] == -1
        assert is_passed(await _try(scene, RIGHT))


@pytest.mark.parametrize("first", [{"security_firm": 1}, {}, {"acc_ids": [OTHER]}])
@pytest.mark.parametrize("second", [{"security_firm": 2}, {}, {"acc_ids": [OTHER, 123456]}])
async def test_b30_the_cooldown_counts_the_accounts_that_are_meant(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """By a firm, by none, by a list: a wrong password counts for every account that it may have been tried on."""
    async with stage(tmp_path, *KEYS) as scene:
        await _try(scene, **first)
        await _try(scene, **second)
        for more in (first, second, {"security_firm": 3}, {"acc_ids": [OTHER]}):
            assert code_of(await _try(scene, RIGHT, **more)) == (429, "cooldown")
        assert code_of(await _try(scene, RIGHT, who="some", acc_ids=[OTHER])) == (429, "cooldown")


async def test_b10_a_lock_is_sent_and_locks(tmp_path: Path) -> None:
    """The daemon refuses a real order from then on: told as refused, its room given back; once unlocked it goes."""
    async with stage(tmp_path, *KEYS, policies=DAILY) as scene:
        assert is_passed(await _try(scene, {"unlock": False}))
        assert scene.reached(UNLOCK)[0].json["c2s"]["unlock"] is False
        refused = await scene.place(env="real")
        assert said(refused)["ret_type"] == -1
        assert (await scene.outcome(refused))["verdict"] == "refused"
        assert scene.held() == 0
        assert is_passed(await _try(scene, RIGHT))
        assert is_passed(await scene.place(env="real"))


async def test_b10_a_lock_that_did_nothing_shows(tmp_path: Path) -> None:
    """The daemon's success is passed on, but the figure says what the daemon itself says of its lock."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.daemon.faults.add(RetType(0), path=UNLOCK)
        assert said(await _try(scene, {"unlock": False}))["ret_type"] == 0
        await scene.guard.unlocked.look()
        assert scene.guard.unlocked.is_unlocked is True
        assert is_passed(await _try(scene, {"unlock": False}))
        await scene.guard.unlocked.look()
        assert scene.guard.unlocked.is_unlocked is False


async def test_another_account_is_not_held_up(tmp_path: Path) -> None:
    """The cooldown is the account's."""
    async with stage(tmp_path, *KEYS) as scene:
        for _ in range(2):
            await _try(scene, acc_ids=[OTHER])
        assert code_of(await _try(scene, RIGHT, acc_ids=[OTHER])) == (429, "cooldown")
        assert is_passed(await _try(scene, RIGHT, acc_ids=[123456]))


async def test_b31_attempts_left_are_told_to_nobody(tmp_path: Path) -> None:
    """Neither answer nor record says how many tries the daemon leaves; the rest of its words stay."""
    async with stage(tmp_path, *KEYS) as scene:
        reply = await _try(scene)
        assert "wrong trade password, * attempts remaining" in said(reply)["ret_msg"]
        assert said(reply)["err_code"] in {1103, "1103"}
        assert "9 attempts" not in json.dumps(await scene.records("decision"))


def test_b31_counts_are_masked_wherever_they_stand() -> None:
    """In the text of an account's own result too; ids and all other values stay to the digit."""
    rows = '[{"acc_id":281756478875559548,"success":false,"error_msg":"3 tries left"}]'
    body = f'{{"ret_type":0,"ret_msg":null,"s2c":{{"need_otp":false,"account_result_list":{rows}}},"x":1.50}}'
    shown = told(Answer(200, "application/json", body.encode())).body.decode()
    assert shown == body.replace("3 tries", "* tries")
    assert told(Answer(500, "text/plain", b"remaining attempts: 4")).body == b"remaining attempts: *"
    assert told(Answer(400, "application/json", b'{"error":"2 attempts left"}')).body == b'{"error":"* attempts left"}'


@pytest.mark.parametrize(
    ("fault", "is_counted"),
    [
        (Unreachable(), False),
        (HttpError(401), False),
        (HttpError(429), False),
        (HttpError(500), True),
        (RetType(-1), True),
        (RetType(-100), True),
        (Delay(0.05), True),
    ],
)
async def test_whatever_may_have_been_a_wrong_password_counts_as_one(
    tmp_path: Path, fault: Any, is_counted: bool
) -> None:
    """A try that never reached the password does not; one of which nobody knows does."""
    toml = TRADING + '[daemon]\nread_timeout_s = 0.01\nbroker_limits = "off"\n'
    async with stage(tmp_path, *KEYS, toml=toml) as scene:
        await scene.ask("/api/accounts")
        for _ in range(2):
            scene.daemon.faults.add(fault, path=UNLOCK)
            await _try(scene, RIGHT)
        assert (await _try(scene, RIGHT)).status == (429 if is_counted else 200)


async def test_a_burst_of_guesses_tries_two(tmp_path: Path) -> None:
    """Guesses that are under way count as wrong until they are answered."""
    async with stage(tmp_path, *KEYS) as scene:
        await scene.ask("/api/accounts")
        answered = asyncio.Event()
        scene.daemon.faults.add(Hold(answered), path=UNLOCK, times=2)

        async def release() -> None:
            await scene.until_reached(UNLOCK, times=2)
            answered.set()

        *replies, _ = await asyncio.gather(*(_try(scene) for _ in range(20)), release())
        assert sorted(reply.status for reply in replies if reply is not None) == [200, 200] + [429] * 18
        assert len(scene.reached(UNLOCK)) == 2


async def test_a_guess_beside_another_and_above_the_brokers_bucket_may_be_tried_again(tmp_path: Path) -> None:
    """429 `rate` without a time, since nobody knows how long the other takes; it is retryable all the same."""
    toml = TRADING + '[daemon]\nbroker_limits = "documented"\n'
    async with stage(tmp_path, *KEYS, toml=toml) as scene:
        await scene.ask("/api/accounts")
        for _ in range(UNLOCKS_IN_30_S - WRONG_MAX):
            await _try(scene, RIGHT)
        answered = asyncio.Event()
        scene.daemon.faults.add(Hold(answered), path=UNLOCK, times=2)

        async def release() -> Reply:
            await scene.until_reached(UNLOCK, times=UNLOCKS_IN_30_S)
            refused = await _try(scene)
            answered.set()
            return refused

        *_, refused = await asyncio.gather(_try(scene), _try(scene), release())
        guard = said(refused)["guard"]
        assert code_of(refused) == (429, "rate")
        assert [reason["code"] for reason in guard["reasons"]] == ["rate", "cooldown"]
        assert (guard["retryable"], guard["retry_after_s"]) == (True, None)
        assert dict(refused.headers)["Retry-After"] == "1"


async def test_a_dry_run_says_that_it_would_wait(tmp_path: Path) -> None:
    """The same refusal as the real request, and no password is tried by asking."""
    async with stage(tmp_path, *KEYS) as scene:
        for _ in range(2):
            await _try(scene)
        asked = said(await scene.ask("/guard/v1/check", {"path": UNLOCK, "body": RIGHT}))
        assert (asked["status"], asked["guard"]["code"]) == (429, "cooldown")


@pytest.mark.parametrize(
    ("s2c", "has_code", "expected"),
    [
        ('{"need_otp":true}', False, {1: "untried", 2: "untried"}),
        ('{"need_otp":true}', True, {1: "wrong", 2: "wrong"}),
        ('{"account_result_list":[{"acc_id":2,"success":false}]}', False, {1: "right", 2: "wrong"}),
        ("null", False, {1: "right", 2: "right"}),
    ],
)
def test_each_account_has_its_own_result(s2c: str, has_code: bool, expected: dict[int, str]) -> None:
    """One that failed among others, a code that is still wanted, and one that was wrong."""
    answer = Answer(200, "application/json", f'{{"ret_type":0,"s2c":{s2c}}}'.encode())
    assert verdicts_of(answer, frozenset({1, 2}), has_code=has_code) == expected
    assert verdicts_of(Answer(200, "text/plain", b"{"), frozenset({1}), has_code=False) == {1: "wrong"}


def test_the_accounts_that_are_remembered_are_bounded() -> None:
    """Accounts that are not cooling down are forgotten first."""
    cooldowns = Cooldowns()
    for name in range(ACCOUNTS_MAX + 10):
        cooldowns.begin({name}, now_us=name * COOLDOWN_US)
        cooldowns.end({name: "wrong"}, now_us=name * COOLDOWN_US)
    assert len(cooldowns.tries) <= ACCOUNTS_MAX
