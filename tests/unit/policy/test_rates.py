"""Exact sliding windows, and the same order again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from guard.codes import Code
from guard.policy import judge_cancel, judge_read
from guard.terms import Account, Claim, Effect, Env, KeyLimits, OrderType, Side
from tests.support.policy import FRIDAY, PAPER, REAL, Book, asked, caller, codes, order, policies


def test_the_nth_order_passes_and_the_next_is_told_when_to_return() -> None:
    """15 in 30 s pass, the 16th is refused with what there would have been; 30 s after the first, one more passes."""
    rules, book = policies('[rates]\nnew_orders = "15/30s"'), Book()
    for second in range(15):
        assert book.place(asked(rules), at_s=second) == ()

    (reason,) = book.place(asked(rules), at_s=29)
    assert (reason.code, reason.rule) == (Code.RATE, "rates.new_orders")
    assert (reason.observed, reason.limit, reason.unit) == ("16", "15", "orders/30s")
    assert reason.message == "16 orders in 30s is above 15"
    assert book.place(asked(rules), at_s=30) == ()
    assert book.place(asked(rules), at_s=30)


def test_windows_stand_on_one_log() -> None:
    """Two rates on one cell are two claims with windows of their own, and one stamp."""
    judgement = asked('[rates]\nnew_orders = ["2/1s", "3/60s"]')

    assert len({claim.counter for claim in judgement.claims}) == 1
    assert [(claim.cap, claim.window_ms) for claim in judgement.claims] == [(2, 1000), (3, 60_000)]
    book, rules = Book(), policies('[rates]\nnew_orders = ["2/1s", "3/60s"]')
    answers = [book.place(asked(rules), at_s=second) for second in (0, 0, 0, 1, 2)]
    assert [bool(reasons) for reasons in answers] == [False, False, True, False, True]


@pytest.mark.parametrize(("key", "effect"), [("new_orders", Effect.ORDER_NEW), ("changes", Effect.ORDER_CHANGE)])
def test_each_effect_has_its_own_log(key: str, effect: Effect) -> None:
    """New orders and changes do not count against each other."""
    rules = policies(f'[rates]\n{key} = "1/60s"')
    others = {Effect.ORDER_NEW, Effect.ORDER_CHANGE} - {effect}

    assert [claim.counter for claim in asked(rules, effect=effect).claims] == [f"{key}/key=bot-a"]
    assert not asked(rules, effect=others.pop()).claims


@pytest.mark.parametrize("key", ["new_orders", "changes", "reads", "cancels"])
def test_a_rate_of_zero_allows_nothing(key: str) -> None:
    """0 refuses at once: no claim is made that could never fit, and no time is told."""
    rules = policies(f'[rates]\n{key} = "0/60s"')
    effect = Effect.ORDER_CHANGE if key == "changes" else Effect.ORDER_NEW
    judgement = {
        "reads": lambda: judge_read(rules, caller(), wall=FRIDAY),
        "cancels": lambda: judge_cancel(rules.on(caller(), REAL, wall=FRIDAY), account=REAL, wall=FRIDAY),
    }.get(key, lambda: asked(rules, effect=effect))()

    assert codes(judgement) == [Code.RATE]
    assert (judgement.reasons[0].observed, judgement.reasons[0].limit) == ("1", "0")
    assert "a limit of 0 lets none pass" in judgement.reasons[0].message
    assert not judgement.claims


def test_w09_a_cancel_meets_no_limit_but_its_own_rate() -> None:
    """W09: orders, hours, budgets and instruments say nothing about a cancel; `rates.cancels` does."""
    tight = policies(
        '[instruments]\nmarkets = []\n[orders]\nmax_value = "0 HKD"\nper_day = 0\n'
        '[rates]\nnew_orders = "0/1s"\nchanges = "0/1s"',
        require_cover=True,
    )
    rated = policies('[rates]\ncancels = "100/60s"')

    said, nothing = (
        judge_cancel(rules.on(caller(), REAL, wall=FRIDAY), account=REAL, wall=FRIDAY) for rules in (tight, policies())
    )
    assert said == nothing
    (claim,) = judge_cancel(rated.on(caller(), REAL, wall=FRIDAY), account=REAL, wall=FRIDAY).claims
    assert (claim.counter, claim.cap, claim.window_ms) == ("cancels/key=bot-a", 100, 60_000)


def test_w09_refused_orders_use_no_slot() -> None:
    """W09: an order that another rule refuses leaves the window as it was."""
    rules, book = policies('[orders]\nmax_value = "1000 HKD"\n[rates]\nnew_orders = "1/60s"'), Book()

    assert book.place(asked(rules, order("100", "100")))
    assert book.place(asked(rules)) == ()


def test_reads_are_counted_whatever_the_policy_says_of_environments() -> None:
    """A quote has no environment, so a policy for real money still bounds how often a key asks."""
    rules = policies('[applies_to]\nenvironments = ["real"]\naccounts = [7]\n[rates]\nreads = "3000/60s"')

    (claim,) = judge_read(rules, caller(), wall=FRIDAY).claims
    assert (claim.counter, claim.cap) == ("reads/key=bot-a", 3000)
    assert not judge_read(policies('[applies_to]\nkeys = ["x"]\n[rates]\nreads = "1/1s"'), caller(), wall=FRIDAY).claims


@pytest.mark.parametrize(
    ("text", "counter"),
    [
        ('[rates]\nper = "key"', "new_orders/key=bot-a"),
        ('[applies_to]\nenvironments = ["real"]\n[rates]\nper = "key"', "new_orders/key=bot-a;real"),
        ('[applies_to]\nenvironments = ["real", "simulate"]\n[rates]\nper = "key"', "new_orders/key=bot-a"),
        ('[rates]\nper = "account"', "new_orders/account=real:1"),
        ('[applies_to]\nkeys = ["bot-*"]\n[rates]\nper = "account"', "new_orders/account=real:1;keys=bot-*"),
        ('[rates]\nper = "policy"', "new_orders/policy=p0"),
    ],
)
def test_a_rate_is_counted_per_what_the_policy_says(text: str, counter: str) -> None:
    """Per key, account or policy, and apart where the selectors choose a part of it."""
    (claim,) = asked(f'{text}\nnew_orders = "1/1s"').claims

    assert claim.counter == counter


def test_a_keys_own_rate_counts_orders_and_changes_together() -> None:
    """`max_orders_per_minute` is one window of 60 s over both."""
    who, book, rules = caller(limits=KeyLimits(max_orders_per_minute=2)), Book(), policies()

    assert book.place(asked(rules, who=who)) == ()
    assert book.place(asked(rules, who=who, effect=Effect.ORDER_CHANGE)) == ()
    (reason,) = book.place(asked(rules, who=who), at_s=59)
    assert (reason.policy, reason.rule, reason.unit) == ("key:bot-a", "max_orders_per_minute", "orders/60s")
    assert book.place(asked(rules, who=who), at_s=60) == ()


def test_b28_the_same_order_again_is_refused_and_told_how_to_mean_it() -> None:
    """B28: a repeat within the window is a duplicate, and the refusal says how to place it on purpose."""
    rules, book = policies("[orders]\nduplicate_window_s = 5"), Book()

    assert book.place(asked(rules)) == ()
    (reason,) = book.place(asked(rules), at_s=4)
    assert reason.code is Code.DUPLICATE_ORDER
    assert "another Idempotency-Key or another remark" in reason.message
    assert (reason.observed, reason.limit, reason.unit) == ("2", "1", "orders/5s")
    assert book.place(asked(rules), at_s=5) == ()


@pytest.mark.parametrize(
    ("fields", "kwargs"),
    [
        ({"remark": "again"}, {}),
        ({}, {"mark": "0b5d"}),
        ({"qty": Decimal(101)}, {}),
        ({"price": Decimal("10.001")}, {}),
        ({"side": Side.SELL}, {}),
        ({"order_type": OrderType.ABSOLUTE_LIMIT}, {}),
        ({"aux_price": Decimal(9)}, {}),
        ({"symbol": "HK.00005"}, {}),
        ({}, {"account": Account(Env.REAL, 2)}),
        ({}, {"account": PAPER}),
        ({}, {"who": caller("bot-b")}),
    ],
)
def test_b28_another_order_is_no_duplicate(fields: dict[str, object], kwargs: dict[str, object]) -> None:
    """B28: another remark, Idempotency-Key, account, key, quantity, price or type is another order."""
    rules, book = policies("[orders]\nduplicate_window_s = 60"), Book()

    assert book.place(asked(rules)) == ()
    assert book.place(asked(rules, order(**fields), **kwargs)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [{"aux_price": Decimal(8)}, {"trail_type": 2}, {"trail_value": Decimal(4)}, {"trail_spread": Decimal(2)}],
    ids=lambda fields: next(iter(fields)),
)
def test_b28_an_order_that_waits_for_another_price_is_no_duplicate(fields: dict[str, object]) -> None:
    """B28: another trigger, trail or spread is another order; the same ones again are the same."""
    rules, book = policies("[orders]\nduplicate_window_s = 60"), Book()
    first = order(
        order_type=OrderType.TRAILING_STOP_LIMIT,
        aux_price=Decimal(9),
        trail_type=1,
        trail_value=Decimal(5),
        trail_spread=Decimal(1),
    )

    assert book.place(asked(rules, first)) == ()
    assert book.place(asked(rules, replace(first, **fields))) == ()
    assert book.place(asked(rules, first))


def test_b28_a_number_is_the_same_however_it_is_written() -> None:
    """B28: 100 and 100.0 shares are the same order."""
    rules, book = policies("[orders]\nduplicate_window_s = 60"), Book()

    assert book.place(asked(rules, order("100", "10"))) == ()
    assert book.place(asked(rules, order("100.0", "10.00")))


def test_a_change_is_no_duplicate_and_zero_switches_the_window_off() -> None:
    """Changing an order twice to the same price is allowed; `duplicate_window_s = 0` is off."""
    assert not asked("[orders]\nduplicate_window_s = 5", effect=Effect.ORDER_CHANGE).claims
    assert not asked("[orders]\nduplicate_window_s = 0").claims


def test_nothing_of_a_callers_stands_in_a_counters_name() -> None:
    """The duplicate's cell holds a digest, not the remark."""
    judgement = asked("[orders]\nduplicate_window_s = 5", order(remark="a|b\n"), wall=FRIDAY + timedelta(days=1))

    assert "a|b" not in judgement.claims[0].counter


