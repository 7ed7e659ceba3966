"""How many requests of a key are under way, and how often an address failed to say who it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.codes import Code
from guard.terms import refuse
from guard.walk import throttle
from guard.walk.throttle import MINUTE_US, SECOND_US, WAIT_MAX_US, FailedLogins, InFlight, RefusalPacer, RefusalSource

NOBODY = refuse(Code.UNAUTHENTICATED, "a valid key is needed")


def test_a_key_has_so_many_requests_under_way_and_others_are_not_asked() -> None:
    """The third of two is refused with observed and limit, another key's is not, and one that ends makes room."""
    under_way = InFlight()
    assert under_way.enter("bot", most=2) is None
    assert under_way.enter("bot", most=2) is None
    refusal = under_way.enter("bot", most=2)
    assert refusal is not None
    (reason,) = refusal.reasons
    assert (reason.code, reason.observed, reason.limit) == (Code.OVERLOADED, "3", "2")
    assert under_way.enter("agent", most=2) is None
    under_way.leave("bot")
    assert under_way.enter("bot", most=2) is None


def test_a_cancel_is_counted_and_never_refused() -> None:
    """Without a bound it passes whatever there is, and is one of them while it lasts."""
    under_way = InFlight()
    for _ in range(5):
        assert under_way.enter("bot", most=None) is None
    assert under_way.enter("bot", most=5) is not None
    for _ in range(5):
        under_way.leave("bot")
    assert under_way.under_way == {}


def told(strangers: FailedLogins, address: str, t_us: int, most: int = 3) -> Code:
    """What a caller without a key is told."""
    return strangers.count(NOBODY, address=address, most=most, t_us=t_us).code


def test_failed_attempts_of_an_address_are_counted_by_the_minute() -> None:
    """Three are `unauthenticated`, the fourth is `rate` with the exact wait; another address is not held to it."""
    strangers = FailedLogins()
    assert [told(strangers, "a", second * 1_000_000) for second in range(3)] == [Code.UNAUTHENTICATED] * 3
    limited = strangers.count(NOBODY, address="a", most=3, t_us=20_000_000)
    assert (limited.code, limited.retry_after_s) == (Code.RATE, 40.0)
    assert told(strangers, "b", 20_000_000) is Code.UNAUTHENTICATED
    assert told(strangers, "a", MINUTE_US) is Code.UNAUTHENTICATED


def test_only_a_credential_that_did_not_verify_counts() -> None:
    """A key without a scope is known, and is told so however often it asks."""
    strangers = FailedLogins()
    lacking = refuse(Code.SCOPE, "this key lacks trade:real")
    for _ in range(10):
        assert strangers.count(lacking, address="a", most=1, t_us=0) is lacking
    assert strangers.attempts == {}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5_000_000)), max_size=200))
def test_addresses_are_bounded(steps: list[tuple[int, int]]) -> None:
    """Beyond so many addresses the rest share one count; those whose minute is over are let go."""
    before, throttle.ADDRESSES_MAX = throttle.ADDRESSES_MAX, 8  # type: ignore[misc]
    try:
        strangers, t_us = FailedLogins(), 0
        for address, gap_us in steps:
            t_us += gap_us
            assert told(strangers, f"10.0.0.{address}", t_us) in {Code.UNAUTHENTICATED, Code.RATE}
            assert len(strangers.attempts) <= 9
    finally:
        throttle.ADDRESSES_MAX = before  # type: ignore[misc]


def test_many_addresses_do_not_make_each_failure_a_long_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is full is gone through once a second, not for every new address."""
    monkeypatch.setattr(throttle, "ADDRESSES_MAX", 3)
    strangers = FailedLogins()
    for n in range(4):
        told(strangers, f"10.0.0.{n}", 0)
    seen = strangers.attempts
    told(strangers, "10.0.0.9", SECOND_US - 1)
    assert strangers.attempts is seen
    told(strangers, "10.0.0.10", MINUTE_US)
    assert list(strangers.attempts) == ["10.0.0.10"]


def test_a_key_shares_no_place_with_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses are refused, what a key is told waits for that key's own refusals alone."""
    monkeypatch.setattr(throttle, "ADDRESSES_MAX", 2)
    refusals = RefusalPacer()
    for n in range(40):
        waits(refusals, RefusalSource(address=f"a{n}"), 1)
    assert waits(refusals, RefusalSource("bot"), 5) == [0, 0, 0, 0, 250_000]


def waits(refusals: RefusalPacer, source: RefusalSource, count: int, *, t_us: int = 0) -> list[int]:
    """How long so many refusals wait that come at one moment, four a second being told."""
    return [refusals.wait_us(source, most=4, t_us=t_us) for _ in range(count)]


def test_refusals_are_told_at_a_rate_by_source() -> None:
    """A second's worth at once, each further one in its turn; a key, and an address spelled alike, are two."""
    refusals, bot, place = RefusalPacer(), RefusalSource("10.0.0.1"), RefusalSource(address="10.0.0.1")
    assert waits(refusals, bot, 6) == [0, 0, 0, 0, 250_000, 500_000]
    assert waits(refusals, place, 1) == [0]
    assert waits(refusals, bot, 2, t_us=SECOND_US) == [0, 0]
    assert waits(refusals, bot, 1, t_us=10 * SECOND_US) == [0]


def test_no_refusal_waits_longer_than_its_bound_and_a_flood_is_forgotten_as_soon() -> None:
    """Ten thousand at one moment: the last waits ten seconds, and ten seconds later the source is as good as new."""
    refusals, bot = RefusalPacer(), RefusalSource("bot")
    assert max(waits(refusals, bot, 10_000)) == WAIT_MAX_US
    assert waits(refusals, bot, 4, t_us=WAIT_MAX_US + SECOND_US) == [0] * 4


def test_sources_without_room_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many addresses as an attacker may have cost bounded memory."""
    monkeypatch.setattr(throttle, "ADDRESSES_MAX", 3)
    refusals = RefusalPacer()
    found = [waits(refusals, RefusalSource(address=f"a{n}"), 1)[0] for n in range(8)]
    assert found == [0] * 7 + [250_000]
    assert len(refusals.due_us) == 4
    assert waits(refusals, RefusalSource(address="new"), 1, t_us=2 * SECOND_US) == [0]
    assert len(refusals.due_us) == 1
