"""Whose order a push is about, and who is shown it."""

import pytest

from guard.limits import NOBODY, State, reserve, settle
from guard.stream.owners import EARLY_MAX, Owners
from guard.stream.pushes import Pushed
from guard.stream.session import Frame, classify, may_see_order
from guard.terms import Account, Env, OrderNames
from tests.support.ledger import REAL, accepted, new_order
from tests.support.stream import frame, trade


def under_way(step: str = "o") -> State:
    """A ledger with one order of key `bot` that is not answered yet."""
    state = State()
    reserve(state, new_order(step), t_us=0)
    return state


def push(order_id_ex: str | None, remark: str | None = None, account: Account = REAL) -> Pushed:
    """A push of this order."""
    return Pushed(account, OrderNames("7", order_id_ex, remark))


def test_the_fill_of_an_order_that_is_not_answered_yet_is_its_owners() -> None:
    """The order's own push, which came first, names the decision; the fill has no remark."""
    state = under_way()
    owners = Owners(state)
    assert owners.of(push("x7")) == NOBODY
    assert owners.of(push("x7", "g:o")) == "bot"
    assert owners.of(push("x7")) == "bot"
    assert owners.of(push("x7", account=Account(Env.SIMULATE, 1))) == owners.of(push("x8")) == NOBODY
    assert owners.of(push(None)) == owners.of(None) == NOBODY


def test_once_an_order_is_answered_its_ids_alone_count() -> None:
    """Another order that bore the remark of this one does not stay its own."""
    state = under_way()
    owners = Owners(state)
    assert owners.of(push("x9", "g:o")) == "bot"
    settle(state, "o", accepted("5", "x5"), t_us=1)
    assert owners.of(push("x9")) == NOBODY
    assert owners.of(Pushed(REAL, OrderNames("5", "x5"))) == "bot"


def test_what_is_remembered_is_bounded() -> None:
    """The oldest goes."""
    owners = Owners(under_way())
    for n in range(EARLY_MAX + 1):
        assert owners.of(push(f"x{n}", "g:o")) == "bot"
    assert owners.of(push("x0")) == NOBODY
    assert owners.of(push(f"x{EARLY_MAX}")) == "bot"


def classified(data: bytes) -> Frame:
    """The frame, which must be one."""
    found = classify(data)
    assert found is not None
    return found


@pytest.mark.parametrize(("owner", "shown"), [("bot", True), ("other", False), (NOBODY, False)])
@pytest.mark.parametrize("proto_id", [2208, 2218])
def test_a_key_that_sees_its_own_alone_is_pushed_its_own(proto_id: int, owner: str, *, shown: bool) -> None:
    """Orders and fills; a key that is not so bound is shown them all."""
    found = classified(trade(proto_id, order_id=7, order_id_ex="x7"))
    assert found.order == Pushed(Account(Env.REAL, 7), OrderNames("7", "x7"), 1)
    assert may_see_order("bot", found, owner=owner, is_own_only=True) is shown
    assert may_see_order("bot", found, owner=owner, is_own_only=False)


def test_a_trade_event_that_tells_of_no_order_is_nobodys() -> None:
    """Another message of the family, or a body that cannot be read; quotes are everybody's."""
    for data in (frame("trade", 2207, acc_id=7), frame("trade", acc_id=7, body_b64="AA==")):
        assert classified(data).order is None
        assert not may_see_order(NOBODY, classified(data), owner=NOBODY, is_own_only=True)
    assert may_see_order("bot", classified(frame("quote")), owner=NOBODY, is_own_only=True)
