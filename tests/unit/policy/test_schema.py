"""The shape of a policy file."""

import pytest

from guard.markets import FUTURES, MARKETS
from guard.policy.schema import NOT_SUPPORTED, TABLES, expanded
from tests.support.policy import codes_of


@pytest.mark.parametrize("path", sorted(NOT_SUPPORTED), ids=".".join)
def test_what_is_not_enforced_is_refused(path: tuple[str, ...]) -> None:
    """A limit of the contract that this version cannot keep is refused at load, never ignored."""
    text = f"[{path[0]}]\n" + (f"{path[1]} = 1\n" if len(path) > 1 else "x = 1\n")

    assert codes_of(text) == [(".".join(path), "not_supported")]


def test_futures_is_a_word_for_all_of_them() -> None:
    """FUTURES is written out, each market stands once, in the contract's order."""
    assert expanded(("FUTURES", "HK", "FUTURES_HK")) == ("HK", *FUTURES)
    assert expanded(MARKETS) == MARKETS


def test_every_key_may_be_left_out() -> None:
    """A limit left out does not exist: every table can be empty."""
    assert all(table() for table in TABLES.values())
