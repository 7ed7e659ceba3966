"""Whose request it is."""

from typing import Any

import pytest

from guard.simulator import Simulator
from guard.simulator.header import of_read, of_write
from guard.simulator.refusals import BadBody, Declined
from guard.terms import Account, Env
from tests.support.clock import ManualClock

FULL = {"trd_env": 1, "acc_id": 123456, "trd_market": 1}


def _world(*, fills_blanks: bool = True) -> Any:
    simulator = Simulator(clock=ManualClock())
    simulator.quirks.fills_blanks = fills_blanks
    return simulator.world


@pytest.mark.parametrize(
    ("header", "account"),
    [
        ({}, Account(Env.REAL, 123456)),
        ({"trd_env": 0}, Account(Env.SIMULATE, 123456)),
        ({"acc_id": 9032}, Account(Env.SIMULATE, 9032)),
        ({"card_num": "7680"}, Account(Env.REAL, 281756478875559548)),
        ({"acc_id": 123456, "trd_env": 1, "card_num": "7680"}, Account(Env.REAL, 281756478875559548)),
    ],
)
def test_reads_fill_in_what_is_not_said(header: dict[str, Any], account: Account) -> None:
    """The first account that fits; a card number wins over an account number."""
    assert of_read(_world(), {"header": header}).account == account


def test_blanks_are_400_where_they_are_not_filled() -> None:
    """As the daemon does from 1.4.102 on."""
    for lacking in FULL:
        header = {name: value for name, value in FULL.items() if name != lacking}
        with pytest.raises(BadBody, match=lacking):
            of_read(_world(fills_blanks=False), {"header": header})


@pytest.mark.parametrize(
    "change",
    [
        {"acc_id": 1},
        {"acc_id": 9032},
        {"trd_market": 126},
        {"card_num": "0000"},
        {"trd_env": 0, "acc_id": 281756478875559548},
    ],
)
def test_b15_account_and_environment_must_belong_together(change: dict[str, Any]) -> None:
    """An unknown pair, a market that the account may not trade, a card that names nobody."""
    for read in (of_read, of_write):
        with pytest.raises(Declined):
            read(_world(), {"header": FULL | change})


def test_a_header_comes_back_as_it_was_understood() -> None:
    """With the account resolved."""
    named = of_write(_world(), {"header": {"trd_env": 1, "card_num": "7680", "trd_market": 2, "jp_acc_type": 1}})

    assert named.message() == {"trd_env": 1, "acc_id": 281756478875559548, "trd_market": 2}
    assert named.jp_acc_type == 1
