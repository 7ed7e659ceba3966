"""Budget days and orders that outlive them, and sums of converted money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.limits import set_targets, settle
from guard.policy import fill_cell, meters
from guard.policy.cells import parts_of
from guard.policy.periods import RESETS, RESETS_OF_CURRENCY
from guard.terms import Claim, Conversion, Effect, KeyLimits, Outcome, PlaceOrder, TimeInForce, Valuation, Verdict
from tests.support.policy import FRIDAY, Book, asked, caller, codes, order, policies
from tests.support.worlds import future, stock, world

DAY = '[budgets]\ndaily_value = "1000 HKD"'
OWN = DAY + '\nresets = "00:00 UTC"'
GTC: dict[str, Any] = {"time_in_force": TimeInForce.GTC}
AAPL = {"market": "US", "code": "AAPL"}
HELD = "daily_value/key=bot-a;real|HKD"


def claim_of(text: str, what: PlaceOrder, wall: datetime = FRIDAY) -> Claim:
    """The only claim that this policy makes."""
    (claim,) = asked(text, what, wall=wall).claims
    return claim


def accepted(book: Book, step: str) -> None:
    """The daemon took the order."""
    settle(book.state, step, Outcome(Verdict.ACCEPTED, order_id=step), t_us=0)


def test_a_good_till_cancelled_order_holds_its_value_outside_of_every_day() -> None:
    """Its cell has no period; each day's cells count against its cap, and it against theirs."""
    gtc, day = claim_of(DAY, order(**GTC)), claim_of(DAY, order())

    assert gtc.counter == f"{HELD}|gtc"
    assert gtc.also == (day.counter, *day.also[:-1])
    assert day.also[-1] == gtc.counter
    own = claim_of(OWN, order(**GTC))
    assert own.counter == f"{HELD}|gtc@00:00 UTC,all"
    assert own.also == (f"{HELD}|2026-11-20@00:00 UTC,all",)


@pytest.mark.parametrize("text", [DAY, OWN])
def test_what_still_works_counts_in_the_next_day_too(text: str) -> None:
    """A day order of yesterday is over, a good-till-cancelled one is not."""
    rules, book, tomorrow = policies(text), Book(), FRIDAY + timedelta(days=1)
    assert not book.place(asked(rules, order("60", "10", **GTC)))
    assert not book.place(asked(rules, order("40", "10")))
    assert [r.code for r in book.reasons(asked(rules, order("1", "1")))] == [Code.DAILY_VALUE]

    assert not book.reasons(asked(rules, order("40", "10"), wall=tomorrow))
    assert book.reasons(asked(rules, order("40.1", "10"), wall=tomorrow))
    assert book.reasons(asked(rules, order("40.1", "10", **GTC), wall=tomorrow))


def test_a_fill_moves_to_the_day_of_the_fill() -> None:
    """Filled on Saturday's budget day: it is spent there, and on Sunday's there is room again."""
    rules, book = policies(DAY), Book()
    saturday, sunday = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
    judgement = asked(rules, order("100", "10", **GTC))
    assert not book.place(judgement)
    accepted(book, "step-1")
    filled = fill_cell(judgement.claims[0].counter, market="HK", wall=saturday)
    assert filled == f"{HELD}|2026-11-21@08:30 Asia/Hong_Kong"

    set_targets(book.state, "step-1", {judgement.claims[0].counter: 4_000_000, filled: 6_000_000}, t_us=0)
    for wall, room in ((FRIDAY, "60"), (saturday, "0"), (sunday, "60")):
        reasons = book.reasons(asked(rules, order("1", room if room != "0" else "0.001"), wall=wall))
        assert bool(reasons) is (room == "0")
    assert book.reasons(asked(rules, order("1", "600.001"), wall=sunday))
    assert not book.reasons(asked(rules, order("1", "600"), wall=sunday))