def test_a_read_claims_what_binds_it_now_whatever_an_earlier_one_claimed() -> None:
    """What a read claims is worked out once, for one key between two expiries: neither another key's nor a past one."""
    rules = policies(
        '[policy]\nexpires_at = 2026-11-21T00:00:00Z\n[applies_to]\nkeys = ["bot-a"]\n[rates]\nreads = "10/60s"',
        '[rates]\nreads = "20/60s"',
    )
    later = datetime(2026, 11, 22, tzinfo=UTC)

    def caps(name: str, wall: datetime) -> list[int | None]:
        return [claim.cap for claim in judge_read(rules, caller(name=name), wall=wall).claims]

    for _ in range(2):
        assert caps("bot-a", FRIDAY)[:1] == [10]
        assert caps("bot-b", FRIDAY) == [20]
        assert caps("bot-a", later) == [20]


def test_what_reads_claim_is_remembered_for_so_many_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past that the oldest is asked for anew, and claims the same; so is a key whose own limits changed."""
    monkeypatch.setattr("guard.policy.policyset.MATCHES_MAX", 2)
    rules = policies('[rates]\nreads = "20/60s"')
    for name in ("a", "b", "c", "a"):
        found = judge_read(rules, caller(name=name), wall=FRIDAY)
        assert [claim.counter for claim in found.claims] == [f"reads/key={name}"]
        assert judge_read(rules, caller(name=name), wall=FRIDAY) is found
        assert judge_read(rules, caller(name, KeyLimits(max_orders_per_minute=1)), wall=FRIDAY) is not found
        assert len(rules.readings) <= 2


def test_what_reads_claim_may_be_kept_as_something_else() -> None:
    """Whoever asks says as what, once for all reads to come; it says the same."""
    rules = policies('[rates]\nreads = "20/60s"')
    plain = judge_read(rules, caller(), wall=FRIDAY).claims  # by a test of the policies, before they are in force
    first = judge_read(rules, caller(), wall=FRIDAY, kept=Kept).claims
    assert isinstance(first, Kept)
    assert first == plain
    assert judge_read(rules, caller(), wall=FRIDAY, kept=Kept).claims is first
    assert not isinstance(judge_read(rules, caller(), wall=FRIDAY).claims, Kept)


class Kept(tuple[Claim, ...]):
    """Claims, and nothing more."""

    __slots__ = ()
