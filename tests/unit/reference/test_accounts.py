"""The account list: read exactly, kept for a while, asked for once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.codes import Code
from guard.reference import AccountList, parse_account_list
from guard.supervisor import Supervisor
from guard.terms import Account, AccountRow, Answer, Env, Failure, Missing, Outbound

BIG = 2**64 - 1
ONE = {"trd_env": 1, "acc_id": 281756478875559548, "trd_market_auth_list": [1, 2], "card_num": "1001234567890123"}


def listed(*rows: Any, ret_type: Any = 0) -> bytes:
    """The daemon's answer with these rows."""
    return json.dumps({"ret_type": ret_type, "ret_msg": None, "s2c": {"acc_list": list(rows)}}).encode()


# ---------------------------------------------------------------- reading


def test_rows_are_read_with_everything_we_use() -> None:
    """Environment, id, markets and both card numbers; other members do not matter."""
    body = listed({**ONE, "uni_card_num": "9001", "acc_type": 1, "acc_status": 0}, {"trd_env": 0, "acc_id": 7})

    assert parse_account_list(body) == (
        AccountRow(Account(Env.REAL, 281756478875559548), "1001234567890123", "9001", (1, 2)),
        AccountRow(Account(Env.SIMULATE, 7)),
    )


@pytest.mark.parametrize("acc_id", [BIG, str(BIG)])
def test_64_bit_ids_keep_every_digit(acc_id: object) -> None:
    """As a number or as digits in a string."""
    assert parse_account_list(listed({"trd_env": 1, "acc_id": acc_id})) == (AccountRow(Account(Env.REAL, BIG)),)


def test_the_same_id_in_two_environments_is_two_accounts() -> None:
    """An account is the pair (B15)."""
    rows = parse_account_list(listed({"trd_env": 0, "acc_id": 7}, {"trd_env": 1, "acc_id": 7}))

    assert rows is not None
    assert {row.account for row in rows} == {Account(Env.SIMULATE, 7), Account(Env.REAL, 7)}


def test_a_pair_listed_twice_alike_is_one_and_otherwise_none() -> None:
    """Two different cards for one account: nobody knows which is meant."""
    assert parse_account_list(listed(ONE, ONE)) == parse_account_list(listed(ONE))
    assert parse_account_list(listed(ONE, {**ONE, "card_num": "2"})) is None


def test_an_empty_list_and_an_unknown_environment_are_no_accounts() -> None:
    """A login may have none; a row of an environment that we do not know is left out."""
    assert parse_account_list(listed()) == ()
    assert parse_account_list(listed({"trd_env": 2, "acc_id": 7})) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"ret_type":0}',
        b'{"ret_type":0,"s2c":null}',
        b'{"ret_type":0,"s2c":{"acc_list":{}}}',
        b'{"ret_type":0,"ret_type":0,"s2c":{"acc_list":[]}}',
        b'{"ret_type":false,"s2c":{"acc_list":[]}}',
        b'{"ret_type":0.0,"s2c":{"acc_list":[]}}',
        b"[" * 10_000,
        listed(ret_type=-1),
        listed(ret_type="0"),
        listed(ret_type=None),
        listed(*[{"trd_env": 0, "acc_id": n + 1} for n in range(10_001)]),
        listed("row"),
        listed({}),
        listed({"acc_id": 7}),
        listed({"trd_env": 1}),
        listed({"trd_env": True, "acc_id": 7}),
        listed({"trd_env": "REAL", "acc_id": 7}),
        listed({"trd_env": 1, "acc_id": 0}),
        listed({"trd_env": 1, "acc_id": -7}),
        listed({"trd_env": 1, "acc_id": 2**64}),
        listed({"trd_env": 1, "acc_id": 7.0}),
        listed({"trd_env": 1, "acc_id": "7x"}),
        listed({"trd_env": 1, "acc_id": "\u0667"}),
        listed({"trd_env": 1, "acc_id": None}),
        listed({**ONE, "trd_market_auth_list": 1}),
        listed({**ONE, "trd_market_auth_list": [1.5]}),
        listed({**ONE, "card_num": 5}),
        listed({**ONE, "card_num": "é"}),
        listed({**ONE, "uni_card_num": "1" * 65}),
    ],
)
def test_a_list_that_cannot_be_believed_is_none_at_all(body: bytes) -> None:
    """No half lists: an account left out by accident would look like one that does not exist."""
    assert parse_account_list(body) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=100).map(listed))
