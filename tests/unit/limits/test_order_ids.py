"""Which order an id names; ids that the daemon gives out twice."""

import pytest

from guard.codes import Code
from guard.limits import (
    NOBODY,
    State,
    end_order,
    find_order,
    is_known_order,
    note_outside,
    owner_of,
    reserve,
    restore,
    settle,
    snapshot,
)
from guard.limits.order_ids import RECENT_IDS_MAX
from guard.terms import Account, Env, OrderNames, Refusal
from tests.support.ledger import REAL, REFUSED, UNKNOWN, accepted, change, new_order, sums, through_json

PAPER = Account(Env.SIMULATE, 1)


def place(state: State, step: str, order_id: str | None, order_id_ex: str | None, account: Account = REAL) -> None:
    """An accepted order under these ids."""
    reserve(state, new_order(step, sums("count", "n", 1), account=account), t_us=0)
    settle(state, step, accepted(order_id, order_id_ex), t_us=0)


def found(state: State, order_id: str | None, order_id_ex: str | None, account: Account = REAL) -> str | None:
    """The id of the live order so named."""
    order = find_order(state, account, order_id=order_id, order_id_ex=order_id_ex)
    assert not isinstance(order, Refusal)
    return None if order is None else order.id


def test_either_id_names_the_order_of_its_account() -> None:
    """The same id on the other environment's account is another order."""
    state = State()
    place(state, "o", "7", "x7")
    place(state, "p", "7", "x7", account=PAPER)
    assert found(state, "7", None) == found(state, None, "x7") == found(state, "7", "x7") == "o"
    assert found(state, "7", None, account=PAPER) == "p"
    assert found(state, "8", "") is None
    assert found(state, "7", None, account=Account(Env.REAL, 2)) is None


def test_an_id_that_only_one_of_two_names_is_enough() -> None:
    """An unknown id beside a known one does not hide whose order is meant."""
    state = State()
    place(state, "o", "7", "x7")
    assert found(state, "999", "x7") == found(state, "7", "nonsense") == "o"


def test_ids_of_two_orders_are_refused() -> None:
    """Whichever the daemon would take, only one owner would have been asked."""
    state = State()
    place(state, "o", "7", "x7")
    place(state, "p", "8", "x8")
    refusal = find_order(state, REAL, order_id="7", order_id_ex="x8")
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.CONFLICTING_FIELDS


def test_an_ended_order_is_not_found_but_its_ids_are_known() -> None:
    """A dropped order has no owner to ask; its id in a new answer is still an old answer."""
    state = State()
    place(state, "o", "7", "x7")
    end_order(state, "o", t_us=1)
    assert found(state, "7", "x7") is None
    assert is_known_order(state, REAL, "x7")


def test_b33_an_id_returned_before_is_known() -> None:
    """The daemon once answered a new order with the previous order's result: its id is known, on that account only."""
    state = State()
    assert not is_known_order(state, REAL, "x7")
    place(state, "o", "7", "x7")
    assert is_known_order(state, REAL, "x7")
    assert is_known_order(state, REAL, "7")
    assert not is_known_order(state, REAL, "x8")
    assert not is_known_order(state, PAPER, "x7")


@pytest.mark.parametrize("nothing", [None, "", "0"])
def test_an_empty_id_names_nothing(nothing: str | None) -> None:
    """Zero and nothing are what the daemon writes where it has no id."""
    state = State()
    place(state, "o", nothing, "x7")
    place(state, "p", nothing, "x8")
    assert found(state, nothing, None) is None
    assert not is_known_order(state, REAL, "0")
    assert state.holders["o"].order_id is None


def test_the_first_live_order_keeps_its_id() -> None:
    """A settlement by hand that names another order's id does not take that order over, nor does its end hide it."""
    state = State()
    place(state, "o", "7", "x7")
    place(state, "p", "7", "x7")
    assert found(state, "7", "x7") == "o"
    end_order(state, "p", t_us=1)
    assert found(state, "7", "x7") == "o"


def test_ids_learned_with_the_settlement_of_an_unknown() -> None:
    """An unknown order has no id until evidence brings one; a refused one never had."""
    state = State()
    for step in ("o", "p"):
        reserve(state, new_order(step, sums("count", "n", 1)), t_us=0)
        settle(state, step, UNKNOWN, t_us=1)
    settle(state, "o", accepted(None, "x7"), t_us=2)
    settle(state, "p", REFUSED, t_us=2)
    assert found(state, None, "x7") == "o"
    assert set(state.holders) == {"o"}


def test_an_order_that_ended_before_its_answer_leaves_its_ids_known() -> None:
    """Its ids come with the late answer: known, and no live order."""
    state = State()
    reserve(state, new_order("o", sums("count", "n", 1)), t_us=0)
    end_order(state, "o", t_us=1)
    settle(state, "o", accepted("7", "x7"), t_us=2)
    assert found(state, "7", "x7") is None
    assert is_known_order(state, REAL, "x7")