@pytest.mark.parametrize(
    ("counter", "market", "cell"),
    [
        ("daily_value/key=a;real|HKD|gtc", "HK", "daily_value/key=a;real|HKD|2026-11-20@08:30 Asia/Hong_Kong"),
        ("daily_value/key=a;real|USD|gtc", "US", "daily_value/key=a;real|USD|2026-11-19@04:00 America/New_York"),
        (
            "daily_value/key=a;real|USD+HKD|gtc",
            "HK",
            "daily_value/key=a;real|USD+HKD|2026-11-20@08:30 Asia/Hong_Kong",
        ),
        (
            "daily_value/key=a;real|USD|gtc@08:30 Asia/Hong_Kong,all",
            "US",
            "daily_value/key=a;real|USD|2026-11-20@08:30 Asia/Hong_Kong,all",
        ),
        ("daily_value/key=a;real|HKD|2026-11-19@x", "HK", "daily_value/key=a;real|HKD|2026-11-19@x"),
        ("open_value/key=a;real|HKD", "HK", "open_value/key=a;real|HKD"),
    ],
)
def test_where_a_fill_is_counted(counter: str, market: str, cell: str) -> None:
    """A day order's fill stays where it was reserved, a good-till-cancelled one's goes to the present period."""
    assert fill_cell(counter, market=market, wall=FRIDAY) == cell


def test_a_counter_that_names_no_reset_is_a_bug() -> None:
    """Counters come from claims."""
    with pytest.raises(AssertionError):
        fill_cell("daily_value/key=a|HKD|gtc@noon,all", market="HK", wall=FRIDAY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # clocks go back in New York at 02:00 on 1 November: the day that begins on 31 October has 25 hours
        (datetime(2026, 11, 1, 8, 59, 59, tzinfo=UTC), datetime(2026, 11, 1, 9, tzinfo=UTC)),
        # and forward on 8 March: the day that begins on 7 March has 23
        (datetime(2026, 3, 8, 7, 59, 59, tzinfo=UTC), datetime(2026, 3, 8, 8, tzinfo=UTC)),
    ],
)
def test_w15_a_day_of_23_or_25_hours_turns_at_the_same_local_time(before: datetime, after: datetime) -> None:
    """W15: 04:00 in New York, whatever UTC says; a good-till-cancelled order counts on both sides."""
    rules, book = policies('[budgets]\ndaily_value = "1000 USD"'), Book()
    assert not book.place(asked(rules, order("50", "10", **GTC, **AAPL), wall=before))
    assert not book.place(asked(rules, order("50", "10", **AAPL), wall=before))

    assert book.reasons(asked(rules, order("1", "1", **AAPL), wall=before))
    assert not book.reasons(asked(rules, order("50", "10", **AAPL), wall=after))
    assert book.reasons(asked(rules, order("51", "10", **AAPL), wall=after))


def test_meters_count_what_outlives_the_day() -> None:
    """The cell of good-till-cancelled orders is part of what is used."""
    meter = next(meter for meter in meters(policies(OWN), caller(), wall=FRIDAY) if meter.subject.endswith("real"))

    assert meter.counter == f"{HELD}|2026-11-20@00:00 UTC,all"
    assert meter.also == (f"{HELD}|gtc@00:00 UTC,all",)


def test_a_change_of_a_good_till_cancelled_order_claims_its_cell() -> None:
    """A target on the same cell, on whatever day it is changed."""
    rules = policies(DAY)
    new = asked(rules, order(**GTC)).claims[0].counter
    changed = asked(rules, order(**GTC), effect=Effect.ORDER_CHANGE, wall=FRIDAY + timedelta(days=9)).claims[0].counter

    assert new == changed


# ---------------------------------------------------------------- converted money

FX = '\n[fx]\nUSDHKD = "7.80"\nUSDJPY = "156"\nas_of = 2026-11-20\nbuffer_percent = 1'


def test_w08_converted_orders_share_one_counter_with_the_caps_own() -> None:
    """W08: everything in dollars: what is converted is named, and every reset of these currencies is a part."""
    rules, book = policies('[budgets]\ndaily_value = "1000 USD"' + FX), Book()
    hk, us = asked(rules, order("100", "10")).claims[0], asked(rules, order("1", "10", **AAPL)).claims[0]

    assert hk.counter == "daily_value/key=bot-a;real|USD+HKD+JPY|2026-11-20@08:30 Asia/Hong_Kong"
    assert us.counter == "daily_value/key=bot-a;real|USD+HKD+JPY|2026-11-19@04:00 America/New_York"
    assert us.counter in hk.also
    assert hk.counter in us.also
    assert len(hk.also) == len(parts_of(("USD", "HKD", "JPY")))
    assert hk.amount == 1_294_872  # 1000 / 7.8 x 1.01 = 129.4871…, rounded up
    assert not book.place(asked(rules, order("700", "10")))
    assert not book.place(asked(rules, order("9", "10", **AAPL)))
    (reason,) = book.place(asked(rules, order("100", "10", market="JP", code="7203")))
    assert (reason.code, reason.observed, reason.unit) == (Code.DAILY_VALUE, "1002.8847", "USD")


