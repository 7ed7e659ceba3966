"""Money and orders in a day."""

from datetime import UTC, datetime, timedelta

import pytest

from guard.codes import Code
from guard.policy.periods import RESETS
from guard.terms import Claim, Effect, KeyLimits, OrderType
from tests.support.policy import FRIDAY, PAPER, Book, asked, caller, codes, order, policies

DAY = '[budgets]\ndaily_value = ["500000 HKD", "64000 USD"]'


def claim_of(text: str, **kwargs: object) -> Claim:
    """The only claim that this policy makes."""
    (claim,) = asked(text, **kwargs).claims  # type: ignore[arg-type]
    return claim


def test_an_order_holds_its_value_on_the_counter_of_its_day() -> None:
    """The claim is a target in ledger units; the period is part of the counter's name."""
    claim = claim_of(DAY)

    assert (claim.kind, claim.amount, claim.cap) == ("spend", 10_000_000, 5_000_000_000)
    assert claim.counter == "daily_value/key=bot-a;real|HKD|2026-11-20@08:30 Asia/Hong_Kong"


@pytest.mark.parametrize(("price", "is_allowed"), [("999.99999", True), ("1000", True), ("1000.00001", False)])
def test_the_day_is_inclusive(price: str, *, is_allowed: bool) -> None:
    """Orders that add up to the cap pass; one tick more does not."""
    rules, book = policies(DAY), Book()

    assert book.place(asked(rules, order("400", "1000"))) == ()
    assert (book.place(asked(rules, order("100", price))) == ()) is is_allowed


def test_a_refusal_tells_what_the_day_would_have_become() -> None:
    """Observed is what is used and what was asked, in the currency's own unit."""
    rules, book = policies(DAY), Book()
    book.place(asked(rules, order("400", "1000")))

    (reason,) = book.place(asked(rules, order("101", "1000")))
    assert (reason.code, reason.rule) == (Code.DAILY_VALUE, "budgets.daily_value")
    assert (reason.observed, reason.limit, reason.unit) == ("501000", "500000", "HKD")
    assert reason.message == "daily value would become 501000 HKD, above 500000 HKD"


def test_w15_the_day_turns_before_the_market_opens() -> None:
    """W15: what was spent yesterday is spent; at 08:30 in Hong Kong there is room again, at 00:00 UTC not."""
    rules, book, full = policies(DAY), Book(), order("500", "1000")

    assert book.place(asked(rules, full)) == ()
    assert book.place(asked(rules, full, wall=datetime(2026, 11, 21, 0, 29, 59, tzinfo=UTC)))
    assert book.place(asked(rules, full, wall=datetime(2026, 11, 21, 0, 30, tzinfo=UTC))) == ()


def test_w08_each_currency_is_counted_by_itself() -> None:
    """W08: dollars of one kind leave room for dollars of another; a third kind has no amount and is refused."""
    rules, book = policies(DAY), Book()

    assert book.place(asked(rules, order("500", "1000"))) == ()
    assert book.place(asked(rules, order("640", "100", market="US", code="AAPL"))) == ()
    assert codes(asked(rules, order("1", "1", market="SG", code="D05"))) == [Code.FX_UNAVAILABLE]


@pytest.mark.parametrize(("market", "code"), [("HK", "09834"), ("HK_FUND", "09834"), ("CA", "DLR.U")])
def test_dollars_are_counted_in_the_day_of_the_market_that_they_are_spent_in(market: str, code: str) -> None:
    """New York's day ends at 16:00 in Hong Kong, before its closing auction: no new day for what trades there."""
    rules, book = policies('[budgets]\ndaily_value = "10000 USD"'), Book()
    before, after = (datetime(2026, 7, 2, hour, 30, tzinfo=UTC) for hour in (7, 8))
    mine = asked(rules, order("600", "10", market=market, code=code), wall=before)
    assert not book.place(mine)
    again = asked(rules, order("600", "10", market=market, code=code), wall=after)
    assert [reason.code for reason in book.reasons(again)] == [Code.DAILY_VALUE]
    home = asked(rules, order("600", "10", market="US", code="AAPL"), wall=after)
    assert [reason.code for reason in book.reasons(home)] == [Code.DAILY_VALUE]


def test_parts_with_different_resets_add_up() -> None:
    """A currency traded in markets with different resets has one cap: the claim counts the other parts too."""
    share = claim_of('[budgets]\ndaily_value = "1000 HKD"')

    assert share.also == (
        "daily_value/key=bot-a;real|HKD|2026-11-20@06:00 Asia/Hong_Kong",
        "daily_value/key=bot-a;real|HKD|gtc",
    )


def test_a_reset_of_its_own_makes_one_counter() -> None:
    """With `resets` all markets share one day, and the counter is another one than the markets' own."""
    text = DAY + '\nresets = "08:30 Asia/Hong_Kong"'
    claim, plain = claim_of(text), claim_of(DAY)

    assert claim.counter == "daily_value/key=bot-a;real|HKD|2026-11-20@08:30 Asia/Hong_Kong,all"
    assert claim.also == ("daily_value/key=bot-a;real|HKD|gtc@08:30 Asia/Hong_Kong,all",)
    assert claim.counter != plain.counter
    us = claim_of(text, what=order(market="US", code="AAPL"))
    assert us.counter.endswith("|USD|2026-11-20@08:30 Asia/Hong_Kong,all")


