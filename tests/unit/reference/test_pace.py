"""The guard's own part of a broker limit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.reference.pace import Pace
from guard.reference.sources import MANNERS

WINDOW_US = 30_000_000
# Of what the broker allows in 30 s: snapshots 60, future-info and trading days 30, market-state and positions 10.
PARTS = {"price": 20, "future": 15, "calendar": 16, "state": 5, "position": 8}


def test_a_burst_at_once_then_evenly() -> None:
    """Five now, the sixth two seconds later."""
    pace = Pace(burst=5, interval_us=2_000_000)
    waits = []
    for _ in range(7):
        waits.append(pace.wait_us(1000))
        pace.take(1000)

    assert waits == [0, 0, 0, 0, 0, 2_000_000, 4_000_000]


def test_turns_are_spared_for_others() -> None:
    """Who leaves one finds none where the last one is left, and again one turn later than who leaves none."""
    pace = Pace(burst=2, interval_us=10)
    assert pace.wait_us(0, spared=1) == 0
    pace.take(0)
    assert (pace.wait_us(0), pace.wait_us(0, spared=1)) == (0, 10)
    pace.take(0)
    assert (pace.wait_us(0), pace.wait_us(0, spared=1)) == (10, 20)


def test_idleness_gives_the_burst_back_and_no_more() -> None:
    """However long nothing was asked."""
    pace = Pace(burst=2, interval_us=10)
    pace.take(0)
    pace.take(0)
    assert pace.wait_us(5) == 5
    pace.take(10_000)
    pace.take(10_000)

    assert pace.wait_us(10_000) == 10


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5_000_000), min_size=1, max_size=80), st.sampled_from(sorted(PARTS)))
def test_no_window_holds_more_than_the_part(gaps_us: list[int], kind: str) -> None:
    """Whenever callers come: in any 30 s at most the guard's part of the broker's limit."""
    manner = MANNERS[kind]
    pace, now_us, taken = Pace(manner.burst, manner.interval_us), 10**15, []
    for gap_us in gaps_us:
        now_us += gap_us
        if pace.wait_us(now_us) == 0:
            pace.take(now_us)
            taken.append(now_us)

    assert all(sum(at <= later < at + WINDOW_US for later in taken) <= PARTS[kind] for at in taken)
