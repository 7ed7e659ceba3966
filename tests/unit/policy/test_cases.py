"""Tests of policies: what their files may say, how they are run, and what is told when one fails."""

import pytest

from guard.policy.cases import run_tests
from guard.terms import KeyLimits
from tests.support.policy import policies

GIVEN = "[given]\nnow = 2026-11-20T12:00:00+08:00\n"
DESK = """
[policy]
id = "desk"
[orders]
max_value = "1000 HKD"
max_qty = 50
per_day = 3
duplicate_window_s = 5
market_buffer_percent = 0
[budgets]
daily_value = "5000 HKD"
open_orders = 2
open_value = "4000 HKD"
[rates]
new_orders = "2/10s"
changes = "1/10s"
cancels = "1/10s"
reads = "1/10s"
"""


def case(line: str, *, extra: str = "", policy: str = DESK, given: str = GIVEN) -> str:
    """Why the one case differs from what it expects; "" where it does not."""
    report = run_tests(policies(policy), {"desk_test.toml": f"{given}{extra}\n[[case]]\n{line}"})
    assert not report.errors, report.errors
    (ran,) = report.ran
    return ran.why


def wrong(text: str) -> tuple[int | None, str, str, str]:
    """The first thing that is wrong with a file: line, path, code and hint."""
    (error, *_) = run_tests(policies(DESK), {"desk_test.toml": text}).failures
    assert error.file == "desk_test.toml"
    return error.line, error.path, error.code, error.hint


ORDER = 'order = { symbol = "HK.00700", qty = 10, price = 100 }'
OVER = 'order = { symbol = "HK.00700", qty = 10, price = 100.001 }'


def test_what_is_not_listed_is_expected_to_be_refused() -> None:
    """A case without an expectation passes when the order is refused, for whatever reason."""
    assert case(OVER) == ""
    assert case(ORDER) == "expected to be refused, but is allowed"
    assert case(f'{ORDER}\nexpect = "allow"') == ""


def test_codes_are_exactly_those_of_the_refusal() -> None:
    """All codes, the primary one first."""
    both = 'order = { symbol = "HK.00700", qty = 51, price = 30 }'

    assert case(f'{OVER}\ncodes = "max_order_value"') == ""
    assert case(f'{both}\ncodes = ["max_order_qty", "max_order_value"]') == ""
    assert case(f'{both}\ncodes = ["max_order_value", "max_order_qty"]').startswith("expected max_order_value, max_o")
    assert case(f'{both}\ncodes = "max_order_qty"').startswith("expected max_order_qty, refused: max_order_qty, max_")
    assert case(f'{ORDER}\ncodes = "rate"') == "expected to be refused with rate, but is allowed"


def test_an_allowed_order_that_is_refused_says_why() -> None:
    """Codes, the message, policy and rule."""
    told = case(f'{OVER}\nexpect = "allow"')

    assert told.startswith(
        "expected to be allowed, but refused: max_order_value: order value 1000.01 HKD is above 1000"
    )
    assert told.endswith("(desk, orders.max_value)")


@pytest.mark.parametrize(
    ("usage", "codes"),
    [
        ('daily_value = "4000 HKD"', ""),
        ('daily_value = "4000.0001 HKD"', "daily_value"),
        ('daily_value = "9999 USD"', ""),
        ('open_value = "3000 HKD"', ""),
        ('open_value = ["3000.0001 HKD", "1 USD"]', "open_value"),
        ("per_day = 2", ""),
        ("per_day = 3", "orders_per_day"),
        ("open_orders = 1", ""),
        ("open_orders = 2", "open_orders"),
        ("new_orders_s_ago = [1]", ""),
        ("new_orders_s_ago = [1, 9.999]", "rate"),
        ("new_orders_s_ago = [1, 10]", ""),
        ("same_order_s_ago = [4.999]", "duplicate_order"),
        ("same_order_s_ago = [5]", ""),
    ],
)
def test_usage_stands_on_the_counters_that_the_order_meets(usage: str, codes: str) -> None:
    """At the cap passes, one step more does not; a window is (t-w, t]."""
    expected = f'codes = "{codes}"' if codes else 'expect = "allow"'

    assert case(f"{ORDER}\nusage = {{ {usage} }}\n{expected}") == ""


