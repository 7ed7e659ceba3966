"""Markets, symbols, blocked symbols."""

import re
from typing import Any

import pytest

from guard.codes import Code
from tests.support.policy import asked, codes, order
from tests.support.worlds import NOT_ASKED, option, stock, world

BLOCKED = '[instruments]\nblocked_symbols = ["US.GME", "HK.00700", "HK.80*", "CA.ABC", "US.BRK.B"]'


def test_only_the_markets_named_are_allowed() -> None:
    """Another market is refused, and the refusal says what is allowed."""
    rules = '[instruments]\nmarkets = ["HK", "FUTURES"]'

    assert not codes(asked(rules))
    assert not codes(asked(rules, order(market="FUTURES_SG", code="CN2612")))
    reason = asked(rules, order(market="US", code="AAPL")).reasons[0]
    assert (reason.code, reason.policy, reason.rule) == (Code.MARKET, "p0", "instruments.markets")
    assert reason.observed == "US"
    assert reason.limit == "HK, FUTURES_HK, FUTURES_US, FUTURES_SG, FUTURES_JP"
    assert codes(asked(rules, order(market="HK_FUND", code="HK0001"))) == [Code.MARKET]


def test_b06_only_the_symbols_named_are_allowed() -> None:
    """B06: symbols bind through the walk like any limit; patterns stand for many, and case is no way around them."""
    rules = '[instruments]\nsymbols = ["HK.007*", "US.AAPL"]'

    assert not codes(asked(rules))
    assert not codes(asked(rules, order(market="US", code="AAPL")))
    assert codes(asked(rules, order(code="00005"))) == [Code.SYMBOL]
    assert codes(asked(rules, order(market="US", code="AAPLX"))) == [Code.SYMBOL]


@pytest.mark.parametrize("key", ["markets", "symbols"])
def test_an_empty_list_means_nobody(key: str) -> None:
    """[] is an allow-list without anything on it."""
    assert codes(asked(f"[instruments]\n{key} = []")) == [Code.MARKET if key == "markets" else Code.SYMBOL]


def test_a_long_list_is_cut_in_the_refusal() -> None:
    """A refusal names the first few symbols and how many more there are."""
    rules = "[instruments]\nsymbols = [" + ",".join(f'"HK.{n:05}"' for n in range(20)) + "]"

    assert str(asked(rules).reasons[0].limit).endswith("HK.00007 and 12 more")


@pytest.mark.parametrize(
    ("market", "code", "found"),
    [
        ("US", "GME", Code.SYMBOL),
        ("US", "gme", Code.SYMBOL),
        ("US", "GME260116C200000", Code.SYMBOL),
        ("US", "AAPL260116C200000", None),
        ("US", "GMED", None),
        ("US", "GME.WS", Code.SYMBOL),
        ("US", "GME.WS.A", Code.SYMBOL),
        ("US", "GME-WSA", Code.SYMBOL),
        ("US", "BRK.B.WS", Code.SYMBOL),
        ("US", "GMED.WS", None),
        ("US", "BRKB260116C400000", Code.SYMBOL),
        ("US", "BRK260116C400000", None),
        ("US", "GME.A", None),
        ("CA", "ABC.WT", Code.SYMBOL),
        ("CA", "ABC.UN", None),
        ("CA", "GME.WT", None),
        ("HK", "00700", Code.SYMBOL),
        ("HK", "80700", Code.SYMBOL),
        ("HK", "00005", None),
        ("HK", "TCH261230C500000", Code.REFERENCE_UNAVAILABLE),
        ("HK", "12345", Code.REFERENCE_UNAVAILABLE),
        ("HK", "55555", Code.REFERENCE_UNAVAILABLE),
        ("HK", "47001", Code.REFERENCE_UNAVAILABLE),
        ("HK", "48999", Code.REFERENCE_UNAVAILABLE),
        ("HK", "89001", Code.REFERENCE_UNAVAILABLE),
        ("SG", "D05", None),
    ],
)
def test_a_blocked_symbol_has_no_back_door(market: str, code: str, found: Code | None) -> None:
    """The symbol, its options and warrants are refused; a warrant whose underlying the code does not tell is too."""
    judgement = asked(BLOCKED, order(market=market, code=code))

    assert codes(judgement) == ([] if found is None else [found])


