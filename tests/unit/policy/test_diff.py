"""What a change of policies is called: each key by its own order, selectors and cover included."""

import msgspec
import pytest

from guard.policy.diff import compare, overall
from guard.policy.rows import RuleRow
from guard.policy.schema import FX, HOURS, TABLES, FxTable
from guard.policy.table import BY_PATH, ROWS
from tests.support.policy import policies

ALWAYS = "".join(
    f'{market} = "always"\n'
    for market in (
        "US CN HKCC SG JP AU MY CA HK_FUND US_FUND FUTURES_HK FUTURES_US FUTURES_SG FUTURES_JP".split()  # noqa: SIM905
    )
)


def kinds(before: str, after: str, *, require_cover: bool = False) -> dict[str, str]:
    """The kind of each change, by rule."""
    found = compare(policies(before, require_cover=require_cover), policies(after, require_cover=require_cover))
    return {change.rule: change.kind for change in found}


def test_the_table_names_every_key_once() -> None:
    """Rows and schema hold the same keys: nothing can be written that is not described, ordered and documented."""
    known = {f"{table}.{field}" for table, cls in TABLES.items() for field in cls.__struct_fields__}
    known |= {HOURS} | {f"{FX}.{field}" for field in FxTable.__struct_fields__}

    assert {row.path for row in ROWS} == known
    assert len(ROWS) == len(BY_PATH)


