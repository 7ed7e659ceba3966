"""How the daemon is asked for its order lists, how often, and what is told of a list that says nothing."""

import json
from typing import Any

from guard.terms import Account, Answer, Env, Failure, Outbound
from guard.tracking.lists import BURST, HISTORY, HISTORY_BURST, STATE, TODAY, Lists
from guard.tracking.places import Place
from tests.support.clock import ManualClock

HERE = Account(Env.REAL, 7)
EMPTY = Answer(200, "application/json", b'{"ret_type":0,"s2c":{}}')
GARBAGE = Answer(200, "application/json", b"\x00")


class Told:
    """A daemon that writes down what it is asked, and answers as the test says."""

    def __init__(self) -> None:
        self.asked: list[Outbound] = []
        self.answers: dict[str, Answer | Failure] = {TODAY: EMPTY, HISTORY: EMPTY, STATE: EMPTY}

    async def send(self, request: Outbound) -> Answer | Failure:
        """The answer for this path."""
        self.asked.append(request)
        return self.answers[request.path]

    def c2s(self, path: str) -> list[Any]:
        """What the requests to this path asked for."""
        return [json.loads(request.body or b"")["c2s"] for request in self.asked if request.path == path]


async def test_a_list_is_asked_for_by_environment_account_market_and_kind_of_account() -> None:
    """A Japanese order is listed under the kind of account that it named; only a fresh list is the broker's word."""
    daemon = Told()
    lists = Lists(daemon, ManualClock())
    assert await lists.today(Place(HERE, 1), is_fresh=False) == ()
    assert await lists.today(Place(HERE, 15, 2), is_fresh=True) == ()

    plain = {"trd_env": 1, "acc_id": 7}
    assert daemon.c2s(TODAY) == [
        {"header": plain | {"trd_market": 1}},
        {"header": plain | {"trd_market": 15, "jp_acc_type": 2}, "refresh_cache": True},
    ]


async def test_each_list_is_asked_at_its_own_pace() -> None:
    """Out of turn nothing is asked and nothing is known; another account has a pace of its own."""
    daemon = Told()
    lists = Lists(daemon, ManualClock())
    place, other = Place(HERE, 1), Place(Account(Env.SIMULATE, 7), 1)
    assert [await lists.today(place, is_fresh=True) for _ in range(BURST + 1)] == [()] * BURST + [None]
    assert [await lists.history(place) for _ in range(HISTORY_BURST + 1)] == [()] * HISTORY_BURST + [None]
    assert (len(daemon.c2s(TODAY)), len(daemon.c2s(HISTORY))) == (BURST, HISTORY_BURST)
    assert await lists.today(other, is_fresh=True) == ()


async def test_only_todays_list_that_was_answered_and_cannot_be_read_is_told() -> None:
    """Earlier orders hold nothing, and of a daemon that does not answer other words are told."""
    daemon, clock, place = Told(), ManualClock(), Place(HERE, 1)
    lists = Lists(daemon, clock)
    daemon.answers |= {HISTORY: GARBAGE, TODAY: Failure("timeout", "late", is_sent=True)}
    assert await lists.history(place) is None
    assert await lists.today(place, is_fresh=True) is None
    clock.advance(s=60)
    assert lists.concerns() == ()

    daemon.answers[TODAY] = GARBAGE
    assert await lists.today(place, is_fresh=True) is None
    clock.advance(s=59)
    assert lists.concerns() == ()
    clock.advance(s=1)
    (concern,) = lists.concerns()
    assert "account real:7 has been unreadable for 0:01:00" in concern
    daemon.answers[TODAY] = EMPTY
    assert await lists.today(place, is_fresh=True) == ()
    assert lists.concerns() == ()
