"""Budget days, also those of 23 and 25 hours."""

from datetime import UTC, date, datetime, timedelta
from weakref import ref
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.markets import MARKETS, currency_of
from guard.policy import periods
from guard.policy.notation import Reset

HONG_KONG = Reset(510, "Asia/Hong_Kong")
NEW_YORK = Reset(240, "America/New_York")


@pytest.mark.parametrize(
    ("wall", "day"),
    [
        (datetime(2026, 11, 20, 0, 29, 59, 999_999, UTC), date(2026, 11, 19)),
        (datetime(2026, 11, 20, 0, 30, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 21, 0, 29, tzinfo=UTC), date(2026, 11, 20)),
    ],
)
def test_w15_a_day_begins_before_its_market_opens(wall: datetime, day: date) -> None:
    """W15: the Hong Kong day begins at 08:30 there, inclusive, not at midnight of UTC."""
    assert periods.period_of(HONG_KONG, wall) == day


def test_w15_the_us_day_does_not_end_in_the_evening_session() -> None:
    """W15: midnight of UTC, the evening in New York, is the same US day; 04:00 in New York is the next."""
    evening = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)

    assert periods.period_of(NEW_YORK, evening) == periods.period_of(NEW_YORK, evening + timedelta(minutes=2))
    assert periods.next_reset(NEW_YORK, evening) == datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def test_a_zone_is_read_from_the_disk_once() -> None:
    """However many there are: of more than eight in use each was read anew every minute, 2 ms of the loop together."""
    wall = datetime(2026, 11, 20, tzinfo=UTC)
    zones = ("Pacific/Apia", *(f"Etc/GMT+{hours}" for hours in range(1, 12)))
    _ = periods.period_of(Reset(0, zones[0]), wall)
    first = ref(ZoneInfo(zones[0]))
    for zone in zones[1:]:
        _ = periods.period_of(Reset(0, zone), wall)

    assert first() is not None


def test_the_name_of_a_period_says_which_clock() -> None:
    """Day and reset are part of the counter's name, so different resets are different counters."""
    assert periods.period_name(HONG_KONG, datetime(2026, 11, 20, 4, tzinfo=UTC)) == "2026-11-20@08:30 Asia/Hong_Kong"


@pytest.mark.parametrize(
    "reset",
    [
        NEW_YORK,
        Reset(150, "America/New_York"),
        Reset(90, "America/New_York"),
        Reset(0, "America/St_Johns"),
        Reset(0, "UTC"),
    ],
    ids=str,
)
@pytest.mark.parametrize("start", [datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)], ids=str)
def test_a_period_never_comes_back(reset: Reset, start: datetime) -> None:
    """Minute by minute over a change of clocks: the day never goes back, and turns when the clock shows the reset."""
    zone = ZoneInfo(reset.zone)
    turns = []
    last = periods.period_of(reset, start)
    for minute in range(3 * 1440):
        wall = start + timedelta(minutes=minute)
        day = periods.period_of(reset, wall)
        if day != last:
            assert day == last + timedelta(days=1)
            turns.append(wall)
        last = day

    assert len(turns) in {2, 3}
    for wall in turns:
        local = wall.astimezone(zone)
        shown = local.hour * 60 + local.minute
        # 02:30 does not exist when New York's clocks go forward: that day begins when they show 03:30.
        is_skipped = reset.minute == 150 and local.date() == date(2026, 3, 8)
        assert shown == reset.minute + (60 if is_skipped else 0)
        assert local.fold == 0


@settings(max_examples=150)
@given(
    wall=st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside
    minute=st.integers(0, 1439),
    zone=st.sampled_from(
        ["Asia/Hong_Kong", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Beirut"]
    ),
)
def test_a_moment_lies_in_its_own_period(wall: datetime, minute: int, zone: str) -> None:
    """A period begins at or before every moment in it, and the next one after."""
    reset = Reset(minute, zone)
    day = periods.period_of(reset, wall)

    assert periods.begins(reset, day) <= wall < periods.next_reset(reset, wall)
    assert [
        other
        for other in (day + timedelta(days=step) for step in range(-3, 4))
        if periods.begins(reset, other) <= wall < periods.begins(reset, other + timedelta(days=1))
    ] == [day]


def test_every_market_has_a_part_in_its_currency() -> None:
    """The reset of each market is among those of its currency."""
    assert set(periods.RESET_OF) == set(MARKETS)
    assert periods.RESET_OF["HK"] == HONG_KONG
    assert periods.RESET_OF["US"] == NEW_YORK
    codes = ("00700", "80700", "09834", "DLR.U", "HSI2612", "CUS2612", "CN2612", "NK2612", "SGP2612")
    for market in MARKETS:
        for currency in {currency_of(market, code) for code in codes} - {""}:
            assert periods.RESET_OF[market] in periods.RESETS_OF_CURRENCY[currency]
    assert all(set(resets) <= set(periods.RESETS) for resets in periods.RESETS_OF_CURRENCY.values())


@given(
    st.integers(0, 480_000_000).map(lambda after_s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=after_s)),
    st.none() | st.builds(Reset, st.integers(0, 1439), st.sampled_from(["America/New_York", "Australia/Lord_Howe"])),
)
@settings(max_examples=200, deadline=None)
def test_nothing_turns_between_the_last_beginning_of_a_period_and_now(wall: datetime, reset: Reset | None) -> None:
    """What was named after the periods of that minute would be named the same now."""
    minute = periods.turned_at(reset, wall)
    began = periods.wall_of(minute)
    parts = periods.RESETS if reset is None else (reset,)

    assert began <= wall
    assert [periods.period_of(part, began) for part in parts] == [periods.period_of(part, wall) for part in parts]
    assert periods.turned_at(reset, began) == minute
    assert any(
        periods.period_of(part, began - timedelta(minutes=1)) != periods.period_of(part, began) for part in parts
    )


@given(
    resets=st.sets(st.sampled_from(periods.RESETS), min_size=1).map(tuple),
    wall=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - as it asks
)
def test_between_two_resets_no_period_changes_its_name(resets: tuple[Reset, ...], wall: datetime) -> None:
    """From `since` to just before the end every period has the name of now; before and after, one has another."""
    found = periods.between(resets, periods.minute_of(wall))
    assert found is not None
    since, until = found

    def names(at: datetime) -> list[str]:
        return [periods.period_name(reset, at) for reset in resets]

    assert since <= wall < until
    assert names(since) == names(until - timedelta(minutes=1)) == names(wall)
    assert names(since - timedelta(minutes=1)) != names(wall) != names(until)