@pytest.mark.parametrize(
    ("table", "before", "after", "kind"),
    [
        ("orders", 'max_value = "100 HKD"', 'max_value = "200 HKD"', "looser"),
        ("orders", 'max_value = ["100 HKD", "5 USD"]', 'max_value = "100 HKD"', "tighter"),
        ("orders", 'max_value = ["100 HKD", "5 USD"]', 'max_value = ["90 HKD", "6 USD"]', "mixed"),
        ("orders", 'max_value = "100 HKD"', 'max_value = "100.00 HKD"', "neutral"),
        ("orders", 'max_value = "100 HKD"', "", "looser"),
        ("orders", "max_qty = 10", "max_qty = 9", "tighter"),
        ("orders", "", "max_qty = 9", "tighter"),
        ("orders", 'sides = ["BUY"]', 'sides = ["BUY", "SELL"]', "looser"),
        ("orders", 'sides = ["BUY"]', 'sides = ["SELL"]', "mixed"),
        ("orders", 'types = ["NORMAL", "MARKET"]', 'types = ["MARKET", "NORMAL"]', "neutral"),
        ("orders", "price_collar_percent = { stock = 5 }", "price_collar_percent = { stock = 6 }", "looser"),
        ("orders", "price_collar_percent = { stock = 5 }", "price_collar_percent = { option = 5 }", "mixed"),
        ("orders", "market_buffer_percent = 5", "", "neutral"),
        ("orders", "market_buffer_percent = 1", "market_buffer_percent = 2", "tighter"),
        ("orders", "duplicate_window_s = 5", "duplicate_window_s = 0", "looser"),
        ("instruments", 'symbols = ["HK.00700"]', 'symbols = ["hk.*"]', "looser"),
        ("instruments", 'symbols = ["HK.?"]', 'symbols = ["HK.*"]', "looser"),
        ("instruments", 'symbols = ["HK.*"]', 'symbols = ["HK.?"]', "tighter"),
        ("instruments", 'symbols = ["HK.*"]', 'symbols = ["HK.?????"]', "tighter"),
        ("instruments", 'symbols = ["HK.0*"]', 'symbols = ["HK.?????"]', "mixed"),
        ("instruments", 'blocked_symbols = ["US.GME"]', 'blocked_symbols = ["US.*"]', "tighter"),
        ("instruments", 'blocked_symbols = ["US.GME"]', "", "looser"),
        ("instruments", 'blocked_symbols = ["HK.09110", "HK.03110"]', 'blocked_symbols = ["HK.09110"]', "neutral"),
        ("instruments", 'blocked_symbols = ["HK.09110"]', 'blocked_symbols = ["HK.03110"]', "looser"),
        ("instruments", 'blocked_symbols = ["HK.09110"]', 'blocked_symbols = ["HK.09*"]', "mixed"),
        ("instruments", 'markets = ["FUTURES"]', 'markets = ["FUTURES_HK"]', "tighter"),
        ("budgets", 'daily_value = "5 HKD"', 'per = "account"\ndaily_value = "5 HKD"', "mixed"),
        ("budgets", 'per = "account"', 'per = "key"', "neutral"),
        ("budgets", 'daily_value = "5 HKD"', 'daily_value = "5 HKD"\nresets = "08:00 UTC"', "mixed"),
        ("rates", 'new_orders = "5/10s"', 'new_orders = "5/20s"', "tighter"),
        ("rates", 'new_orders = "5/10s"', 'new_orders = ["5/10s", "9/60s"]', "tighter"),
        ("rates", 'new_orders = "5/10s"', 'new_orders = "6/20s"', "mixed"),
        ("rates", 'new_orders = "5/10s"', 'new_orders = "0/1s"', "tighter"),
        ("rates", 'cancels = "5/10s"', "", "looser"),
        ("breaker", 'unknowns = "0/10s"', 'unknowns = "1/10s"', "neutral"),
        ("breaker", 'unknowns = "1/10s"', 'unknowns = "2/10s"', "looser"),
        ("rights", 'touch = "own"', 'touch = "account"', "looser"),
        ("rights", "", 'touch = "own"', "tighter"),
        ("reference", "price_age_max_s = 5", "price_age_max_s = 4", "mixed"),
        ("applies_to", 'keys = ["a"]', 'keys = ["*"]', "tighter"),
        ("applies_to", 'keys = ["a"]', "keys = []", "looser"),
        ("applies_to", 'except_keys = ["a"]', 'except_keys = ["a*"]', "looser"),
        ("applies_to", 'environments = ["real"]', "", "tighter"),
        ("applies_to", "accounts = [1, 2]", "accounts = [2, 3]", "mixed"),
        ("policy", "expires_at = 2026-12-01T00:00:00Z", "", "tighter"),
        ("policy", "expires_at = 2026-12-01T00:00:00Z", "expires_at = 2026-11-30T00:00:00Z", "looser"),
        ("policy", 'owner = "me"', 'owner = "you"', "neutral"),
    ],
)
def test_a_change_of_one_key_is_called_by_its_order(table: str, before: str, after: str, kind: str) -> None:
    """One key changes, everything else stays."""
    frame = '[instruments]\nblocked_symbols = ["HK.00001"]\n' if table == "applies_to" else ""
    found = compare(policies(f"{frame}[{table}]\n{before}"), policies(f"{frame}[{table}]\n{after}"))

    assert overall(found) == kind
    assert all(change.kind in change.words for change in found)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ('"10:00-12:00"', '"10:00-12:01"', "looser"),
        ('["10:00-11:00", "11:00-12:00"]', '"10:00-12:00"', "neutral"),
        ('"10:00-12:00"', '"always"', "looser"),
        ('"00:00-24:00"', '"always"', "looser"),
        ('"10:00-12:00"', '"11:00-13:00"', "mixed"),
        ('"22:00-02:00"', '["22:00-24:00", "00:00-02:00"]', "mixed"),
        ('["22:00-02:00", "03:00-04:00"]', '"22:00-02:00"', "tighter"),
    ],
)
def test_hours_are_compared_by_their_minutes(before: str, after: str, kind: str) -> None:
    """Where a window crosses midnight the day on which it begins matters as well."""
    assert kinds(f"[hours]\nHK = {before}\n{ALWAYS}", f"[hours]\nHK = {after}\n{ALWAYS}") == {"hours": kind}


def test_exchange_rates_change_more_than_themselves() -> None:
    """Rates that come loosen what refused a strange currency; where sums are kept they also add other orders up."""
    rates = '[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20\n'
    order, day = '[orders]\nmax_value = "9 HKD"\n', '[budgets]\ndaily_value = "9 HKD"\n'

    assert kinds(order, order + rates)["fx.rates"] == "looser"
    assert kinds(order + day, order + day + rates)["fx.rates"] == "mixed"
    assert kinds(order + rates, order + rates.replace("7.8", "7.9"))["fx.rates"] == "mixed"
    assert kinds(order + rates, order + rates + "buffer_percent = 2") == {"fx.buffer_percent": "tighter"}
    assert kinds("", rates) == {"fx.rates": "neutral", "fx.as_of": "neutral"}
    two = order.replace('"9 HKD"', '["9 HKD", "9 USD"]')
    assert kinds(order + rates, two + rates)["orders.max_value"] == "mixed"


