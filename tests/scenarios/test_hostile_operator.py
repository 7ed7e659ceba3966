"""An operator's word that would be taken for more than it does."""

from pathlib import Path

import pytest

from guard.markets import FUTURES
from tests.support.guards import operate, record
from tests.support.stage import code_of, stage

PEOPLE = (record("bot"), record("bot@2"), record("desk", owner="a person"))
STATE = "/admin/state"


@pytest.mark.parametrize("name", ["bot@2", "bto", "", "*"])
async def test_a_trading_state_for_a_key_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """It would bind nobody, and the operator would read that it was applied."""
    async with stage(tmp_path, *PEOPLE) as s:
        body = {"state": "locked", "reason": "drill", "scope": {"keys": ["bot", name]}}
        status, told = await operate(s.guard, STATE, body)

        assert (status, told["result"]) == (422, "refused")
        assert not s.guard.desk.state.trading


async def test_a_trading_state_for_an_account_that_is_none_says_so(tmp_path: Path) -> None:
    """It applies, since the daemon's list may lack one that comes; but nobody believes that a slip stopped anything."""
    async with stage(tmp_path, *PEOPLE) as s:
        body = {"state": "locked", "reason": "drill", "scope": {"accounts": [123456, 123465]}}
        assert (await operate(s.guard, STATE, body))[1]["warnings"] == []  # no list yet: nobody knows
        await s.place()
        status, told = await operate(s.guard, STATE, body)

        assert (status, told["result"]) == (200, "applied")
        assert [word for word in told["warnings"] if "account 123465 is not in the daemon's account list" in word]
        assert len(told["warnings"]) == 1
        assert (await operate(s.guard, STATE, body | {"state": "active"}))[1]["warnings"] == []


async def test_a_trading_state_for_futures_is_one_for_all_four_markets_of_them(tmp_path: Path) -> None:
    """A policy's word for them was 422 here, while the operator was in a hurry; and `active` lifts what it set."""
    async with stage(tmp_path, *PEOPLE) as s:
        body = {"state": "locked", "reason": "drill", "scope": {"markets": ["FUTURES"]}}
        status, told = await operate(s.guard, STATE, body)

        assert (status, told["result"]) == (200, "applied")
        assert code_of(await s.place(market="FUTURES", code="HK.HSI2612", qty=1, price=20000)) == (423, "halted")
        assert (await s.place()).status == 200
        assert (await s.records("state"))[-1]["scope"]["markets"] == list(FUTURES)
        assert (await operate(s.guard, STATE, body | {"state": "active"}))[0] == 200
        assert not s.guard.desk.state.trading


async def test_a_trading_state_binds_every_record_of_a_key(tmp_path: Path) -> None:
    """Records alike before '@' are one principal, halted by its one name; and it can be lifted when the key is gone."""
    async with stage(tmp_path, *PEOPLE) as s:
        await operate(s.guard, STATE, {"state": "locked", "reason": "drill", "scope": {"keys": ["bot"]}})

        assert code_of(await s.place(who="bot@2")) == (423, "halted")
        assert (await operate(s.guard, STATE, {"state": "active", "reason": "x", "scope": {"keys": ["gone"]}}))[
            0
        ] == 200


async def test_active_says_that_a_halt_file_still_stops_everybody(tmp_path: Path) -> None:
    """The operator read that trading is active, and every order was refused all the same."""
    async with stage(tmp_path, *PEOPLE) as s:
        (tmp_path / "state" / "HALT").touch()
        told = (await operate(s.guard, STATE, {"state": "active", "reason": "explained"}))[1]
        assert (told["result"], code_of(await s.place())) == ("applied", (423, "halted"))
        assert [word for word in told["warnings"] if "HALT" in word]
        (tmp_path / "state" / "HALT").unlink()
        assert (await operate(s.guard, STATE, {"state": "active", "reason": "explained"}))[1]["warnings"] == []


async def test_active_says_which_other_states_still_bind_whom_it_names(tmp_path: Path) -> None:
    """The operator read that trading is active for everyone, and a state of one key went on refusing its orders."""
    async with stage(tmp_path, *PEOPLE) as s:
        for scope in ({"keys": ["bot"], "markets": ["US"]}, {"markets": ["HK"]}):
            await operate(s.guard, STATE, {"state": "locked", "reason": "drill", "scope": scope})

        async def active(**scope: list[str]) -> list[str]:
            body = {"state": "active", "reason": "explained", "scope": scope}
            return [word.partition(":")[0] for word in (await operate(s.guard, STATE, body))[1]["warnings"]]

        bot, hk = "still locked for keys bot; markets US, by a person", "still locked for markets HK, by a person"
        assert await active() == [bot, hk]
        assert await active(markets=["US"]) == [bot]  # narrower than what it names
        assert await active(keys=["bot"], markets=["HK"]) == [hk]  # wider
        assert await active(keys=["other"], markets=["US"]) == []
        assert await active(markets=["HK"]) == []
        assert await active() == [bot]


async def test_a_halt_file_that_links_to_nowhere_halts(tmp_path: Path) -> None:
    """What lies in the state directory under that name counts, whatever it is."""
    async with stage(tmp_path) as s:
        (tmp_path / "state" / "HALT").symlink_to("/nonexistent")

        assert code_of(await s.place()) == (423, "halted")
