"""Laws of judging: more policies and tighter limits never let more through, and caching changes nothing."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.markets import MARKETS as ALL_MARKETS
from guard.markets import currency_of
from guard.policy import Judgement, value
from guard.policy.combining import collect
from guard.policy.notation import EXACT, from_units, ledger_units
from guard.policy.plan import without_implied
from guard.policy.rule import Proposal, Rule
from guard.terms import Effect, KeyLimits, OrderType, PlaceOrder, Side, TimeInForce
from tests.support.policy import FRIDAY, PAPER, REAL, Book, asked, caller, order, policies, worth
from tests.support.worlds import NOT_ASKED, exchange, option, position, quote, stock, world

WALLS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - zone beside
MARKETS = st.sampled_from(
    [("HK", "00700"), ("HK", "80700"), ("US", "AAPL"), ("JP", "7203"), ("US", "AAPL260116C200000")]
)
ACCOUNTS = st.sampled_from([REAL, PAPER])
NAMES = st.sampled_from(["bot-a", "agent-1"])
EFFECTS = st.sampled_from([Effect.ORDER_NEW, Effect.ORDER_CHANGE])


@st.composite
def orders(draw: st.DrawFn) -> PlaceOrder:
    """Orders of all types, small and large."""
    market, code = draw(MARKETS)
    price = draw(st.none() | st.decimals("0.001", "2000", places=3).map(str))
    return order(
        draw(st.decimals("0.001", "500", places=3).map(str)),
        price,
        market=market,
        code=code,
        side=draw(st.sampled_from(Side)),
        order_type=draw(st.sampled_from([OrderType.NORMAL, OrderType.MARKET, OrderType.STOP_LIMIT])),
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )


LINES: dict[str, list[str]] = {
    "applies_to": ['keys = ["bot-*"]', 'environments = ["real"]', "accounts = [1]", 'except_keys = ["agent-1"]'],
    "instruments": ['markets = ["HK", "US"]', 'symbols = ["HK.*"]', 'blocked_symbols = ["US.AAPL"]'],
    "orders": [
        'sides = ["BUY"]',
        'types = ["NORMAL"]',
        'time_in_force = ["DAY"]',
        'max_value = ["5000 HKD", "900 USD"]',
        "max_qty = 100",
        'max_premium = "500 USD"',
        'max_underlying_value = "30000 USD"',
        "price_collar_percent = { stock = 10, option = 50 }",
        "market_buffer_percent = 1",
        "per_day = 3",
        "duplicate_window_s = 60",
    ],
    "hours": ['HK = "09:30-16:00"', 'US = ["09:30-16:00"]', 'JP = "always"'],
    "reference": ["price_age_max_s = 1", 'price_collar_missing = "skip"'],
    "budgets": [
        "open_orders = 2",
        'open_value = "4000 HKD"',
        'daily_value = ["9000 HKD", "1000 USD", "500 CNH"]',
        'per = "account"',
    ],
    "rates": ['new_orders = "2/60s"', 'changes = "1/60s"', 'per = "policy"'],
}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Policies made of any of these lines."""
    parts = []
    for table, lines in LINES.items():
        chosen = draw(st.lists(st.sampled_from(lines), unique=True))
        if table == "hours":
            if not chosen:
                continue
            named = {line.split(" ")[0] for line in chosen}
            chosen += [f'{market} = "always"' for market in ALL_MARKETS if market not in named]
        parts.append("\n".join([f"[{table}]", *chosen]))
    return "\n".join(parts)


def _caps(judgement: Judgement) -> dict[tuple[str, int], int | None]:
    return {(claim.counter, claim.window_ms): claim.cap for claim in judgement.claims}


@settings(max_examples=150, deadline=None)
@given(
    old=st.lists(texts(), max_size=2),
    new=texts(),
    what=orders(),
    account=ACCOUNTS,
    name=NAMES,
    effect=EFFECTS,
    wall=WALLS,
)
def test_another_policy_never_lets_more_through(
    *, old: list[str], new: str, what: PlaceOrder, account: object, name: str, effect: Effect, wall: datetime
) -> None:
    """Adding a policy keeps every reason, every claim, and no cap grows; cover apart, which a policy gives."""
    at = PAPER if account is PAPER else REAL
    before = asked(policies(*old), what, who=caller(name), account=at, effect=effect, wall=wall)
    after = asked(policies(*old, new), what, who=caller(name), account=at, effect=effect, wall=wall)

    assert {(r.policy, r.rule) for r in before.reasons if r.code.name != "PRICE_UNAVAILABLE"} <= {
        (r.policy, r.rule) for r in after.reasons
    }
    assert {r.code for r in before.reasons} <= {r.code for r in after.reasons}
    caps = _caps(after)
    for place, cap in _caps(before).items():
        assert place in caps
        assert (caps[place] or 0) <= (cap or 0)