def test_a_policy_that_comes_or_goes_is_told_limit_by_limit() -> None:
    """Coming tightens, going loosens, and each limit is named."""
    text = '[orders]\nmax_value = "5 HKD"\n[rates]\nnew_orders = "1/1s"'
    come = compare(policies("", text), policies(""))
    gone = compare(policies(""), policies("", text))

    assert {c.rule: c.kind for c in come} == {"orders.max_value": "looser", "rates.new_orders": "looser"}
    assert {c.rule: c.kind for c in gone} == {"orders.max_value": "tighter", "rates.new_orders": "tighter"}
    assert gone[0].words.startswith("policy added: orders.max_value")
    assert [c.words for c in compare(policies(""), policies("", "[policy]\nowner = 'x'"))] == [
        "policy added: it limits nothing"
    ]


def test_another_name_for_the_same_policy_changes_nothing_but_a_counter_of_its_own() -> None:
    """A limit for the whole policy stands on a counter that carries the policy's name."""
    text = '[policy]\nid = "{}"\n[budgets]\nper = "{}"\ndaily_value = "5 HKD"'

    assert kinds(text.format("a", "key"), text.format("b", "key")) == {"policy.id": "neutral"}
    assert overall(compare(policies(text.format("a", "policy")), policies(text.format("b", "policy")))) == "mixed"


def test_cover_that_comes_is_a_loosening() -> None:
    """Whom nothing covered was refused as no_policy: a money limit lets such trades through for the first time."""
    everyone = '[orders]\nmax_value = "5 HKD"'
    bots = f'[applies_to]\nkeys = ["bot-*"]\n{everyone}'

    assert kinds("", everyone, require_cover=True) == {"orders.max_value": "tighter", "cover": "looser"}
    assert kinds(bots, everyone, require_cover=True) == {"applies_to.keys": "tighter", "cover": "looser"}
    assert kinds(everyone, bots, require_cover=True) == {"applies_to.keys": "looser", "cover": "tighter"}
    assert kinds(everyone, '[orders]\nmax_value = "4 HKD"', require_cover=True) == {"orders.max_value": "tighter"}
    assert kinds("", everyone) == {"orders.max_value": "tighter"}
    short = f"[policy]\nexpires_at = 2026-12-01T00:00:00Z\n{everyone}"
    assert kinds(short, everyone, require_cover=True) == {"policy.expires_at": "tighter", "cover": "looser"}


def test_whether_cover_is_wanted_is_told() -> None:
    """`require_cover` belongs to the set, not to a policy."""
    was, now = policies("", require_cover=True), policies("")

    assert [(c.rule, c.kind) for c in compare(was, now)] == [("require_cover", "looser")]
    assert [(c.rule, c.kind) for c in compare(now, was)] == [("require_cover", "tighter")]


def test_who_is_bound_by_a_policy_that_gives_is_not_simply_more_limited() -> None:
    """A right to touch, or a small buffer, gives: selecting more with them is mixed."""
    for text in ('[rights]\ntouch = "account"', "[orders]\nmarket_buffer_percent = 1"):
        before = f'[applies_to]\nkeys = ["a"]\n{text}'
        assert kinds(before, f'[applies_to]\nkeys = ["*"]\n{text}') == {"applies_to.keys": "mixed"}


def test_a_buffer_beside_another_policy_s_is_not_called_looser_for_sure() -> None:
    """Left out is 5 only where nobody says otherwise."""
    other = "[orders]\nmarket_buffer_percent = 1"
    found = compare(policies("", other), policies("[orders]\nmarket_buffer_percent = 3", other))

    assert overall(found) == "mixed"


def test_a_row_knows_its_table_and_key() -> None:
    """A path is a table and a key, or a table alone."""
    row = BY_PATH["orders.max_value"]

    assert (row.table, row.key) == ("orders", "max_value")
    assert (BY_PATH["hours"].table, BY_PATH["hours"].key) == ("hours", "")
    assert isinstance(msgspec.structs.replace(row, says="x"), RuleRow)


def test_what_is_only_watched_changes_no_answer() -> None:
    """A shadow policy that comes or changes is neutral; one that is enforced from now on tightens, and back loosens."""
    shadow = '[policy]\nid = "a"\nmode = "shadow"\n[orders]\nmax_qty = {}'
    enforced = shadow.replace("shadow", "enforce")

    assert set(kinds("", shadow.format(1)).values()) == {"neutral"}
    assert kinds(shadow.format(1), shadow.format(2)) == {"orders.max_qty": "neutral"}
    assert kinds(shadow.format(1), enforced.format(1)) == {"policy.mode": "tighter"}
    assert kinds(enforced.format(1), shadow.format(1)) == {"policy.mode": "looser"}