@pytest.mark.parametrize(
    ("market", "code", "what", "found"),
    [
        ("HK", "12345", stock("HK.12345", kind="warrant", underlying="HK.00700"), Code.SYMBOL),
        ("HK", "12345", stock("HK.12345", kind="warrant", underlying="HK.00005"), None),
        ("HK", "12345", stock("HK.12345", kind="warrant"), Code.REFERENCE_UNAVAILABLE),
        ("HK", "12345", stock("HK.12345"), None),
        ("HK", "12345", NOT_ASKED, Code.REFERENCE_UNAVAILABLE),
        ("HK", "TCH261230C500000", option("HK.TCH261230C500000", underlying="HK.00700"), Code.SYMBOL),
        ("HK", "TCH261230C500000", option("HK.TCH261230C500000", underlying="HK.09988"), None),
        ("US", "GME1260116C200000", option("US.GME1260116C200000", underlying="US.GME"), Code.SYMBOL),
        ("US", "GME260116C200000", option("US.GME260116C200000", underlying="US.AAPL"), Code.SYMBOL),
        ("HK", "02800", stock("HK.02800", kind="fund", underlying="HK.00700"), Code.SYMBOL),
    ],
)
def test_what_the_daemon_knows_of_a_derivative_decides(market: str, code: str, what: Any, found: Code | None) -> None:
    """The underlying that it names is blocked or not; where it names none, the derivative stays refused."""
    judgement = asked(BLOCKED, order(market=market, code=code), world=world(what=what))

    assert codes(judgement) == ([] if found is None else [found])


@pytest.mark.parametrize(
    ("market", "code", "found"),
    [
        ("HK", "80700", Code.SYMBOL),
        ("HK", "89988", Code.SYMBOL),
        ("HK", "80005", None),
        ("HK", "8070", None),
        ("JP", "80700", None),
        ("HK", "09110", Code.SYMBOL),
        ("HK", "83110", Code.SYMBOL),
        ("HK", "09834", Code.SYMBOL),
        ("HK_FUND", "09834", Code.SYMBOL),
        ("HK", "09433", None),
        ("HK", "09618", None),
        ("CA", "DLR.U", Code.SYMBOL),
        ("CA", "DLR-U", Code.SYMBOL),
        ("CA", "REI.UN", None),
        ("US", "DLR.U", None),
    ],
)
def test_what_is_blocked_is_blocked_in_other_currencies_too(market: str, code: str, found: Code | None) -> None:
    """Its second and third counters are the same share or fund under another code."""
    names = ["HK.00700", "HK.09988", "HK.03110", "HK.02834", "CA.DLR", "CA.REI"]
    rules = f"[instruments]\nblocked_symbols = {names}"
    judgement = asked(rules, order(market=market, code=code), world=world(what=stock(f"{market}.{code}")))

    assert codes(judgement) == ([] if found is None else [found])
    if found is not None:
        assert re.search(r"is the (CNH|USD) counter of (HK\.0|CA\.)", judgement.reasons[0].message)


@pytest.mark.parametrize(
    ("market", "code", "found"),
    [
        ("HK", "09110", Code.SYMBOL),
        ("HK", "03110", Code.SYMBOL),
        ("HK", "83110", Code.SYMBOL),
        ("HK", "00700", Code.SYMBOL),
        ("HK", "03433", None),
        ("HK", "01234", None),
        ("HK_FUND", "02834", Code.SYMBOL),
        ("CA", "DLR", Code.SYMBOL),
        ("CA", "DLR-U", Code.SYMBOL),
        ("CA", "SHOP", None),
        ("US", "DLR", None),
    ],
)
def test_a_blocked_counter_blocks_its_share_and_every_other_counter(market: str, code: str, found: Code | None) -> None:
    """Whichever of the codes is written, the share or fund is meant; a pattern means what is written like it."""
    rules = '[instruments]\nblocked_symbols = ["HK.09110", "hk.80700", "HK.09834", "CA.DLR.u", "HK.8123?", "CA.*.V"]'
    judgement = asked(rules, order(market=market, code=code), world=world(what=stock(f"{market}.{code}")))

    assert codes(judgement) == ([] if found is None else [found])


def test_a_derivative_of_a_blocked_symbol_is_told() -> None:
    """Which name it is derived from."""
    where = world(what=stock("HK.12345", kind="warrant", underlying="HK.00700"))
    (reason,) = asked(BLOCKED, order(code="12345"), world=where).reasons

    assert (reason.observed, reason.limit) == ("HK.12345", "HK.00700")
    assert reason.message == "HK.12345 is derived from HK.00700, which is blocked"


def test_the_block_list_beats_the_allow_list() -> None:
    """A symbol on both lists is blocked."""
    rules = '[instruments]\nsymbols = ["HK.*"]\nblocked_symbols = ["HK.00700"]'

    assert codes(asked(rules)) == [Code.SYMBOL]


def test_warrants_pass_where_nothing_of_their_market_is_blocked() -> None:
    """A block list for another market says nothing about a warrant of Hong Kong."""
    assert not codes(asked('[instruments]\nblocked_symbols = ["US.GME"]', order(code="12345")))
