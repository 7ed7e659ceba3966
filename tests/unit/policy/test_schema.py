"""The shape of a policy file."""

from guard.markets import FUTURES, MARKETS
from guard.policy.schema import TABLES, expanded


def test_futures_is_a_word_for_all_of_them() -> None:
    """FUTURES is written out, each market stands once, in the contract's order."""
    assert expanded(("FUTURES", "HK", "FUTURES_HK")) == ("HK", *FUTURES)
    assert expanded(MARKETS) == MARKETS


def test_every_key_may_be_left_out() -> None:
    """A limit left out does not exist: every table can be empty."""
    assert all(table() for table in TABLES.values())
