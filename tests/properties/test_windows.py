"""Sliding windows against brute force: every stamp ever made, counted anew for every question."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.limits import State, check_claims, post, reserve, settle, used
from guard.terms import Claim, Full, Granted
from tests.support.ledger import NOT_SENT, SECOND, new_order, rate

WINDOWS_S: Final = (1, 5, 60)
WIDE_S: Final = 3600

# Whole seconds meet the windows' ends exactly; single microseconds lie just beside them.
times = st.one_of(
    st.integers(0, 200).map(lambda s: s * SECOND),
    st.integers(0, 20_000 * SECOND),
    st.tuples(st.integers(0, 200), st.integers(-1, 1)).map(lambda pair: max(0, pair[0] * SECOND + pair[1])),
)
histories = st.lists(st.tuples(times, st.sets(st.sampled_from(WINDOWS_S), min_size=1), st.booleans()), max_size=60)


class Brute:
    """All stamps, never forgotten, at the time the record stood at."""

    def __init__(self) -> None:
        self.at_us = 0
        self.stamps: list[int] = []

    def stamp(self, t_us: int) -> int:
        """One more, and when."""
        self.at_us = max(self.at_us, t_us)
        self.stamps.append(self.at_us)
        return self.at_us

    def count(self, t_us: int, window_s: int) -> int:
        """Those in (t-w, t]."""
        now_us = max(t_us, self.at_us)
        return sum(now_us - window_s * SECOND < stamp <= now_us for stamp in self.stamps)

    def first_room(self, t_us: int, window_s: int, cap: int) -> int:
        """The earliest time at which one more fits: room appears only when a stamp leaves."""
        now_us = max(t_us, self.at_us)
        leaves = sorted(stamp + window_s * SECOND for stamp in self.stamps if stamp + window_s * SECOND > now_us)
        return next(time_us for time_us in leaves if self.count(time_us, window_s) < cap)


@settings(max_examples=200, deadline=None)
@given(history=histories, is_wide=st.booleans(), asked=st.lists(times, min_size=1, max_size=5))
def test_windows_count_as_brute_force_does(
    history: list[tuple[int, set[int], bool]], is_wide: bool, asked: list[int]
) -> None:
    """Whatever was claimed when, by a clock that may go backwards, every window is exact after every stamp."""
    state, brute = State(), Brute()
    windows_s = (*WINDOWS_S, WIDE_S) if is_wide else WINDOWS_S
    for n, (t_us, claimed, is_sent) in enumerate(history):
        # The wide window is claimed with the first stamp; later claims are narrow ones, of somebody else's.
        claims = tuple(rate("r", None, window_s) for window_s in (claimed | {WIDE_S} if is_wide and not n else claimed))
        brute.stamp(t_us)
        if is_sent or not n:
            post(state, claims, t_us=t_us)
        else:
            reserve(state, new_order(f"o{n}", *claims), t_us=t_us)
            settle(state, f"o{n}", NOT_SENT, t_us=t_us)
            brute.stamps.pop()
        for window_s in windows_s:
            for time_us in (t_us, *asked):
                expected = brute.count(time_us, window_s)
                assert used(state, "r", t_us=time_us, window_ms=window_s * 1000) == expected


@settings(max_examples=200, deadline=None)
@given(arrivals=st.lists(times, max_size=80), caps=st.tuples(st.integers(1, 4), st.integers(1, 8)))
def test_no_window_ever_holds_more_than_its_cap(arrivals: list[int], caps: tuple[int, int]) -> None:
    """Two windows on one log: each request is let in exactly when both have room, and else told exactly when."""
    state, brute = State(), Brute()
    claims: tuple[Claim, ...] = (rate("r", caps[0], 1), rate("r", caps[1], 60))
    rows = ((0, 1, caps[0]), (1, 60, caps[1]))
    for t_us in arrivals:
        found = check_claims(state, claims, t_us=t_us)
        counts = tuple(brute.count(t_us, window_s) for _, window_s, _ in rows)
        full = [row for row, count in zip(rows, counts, strict=True) if count >= row[2]]
        assert isinstance(found, Granted | Full)
        assert found.used == counts
        if not full:
            assert isinstance(found, Granted)
            post(state, claims, t_us=t_us)
            brute.stamp(t_us)
        else:
            assert isinstance(found, Full)
            told = [(short.index, short.used, short.free_at_us) for short in found.shortfalls]
            assert told == [(i, counts[i], brute.first_room(t_us, window_s, cap)) for i, window_s, cap in full]
        assert brute.count(brute.at_us, 1) <= caps[0]
        assert brute.count(brute.at_us, 60) <= caps[1]
        assert len(state.logs["r"].stamps) <= caps[1] * 8 / 7 + 1  # what no window counts goes once it is an eighth


@settings(max_examples=100, deadline=None)
@given(arrivals=st.lists(times, min_size=1, max_size=60), cap=st.integers(1, 5))
def test_who_comes_back_when_told_is_let_in(arrivals: list[int], cap: int) -> None:
    """At `free_at_us` the same claim fits, a microsecond before it does not."""
    state, claims = State(), (rate("r", cap, 5),)
    for t_us in arrivals:
        found = check_claims(state, claims, t_us=t_us)
        if isinstance(found, Full):
            free_at_us = found.shortfalls[0].free_at_us
            assert free_at_us is not None
            assert isinstance(check_claims(state, claims, t_us=free_at_us - 1), Full)
            assert isinstance(check_claims(state, claims, t_us=free_at_us), Granted)
        post(state, claims, t_us=t_us)