@pytest.mark.parametrize(
    ("head", "per", "subject"),
    [
        ("", "key", "key=bot-a;real"),
        ('[applies_to]\nenvironments = ["real"]', "key", "key=bot-a;real"),
        ("[applies_to]\naccounts = [2, 1]", "key", "key=bot-a;real;accounts=1,2"),
        ("", "account", "account=real:1"),
        (
            '[applies_to]\nkeys = ["bot-*"]\nexcept_keys = ["bot-z"]',
            "account",
            "account=real:1;keys=bot-*;except=bot-z",
        ),
        ("", "policy", "policy=p0;real"),
    ],
)
def test_a_budget_is_counted_per_what_the_policy_says(head: str, per: str, subject: str) -> None:
    """Per key, account or policy; what the selectors choose of it is part of the counter's name."""
    claim = claim_of(f'{head}\n[budgets]\nper = "{per}"\ndaily_value = "1000 HKD"')

    assert claim.counter.split("|")[0] == f"daily_value/{subject}"


def test_a_long_selector_becomes_a_digest() -> None:
    """Counter names stay short."""
    keys = ", ".join(f'"bot-{place:03}"' for place in range(50)) + ', "bot-a"'
    claim = claim_of(f'[applies_to]\nkeys = [{keys}]\n[budgets]\nper = "account"\ndaily_value = "1000 HKD"')

    assert ";chosen=" in claim.counter
    assert len(claim.counter) < 200


def test_paper_money_does_not_use_up_real_money() -> None:
    """A policy for both environments counts them apart."""
    rules, book = policies(DAY), Book()

    assert book.place(asked(rules, order("500", "1000"), account=PAPER)) == ()
    assert book.place(asked(rules, order("500", "1000"))) == ()


def test_a_change_claims_the_same_counter_at_its_full_new_value() -> None:
    """A target, not a difference: the rules of a modify are those of a new order."""
    new, changed = claim_of(DAY, what=order("200")), claim_of(DAY, what=order("200"), effect=Effect.ORDER_CHANGE)

    assert new == changed


def test_zero_allows_nothing_in_a_day() -> None:
    """0 refuses at once, without a claim."""
    judgement = asked('[budgets]\ndaily_value = "0 HKD"')

    assert codes(judgement) == [Code.DAILY_VALUE]
    assert (judgement.reasons[0].observed, judgement.reasons[0].limit) == ("1000", "0")
    assert not judgement.claims


def test_a_value_that_no_counter_can_hold_is_refused_at_once() -> None:
    """More than the ledger's largest number fits no counter, however empty."""
    (reason,) = Book().place(asked(DAY, order("100000000000000", "1000000")))

    assert (reason.code, reason.observed) == (Code.DAILY_VALUE, "100000000000000000000")


def test_w01_an_order_without_a_value_is_not_free() -> None:
    """W01: a market order meets the daily budget as a refusal."""
    assert codes(asked(DAY, order(order_type=OrderType.MARKET))) == [Code.PRICE_UNAVAILABLE]


def test_orders_of_a_day_are_counted() -> None:
    """The N-th order passes, the next is refused; a change is not another order."""
    rules, book = policies("[orders]\nper_day = 2"), Book()

    assert book.place(asked(rules)) == ()
    assert book.place(asked(rules, order(market="US", code="AAPL"))) == ()
    (reason,) = book.place(asked(rules))
    assert (reason.code, reason.observed, reason.limit, reason.unit) == (Code.ORDERS_PER_DAY, "3", "2", "orders/day")
    assert not asked(rules, effect=Effect.ORDER_CHANGE).claims
    assert book.place(asked(rules, wall=FRIDAY + timedelta(days=1))) == ()


def test_orders_of_a_day_add_up_over_markets() -> None:
    """Each market's part turns at its own reset; together they meet one cap, or one reset of the policy's own."""
    claim = claim_of("[orders]\nper_day = 2")

    assert claim.counter == "orders_per_day/key=bot-a;real|2026-11-20@08:30 Asia/Hong_Kong"
    assert len(claim.also) == len(RESETS) - 1
    own = claim_of('[orders]\nper_day = 2\n[budgets]\nresets = "00:00 UTC"')
    assert own.counter == "orders_per_day/key=bot-a;real|2026-11-20@00:00 UTC,all"
    assert own.also == ()


def test_w08_a_keys_daily_value_stands_in_every_currency() -> None:
    """W08: the key's bare number is a cap in the order's own currency, each by itself."""
    who, book, rules = caller(limits=KeyLimits(max_daily_value=order("1000").qty)), Book(), policies()

    assert book.place(asked(rules, order("100", "10"), who=who)) == ()
    assert book.place(asked(rules, order("100", "10", market="US", code="AAPL"), who=who)) == ()
    (reason,) = book.place(asked(rules, order("1", "1"), who=who))
    assert (reason.policy, reason.rule, reason.observed) == ("key:bot-a", "max_daily_value", "1001")