def test_any_bytes_are_a_list_or_none(body: bytes) -> None:
    """Never an exception."""
    assert parse_account_list(body) is None


# ---------------------------------------------------------------- keeping


class HandClock:
    """A clock that is wound by hand."""

    def __init__(self) -> None:
        self.now_us = 0

    def wall(self) -> datetime:
        """A date."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def wall_us(self) -> int:
        """Not asked for."""
        return 0

    def mono_us(self) -> int:
        """What was wound."""
        return self.now_us

    def t_us(self) -> int:
        """Likewise."""
        return self.now_us

    def resume(self, t_us: int) -> None:
        """Nothing to resume."""

    def new_id(self) -> str:
        """An id."""
        return "01"


class Lister:
    """A daemon that lists accounts, when the gate is open."""

    def __init__(self) -> None:
        self.answer: Answer | Failure = Answer(200, "application/json", listed(ONE))
        self.asked: list[Outbound] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, request: Outbound) -> Answer | Failure:
        """What was set up."""
        self.asked.append(request)
        await self.gate.wait()
        return self.answer


class Bench:
    """A book with its daemon and its clock."""

    def __init__(self) -> None:
        self.daemon, self.clock, self.supervisor = Lister(), HandClock(), Supervisor()
        self.book = AccountList(self.daemon, self.clock, self.supervisor, stale_wait_s=0.01)

    def wind(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now_us += int(seconds * 1_000_000)

    async def settle(self) -> None:
        """Let what runs in the background end."""
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A book that has not asked yet; afterwards no task is left."""
    made = Bench()
    yield made
    made.daemon.gate.set()
    await made.settle()
    assert not made.supervisor.concerns()
    assert await made.supervisor.drain(1.0) == ()


DOWN = Failure("refused", "nobody there", is_sent=False)


async def test_the_list_is_asked_for_once_and_kept(bench: Bench) -> None:
    """With the guard's own key, from the documented endpoint."""
    ages = [bench.book.age_s]
    rows = await bench.book.rows()
    bench.wind(29)
    ages.append(bench.book.age_s)

    assert rows == parse_account_list(listed(ONE))
    assert await bench.book.rows() == rows
    assert ages == [None, 29]
    assert [(r.method, r.path, r.lend, r.is_trade) for r in bench.daemon.asked] == [
        ("GET", "/api/accounts", "guard", False)
    ]


async def test_many_callers_share_one_question(bench: Bench) -> None:
    """One flight at a time, and one caller's hang-up is not the others' loss."""
    bench.daemon.gate.clear()
    callers = [asyncio.ensure_future(bench.book.rows()) for _ in range(20)]
    await bench.settle()
    callers[0].cancel()
    await bench.settle()
    bench.daemon.gate.set()

    assert all([isinstance(await caller, tuple) for caller in callers[1:]])
    assert len(bench.daemon.asked) == 1


async def test_a_half_old_list_is_renewed_beside_the_caller(bench: Bench) -> None:
    """The caller gets the old one at once; the next one the new."""
    old = await bench.book.rows()
    bench.daemon.answer = Answer(200, "application/json", listed(ONE, {"trd_env": 0, "acc_id": 7}))
    bench.wind(31)

    assert await bench.book.rows() == old
    await bench.settle()

    assert len(await bench.book.rows()) == 2  # type: ignore[arg-type]
    assert len(bench.daemon.asked) == 2