@pytest.mark.parametrize("action", ["change", "cancel", "read"])
def test_a_change_a_cancel_and_a_read_meet_their_own_rates(action: str) -> None:
    """A change is judged like the order that it leads to; the others have no order."""
    what = f'action = "{action}"' + (f"\n{ORDER}" if action == "change" else "")

    assert case(f'{what}\nexpect = "allow"') == ""
    assert case(f'{what}\nusage = {{ {action}s_s_ago = [3] }}\ncodes = "rate"') == ""


def test_reference_data_is_what_the_file_says() -> None:
    """Without a price a market order has no value; a position lets an exit pass a full budget."""
    market = 'order = { symbol = "HK.00700", type = "MARKET", qty = 10, side = "SELL" }'
    price = '[reference."HK.00700"]\nlast = 100\n'

    assert case(f'{market}\ncodes = "price_unavailable"') == ""
    assert case(f'{market}\nexpect = "allow"', extra=price) == ""
    assert case(f'{market}\ncodes = "price_unavailable"', extra=f"{price}age_s = 5.001") == ""
    full = f'{market}\nusage = {{ daily_value = "5000 HKD" }}'
    assert case(f'{full}\ncodes = "daily_value"', extra=price) == ""
    assert case(f'{full}\nexpect = "allow"', extra=f"{price}position = 10") == ""
    assert case(f'{full}\ncodes = "daily_value"', extra=f"{price}position = 9") == ""


def test_an_option_stands_for_what_it_is_on() -> None:
    """Strike, multiplier and the price of the underlying are reference data too."""
    policy = '[orders]\nmax_underlying_value = "20000 USD"'
    known = (
        '[reference."US.AAPL260116C200000"]\nkind = "option"\nmultiplier = 100\nstrike = 200\nunderlying = "US.AAPL"\n'
        '[reference."US.AAPL"]\nlast = {}\n'
    )
    what = 'order = { symbol = "US.AAPL260116C200000", qty = 1, price = 3 }'

    assert case(f'{what}\nexpect = "allow"', policy=policy, extra=known.format(200)) == ""
    assert case(f'{what}\ncodes = "max_order_value"', policy=policy, extra=known.format("200.01")) == ""
    assert case(f'{what}\ncodes = "reference_unavailable"', policy=policy) == ""


def test_a_market_s_day_closes_and_opens() -> None:
    """Holidays and half-days are said by the file; by default Monday to Friday are trading days."""
    policy = '[instruments]\nmarkets = ["HK"]\n[hours]\nHK = "09:30-16:00"\n'

    assert case(f'{ORDER}\nexpect = "allow"', policy=policy) == ""
    assert case(f'{ORDER}\ncodes = "hours"\nnow = 2026-11-21T12:00:00+08:00', policy=policy) == ""
    assert case(f'{ORDER}\ncodes = "hours"', policy=policy, extra="[market.HK]\ntrading_day = false") == ""
    half = "[market.HK]\ntrading_day = true\nhalf_day = true"
    assert case(f'{ORDER}\ncodes = "hours"', policy=policy, extra=half) == ""
    assert case(f'{ORDER}\nexpect = "allow"\nnow = 2026-11-20T11:59:00+08:00', policy=policy, extra=half) == ""


def test_a_key_may_bring_limits_of_its_own() -> None:
    """They are written in the file; those of keys.json and the start-up flags are not looked at."""
    own = "[keys.small]\nmax_order_value = 10\n"
    flagged = policies(DESK, flags=KeyLimits(max_orders_per_minute=0))

    assert case(f'{ORDER}\nkey = "small"\ncodes = "max_order_value"\npolicies = "key:small"', extra=own) == ""
    assert run_tests(flagged, {"a_test.toml": f'{GIVEN}[[case]]\n{ORDER}\nexpect = "allow"'}).failures == ()


def test_the_refusing_policies_and_the_largest_quantity_may_be_expected() -> None:
    """Both are compared where they are given."""
    what = 'order = { symbol = "HK.00700", qty = 20, price = 100 }\ncodes = "max_order_value"'

    assert case(f'{what}\npolicies = "desk"\nlargest_qty = 10') == ""
    assert "expected to be refused by other, but is by desk" in case(f'{what}\npolicies = "other"')
    assert case(f"{what}\nlargest_qty = 11") == "expected largest_qty 11, but it is 10"


