"""What is kept by key: bounded, newest wins, refusals briefly."""

from guard.reference.shelf import Denied, Kept, Shelf


def kept(value: int, at_us: int = 0) -> Kept[int]:
    """A value asked for and answered at one time."""
    return Kept(value, at_us, at_us)


def test_the_latest_answer_is_kept_however_old() -> None:
    """Whether it is too old is for those to say who look at it."""
    shelf: Shelf[str, int] = Shelf(kept_max=2, denied_max=2)
    shelf.put("a", kept(1, 5))
    shelf.put("a", kept(2, 9))

    assert shelf.get("a") == kept(2, 9)
    assert shelf.get("b") is None


def test_an_answer_to_an_older_question_is_not_newer() -> None:
    """Two questions may overtake each other."""
    shelf: Shelf[str, int] = Shelf(kept_max=2, denied_max=2)
    shelf.put("a", Kept(2, asked_us=9, answered_us=10))
    shelf.put("a", Kept(1, asked_us=5, answered_us=20))

    assert shelf.get("a") == Kept(2, 9, 10)


def test_the_key_that_was_answered_longest_ago_goes_first() -> None:
    """At most as many as allowed."""
    shelf: Shelf[str, int] = Shelf(kept_max=2, denied_max=1)
    for key in ("a", "b", "a", "c"):
        shelf.put(key, kept(1))

    assert [key for key in "abc" if shelf.get(key)] == ["a", "c"]

    for key in ("x", "y"):
        shelf.deny(key, Denied("no", is_unknown=True, until_us=100))
    assert [key for key in "xy" if shelf.was_denied(key)] == ["y"]


def test_a_refusal_holds_for_its_time_and_an_answer_ends_it() -> None:
    """Afterwards it is time to ask again, alone."""
    shelf: Shelf[str, int] = Shelf(kept_max=2, denied_max=2)
    no = Denied("no", is_unknown=False, until_us=100)
    shelf.deny("a", no)

    assert shelf.denied("a", 99) == no
    assert shelf.denied("a", 100) is None
    assert shelf.was_denied("a")

    shelf.put("a", kept(1))
    assert not shelf.was_denied("a")


def test_only_what_is_unknown_is_forgotten() -> None:
    """A daemon that will not say just now does not undo what it said before."""
    shelf: Shelf[str, int] = Shelf(kept_max=2, denied_max=2)
    shelf.put("a", kept(1))
    shelf.deny("a", Denied("too often", is_unknown=False, until_us=100))
    assert shelf.get("a") == kept(1)

    shelf.deny("a", Denied("unknown stock", is_unknown=True, until_us=100))
    assert shelf.get("a") is None