async def test_a_list_that_is_too_old_is_waited_for(bench: Bench) -> None:
    """Above the age bound the answer is a new list."""
    await bench.book.rows()
    bench.daemon.answer = Answer(200, "application/json", listed({"trd_env": 0, "acc_id": 7}))
    bench.wind(61)

    assert await bench.book.rows() == (AccountRow(Account(Env.SIMULATE, 7)),)
    assert bench.book.age_s == 0


@pytest.mark.parametrize(
    "answer",
    [
        DOWN,
        Answer(503, "application/json", listed(ONE)),
        Answer(200, "text/html", b"<html>"),
        Answer(401, "", b""),
        Answer(200, "", listed()),
    ],
)
async def test_the_last_good_list_is_kept_while_the_daemon_has_none(bench: Bench, answer: Answer | Failure) -> None:
    """Down, saying nonsense, or empty as after a lost login (B20): the old list stays, and its age grows."""
    rows = await bench.book.rows()
    bench.daemon.answer = answer
    bench.wind(3600)

    assert await bench.book.rows() == rows
    assert bench.book.age_s == 3600


async def test_a_hung_daemon_holds_up_nobody_who_has_a_list(bench: Bench) -> None:
    """A cancel looks at accounts too."""
    rows = await bench.book.rows()
    bench.daemon.gate.clear()
    bench.wind(3600)

    assert await bench.book.rows() == rows


async def test_without_any_list_it_is_missing_and_not_asked_for_all_the_time(bench: Bench) -> None:
    """A daemon that is down is tried once a second, whoever asks how often."""
    bench.daemon.answer = DOWN
    answers = [await bench.book.rows() for _ in range(10)]

    assert answers == [Missing(Code.REFERENCE_UNAVAILABLE, "the account list is not known")] * 10
    assert len(bench.daemon.asked) == 1
    bench.wind(1)
    bench.daemon.answer = Answer(200, "application/json", listed(ONE))
    assert isinstance(await bench.book.rows(), tuple)


async def test_a_known_pair_is_found_without_asking(bench: Bench) -> None:
    """The pair, not the id alone."""
    found = await bench.book.find(Env.REAL, 281756478875559548)

    assert isinstance(found, AccountRow)
    assert await bench.book.find(Env.SIMULATE, 281756478875559548) is None
    assert await bench.book.find(Env.REAL, 1) is None
    assert len(bench.daemon.asked) == 1


async def test_an_unknown_pair_is_asked_for_again_at_most_once_a_second(bench: Bench) -> None:
    """An account that was just opened is found; guessing ids does not hammer the daemon."""
    await bench.book.rows()
    bench.daemon.answer = Answer(200, "application/json", listed(ONE, {"trd_env": 0, "acc_id": 7}))
    assert await bench.book.find(Env.SIMULATE, 7) is None
    bench.wind(1)

    assert await bench.book.find(Env.SIMULATE, 7) == AccountRow(Account(Env.SIMULATE, 7))
    for guess in range(100, 200):
        assert await bench.book.find(Env.REAL, guess) is None
    assert len(bench.daemon.asked) == 2


async def test_an_old_list_does_not_prove_that_an_account_is_unknown(bench: Bench) -> None:
    """With the daemon down and the list too old: missing, which may be tried again. Known pairs stay known."""
    await bench.book.rows()
    bench.daemon.answer = DOWN
    bench.wind(61)

    missing = await bench.book.find(Env.REAL, 1)

    assert isinstance(missing, Missing)
    assert missing.code is Code.REFERENCE_UNAVAILABLE
    assert isinstance(await bench.book.find(Env.REAL, 281756478875559548), AccountRow)


async def test_without_any_list_nothing_is_found(bench: Bench) -> None:
    """Missing is passed on."""
    bench.daemon.answer = DOWN

    assert isinstance(await bench.book.find(Env.REAL, 1), Missing)
