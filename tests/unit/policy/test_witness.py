"""For each loosening an order is shown that was refused and now passes: at the boundary, evaluated by the rules."""

import pytest

from guard.codes import Code
from guard.policy.diff import RuleChange
from guard.policy.witness import confirmed
from tests.support.policy import policies

HK = '[instruments]\nmarkets = ["HK"]\n'


def loosened(before: str, after: str, rule: str) -> RuleChange:
    """The change of this rule."""
    (found,) = [change for change in confirmed(policies(before), policies(after)) if change.rule == rule]
    return found


@pytest.mark.parametrize(
    ("table", "before", "after", "code"),
    [
        ("orders.max_value", '"1000 HKD"', '"2000 HKD"', Code.MAX_ORDER_VALUE),
        ("orders.max_value", '"1000 HKD"', '["1000 HKD", "5 USD"]', Code.FX_UNAVAILABLE),
        ("orders.max_value", '"1000 HKD"', "", Code.MAX_ORDER_VALUE),
        ("orders.max_premium", '"10 USD"', '"11 USD"', Code.MAX_ORDER_VALUE),
        ("orders.max_underlying_value", '"10 USD"', '"10.01 USD"', Code.MAX_ORDER_VALUE),
        ("orders.max_qty", "10", "10.5", Code.MAX_ORDER_QTY),
        ("orders.max_qty", "10", "", Code.MAX_ORDER_QTY),
        ("orders.per_day", "10", "11", Code.ORDERS_PER_DAY),
        ("orders.sides", '["BUY"]', '["BUY", "SELL"]', Code.SIDE),
        ("orders.types", '["NORMAL"]', "", Code.ORDER_TYPE),
        ("orders.time_in_force", '["DAY"]', '["DAY", "GTC"]', Code.TIME_IN_FORCE),
        ("orders.price_collar_percent", "{ stock = 5 }", "{ stock = 5.5 }", Code.PRICE_COLLAR),
        ("orders.price_collar_percent", "{ option = 5 }", "", Code.PRICE_COLLAR),
        ("orders.duplicate_window_s", "5", "4", Code.DUPLICATE_ORDER),
        ("orders.duplicate_window_s", "5", "", Code.DUPLICATE_ORDER),
        ("instruments.markets", '["HK"]', '["HK", "FUTURES_US"]', Code.MARKET),
        ("instruments.symbols", '["HK.1*"]', '["HK.1*", "US.GME"]', Code.SYMBOL),
        ("instruments.blocked_symbols", '["US.GME"]', "", Code.SYMBOL),
        ("budgets.daily_value", '"1000 HKD"', '"1000.001 HKD"', Code.DAILY_VALUE),
        ("budgets.open_value", '"1000 HKD"', '"1001 HKD"', Code.OPEN_VALUE),
        ("budgets.open_orders", "5", "", Code.OPEN_ORDERS),
        ("rates.new_orders", '"5/10s"', '"5/9s"', Code.RATE),
        ("rates.changes", '"5/10s"', '"6/10s"', Code.RATE),
        ("rates.reads", '"5/10s"', "", Code.RATE),
        ("rates.cancels", '"5/10s"', '"9/10s"', Code.RATE),
    ],
)
def test_a_looser_limit_is_shown_by_an_order_at_its_boundary(table: str, before: str, after: str, code: Code) -> None:
    """One key is loosened; the order that shows it is refused by that key's rule."""
    name, _, key = table.partition(".")
    old, new = (f"[{name}]\n{key} = {value}" if value else f"[{name}]" for value in (before, after))
    found = loosened(old, new, table)

    assert found.kind == "looser"
    assert found.witness is not None
    assert found.witness.refused[0].code is code
    assert not found.witness.still


def test_the_share_of_a_blocked_counter_shows_that_a_pattern_of_counters_blocks_less() -> None:
    """The fund itself passes, which the entry for its dollar counter blocked."""
    before, after = (f'[instruments]\nblocked_symbols = ["{text}"]' for text in ("HK.09110", "HK.09*"))
    found = loosened(before, after, "instruments.blocked_symbols")

    assert found.witness is not None
    assert found.witness.refused[0].observed == "HK.03110"


@pytest.mark.parametrize(
    ("before", "after", "minute"),
    [
        ('"10:00-11:00"', '"10:00-11:05"', "03:00"),
        ('"10:00-11:00"', '"09:55-11:00"', "01:55"),
        ('"00:00-23:59"', '"00:00-24:00"', "15:59"),
    ],
)
def test_hours_are_shown_by_the_first_minute_that_is_open_now(before: str, after: str, minute: str) -> None:
    """In the market's own time, told in UTC."""
    found = loosened(f"{HK}[hours]\nHK = {before}", f"{HK}[hours]\nHK = {after}", "hours")
    assert found.witness is not None
    assert f"{found.witness.wall:%H:%M}" == minute


@pytest.mark.parametrize(("rule", "before", "after"), [("buffer_percent", 25, 10), ("max_age_days", 3, 4)])
def test_a_rate_that_is_believed_more_or_longer_is_shown(rule: str, before: int, after: int) -> None:
    """By an order in the other currency that is worth just the cap now, or on the first day after the old age."""
    text = f'[orders]\nmax_value = "1000 HKD"\n[fx]\nUSDHKD = "8"\nas_of = 2026-11-20\n{rule} = '
    found = loosened(f"{text}{before}", f"{text}{after}", f"fx.{rule}")
    assert found.witness is not None


