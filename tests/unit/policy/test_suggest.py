"""Limits from use: percentiles by nearest rank, windows and days counted by key, and a policy that can be read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.policy.notation import CURRENCIES
from guard.policy.suggest import RATIONALE_CHARS_MAX, PastOrder, measures, percentile, policy_text, rounded_up
from guard.terms import Effect, Money
from tests.support.policy import doc

MORNING = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def use(amount: int = 100, *, at_s: int = 0, key: str = "bot", effect: Effect = Effect.ORDER_NEW) -> PastOrder:
    """A buy of one in Hong Kong."""
    wall = MORNING + timedelta(seconds=at_s)
    worth = Money(Decimal(amount), "HKD")
    return PastOrder(key, "real", effect, wall, "HK", "BUY", "NORMAL", "DAY", Decimal(1), worth)


def numbers(*uses: PastOrder) -> dict[str, tuple[int, int]]:
    """By key path: the largest number seen, and the suggested one."""
    return {found.path: (int(found.largest), int(found.value)) for found in measures(uses)}


@pytest.mark.parametrize(
    ("number", "rounded"),
    [("0.3", 1), ("7", 7), ("7.01", 8), ("100", 100), ("101", 110), ("1234", 1300), ("9999", 10000)],
)
def test_numbers_are_rounded_up_to_two_digits(number: str, rounded: int) -> None:
    """Never down: what was used fits."""
    assert rounded_up(Decimal(number)) == rounded


@given(st.lists(st.decimals(0, 1000, places=2), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_number_that_so_many_do_not_exceed(found: list[Decimal], rank: int) -> None:
    """Nearest rank, against its definition."""
    ordered = sorted(found)
    chosen = percentile(ordered, rank)

    def share(number: Decimal) -> float:
        return sum(other <= number for other in ordered) * 100 / len(ordered)

    assert share(chosen) >= rank
    assert all(share(number) < rank for number in ordered if number < chosen)


def test_days_windows_and_orders_are_counted_by_key() -> None:
    """Two keys do not add up; a window is (t-60, t]; a change counts for itself."""
    found = numbers(
        use(100),
        use(200, at_s=59),
        use(300, at_s=60),
        use(50, at_s=60, key="other"),
        use(400, at_s=86_400),
        use(900, at_s=61, effect=Effect.ORDER_CHANGE),
    )

    assert found["orders.max_value"][0] == 900
    assert found["budgets.daily_value"][0] == 600
    assert found["orders.per_day"][0] == 3
    assert found["rates.new_orders"] == (2, 3)
    assert found["rates.changes"][0] == 1


def test_one_wrong_zero_does_not_make_the_limit() -> None:
    """The 99th percentile and a quarter: an outlier among two hundred stays outside."""
    found = numbers(*(use(100, at_s=at * 60) for at in range(200)), use(1_000_000, at_s=12_000))

    assert found["orders.max_value"] == (1_000_000, 130)


def test_the_policy_can_be_read_and_only_watches() -> None:
    """Valid TOML in shadow, for these keys and this environment, with the percentiles beside each line."""
    text = policy_text([use(), use(key="agent")], environment="real", since="2026-11-13", until="2026-11-20")
    found = doc(text, "suggested-real.toml")

    assert found.policy.mode == "shadow"
    assert found.applies_to.keys == ("agent", "bot")
    assert found.orders.max_value == ("130 HKD",)
    assert "# HKD: p50 100, p95 100, p99 100, largest 100, of 2" in text


def test_the_percentiles_are_the_policys_rationale() -> None:
    """They stay with the policy, where remarks do not; of very many as many as a rationale takes."""
    found = doc(policy_text([use(100), use(300)], environment="real", since="2026-11-20", until="2026-11-21"))
    assert found.policy.rationale is not None
    first, *rest = found.policy.rationale.splitlines()
    assert first == "from the use of 2026-11-20 to 2026-11-21"
    assert "orders.max_value HKD: p50 100, p95 300, p99 300, largest 300, of 2" in rest
    assert "rates.new_orders 60s: p50 1, p95 2, p99 2, largest 2, of 2" in rest
    amount = Decimal(10**12 + 1) / 3
    many = [replace(use(), value=Money(amount, currency)) for currency in CURRENCIES]
    found = doc(policy_text(many, environment="real", since="2026-11-20", until="2026-11-21"))
    assert found.policy.rationale is not None
    assert 1_800 < len(found.policy.rationale) <= RATIONALE_CHARS_MAX
