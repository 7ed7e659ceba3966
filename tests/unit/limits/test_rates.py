"""Claims on rates that were looked over once: the same as claims that are looked over each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.limits import RateClaims, State, check_claims, post, ratelimit_fields, rates_of
from guard.terms import Claim, Full

SECOND = 1_000_000


def rate(counter: str, cap: int | None, window_s: int, *, amount: int = 1) -> Claim:
    """One request on a rate."""
    return Claim("rate", counter, amount, cap, window_s * 1000)


CELLS = st.sampled_from(["reads/key=a", "reads/policy=p", "broker/3203/login"])
CLAIMS = st.lists(
    st.builds(rate, CELLS, st.none() | st.integers(1, 3), st.sampled_from([1, 10, 3600])), max_size=4
).map(tuple)


@given(claims=CLAIMS, times_s=st.lists(st.integers(0, 40), max_size=12))
def test_what_was_looked_over_once_counts_and_is_told_like_any_other_claims(
    claims: tuple[Claim, ...], times_s: list[int]
) -> None:
    """The same answer to each look, the same stamps, the same words."""
    rates, one, other = rates_of(claims), State(), State()
    assert rates == claims
    assert rates.fields == ratelimit_fields(claims)
    for t_s in times_s:
        assert check_claims(one, rates, t_us=t_s * SECOND) == check_claims(other, claims, t_us=t_s * SECOND)
        post(one, rates, t_us=t_s * SECOND)
        post(other, claims, t_us=t_s * SECOND)
        assert one == other


def test_of_several_windows_on_a_cell_the_widest_keeps_its_stamps() -> None:
    """One stamp a request, kept for the hour that one of the windows looks back."""
    state = State()
    post(state, rates_of((rate("r", 5, 1), rate("r", 9, 3600), rate("r", 7, 60))), t_us=SECOND)
    assert list(state.logs["r"].stamps) == [SECOND]
    assert state.logs["r"].widest_us == 3600 * SECOND


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (Claim("spend", "value/key=a", 7, 9), "needs a step"),
        (Claim("once", "duplicate/key=a", 1, 1, 1000), "needs a step"),
        (rate("r", 5, 0), "without a window"),
        (rate("r", 5, 1, amount=2), "a step leaves one stamp"),
    ],
    ids=["money", "a duplicate", "no window", "two at once"],
)
def test_only_rates_that_make_sense_are_posted(claim: Claim, why: str) -> None:
    """Looked over once or each time: what is no rate, or none that can be, is a bug of the caller."""
    with pytest.raises(AssertionError, match=why):
        rates_of((rate("other", 5, 1), claim))
    with pytest.raises(AssertionError, match=why):
        post(State(), (rate("other", 5, 1), claim), t_us=1)


def test_what_is_put_beside_them_is_looked_over_again() -> None:
    """A broker's bucket before a key's own rates makes other claims, which know nothing of what was found before."""
    rates = rates_of((rate("reads/key=a", 2, 10),))
    more = (rate("broker/3203/login", 1, 30), *rates)
    state = State()
    post(state, more, t_us=SECOND)
    assert not isinstance(more, RateClaims)
    assert set(state.logs) == {"reads/key=a", "broker/3203/login"}
    assert isinstance(check_claims(state, more, t_us=SECOND), Full)