def test_known_ids_are_bounded() -> None:
    """Only the latest are remembered; live orders always are."""
    state = State()
    place(state, "alive", "a", "xa")
    for n in range(RECENT_IDS_MAX // 2 + 1):
        place(state, f"o{n}", f"{n + 1}", f"x{n}")
        end_order(state, f"o{n}", t_us=1)
    ids = state.ids[REAL]
    assert len(ids.recent) == RECENT_IDS_MAX
    assert not is_known_order(state, REAL, "x0")
    assert is_known_order(state, REAL, "xa")
    assert is_known_order(state, REAL, "a")
    assert (len(ids.live), len(ids.live_ex)) == (1, 1)


def whose(state: State, order_id: str | None, order_id_ex: str | None, account: Account = REAL) -> str:
    """The owner of the order so named."""
    return owner_of(state, account, OrderNames(order_id, order_id_ex))


def test_an_order_stays_its_owners_when_it_has_ended() -> None:
    """By either id, on its own account only, and after the state was put away and brought back."""
    state = State()
    place(state, "o", "7", "x7")
    place(state, "p", "8", "x8")
    end_order(state, "o", t_us=1)
    for each in (state, restore(through_json(snapshot(state)))):
        assert whose(each, "7", "x7") == whose(each, "7", None) == whose(each, None, "x8") == "bot"
        assert whose(each, "7", None, account=PAPER) == whose(each, "9", "x9") == whose(each, None, "0") == NOBODY


def test_an_order_placed_elsewhere_is_nobodys() -> None:
    """Until it turns out to be the one whose answer was lost; and an id unknown beside a known one hides nothing."""
    state = State()
    note_outside(state, REAL, order_id="7", order_id_ex="x7")
    assert whose(state, "7", "x7") == NOBODY
    place(state, "o", "7", "x7")
    end_order(state, "o", t_us=1)
    assert whose(state, "7", "x7") == whose(state, "7", "x7b") == "bot"


def test_the_names_of_an_order_placed_elsewhere_are_no_new_orders() -> None:
    """They are known from the moment on that it was seen; what the daemon writes for none is no name."""
    state = State()
    note_outside(state, REAL, order_id="0", order_id_ex="x7")
    note_outside(state, REAL, order_id="8", order_id_ex=None)
    assert [is_known_order(state, REAL, name) for name in ("x7", "8", "0", "")] == [True, True, False, False]


def test_ids_of_two_owners_are_nobodys() -> None:
    """A row that names one key's number and another's external id is shown to neither."""
    state = State()
    place(state, "o", "7", "x7")
    reserve(state, new_order("p", sums("count", "n", 1), key="other"), t_us=0)
    settle(state, "p", accepted("8", "x8"), t_us=0)
    assert whose(state, "7", "x8") == whose(state, "8", "x7") == NOBODY
    assert whose(state, "8", "x8") == "other"
    place(state, "q", "8", "x8")
    end_order(state, "p", t_us=1)
    assert whose(state, "8", "x8") == "other", "an id is its first owner's"


def test_an_id_that_comes_again_stays_its_first_owners() -> None:
    """Also when the second order under it has ended: what is told of the first was never the other key's to see."""
    state = State()
    place(state, "o", "7", "x7")
    end_order(state, "o", t_us=1)
    reserve(state, new_order("p", sums("count", "n", 1), key="other"), t_us=2)
    settle(state, "p", accepted("7", "x7"), t_us=2)
    end_order(state, "p", t_us=3)
    assert whose(state, "7", "x7") == "bot"


def test_an_order_without_ids_is_known_by_its_stamp() -> None:
    """As long as it has none: afterwards a remark is what anybody may write."""
    state = State()
    reserve(state, new_order("o", sums("count", "n", 1)), t_us=0)
    stamped = OrderNames("7", "x7", "g:o")
    assert owner_of(state, REAL, stamped) == "bot"
    assert owner_of(state, PAPER, stamped) == owner_of(state, REAL, OrderNames("7", "x7", "o")) == NOBODY
    settle(state, "o", accepted("7", "x7"), t_us=1)
    assert owner_of(state, REAL, OrderNames("8", "x8", "g:o")) == NOBODY
    assert owner_of(state, REAL, stamped) == "bot"


def test_the_answer_to_a_change_gives_no_order_anothers_name() -> None:
    """An old answer again (B33), to a change: what is sent about the order from then on would have named the other."""
    state = State()
    place(state, "o", "7", "x7")
    place(state, "p", None, "x8")
    reserve(state, change("c", "p", sums("count", "n", 1)), t_us=1)
    settle(state, "c", accepted("7", "x7"), t_us=2)
    assert (state.holders["p"].order_id, state.holders["p"].order_id_ex) == (None, "x8")
    reserve(state, change("d", "p", sums("count", "n", 1)), t_us=3)
    settle(state, "d", accepted("8", "x8"), t_us=4)
    assert found(state, "8", "x8") == "p"