NUMBERS = st.integers(0, 50)


@settings(max_examples=150, deadline=None)
@given(
    loose=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    less=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    flow=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), max_size=12),
)
def test_a_tighter_limit_never_lets_an_order_through_that_a_looser_one_refuses(
    loose: tuple[int, ...], less: tuple[int, ...], flow: list[tuple[int, int]]
) -> None:
    """With the same past, every order that the tighter policy grants is granted by the looser one."""

    def rules(numbers: tuple[int, ...]) -> str:
        value, qty, day, daily, rate = numbers
        return (
            f'[orders]\nmax_value = "{value} HKD"\nmax_qty = {qty}\nper_day = {day}\n'
            f'[budgets]\ndaily_value = "{daily * 4} HKD"\n[rates]\nnew_orders = "{rate // 5}/10s"'
        )

    tight = policies(rules(tuple(max(0, a - b) for a, b in zip(loose, less, strict=True))))
    wide = policies(rules(loose))
    book = Book()
    at_s = 0
    for qty, pause_s in flow:
        at_s += pause_s
        what = order(str(qty), "1")
        if not book.reasons(asked(tight, what), at_s=at_s):
            assert not book.reasons(asked(wide, what), at_s=at_s)
        book.place(asked(wide, what), at_s=at_s)


@settings(max_examples=100, deadline=None)
@given(
    sources=st.lists(texts(), max_size=3),
    flow=st.lists(st.tuples(orders(), ACCOUNTS, NAMES, EFFECTS, WALLS), max_size=6),
)
def test_the_cache_answers_as_a_fresh_set_does(
    sources: list[str], flow: list[tuple[PlaceOrder, object, str, Effect, datetime]]
) -> None:
    """One set asked many times, by many keys with changing limits, says what a new set would say each time."""
    rules = policies(*sources)
    for place, (what, account, name, effect, wall) in enumerate(flow):
        at = PAPER if account is PAPER else REAL
        who = caller(name, KeyLimits(max_order_value=Decimal(place * 100)) if place % 2 else None)
        cached = asked(rules, what, who=who, account=at, effect=effect, wall=wall)

        assert cached == asked(policies(*sources), what, who=who, account=at, effect=effect, wall=wall)


@settings(max_examples=100, deadline=None)
@given(sources=st.lists(texts(), max_size=3), what=orders(), account=ACCOUNTS)
def test_folding_claims_changes_no_answer(sources: list[str], what: PlaceOrder, account: object) -> None:
    """One claim a counter refuses exactly when one of the claims that were folded into it would."""
    at = PAPER if account is PAPER else REAL
    rules, who = policies(*sources), caller()
    judgement = asked(rules, what, who=who, account=at)
    if judgement.reasons:
        return
    proposal = Proposal(key=who.name, effect=Effect.ORDER_NEW, account=at, wall=FRIDAY, order=what, worth=value(what))
    bounds = [bound for bound in rules.binding(who, at.env, FRIDAY) if bound.reaches(at)]
    answers = [rule.judge(proposal) for bound in bounds for rule in bound.rules]
    single = [claim for answer in answers if isinstance(answer, tuple) for claim in answer]

    for claim in single:
        assert any(
            kept.counter == claim.counter
            and kept.window_ms == claim.window_ms
            and kept.also == claim.also
            and (kept.cap or 0) <= (claim.cap or 0)
            for kept in judgement.claims
        )
    assert all(kept in single for kept in judgement.claims)
    assert len({(kept.counter, kept.window_ms) for kept in judgement.claims}) == len(judgement.claims)


SMALL = st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 0])
KINDS = {
    "instruments": ['markets = [{0}"HK"]', 'symbols = ["HK.*"{0}]', 'blocked_symbols = ["HK.0070{0}"]'],
    "orders": [
        'sides = ["SELL"{0}]',
        "max_qty = 1{0}0",
        'max_value = ["{0}000 HKD", "{1}00 USD"]',
        'max_value = "{0}00 USD"',
        "per_day = {0}",
        "duplicate_window_s = {0}",
        "price_collar_percent = {{ stock = {0} }}",
    ],
    "budgets": [
        'daily_value = "{0}000 HKD"',
        'daily_value = ["{0}000 HKD", "{1}00 USD"]',
        'daily_value = "{0}00 USD"',
        "open_orders = {0}",
        'open_value = "{0}000 HKD"',
        'per = "account"',
        'per = "policy"',
    ],
    "rates": ['new_orders = "{0}/10s"', 'new_orders = "{0}/20s"', 'changes = "{0}/10s"'],
    "fx": ['USDHKD = "7.{0}"\nas_of = 2026-11-20'],
}
WORDS = {"markets": ("", '"US",'), "symbols": ("", ',"US.*"'), "sides": ("", ',"BUY"')}


