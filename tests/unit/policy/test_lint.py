"""What is valid and probably not meant: each finding with its place and code, and none where all is well."""

import pytest

from guard.policy.lint import lint
from guard.terms import KeyLimits, Principal
from tests.support.policy import policies


def findings(*texts: str, keys: tuple[Principal, ...] = (), require_cover: bool = True) -> list[tuple[str, str]]:
    """Key path and code of every finding."""
    rules = policies(*texts, require_cover=require_cover)
    return [(found.path, found.code) for found in lint(rules, {}, keys)]


def key(name: str, *scopes: str, **limits: object) -> Principal:
    """A key of keys.json."""
    return Principal(name, name, frozenset(scopes), limits=KeyLimits(**limits))  # type: ignore[arg-type]


BOTH = '[instruments]\nmarkets = ["HK", "US"]\n'
HK = '[instruments]\nmarkets = ["HK"]\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[instruments]\nmarkets = ["HK"]\nsymbols = ["US.AAPL", "HK.*"]', [("instruments.symbols", "unreachable")]),
        (
            '[instruments]\nmarkets = ["HK"]\nblocked_symbols = ["US.*"]',
            [("instruments.blocked_symbols", "unreachable")],
        ),
        ('[instruments]\nmarkets = ["HK"]\nblocked_symbols = ["*"]', []),
        (
            '[instruments]\nmarkets = ["HK"]\nblocked_symbols = ["*", "*.GME"]',
            [("instruments.blocked_symbols", "unreachable")],
        ),
        ('[instruments]\nsymbols = ["HK.0*", "HK.?0700"]\nblocked_symbols = ["HK.00?00"]', []),
        ('[instruments]\nblocked_symbols = ["HK.09*", "HK.09110"]', []),
        (
            '[instruments]\nblocked_symbols = ["HK.0*", "HK.09110"]',
            [("instruments.blocked_symbols", "unreachable")],
        ),
        (
            '[instruments]\nsymbols = ["HK.03110", "HK.03433"]\nblocked_symbols = ["HK.09110"]',
            [("instruments.symbols", "unreachable")],
        ),
        ('[instruments]\nsymbols = ["HK.0*", "HK.00700", "US.AAPL"]', [("instruments.symbols", "unreachable")]),
        (
            '[instruments]\nsymbols = ["HK.00700", "US.GME"]\nblocked_symbols = ["hk.*"]',
            [("instruments.symbols", "unreachable")],
        ),
        (f'{HK}[hours]\nHK = "always"\nUS = "always"', [("hours.US", "unreachable")]),
        ('[instruments]\nmarkets = ["FUTURES_HK"]\n[hours]\nFUTURES = "always"', []),
        ('[instruments]\nmarkets = ["JP"]\n[orders]\nmax_premium = "1 JPY"', [("orders.max_premium", "unreachable")]),
        (
            '[orders]\ntypes = ["NORMAL"]\nmarket_buffer_percent = 5',
            [("orders.market_buffer_percent", "unreachable")],
        ),
        ('[orders]\ntypes = ["NORMAL", "STOP"]\nmarket_buffer_percent = 5', []),
        ('[reference]\nprice_collar_missing = "skip"', [("reference.price_collar_missing", "unreachable")]),
        ("[orders]\nsides = []\nmax_qty = 5", [("orders.sides", "unreachable")]),
        ("[orders]\nsides = []", []),
        (
            '[orders]\nmax_value = "10 HKD"\n[budgets]\ndaily_value = "9 HKD"',
            [("orders.max_value", "cap_above_parent")],
        ),
        ('[orders]\nmax_value = "10 HKD"\n[budgets]\ndaily_value = "0 HKD"', []),
        ('[orders]\nmax_value = "10 HKD"\n[budgets]\ndaily_value = "10 HKD"', []),
        ('[orders]\nmax_value = "10 USD"\nmax_premium = "11 USD"', [("orders.max_premium", "cap_above_parent")]),
        ('[instruments]\nmarkets = ["HK", "US"]\n[orders]\nmax_value = "1 HKD"', [("orders.max_value", "no_fx")]),
        (
            f'{BOTH}[orders]\nmax_value = "1 HKD"\n[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20',
            [],
        ),
        (f'{HK}[orders]\nmax_value = ["1 HKD", "1 JPY"]', [("orders.max_value", "unreachable")]),
        (f'{HK}[orders]\nmax_value = ["1 HKD", "1 CNH"]', []),
    ],
)
def test_lines_that_nothing_reaches_are_told(text: str, found: list[tuple[str, str]]) -> None:
    """By the policy's own lines alone."""
    assert findings(text) == found


