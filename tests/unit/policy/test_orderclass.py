"""Orders that are alike: what is known of one is not asked of the next, and what is answered is the same."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.codes import Code
from guard.policy import Judgement
from guard.policy.budgets import MoneyBudget
from guard.policy.rates import RateLimit
from guard.terms import LEDGER_UNIT, Account, Effect, Env, Instrument, KeyLimits, Missing, OrderType, Side, TimeInForce
from tests.support.policy import FRIDAY, PAPER, REAL, asked, caller, codes, order, policies
from tests.support.worlds import NOT_ASKED, position, quote, stock, world

TEXTS = (
    """\
[orders]
max_value = ["9000 HKD", "1000 USD"]
max_qty = 300
per_day = 5
[budgets]
daily_value = ["20000 HKD", "2000 USD"]
open_value = ["2500 HKD", "3000 USD"]
resets = "08:30 Asia/Hong_Kong"
""",
    """\
[budgets]
daily_value = ["30000 HKD", "900 USD"]
open_orders = 4
[rates]
new_orders = ["3/60s", "9/3600s"]
changes = "2/60s"
""",
    """\
[orders]
duplicate_window_s = 5
""",
    """\
[orders]
per_day = 7
max_value = "800 USD"
[budgets]
daily_value = "3000 USD"
per = "account"
[fx]
USDHKD = "7.8"
as_of = 2026-11-20
max_age_days = 5
""",
    """\
[applies_to]
accounts = [2]
[budgets]
open_orders = 0
open_value = "5000 HKD"
""",
    """\
[policy]
expires_at = 2026-11-20T06:00:00Z
[orders]
sides = ["BUY"]
[budgets]
open_value = "7000 HKD"
""",
    """\
[instruments]
markets = ["HK", "US"]
blocked_symbols = ["HK.00005"]
[hours]
HK = "09:30-12:01"
US = "always"
[orders]
price_collar_percent = { stock = 900 }
[reference]
price_collar_missing = "skip"
[budgets]
open_orders = 9
""",
)
LIMITS = KeyLimits(max_order_value=Decimal(2500), max_daily_value=Decimal(25_000), max_orders_per_minute=4)
ORDERS = st.builds(
    order,
    st.sampled_from(["1", "2", "50", "301"]),
    st.sampled_from(["10", "10", "9.99", "200"]),
    side=st.sampled_from([Side.BUY, Side.BUY, Side.SELL]),
    time_in_force=st.sampled_from([TimeInForce.DAY] * 3 + [TimeInForce.GTC]),
    order_type=st.sampled_from([OrderType.NORMAL] * 5 + [OrderType.MARKET]),
)
SEEN: st.SearchStrategy[Instrument | Missing] = st.sampled_from([NOT_ASKED, stock(currency="USD"), stock()])
ASKS = st.fixed_dictionaries(
    {
        "what": ORDERS | ORDERS.map(lambda one: order(one.qty, "10", market="US", code="AAPL", side=one.side)),
        "effect": st.sampled_from([Effect.ORDER_NEW] * 4 + [Effect.ORDER_CHANGE]),
        "account": st.sampled_from([REAL] * 4 + [PAPER, Account(Env.REAL, 2)]),
        "wall": st.sampled_from([0, 0, 0, 1, 119, 121, 1229, 1231, -700, 2_000]).map(
            lambda after_min: FRIDAY + timedelta(minutes=after_min)
        ),
        "world": st.none()
        | st.builds(world, st.sampled_from([NOT_ASKED, quote("9")]), what=SEEN, position=st.just(position("-60"))),
    }
)


def told(judgement: Judgement) -> tuple[Any, ...]:
    """All that a judgement says, but for the order of its claims, and for who made one that refuses nothing."""
    pairs = zip(judgement.claims, judgement.makers, strict=True)
    claims = sorted(((claim, claim.cap and maker) for claim, maker in pairs), key=lambda pair: repr(pair[0]))
    return judgement.reasons, claims, judgement.refusing, judgement.worth


@given(
    st.sets(st.integers(0, len(TEXTS) - 1), min_size=1),
    st.booleans(),
    st.lists(ASKS, min_size=6, max_size=12),
)
@settings(max_examples=100, deadline=None)
def test_what_is_known_of_others_changes_no_answer(chosen: set[int], has_limits: bool, asks: list[Any]) -> None:
    """Whatever was asked before, on whichever account and day: each order is judged as by rules that know of none."""
    texts, who = [TEXTS[n] for n in sorted(chosen)], caller(limits=LIMITS if has_limits else None)
    rules = policies(*texts)
    for small in (order("1", "1"), order("1", "1", market="US", code="AAPL")) * 2:
        asked(rules, small, who=who)
    for ask in asks:
        assert told(asked(rules, who=who, **ask)) == told(asked(rules.with_docs(rules.docs), who=who, **ask))


def test_rules_on_counters_are_asked_until_one_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the next order claims the same counters, and what it is worth itself; one that is too large is refused."""
    asks: Counter[str] = Counter()
    for kind in (MoneyBudget, RateLimit):
        judged = kind.judge

        def judge(rule: Any, proposal: Any, judged: Any = judged) -> Any:
            asks[rule.name] += 1
            return judged(rule, proposal)

        monkeypatch.setattr(kind, "judge", judge)
    limits = '[orders]\nmax_qty = 100\nmax_value = "100 HKD"\n'
    rules = policies(limits + '[budgets]\ndaily_value = "9000 HKD"\n[rates]\nnew_orders = "5/60s"')
    for code in ("00700", "00700", "00700", "00005", "00005"):
        judgement = asked(rules, order("100", "1", code=code))
    assert asks == {"budgets.daily_value": 3, "rates.new_orders": 3}  # new: as a shape, again; another shape

    for qty, price, against in (
        ("50", "2", []),
        ("101", "0.5", ["orders.max_qty"]),
        ("50", "2.1", ["orders.max_value"]),
    ):
        judgement = asked(rules, order(qty, price, code="00005"))
        assert [claim.amount for claim in judgement.claims] == [Decimal(qty) * Decimal(price) * LEDGER_UNIT, 1]
        assert [reason.rule for reason in judgement.reasons] == against
    assert asks["budgets.daily_value"] == 3


