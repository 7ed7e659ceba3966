"""Who holds which subscription, against sets that are counted anew each time."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.terms import Subscribe
from guard.walk.subscriptions import GONE_AFTER_US, LINES_MAX, DataLine, Subscriptions, calls, lines_of

HK, US = (1, "00700"), (11, "AAPL")
names = st.sampled_from(["a", "b", "c"])
lines = st.tuples(st.integers(1, 2), st.sampled_from(["X", "Y"]), st.integers(1, 3))
moves = st.lists(
    st.tuples(st.sampled_from(["take", "drop", "forget"]), names, st.lists(lines, max_size=4)), max_size=25
)


def subscribe(*securities: tuple[int, str], types: tuple[int, ...] = (1,), **extra: Any) -> Subscribe:
    """A subscription."""
    return Subscribe(is_subscribe=True, securities=securities, sub_types=types, extra=extra)


def silent(*securities: tuple[int, str]) -> Subscribe:
    """A subscription that wants no push."""
    return subscribe(*securities, is_reg_or_un_reg_push=False)


@settings(max_examples=300, deadline=None)
@given(moves=moves)
def test_w18_a_line_ends_with_its_last_holder(moves: list[tuple[str, str, list[DataLine]]]) -> None:
    """After any moves of three keys, what would end with each of them is exactly what no other one holds."""
    subscriptions, model = Subscriptions(), {name: set[DataLine]() for name in "abc"}
    for move, name, chosen in moves:
        if move == "take":
            for _, call in calls(chosen, is_subscribe=True):
                added = subscriptions.take(name, call)
                assert set(added) == set(lines_of(call)) - model[name]
                model[name] |= set(lines_of(call))
        elif move == "drop":
            subscriptions.drop(name, chosen)
            model[name] -= set(chosen)
        else:
            subscriptions.forget(name)
            model[name] = set()
        everything = set[DataLine]().union(*model.values())
        assert subscriptions.all_lines() == everything
        assert bool(subscriptions) is bool(everything)
        for each, held in model.items():
            others = set[DataLine]().union(*(theirs for other, theirs in model.items() if other != each))
            assert set(subscriptions.held(each)) == held
            assert set(subscriptions.ends(each, held)) == held - others
            assert subscriptions.room(each) == LINES_MAX - len(held)


@settings(max_examples=200, deadline=None)
@given(chosen=st.sets(lines, max_size=12))
def test_calls_name_each_line_once_and_no_other(chosen: set[DataLine]) -> None:
    """Securities times types is what a call can say; several calls say any set of lines."""
    found = [line for named, call in calls(sorted(chosen), is_subscribe=False) for line in named]

    assert sorted(found) == sorted(chosen)


def test_a_whole_product_is_one_call_in_its_own_order() -> None:
    """What a caller asked for in one body goes on in one body."""
    asked = subscribe(US, HK, types=(2, 1))
    ((_, call),) = calls(lines_of(asked), is_subscribe=True)

    assert call == asked


def test_many_securities_are_restored_in_parts() -> None:
    """A call holds at most two hundred."""
    many = [(1, f"{number:05}", 1) for number in range(450)]

    assert [len(call.securities) for _, call in calls(many, is_subscribe=True)] == [200, 200, 50]


def test_lines_are_restored_as_each_holder_asked_for_them() -> None:
    """Two holders with other flags are two calls, the one without pushes first; lines that ended meanwhile are none."""
    subscriptions = Subscriptions()
    subscriptions.take("loud", subscribe(HK, US, is_reg_or_un_reg_push=True, reg_push_rehab_type_list=[1, 0]))
    subscriptions.take("quiet", silent(HK))
    wanted = subscriptions.all_lines()
    subscriptions.drop("loud", [(*US, 1)])

    found = [call for _, call in subscriptions.restoring(sorted(wanted))]
    assert found == [
        silent(HK),
        subscribe(HK, is_reg_or_un_reg_push=True, reg_push_rehab_type_list=[1, 0]),
    ]


def test_a_key_that_wants_no_push_is_told_apart() -> None:
    """Another key's pushes of the line are in use unless it said that it wants none; the key's own do not count."""
    subscriptions = Subscriptions()
    quiet = silent(HK)
    subscriptions.take("a", quiet)
    subscriptions.take("b", quiet)
    assert not subscriptions.is_pushed_to_others("a", quiet)
    subscriptions.take("b", subscribe(HK))
    assert subscriptions.is_pushed_to_others("a", quiet)
    assert not subscriptions.is_pushed_to_others("b", quiet)


def test_account_lists_are_whole_and_their_union_is_told() -> None:
    """A later list takes the place of the earlier one; an empty one is none."""
    subscriptions = Subscriptions()
    subscriptions.set_accounts("a", (1, 2))
    subscriptions.set_accounts("b", (2, 3))
    assert subscriptions.all_accounts() == {1, 2, 3}
    assert subscriptions.all_accounts(but="a") == {2, 3}
    subscriptions.set_accounts("a", (4,))
    assert subscriptions.accounts("a") == {4}
    assert subscriptions.all_accounts() == {2, 3, 4}
    subscriptions.set_accounts("a", ())
    subscriptions.forget("b")
    assert not subscriptions


def test_a_key_is_gone_when_it_stays_away_or_is_no_longer_in_force() -> None:
    """From its last socket or request on; a socket that comes back in time starts nothing; one without any stays."""
    subscriptions = Subscriptions()
    for name in ("socket", "caller", "rest", "revoked"):
        subscriptions.take(name, subscribe(HK))
    subscriptions.set_accounts("pushes", (7,))
    for name in ("socket", "caller", "pushes", "stranger"):
        subscriptions.arrived(name)
        subscriptions.left(name, now_us=0)
    subscriptions.left("rest", now_us=0)  # a handshake that came to nothing
    live = {"socket", "caller", "rest", "pushes"}
    assert subscriptions.gone(live.__contains__, now_us=GONE_AFTER_US - 1) == ["revoked"]

    subscriptions.seen("caller", now_us=GONE_AFTER_US - 1)
    subscriptions.seen("rest", now_us=GONE_AFTER_US - 1)
    assert subscriptions.gone(live.__contains__, now_us=GONE_AFTER_US) == ["pushes", "revoked", "socket"]
    subscriptions.arrived("socket")
    subscriptions.forget("pushes")
    assert subscriptions.gone(live.__contains__, now_us=10 * GONE_AFTER_US) == ["caller", "revoked"]