def test_a_matrix_refuses_what_it_does_not_allow() -> None:
    """Every combination is a case of its own."""
    policy = '[policy]\nid = "p"\n[applies_to]\nkeys = ["buyer"]\n[orders]\nsides = ["BUY"]'
    matrix = (
        f'{GIVEN}[[matrix]]\norder = {{ symbol = "HK.00700", price = 1 }}\nkeys = ["buyer", "free"]\n'
        'sides = ["BUY", "SELL"]\nallow = [{ key = "free", side = ["BUY", "SELL"] }, { key = "buyer", side = "BUY" }]'
    )
    report = run_tests(policies(policy), {"a_test.toml": matrix})

    assert [ran.name for ran in report.ran] == [
        "matrix: buyer real HK.00700 BUY NORMAL",
        "matrix: buyer real HK.00700 SELL NORMAL",
        "matrix: free real HK.00700 BUY NORMAL",
        "matrix: free real HK.00700 SELL NORMAL",
    ]
    assert report.failures == ()
    less = matrix.replace('{ key = "free", side = ["BUY", "SELL"] }, ', "")
    assert len(run_tests(policies(policy), {"a_test.toml": less}).failures) == 2


@pytest.mark.parametrize(
    ("text", "line", "path", "code", "hint"),
    [
        ("[given", None, "", "bad_toml", ""),
        ("", None, "", "bad_value", ""),
        (f"{GIVEN}[[case]]\n{ORDER}\nexpects = 1", 3, "case[0]", "unknown_key", "did you mean expect?"),
        (f"{GIVEN}[[case]]\n{ORDER}\n[[case]]\norder = {{ symbl = 1 }}", 5, "case[1].order", "unknown_key", "did you"),
        (
            f'{GIVEN}[[case]]\n{ORDER}\ncodes = "max_order_valu"',
            3,
            "case[0].codes",
            "bad_value",
            "did you mean max_order_value?",
        ),
        (f'{GIVEN}[[case]]\n{ORDER}\nexpect = "allow"\ncodes = "rate"', 3, "case[0].codes", "bad_value", "leave out"),
        (f"{GIVEN}[[case]]", 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\n{ORDER}\naction = "cancel"', 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\norder = {{ symbol = "00700" }}', 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\norder = {{ symbol = "XX.1" }}', 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\norder = {{ symbol = "HK.1", market = "US" }}', 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\norder = {{ symbol = "HK.1", side = "B" }}', 3, "case[0]", "bad_value", ""),
        (f'{GIVEN}[[case]]\n{ORDER}\nusage = {{ daily_value = "5" }}', 3, "case[0]", "bad_value", ""),
        (f"{GIVEN}[market.UK]\n[[case]]\n{ORDER}", 4, "case[0]", "bad_value", ""),
        ("[given]\nnow = 2026-11-20T12:00:00", None, "given.now", "bad_value", "write 2026"),
        (f"{GIVEN}[[case]]\n{ORDER}", 3, "", "test_failed", "guard policy test"),
        (f"{GIVEN}[[case]]\norder = {{ symbol = 'HK.1', qty = inf }}", None, "case[0].order.qty", "bad_number", ""),
        (f"{GIVEN}[[case]]\norder = {{ symbol = 'HK.1', qty = 1e99999 }}", None, "case[0].order.qty", "bad_number", ""),
        (f"{GIVEN}[[case]]\n{ORDER}\nusage = {{ new_orders_s_ago = [-1] }}", 3, "case[0]", "bad_value", ""),
        ("#" * 300_000, None, "", "too_large", "split"),
        (
            f"{GIVEN}[[matrix]]\nkeys = {['a'] * 101}\nsymbols = {['a'] * 101}",
            None,
            "",
            "too_large",
            "split",
        ),
    ],
)
def test_what_means_nothing_is_told_with_its_place(
    text: str, line: int | None, path: str, code: str, hint: str
) -> None:
    """File, line of the case, key path, code, and what may have been meant."""
    found = wrong(text)

    assert found[:3] == (line, path, code)
    assert found[3].startswith(hint)
