"""Connections without a verified key: the oldest of an address makes room for the newest."""

from hypothesis import given
from hypothesis import strategies as st

from guard.server.unproven import Unproven


def test_the_oldest_of_an_address_goes_for_the_newest() -> None:
    """Another address is not touched, and one that was proven meanwhile is not among them."""
    waiting = Unproven[int](2)
    assert [waiting.enter(number, address="a") for number in (1, 2)] == [None, None]
    assert waiting.enter(9, address="b") is None
    assert waiting.enter(3, address="a") == 1
    waiting.leave(2, address="a")
    assert waiting.enter(4, address="a") is None
    assert waiting.enter(5, address="a") == 3
    assert len(waiting) == 3


def test_room_is_made_by_the_address_that_has_most() -> None:
    """Its oldest goes first, until nobody is left."""
    waiting = Unproven[int](3)
    for number, address in ((1, "a"), (2, "b"), (3, "b"), (3, "b"), (4, "c")):
        waiting.enter(number, address=address)
    assert [waiting.take_one() for _ in range(5)] == [2, 1, 3, 4, None]
    assert len(waiting) == 0


def test_leaving_twice_or_from_nowhere_is_nothing() -> None:
    """A connection that was ended for another one leaves once more when it is gone."""
    waiting = Unproven[int](1)
    waiting.leave(1, address="a")
    waiting.enter(1, address="a")
    waiting.leave(1, address="a")
    waiting.leave(1, address="a")
    assert len(waiting) == 0


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.sampled_from("ab")), max_size=60)


@given(STEPS, st.integers(1, 3))
def test_it_does_as_a_list_would(steps: list[tuple[bool, int, str]], each_max: int) -> None:
    """Against a plain list of each address, in order of arrival."""
    waiting, model = Unproven[int](each_max), {"a": list[int](), "b": list[int]()}
    for is_coming, number, address in steps:
        held = model[address]
        if is_coming and number not in held:
            expected = held.pop(0) if len(held) == each_max else None
            held.append(number)
            assert waiting.enter(number, address=address) == expected
        elif not is_coming:
            waiting.leave(number, address=address)
            model[address] = [one for one in held if one != number]
    assert len(waiting) == sum(map(len, model.values()))
