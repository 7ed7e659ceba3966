"""The guard's clock and its ids."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from guard.clock import Clock, SystemClock, WallSteps, ulid
from guard.terms import utc
from tests.support.clock import ManualClock

ALPHABET: Final = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_the_system_clock_agrees_with_itself() -> None:
    """`wall` and `wall_us` are the same clock, and `t` starts at the wall's time."""
    clock = SystemClock()

    assert abs(clock.wall() - utc(clock.wall_us())) < timedelta(seconds=5)
    assert abs(clock.t_us() - clock.wall_us()) < 5_000_000


def test_monotonic_time_and_t_never_go_back() -> None:
    """A thousand readings are in order."""
    clock = SystemClock()
    mono = [clock.mono_us() for _ in range(1000)]
    t = [clock.t_us() for _ in range(1000)]

    assert mono == sorted(mono)
    assert t == sorted(t)


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
def test_t_resumes_no_earlier_than_the_last_on_record(clock: Clock) -> None:
    """A record from a wall clock that was ahead keeps `t` from going back; an older one changes nothing."""
    ahead_us = clock.t_us() + 3_600_000_000
    clock.resume(ahead_us)
    assert clock.t_us() >= ahead_us

    clock.resume(0)
    assert clock.t_us() >= ahead_us


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0" * 26),
        (1, "0" * 25 + "1"),
        (31, "0" * 25 + "Z"),
        (32, "0" * 24 + "10"),
        (2**128 - 1, "7" + "Z" * 25),
        (1469918176385 << 80, "01ARYZ6S41" + "0" * 16),  # the time of the specification's example
    ],
)
def test_a_ulid_is_crockford_base_32(number: int, text: str) -> None:
    """128 bits are 26 characters, the most significant first."""
    assert ulid(number) == text


def test_ids_are_unique_and_sort_as_they_were_made() -> None:
    """Ten thousand ids of one process, many of them in one millisecond, are in order."""
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {len(i) for i in ids} == {26}
    assert set("".join(ids)) <= ALPHABET


def test_ids_stay_in_order_when_the_wall_clock_is_set_back() -> None:
    """An id made after a step back is the last one plus one."""
    clock = SystemClock()
    last = (clock.wall_us() // 1000 + 3_600_000) << 80  # an id from an hour ahead
    clock._above = last >> 20

    first, second = clock.new_id(), clock.new_id()

    assert first == ulid(last + 1)
    assert first < second


def test_ids_stay_in_order_when_one_millisecond_has_more_than_a_tail_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plus one is carried into what the ids of a millisecond have in common."""
    clock = SystemClock()
    monkeypatch.setattr("time.time_ns", lambda: 1_795_340_788_123_456_789)
    clock.new_id()
    clock._tail = 2**20 - 2
    ids = [clock.new_id() for _ in range(3)]

    above = clock._above << 20
    assert ids == [ulid(above - 1), ulid(above), ulid(above + 1)]


def test_the_manual_clock_moves_only_by_hand() -> None:
    """Time passes on all three clocks; a step is seen by the wall alone."""
    clock = ManualClock()
    before = (clock.wall_us(), clock.mono_us(), clock.t_us())
    assert before == (clock.wall_us(), clock.mono_us(), clock.t_us())

    clock.advance(s=1, us=5)
    clock.step_wall(s=-60)

    assert clock.wall_us() == before[0] - 59_000_000 + 5
    assert (clock.mono_us(), clock.t_us()) == (before[1] + 1_000_005, before[2] + 1_000_005)
    assert clock.wall() == utc(clock.wall_us())


def test_the_manual_clock_starts_where_it_is_told_and_counts_its_ids() -> None:
    """A test's ids are the same in every run."""
    start = datetime(2026, 3, 1, tzinfo=UTC)

    assert ManualClock(start).wall() == start
    assert ManualClock(start).new_id() == ManualClock(start).new_id()
    clock = ManualClock()
    assert clock.new_id() < clock.new_id()


class Apart(ManualClock):
    """Its wall goes ahead by so much."""

    ahead_us = 0

    def wall_us(self) -> int:
        """The wall's own time."""
        return super().wall_us() + self.ahead_us


@pytest.mark.parametrize("step_s", [-3600, -2, 1, 2, 3600])
def test_a_step_of_the_wall_clock_is_told_once(step_s: int) -> None:
    """A second or more in either direction; that time passes is none."""
    clock = ManualClock()
    steps = WallSteps(clock)
    clock.advance(s=60)
    assert steps.stepped_us() == 0
    clock.step_wall(s=step_s)
    clock.advance(us=7)
    assert [steps.stepped_us(), steps.stepped_us()] == [step_s * 1_000_000, 0]


def test_a_clock_behind_the_record_is_a_step_and_told_until_it_is_as_far() -> None:
    """Set back while no guard ran: told once as a step, and in words until the clock has caught up."""
    clock = ManualClock()
    steps = WallSteps(clock)
    steps.goes_on_from(clock.wall() + timedelta(days=3, seconds=1))
    assert [steps.stepped_us(), steps.stepped_us()] == [-(3 * 86_400 + 1) * 1_000_000, 0]
    assert steps.concerns()[0].startswith("clock: this machine's is 3 days, 0:00:01 behind the record")
    clock.advance(s=3 * 86_400 + 1)
    assert (steps.stepped_us(), steps.concerns()) == (0, ())


@pytest.mark.parametrize("ago_us", [0, 1, 10**12])
def test_a_record_of_the_past_is_no_step(ago_us: int) -> None:
    """The clock went on while no guard ran."""
    clock = ManualClock()
    steps = WallSteps(clock)
    steps.goes_on_from(utc(clock.wall_us() - ago_us))
    assert (steps.stepped_us(), steps.concerns()) == (0, ())


def test_less_than_a_second_is_no_step_until_it_comes_to_one() -> None:
    """What adds up is told when it is a second, whole."""
    clock = Apart()
    steps = WallSteps(clock)
    told = []
    for us in (999_999, 999_999, 1_000_000, 1_000_000):
        clock.ahead_us = us
        told.append(steps.stepped_us())

    assert told == [0, 0, 1_000_000, 0]