ALL_LINES = [(table, line) for table, lines in KINDS.items() for line in lines]


@st.composite
def variants(draw: st.DrawFn) -> list[str]:
    """Policies that say a few same things, each with numbers of its own."""
    themes = draw(st.lists(st.sampled_from(ALL_LINES), min_size=1, max_size=3, unique=True))
    sources = []
    for _ in range(draw(st.integers(1, 6))):
        parts: dict[str, dict[str, str]] = {}
        for table, line in draw(st.lists(st.sampled_from(themes), max_size=3)):
            name = line.split(" ")[0]
            words = WORDS.get(name)
            first = draw(SMALL) if words is None else words[draw(st.sampled_from([0, 1, 1, 1]))]
            parts.setdefault(table, {})[name] = line.format(first, draw(SMALL))
        sources.append("\n".join("\n".join([f"[{table}]", *lines.values()]) for table, lines in parts.items()))
    return sources


@settings(max_examples=200, deadline=None)
@given(
    sources=variants(),
    qty=st.integers(1, 20),
    side=st.sampled_from([Side.BUY, Side.SELL]),
    place=st.sampled_from([("HK", "00700"), ("HK", "00701"), ("US", "AAPL")]),
    account=ACCOUNTS,
    effect=EFFECTS,
    held=st.integers(0, 20),
    own=st.builds(
        KeyLimits,
        max_order_value=st.none() | st.integers(0, 150).map(Decimal),
        max_daily_value=st.none() | st.integers(0, 150).map(Decimal),
        max_orders_per_minute=st.none() | st.integers(0, 3),
    ),
)
def test_thinned_rules_say_what_all_rules_say(
    *,
    sources: list[str],
    qty: int,
    side: Side,
    place: tuple[str, str],
    account: object,
    effect: Effect,
    held: int,
    own: KeyLimits,
) -> None:
    """Asked one by one, all rules of policies and key give the same reasons, claims and makers, whatever was before."""
    at = PAPER if account is PAPER else REAL
    rules, what = policies(*sources), order(str(qty), "10", market=place[0], code=place[1], side=side)
    where = world(quote("10", symbol=what.symbol), position=position(held, symbol=what.symbol))
    who = caller(limits=own)
    asked(rules, order("1", "0.001", market=place[0], code=place[1], side=side), who=who, account=at)
    found = asked(rules, what, who=who, account=at, effect=effect, world=where)
    assert found.proposal is not None

    answers = [(rule, rule.judge(found.proposal)) for rule in rules.on(who, at, wall=FRIDAY).all_rules]
    plain = collect(answers)
    assert found.reasons == plain.reasons
    assert set(found.claims) == set(plain.claims)
    # Of two rules with the same cap either may speak for it.
    caps = {
        (rule.policy, rule.name, claim.counter, claim.window_ms, claim.cap)
        for rule, answer in answers
        if isinstance(answer, tuple)
        for claim in answer
    }
    for claim, maker in zip(found.claims, found.makers, strict=True):
        assert isinstance(maker, Rule)
        assert (maker.policy, maker.name, claim.counter, claim.window_ms, claim.cap) in caps


LOW = st.integers(1, 3)
ALWAYS = "\n".join(f'{market} = "always"' for market in ALL_MARKETS if market not in {"HK", "US"})
KINDRED: dict[str, list[str]] = {
    "instruments": ['symbols = ["HK.0000{0}", "HK.0000{1}"]', 'blocked_symbols = ["HK.0000{0}", "US.{1}"]'],
    "orders": [
        'max_value = ["{0} HKD", "{1} USD"]',
        'max_value = "{0} HKD"',
        'max_premium = "{0} USD"',
        "max_qty = {0}",
        "per_day = {0}",
        "duplicate_window_s = {0}",
        "price_collar_percent = {{ stock = {0}, option = {1} }}",
        "price_collar_percent = {{ stock = {0} }}",
    ],
    "hours": ['HK = "09:0{0}-16:00"\nUS = "always"', 'US = "always"\nHK = "09:0{0}-16:00"'],
    "budgets": [
        "open_orders = {0}",
        'open_value = "{0} USD"',
        'daily_value = ["{0} HKD", "{1} USD"]',
        'daily_value = "{0} HKD"\nper = "account"',
        'daily_value = "{0} HKD"\nper = "policy"',
        'daily_value = "{0} HKD"\nresets = "0{1}:00 UTC"',
    ],
    "rates": ['new_orders = "{0}/{1}s"', 'changes = ["{0}/1s", "{1}/2s"]', 'changes = "{0}/1s"\nper = "policy"'],
    "fx": ['USDHKD = "7.{0}"\nas_of = 2026-11-20', 'USDHKD = "7.1"\nas_of = 2026-11-20\nbuffer_percent = {0}'],
}


