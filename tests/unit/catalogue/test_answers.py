"""Which answers hold orders, and which are about the daemon alone."""

from guard.catalogue import BY_PATH, DIAGNOSTICS, ORDER_ROWS, SUBSCRIPTIONS
from guard.terms import AccountAt


def test_every_answer_that_lists_orders_is_one_that_names_an_account() -> None:
    """They are read under `acc:read` with a trade header; diagnostics name no account."""
    for path in ORDER_ROWS:
        assert {row.account for row in BY_PATH[path]} == {AccountAt.HEADER}
    for path in (*DIAGNOSTICS, *SUBSCRIPTIONS):
        assert {row.account for row in BY_PATH[path]} == {AccountAt.NONE}
