"""Answers that are not taken share one bound: the connections that leave theirs for longest go for the newest."""

from hypothesis import given
from hypothesis import strategies as st

from guard.server.unread import Unread


def test_who_has_not_taken_its_answer_for_longest_goes() -> None:
    """As many as it takes; who has more to take now has begun to wait anew."""
    unread = Unread[str](10)
    assert [unread.enter("a", 4), unread.enter("b", 4), unread.enter("a", 5)] == [[], [], []]
    assert unread.enter("c", 4) == ["b"]
    assert unread.enter("d", 9) == ["a", "c"]
    assert unread.held_bytes == 9


def test_one_answer_is_held_however_large() -> None:
    """Whoever is alone is given its answer; what it leaves behind when it goes is nothing."""
    unread = Unread[str](10)
    assert unread.enter("a", 1000) == []
    unread.leave("a")
    unread.leave("a")
    assert unread.held_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=60))
def test_it_does_as_a_list_would(steps: list[tuple[int, int]]) -> None:
    """Against a plain list of pairs in the order of their coming; a size of nothing is a connection that leaves."""
    unread, model = Unread[int](20), list[tuple[int, int]]()
    for name, size in steps:
        model = [one for one in model if one[0] != name]
        if size == 0:
            unread.leave(name)
            continue
        model.append((name, size))
        gone = []
        while sum(each for _, each in model) > 20 and len(model) > 1:
            gone.append(model.pop(0)[0])
        assert unread.enter(name, size) == gone
    assert unread.held_bytes == sum(size for _, size in model)
