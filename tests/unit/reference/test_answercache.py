"""What is kept by key: bounded, newest wins, refusals briefly."""

from guard.reference.answercache import AnswerCache, Kept, NoAnswer


def kept(value: int, at_us: int = 0) -> Kept[int]:
    """A value asked for and answered at one time."""
    return Kept(value, at_us, at_us)


def test_the_latest_answer_is_kept_however_old() -> None:
    """Whether it is too old is for those to say who look at it."""
    cache: AnswerCache[str, int] = AnswerCache(kept_max=2, denied_max=2)
    cache.put("a", kept(1, 5))
    cache.put("a", kept(2, 9))

    assert cache.get("a") == kept(2, 9)
    assert cache.get("b") is None


def test_an_answer_to_an_older_question_is_not_newer() -> None:
    """Two questions may overtake each other."""
    cache: AnswerCache[str, int] = AnswerCache(kept_max=2, denied_max=2)
    cache.put("a", Kept(2, asked_us=9, answered_us=10))
    cache.put("a", Kept(1, asked_us=5, answered_us=20))

    assert cache.get("a") == Kept(2, 9, 10)


def test_the_key_that_was_answered_longest_ago_goes_first() -> None:
    """At most as many as allowed."""
    cache: AnswerCache[str, int] = AnswerCache(kept_max=2, denied_max=1)
    for key in ("a", "b", "a", "c"):
        cache.put(key, kept(1))

    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]

    for key in ("x", "y"):
        cache.deny(key, NoAnswer("no", is_unknown=True, until_us=100))
    assert [key for key in "xy" if cache.was_denied(key)] == ["y"]


def test_a_refusal_holds_for_its_time_and_an_answer_ends_it() -> None:
    """Afterwards it is time to ask again, alone."""
    cache: AnswerCache[str, int] = AnswerCache(kept_max=2, denied_max=2)
    no = NoAnswer("no", is_unknown=False, until_us=100)
    cache.deny("a", no)

    assert cache.denied("a", 99) == no
    assert cache.denied("a", 100) is None
    assert cache.was_denied("a")

    cache.put("a", kept(1))
    assert not cache.was_denied("a")


def test_only_what_is_unknown_is_forgotten() -> None:
    """A daemon that will not say just now does not undo what it said before."""
    cache: AnswerCache[str, int] = AnswerCache(kept_max=2, denied_max=2)
    cache.put("a", kept(1))
    cache.deny("a", NoAnswer("too often", is_unknown=False, until_us=100))
    assert cache.get("a") == kept(1)

    cache.deny("a", NoAnswer("unknown stock", is_unknown=True, until_us=100))
    assert cache.get("a") is None
