"""Which answers hold orders is read off the broker's own messages."""

from guard.catalogue import BY_PATH, DIAGNOSTICS, ORDER_PUSHES, ORDER_ROWS
from guard.simulator import proto
from guard.terms import AccountAt


def test_every_answer_that_lists_orders_is_one_that_names_an_account() -> None:
    """They are read under `acc:read` with a trade header; diagnostics name no account."""
    for path in ORDER_ROWS:
        assert {row.account for row in BY_PATH[path]} == {AccountAt.HEADER}
    for path in DIAGNOSTICS:
        assert {row.account for row in BY_PATH[path]} == {AccountAt.NONE}


def test_pushes_of_orders_are_those_of_the_trade_family() -> None:
    """UpdateOrder and UpdateOrderFill, as the simulated daemon sends them."""
    assert set(ORDER_PUSHES) == {number for number, name in proto.PUSHES.items() if name.startswith("Trd_Update")}