def test_w08_the_valuation_records_rate_date_and_buffer() -> None:
    """W08: once for each conversion that was met, however many limits met it."""
    text = '[orders]\nmax_value = "1000 USD"\n[budgets]\ndaily_value = "1000 USD"\nopen_value = "1000 USD"' + FX
    found = asked(text, order("78", "10")).worth

    assert isinstance(found, Valuation)
    (met,) = found.fx
    assert isinstance(met, Conversion)
    assert (met.value.amount, met.rate, met.buffer_percent) == (Decimal(101), "USDHKD 7.8", Decimal(1))
    own = asked(text, order("1", "1", **AAPL)).worth
    assert isinstance(own, Valuation)
    assert own.fx == ()


@pytest.mark.parametrize(("days", "found"), [(5, []), (6, [Code.FX_UNAVAILABLE])])
def test_w08_stale_rates_refuse(days: int, found: list[Code]) -> None:
    """W08: on the last day they are believed, a day later not; an order in the cap's currency needs none."""
    text = '[orders]\nmax_value = "1000 USD"' + FX
    wall = FRIDAY + timedelta(days=days)

    assert codes(asked(text, order("78", "10"), wall=wall)) == found
    assert not codes(asked(text, order("1", "1", **AAPL), wall=wall))


@pytest.mark.parametrize(("price", "is_allowed"), [("77.2277", True), ("77.228", False)])
def test_w08_a_converted_value_meets_its_cap_inclusively(price: str, *, is_allowed: bool) -> None:
    """W08: 100 x 77.2277 / 7.8 x 1.01 is just below 1000 dollars."""
    judgement = asked('[orders]\nmax_value = "1000 USD"' + FX, order("100", price))

    assert codes(judgement) == ([] if is_allowed else [Code.MAX_ORDER_VALUE])
    if not is_allowed:
        (reason,) = judgement.reasons
        assert (reason.observed, reason.limit, reason.unit) == ("1000.0036", "1000", "USD")
        assert reason.message.endswith("= 7722.8 HKD; in USD at USDHKD 7.8 of 2026-11-20 + 1 %")


def test_two_policies_with_different_rates_fold_to_the_tighter_cap_and_the_larger_amount() -> None:
    """They add up the same thing, so they share the counter."""
    dear = '[budgets]\ndaily_value = "1000 USD"\n[fx]\nUSDHKD = "7.5"\nas_of = 2026-11-20'
    cheap = '[budgets]\ndaily_value = "900 USD"\n[fx]\nUSDHKD = "8"\nas_of = 2026-11-20'
    (claim,) = asked(policies(dear, cheap), order("600", "10")).claims

    assert (claim.amount, claim.cap) == (8_000_000, 9_000_000)


def test_a_currency_that_is_a_stranger_to_its_market_is_counted_once() -> None:
    """A yen future in the United States: its own reset is none of the yen's, so it stands on the first of those."""
    rules = policies('[budgets]\ndaily_value = "1000 JPY"')
    where = world(what=future("US.NKD2612", currency="JPY", multiplier="5"))
    claim = asked(rules, order("1", "10", market="FUTURES_US", code="NKD2612"), world=where).claims[0]
    cells = {claim.counter, *claim.also}

    other = asked(rules, order("1", "10", market="JP", code="7203")).claims[0]
    assert cells == {other.counter, *other.also}
    assert len(cells) == len(RESETS_OF_CURRENCY["JPY"]) + 1


def test_a_currency_that_no_market_has_is_counted_by_every_reset() -> None:
    """Only a key's bare number can meet one."""
    who = caller(limits=KeyLimits(max_daily_value=Decimal(100)))
    claim = asked(policies(), order("1", "10"), who=who, world=world(what=stock(currency="EUR"))).claims[0]

    assert claim.counter.startswith("daily_value/key=bot-a;real|EUR|")
    assert len(claim.also) == len(RESETS)