@st.composite
def kindred(draw: st.DrawFn) -> str:
    """A policy like many others: a few kinds of limits, each with a few numbers."""
    parts = []
    for table, lines in KINDRED.items():
        by_name = {line.split(" ")[0]: line for line in draw(st.lists(st.sampled_from(lines), max_size=2))}
        chosen = list(by_name.values())[:1] if table in {"hours", "fx"} else list(by_name.values())
        if chosen:
            if table == "orders" and "price_collar_percent" in by_name and draw(st.booleans()):
                parts.append("[reference]\nprice_collar_missing = 'skip'")
            told = [line.format(draw(LOW), draw(LOW)) for line in chosen]
            parts.append("\n".join([f"[{table}]", *told, *([ALWAYS] if table == "hours" else [])]))
    return "\n".join(parts)


@settings(max_examples=200, deadline=None)
@given(sources=st.lists(kindred(), min_size=2, max_size=8))
def test_thinned_is_what_comparing_every_two_rules_leaves(sources: list[str]) -> None:
    """Kin alone are compared, and nothing is kept or left out for that: a rule stands that no other one implies."""
    rules = [rule for bound in policies(*sources)._bounds for rule in bound.rules]

    def is_implied(place: int) -> bool:
        rule: Any = rules[place]
        return any(
            type(rival) is type(rule) and rival.implies(rule) and (index < place or not rule.implies(rival))
            for index, rival in enumerate(rules)
            if index != place
        )

    assert without_implied(rules) == tuple(rule for place, rule in enumerate(rules) if not is_implied(place))


@settings(max_examples=200)
@given(
    qty=st.decimals("0.001", "1e12", places=3, allow_nan=False),
    price=st.decimals("0.001", "1e6", places=3, allow_nan=False),
)
def test_what_the_ledger_holds_is_never_less_than_the_order(qty: Decimal, price: Decimal) -> None:
    """Ledger units are rounded up by less than one, and values are exact."""
    amount = EXACT.multiply(qty, price)
    units = ledger_units(amount)

    assert 0 <= from_units(units) - amount < Decimal("0.0001")
    assert worth(order(str(qty), str(price))).value.amount == amount


@settings(max_examples=100, deadline=None)
@given(
    sources=st.lists(texts(), max_size=2),
    what=orders(),
    account=ACCOUNTS,
    effect=EFFECTS,
    wall=WALLS,
    trigger=st.none() | st.decimals("0.001", "2000", places=3),
)
def test_rules_look_at_nothing_that_they_do_not_need(
    *,
    sources: list[str],
    what: PlaceOrder,
    account: object,
    effect: Effect,
    wall: datetime,
    trigger: Decimal | None,
) -> None:
    """With what `needs` names an order is judged as with everything; what else is known changes nothing for a buyer."""
    at = PAPER if account is PAPER else REAL
    rules, who, what = policies(*sources), caller(), msgspec.structs.replace(what, aux_price=trigger, side=Side.BUY)
    known = (
        option(what.symbol)
        if what.code.startswith("AAPL2")
        else stock(what.symbol, currency=currency_of(what.market, what.code))
    )
    market = exchange(what.market, day=wall.date(), state="continuous")
    whole = world(quote("10", symbol=what.symbol), what=known, exchange=market, underlying=quote("200"))
    needs = rules.on(who, at, wall=wall).needs_of(what)
    asked_for = msgspec.structs.replace(
        whole,
        instrument=whole.instrument if needs.instrument else NOT_ASKED,
        quote=whole.quote if needs.quote else NOT_ASKED,
        exchange=whole.exchange if needs.exchange else NOT_ASKED,
        underlying=whole.underlying if needs.underlying else None,
    )

    full = asked(rules, what, account=at, effect=effect, wall=wall, world=whole)
    lean = asked(rules, what, account=at, effect=effect, wall=wall, world=asked_for)
    assert (lean.reasons, lean.claims) == (full.reasons, full.claims)
    if needs.is_nothing:
        none = asked(rules, what, account=at, effect=effect, wall=wall)
        assert (none.reasons, none.claims) == (full.reasons, full.claims)
