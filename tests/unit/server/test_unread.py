"""Answers that are not taken share one bound: the connections that leave theirs for longest go for the newest."""

from hypothesis import given
from hypothesis import strategies as st

from guard.server.unread import Unread


class Sizes(dict[int, int]):
    """What each connection still has to take."""

    def held(self, most_bytes: int) -> Unread[int]:
        """A bound over them."""
        return Unread[int](most_bytes, size_of=self.__getitem__)


def test_who_has_not_taken_its_answer_for_longest_goes() -> None:
    """As many as it takes; who has more to take now has begun to wait anew."""
    sizes = Sizes({1: 4, 2: 4, 3: 4, 4: 9})
    unread = sizes.held(10)
    assert [unread.enter(1), unread.enter(2)] == [[], []]
    sizes[1] = 5
    assert unread.enter(1) == []
    assert unread.enter(3) == [2]
    assert unread.enter(4) == [1, 3]
    assert unread.held_bytes == 9


def test_who_is_taking_its_answer_stays() -> None:
    """What was taken while others came counts no more."""
    sizes = Sizes({1: 9, 2: 9})
    unread = sizes.held(10)
    assert unread.enter(1) == []
    sizes[1] = 1
    assert unread.enter(2) == []
    assert unread.held_bytes == 10


def test_one_answer_is_held_however_large() -> None:
    """Whoever is alone is given its answer; what it leaves behind when it goes is nothing."""
    unread = Sizes({1: 1000}).held(10)
    assert unread.enter(1) == []
    unread.leave(1)
    unread.leave(1)
    assert unread.held_bytes == 0


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "leave", "take"]), st.integers(0, 5), st.integers(0, 12)), max_size=60)
)
def test_it_does_as_a_list_would(steps: list[tuple[str, int, int]]) -> None:
    """Against a plain list in the order of their coming, whose sizes are looked up whenever one comes."""
    sizes, model = Sizes(dict.fromkeys(range(6), 0)), list[int]()
    unread = sizes.held(20)
    for what, name, size in steps:
        if what == "leave":
            unread.leave(name)
            model = [one for one in model if one != name]
        elif what == "take":
            sizes[name] = min(sizes[name], size)
        else:
            sizes[name] = size
            model = [one for one in model if one != name] + [name]
            gone = []
            while sum(sizes[one] for one in model) > 20 and len(model) > 1:
                gone.append(model.pop(0))
            assert unread.enter(name) == gone
            assert sum(sizes[one] for one in model) <= unread.held_bytes