def test_hours_that_ask_no_calendar_any_more_are_shown_by_a_saturday() -> None:
    """Around the clock is on trading days; "always" is always."""
    found = loosened(f'{HK}[hours]\nHK = "00:00-24:00"', f'{HK}[hours]\nHK = "always"', "hours")
    assert found.witness is not None
    assert f"{found.witness.wall:%a}" == "Sat"


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("applies_to.keys", '["bot-*"]', '["bot-a"]'),
        ("applies_to.except_keys", "", '["bot-*"]'),
        ("applies_to.environments", "", '["simulate"]'),
        ("applies_to.accounts", "[1, 2]", "[2]"),
        ("policy.expires_at", "", "2026-12-01T00:00:00Z"),
        ("policy.expires_at", "2026-12-01T00:00:00Z", "2026-11-25T00:00:00Z"),
    ],
)
def test_whoever_is_not_bound_any_more_is_named(field: str, before: str, after: str) -> None:
    """The key, account, environment or instant that the policy lets go, with an order that it refused."""
    name, _, key = field.partition(".")
    rest = "[orders]\nmax_qty = 5\n"
    old, new = (f"{rest}[{name}]\n" + (f"{key} = {value}" if value else "") for value in (before, after))
    found = loosened(old, new, field)

    assert found.witness is not None
    assert found.witness.refused[0].code is Code.MAX_ORDER_QTY


def test_a_policy_that_goes_or_is_only_watched_is_shown_limit_by_limit() -> None:
    """What nothing refuses any more."""
    text = '[policy]\nid = "a"\nmode = "{}"\n[orders]\nmax_qty = 5\n'
    (gone,) = confirmed(policies(text.format("enforce")), policies())
    watched = loosened(text.format("enforce"), text.format("shadow"), "policy.mode")

    assert gone.witness is not None
    assert watched.witness is not None
    assert str(gone.witness).endswith("BUY 6 HK.00700 at 0.001 (NORMAL, DAY)")


def test_what_another_policy_still_refuses_is_told() -> None:
    """The change is a loosening all the same; the order says who stands against it yet."""
    other = "[orders]\nmax_qty = 5"
    (found,) = confirmed(policies("[orders]\nmax_qty = 5", other), policies("[orders]\nmax_qty = 6", other))

    assert found.witness is not None
    assert [reason.policy for reason in found.witness.still] == ["p1"]


def test_cover_that_comes_is_shown() -> None:
    """An order that was refused as no_policy."""
    old, new = (
        policies("[orders]\nmax_qty = 5", require_cover=True),
        policies('[orders]\nmax_qty = 5\nmax_value = "5 HKD"', require_cover=True),
    )
    found = next(change for change in confirmed(old, new) if change.rule == "cover")

    assert found.witness is not None
    assert found.witness.refused[0].code is Code.NO_POLICY


def test_a_smaller_buffer_and_a_collar_that_skips_are_shown() -> None:
    """A market order that is worth less, and an order whose price is not known."""
    cap = '[orders]\nmax_value = "1000 HKD"\nmarket_buffer_percent = {}'
    assert loosened(cap.format(5), cap.format(1), "orders.market_buffer_percent").witness is not None
    collar = '[orders]\nprice_collar_percent = {{ stock = 5 }}\n[reference]\nprice_collar_missing = "{}"'
    found = loosened(collar.format("refuse"), collar.format("skip"), "reference.price_collar_missing")
    assert found.witness is not None


def test_a_price_that_is_believed_longer_is_shown() -> None:
    """A market order at a price that was too old: mixed by its order, and shown all the same."""
    text = '[orders]\nmax_value = "1000 HKD"\n[reference]\nprice_age_max_s = {}'
    found = loosened(text.format(2), text.format(5), "reference.price_age_max_s")

    assert found.kind == "mixed"
    assert found.witness is not None
    assert found.witness.refused[0].code is Code.PRICE_UNAVAILABLE


def test_what_is_no_order_is_told_in_its_own_words() -> None:
    """Reads, cancels and changes have limits too; what was used before is said."""
    for key, words in (("reads", "a read"), ("cancels", "a cancel"), ("changes", "change to BUY 1")):
        found = loosened(f'[rates]\n{key} = "2/10s"', f'[rates]\n{key} = "3/10s"', f"rates.{key}")
        assert found.witness is not None
        assert words in str(found.witness)
        assert f"after {key} 2, the last 9.999 s ago" in str(found.witness)


def test_where_no_order_is_found_nothing_is_claimed() -> None:
    """A policy that allows nothing lets nothing through, however large its limit."""
    assert (
        loosened("[orders]\nsides = []\nmax_qty = 5", "[orders]\nsides = []\nmax_qty = 6", "orders.max_qty").witness
        is None
    )
    assert loosened('[rights]\ntouch = "own"', '[rights]\ntouch = "account"', "rights.touch").witness is None
