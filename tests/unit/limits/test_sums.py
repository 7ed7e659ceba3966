"""Sums and parts move together."""

from guard.limits import State
from guard.limits.claims import parted
from guard.limits.grafting import Held, hold
from guard.limits.holder import NOTHING, About, Amounts, Basis, Holder
from guard.limits.promoting import hold_plain
from guard.limits.sums import give_back, move, part, put, rebase, take
from guard.terms import Claim
from tests.support.ledger import REAL, sums


def a_new_order() -> Holder:
    """A live order that holds nothing yet."""
    return Holder("o", About("bot", REAL, "HK", "HK.00700", b""), b"{}", NOTHING)


def an_order(state: State, *amounts: int) -> Holder:
    """A live order that holds these amounts on spend cells a, b, c."""
    holder = a_new_order()
    take_on(state, holder, tuple(sums("spend", cell, amount) for cell, amount in zip("abc", amounts, strict=False)))
    return holder


def take_on(state: State, holder: Holder, claims: tuple[Claim, ...]) -> None:
    """The order takes all it claims."""
    cells, amounts, kinds, _ = parted(claims)
    whole = Amounts.of(cells, amounts, kinds)
    take(state, whole)
    holder.holds = holder.claimed = whole


def test_a_cell_that_comes_to_nothing_is_dropped() -> None:
    """Absent and zero are the same."""
    cells = {"a": 5}
    move(cells, "a", -5)
    move(cells, "b", 0)
    assert cells == {}


def test_a_new_order_takes_no_nothing() -> None:
    """Zero amounts are no parts."""
    state, holder = State(), a_new_order()
    take_on(state, holder, (sums("spend", "a", 3), sums("count", "n", 1), sums("working", "w", 0)))
    assert holder.holds.basis == Basis(("a", "n"), (3, 1), "sc")
    assert state.sums == {"a": 3, "n": 1}


def test_put_sets_adds_and_removes_parts() -> None:
    """The sum always moves by what the part moves."""
    state = State(sums={"b": 100})
    holder = an_order(state, 1, 2, 3)
    put(state, holder, "b", amount=7, kind="spend")
    put(state, holder, "a", amount=0, kind="spend")
    put(state, holder, "w", amount=4, kind="working")
    put(state, holder, "w", amount=4, kind="count")
    put(state, holder, "none", amount=0, kind="count")
    assert holder.holds.basis == Basis(("b", "c", "w"), (7, 3, 4), "ssw")
    assert state.sums == {"b": 107, "c": 3, "w": 4}
    assert [part(holder, cell) for cell in "abcwx"] == [0, 7, 3, 4, 0]


def test_giving_back_all_or_keeping_what_was_spent() -> None:
    """An ended order's spend stays in the sum as spent; a refused order leaves nothing."""
    state = State()
    ended, refused = an_order(state, 1, 2), an_order(state, 10, 20)
    put(state, ended, "w", amount=5, kind="working")
    give_back(state, ended, keep_spend=True)
    give_back(state, refused, keep_spend=False)
    assert ended.holds == Amounts()
    assert state.sums == state.spent == {"a": 1, "b": 2}


def test_who_takes_on_no_other_counters_stays_on_its_terms() -> None:
    """A promotion or graft that is about other cells does not make an older list true of an order that was changed."""
    holder, claims = a_new_order(), (sums("spend", "a", 3),)
    take_on(State(), holder, claims)
    rebase(holder, claims, worth=None)
    terms = holder.claimed
    hold_plain(State(), holder, ("b",))
    hold(State(), holder, Held())
    assert holder.claimed is terms


def test_a_change_to_the_same_again_is_a_change() -> None:
    """Whoever remembers the terms of before sees that they are other ones, equal as they may be."""
    holder, claims = a_new_order(), (sums("spend", "a", 3),)
    take_on(State(), holder, claims)
    for _ in range(2):
        before, bases = holder.claimed, holder.bases
        rebase(holder, claims, worth=None)
        assert holder.bases == bases
        assert holder.claimed is not before
