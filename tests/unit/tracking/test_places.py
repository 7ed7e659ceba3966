"""Places are remembered for live orders, not for all that ever were."""

from guard.limits import State, end_order, reserve, settle
from guard.tracking.places import KEPT_MIN, Places
from tests.support.ledger import accepted, new_order, sums

BODY = b'{"c2s":{"header":{"trd_env":1,"acc_id":1,"trd_market":1}}}'


async def test_the_places_of_orders_that_have_ended_are_forgotten() -> None:
    """However many orders there were, there are at most as many as live ones once more, and a few."""
    state, places = State(), Places()
    for turn in range(4):
        names = [f"{turn}/{n}" for n in range(KEPT_MIN)]
        for name in names:
            reserve(state, new_order(name, sums("count", "n", 1), order=BODY), t_us=turn)
            settle(state, name, accepted(name, None), t_us=turn)
        [place] = await places.wanted(state)
        assert (place.account.acc_id, place.trd_market) == (1, 1)
        assert places.remembered <= 2 * len(state.holders) + KEPT_MIN
        for name in names[1:]:
            end_order(state, name, t_us=turn)
    _ = await places.wanted(state)
    assert places.remembered <= 2 * len(state.holders) + KEPT_MIN