def test_a_cap_above_that_of_a_policy_which_selects_all_the_same_callers_is_told() -> None:
    """The wider policy is the parent; one that selects others is none."""
    parent = "[orders]\nmax_qty = 5\nmax_value = '10 HKD'"
    child = "[applies_to]\nkeys = ['bot-*']\n[orders]\nmax_qty = 6\nmax_value = '11 HKD'"
    other = parent.replace("[orders]", "[applies_to]\nkeys = ['agent']\n[orders]")

    assert findings(parent, child) == [("orders.max_value", "cap_above_parent"), ("orders.max_qty", "cap_above_parent")]
    assert findings(other, child) == []


def test_a_policy_that_no_key_can_match_is_told() -> None:
    """Names, exceptions, environments and accounts; without any keys nothing is said."""
    bot = key("bot-a", "trade:real")

    for selectors in ('keys = ["agent"]', 'except_keys = ["bot-*"]', 'environments = ["simulate"]'):
        assert findings(f"[applies_to]\n{selectors}", keys=(bot,), require_cover=False) == [("applies_to", "no_key")]
        assert findings(f"[applies_to]\n{selectors}") == []
    tied = Principal("bot-a", "bot-a", frozenset({"trade:real"}), acc_ids=frozenset({1}))
    assert findings("[applies_to]\nkeys = []", keys=(tied,), require_cover=False) == [("applies_to", "no_key")]
    assert findings("[applies_to]\naccounts = [2]", keys=(tied,), require_cover=False) == [("applies_to", "no_key")]
    assert findings("[applies_to]\naccounts = [1]", keys=(tied,), require_cover=False) == []


def test_a_trading_key_that_no_money_limit_covers_is_told() -> None:
    """For each environment that it may trade in; its own limit covers it, and so does require_cover = false."""
    paper = '[applies_to]\nenvironments = ["simulate"]\n[orders]\nmax_value = "1 HKD"'
    both = key("bot", "trade:real", "trade:simulate")

    assert findings(paper, keys=(both,)) == [("keys.bot", "no_policy")]
    assert findings(paper, keys=(both,), require_cover=False) == []
    assert findings(paper, keys=(key("bot", "trade:simulate"),)) == []
    assert findings(paper, keys=(key("bot", "trade:real", "trade:simulate", max_order_value=5),)) == []
    assert findings(paper, keys=(key("reader", "qot:read"),)) == []


def test_a_key_s_own_cap_above_its_policy_s_is_told() -> None:
    """Its own limit is one more policy: above every amount of one that always binds it, it is never reached."""
    text = '[orders]\nmax_value = ["10 HKD", "20 USD"]'

    assert findings(text, keys=(key("bot", "trade:real", max_order_value=21),)) == [
        ("keys.bot.max_order_value", "cap_above_parent")
    ]
    assert findings(text, keys=(key("bot", "trade:real", max_order_value=20),)) == []


def test_a_finding_has_its_line_and_a_way_out() -> None:
    """File, line and what to do."""
    text = '[orders]\nmax_value = "10 HKD"\n[budgets]\ndaily_value = "9 HKD"'
    (found,) = lint(policies(text), {"p0.toml": text})

    assert (found.file, found.line, found.hint) == ("p0.toml", 2, "lower it, or raise the budget")
