"""Look-ups over what is kept, currencies that were seen, and bounds."""

import pytest

from guard.reference.answercache import Kept, NoAnswer
from guard.reference.asks import Asks, PositionKey
from guard.reference.positions import Holdings
from guard.reference.source import Surroundings
from guard.reference.sources import ACCOUNTS_MAX, CURRENCIES_MAX, FACT_AGE_US, Sources
from guard.reference.static import Static
from guard.simulator import Simulator
from guard.supervisor import Supervisor
from guard.terms import Account, Env
from tests.support.clock import ManualClock
from tests.support.reference import ACCOUNT

KEY = PositionKey(ACCOUNT, 1)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def sources(clock: ManualClock) -> Sources:
    """Nothing is known yet."""
    return Sources(Asks(Simulator(clock=clock), clock, timeout_s=1), Surroundings(clock, Supervisor()))


def test_facts_are_believed_for_a_day(sources: Sources, clock: ManualClock) -> None:
    """Then nobody knows what the instrument is."""
    now_us = clock.t_us()
    sources.statics.cache.put("HK.00700", Kept(Static("stock", 100), now_us, now_us))
    clock.advance(us=FACT_AGE_US)
    assert sources.static("HK.00700") == Static("stock", 100)

    clock.advance(us=1)
    assert sources.static("HK.00700") is None


def test_unknown_is_what_the_daemon_said_it_does_not_know(sources: Sources, clock: ManualClock) -> None:
    """Not what it would not say."""
    until_us = clock.t_us() + 10
    sources.statics.cache.deny("A", NoAnswer("unknown stock", is_unknown=True, until_us=until_us))
    sources.statics.cache.deny("B", NoAnswer("too often", is_unknown=False, until_us=until_us))

    assert [sources.is_unknown(key) for key in "ABC"] == [True, False, False]
    clock.advance(us=10)
    assert not sources.is_unknown("A")


def test_a_currency_of_orders_wins_over_one_of_positions(sources: Sources, clock: ManualClock) -> None:
    """And the last one that was seen wins over those before."""
    assert sources.seen_currency("HK.80700", KEY) == ""
    held = Holdings({}, {"HK.80700": "CNH"}, {})
    sources.positions(ACCOUNT).cache.put(KEY, Kept(held, 0, clock.t_us()))
    assert sources.seen_currency("HK.80700", KEY) == "CNH"

    sources.observe_currency("HK.80700", "USD")
    sources.observe_currency("HK.80700", "HKD")
    assert sources.seen_currency("HK.80700", KEY) == "HKD"
    assert sources.seen_currency("HK.00700", KEY) == ""


def test_currencies_and_accounts_are_bounded(sources: Sources) -> None:
    """The oldest goes."""
    for number in range(CURRENCIES_MAX + 1):
        sources.observe_currency(f"HK.{number}", "HKD")
    assert sources.seen_currency("HK.0", KEY) == ""
    assert sources.seen_currency(f"HK.{CURRENCIES_MAX}", KEY) == "HKD"

    first = sources.positions(Account(Env.REAL, 1))
    assert sources.positions(Account(Env.REAL, 1)) is first
    for number in range(2, ACCOUNTS_MAX + 2):
        sources.positions(Account(Env.REAL, number))
    assert sources.positions(Account(Env.REAL, 1)) is not first


def test_ages_are_of_kinds_that_were_asked(sources: Sources, clock: ManualClock) -> None:
    """The newest answer of each; the account's positions together, both kinds of session together."""
    assert sources.ages_s() == {}
    now_us = clock.t_us()
    sources.prices.answered_us = now_us - 1_500_000
    sources.states.answered_us = now_us - 9_000_000
    sources.sessions.answered_us = now_us - 2_000_000
    sources.positions(ACCOUNT).answered_us = now_us

    assert sources.ages_s() == {"price": 1.5, "session": 2.0, "position": 0.0}
