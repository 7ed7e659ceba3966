"""Under which names the daemon is told of an order: those under which it once answered, whatever the caller wrote."""

import pytest
from msgspec.structs import replace

from guard.limits import Opening, State, end_order, note_order_ids, reserve, settle
from guard.limits.holder import Holder
from guard.terms import Account, CancelOrder, Env, Header, Outcome, Reconfirm, Verdict
from guard.walk.naming import forwarded, meant_elsewhere

ACCOUNT = Account(Env.SIMULATE, 1)
HEADER = Header(Env.SIMULATE, 1, None, 1)
CANCEL = CancelOrder(HEADER, "5", "E5")


def known(order_id: str | None, order_id_ex: str | None) -> Holder:
    """A live order of these names."""
    state = State()
    reserve(state, Opening("d", (), "d", key="bot", account=ACCOUNT, order=b"{}"), t_us=1)
    note_order_ids(state, state.holders["d"], order_id=order_id, order_id_ex=order_id_ex)
    return state.holders["d"]


@pytest.mark.parametrize(
    ("order_id", "order_id_ex", "told"),
    [
        ("7", "E7", ("7", "E7")),
        ("7", None, ("7", None)),
        (None, "E7", (None, "E7")),
        ("X7", "E7", (None, "E7")),
        (str(2**64 - 1), None, (str(2**64 - 1), None)),
        (str(2**64), "E7", (None, "E7")),
        ("X7", None, ("5", "E5")),
        (None, None, ("5", "E5")),
    ],
)
def test_the_daemon_is_told_its_own_names(
    order_id: str | None, order_id_ex: str | None, told: tuple[str | None, str | None]
) -> None:
    """Both, or the only one; a number only where it is one of 64 bits. As it came where it has none."""
    found = forwarded(CANCEL, known(order_id, order_id_ex))
    assert isinstance(found, CancelOrder)
    assert (found.order_id, found.order_id_ex) == told


@pytest.mark.parametrize(("order_id", "told"), [("7", "7"), ("X7", "5"), (None, "5")])
def test_a_confirmation_knows_numbers_alone(order_id: str | None, told: str) -> None:
    """The daemon's number of the order, however the caller called it; as it came where there is none."""
    asked = Reconfirm(HEADER, "5", 1)
    found = forwarded(asked, known(order_id, "E7"))
    assert found == replace(asked, order_id=told)


def test_an_id_of_several_accounts_tells_no_owner() -> None:
    """One other account with such an order tells whose it is, two do not; names of two orders tell both."""
    state = State()
    names = {"a": (2, "5", "E5"), "b": (3, "6", "E6"), "c": (4, "5", "E7"), "d": (3, "8", "E8")}
    for step, (acc_id, order_id, order_id_ex) in names.items():
        account = Account(Env.SIMULATE, acc_id)
        reserve(state, Opening(step, (), step, key="bot", account=account, order=b"{}"), t_us=1)
        settle(state, step, Outcome(Verdict.ACCEPTED, order_id=order_id, order_id_ex=order_id_ex), t_us=2)

    def found(order_id: str | None, order_id_ex: str | None) -> str:
        named = replace(CANCEL, order_id=order_id, order_id_ex=order_id_ex)
        return "".join(holder.id for holder in meant_elsewhere(state, named, env=None, acc_id=1))

    assert (found("6", None), found(None, "6"), found("E6", "9"), found(None, "E5")) == ("b", "b", "b", "a")
    assert (found("5", None), found("9", None), found("5", "E6")) == ("", "", "b")
    assert (found("6", "E5"), found("6", "E8")) == ("ba", "bd")  # of two accounts, and of one


def test_an_ended_order_of_its_own_beside_it_makes_anothers_no_less_anothers() -> None:
    """The daemon may take either name, so each is looked for elsewhere unless the account had that one."""
    state, theirs, own = State(), Account(Env.SIMULATE, 2), Account(Env.SIMULATE, 1)
    for step, key, account, name in (("a", "bot", theirs, "E5"), ("b", "other", own, "E9")):
        reserve(state, Opening(step, (), step, key=key, account=account, order=b"{}"), t_us=1)
        settle(state, step, Outcome(Verdict.ACCEPTED, order_id_ex=name), t_us=2)
    end_order(state, "b", t_us=3)
    header = Header(Env.SIMULATE, 1, None, 1)
    for order_id in (None, "E9"):
        assert meant_elsewhere(state, CancelOrder(header, order_id, "E5"), env=None, acc_id=1)
    assert not meant_elsewhere(state, CancelOrder(header, "E9", None), env=None, acc_id=1)
