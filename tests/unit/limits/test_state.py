"""Time is the record's."""

from guard.limits import State, advance


def test_pitfall_8_time_never_goes_back() -> None:
    """A record's time moves the state's, a refusal's too; an earlier one leaves it."""
    state = State()
    assert advance(state, t_us=5) == 5
    assert advance(state, t_us=3) == 5
    assert state.at_us == 5


def test_states_share_nothing() -> None:
    """Two states are two worlds."""
    one, other = State(), State()
    one.sums["a"] = 1
    assert other.sums == {}