@pytest.mark.parametrize(("at", "day"), [("00:29:59", "19"), ("00:30:00", "20"), ("00:30:01", "20")])
def test_another_day_has_other_counters(at: str, day: str) -> None:
    """Orders that are alike on both sides of a reset, also where the clock is set back over it."""
    rules = policies('[budgets]\ndaily_value = "9000 HKD"\nresets = "08:30 Asia/Hong_Kong"\n[orders]\nper_day = 9')
    walls = [datetime.fromisoformat(f"2026-11-20T{text}").replace(tzinfo=UTC) for text in ("00:29:58", "00:30:02", at)]
    for wall in (walls[0], walls[1]):
        for _ in range(3):
            asked(rules, wall=wall)
    for _ in range(3):
        assert {claim.counter.split("|")[-1][:10] for claim in asked(rules, wall=walls[2]).claims} == {f"2026-11-{day}"}


def test_the_memory_for_orders_that_are_alike_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its size it starts anew, and answers the same."""
    monkeypatch.setattr("guard.policy.plan.SHAPES_MAX", 2)
    rules = policies('[budgets]\ndaily_value = "9000 HKD"')
    plan = rules.plan(caller(), Env.REAL, REAL, wall=FRIDAY)
    for acc_id in (1, 2, 3, 4, 3, 2, 1, 1):
        (claim,) = asked(rules, account=Account(Env.REAL, acc_id)).claims
        assert claim.counter.startswith("daily_value/")
        assert len(plan.classes) <= 2


def test_what_an_order_is_converted_into_is_worked_out_for_each() -> None:
    """A limit in another currency: what the order comes to there is not what it is worth."""
    rules = policies(TEXTS[3])
    for qty in ("10", "20", "39", "40"):
        claims = asked(rules, order(qty, "7.8")).claims
        assert [claim.amount for claim in claims] == [1, int(qty) * LEDGER_UNIT]


def test_an_order_that_only_reduces_is_no_more_like_others() -> None:
    """It is counted and refused by no budget, whatever is known of those that are not."""
    rules, seen = policies('[budgets]\ndaily_value = "9000 HKD"'), world(position=position("-60"))
    caps = [
        [claim.cap for claim in asked(rules, order(qty, "1"), world=seen).claims] for qty in ("70", "70", "60", "61")
    ]

    assert caps == [[9000 * LEDGER_UNIT]] * 2 + [[None], [9000 * LEDGER_UNIT]]


def test_what_is_learned_of_an_instrument_is_asked_of_its_next_order() -> None:
    """A symbol that passed while nothing was known of it is refused once the daemon says it is on a blocked one."""
    rules, adjusted = policies('[instruments]\nblocked_symbols = ["US.GME"]'), order(market="US", code="GME1")
    told = world(what=stock("US.GME1", kind="option", currency="USD", underlying="US.GME"))

    for seen, against in ((None, []), (world(), []), (told, [Code.SYMBOL]), (None, []), (told, [Code.SYMBOL])):
        assert codes(asked(rules, adjusted, world=seen)) == against
