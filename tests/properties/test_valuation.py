"""Laws of value: monotone, never below what an order may cost, exact in every currency, and lots that really fit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.limits import set_targets, settle
from guard.policy import PolicySet, ValueTerms, fill_cell, value
from guard.policy.fx import Fx, fx_of
from guard.policy.notation import CURRENCIES
from guard.policy.periods import RESET_OF
from guard.terms import (
    Conversion,
    Money,
    OrderType,
    Outcome,
    PlaceOrder,
    Quote,
    Side,
    TimeInForce,
    Valuation,
    Verdict,
    World,
)
from tests.support.policy import Book, asked, order, policies
from tests.support.worlds import future, position, quote, stock, world

PRICES = st.decimals("0.001", "5000", places=3)
SIDES = st.sampled_from([Side.BUY, Side.SELL])
LIMITED = [OrderType.NORMAL, OrderType.ABSOLUTE_LIMIT, OrderType.STOP_LIMIT, OrderType.TWAP_LIMIT]
TAKERS = [OrderType.MARKET, OrderType.AUCTION, OrderType.TWAP_MARKET, OrderType.VWAP_MARKET]
MAY_BE = st.none() | PRICES


def worth(what: PlaceOrder, where: World, buffer: Decimal = Decimal(5)) -> Valuation:
    """The value of an order that has one."""
    found = value(what, where, terms=ValueTerms(buffer_percent=buffer))
    assert isinstance(found, Valuation), found
    return found


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """Quotes with any book, crossed and one-sided ones too, in any session."""
    shown = quote(str(draw(PRICES)), bid=None, ask=None)

    session = draw(st.sampled_from(["continuous", "auction", "break", "extended", "closed", "unknown"]))
    return replace(shown, bid=draw(MAY_BE), ask=draw(MAY_BE), prev_close=draw(MAY_BE), session=session)


@settings(max_examples=200, deadline=None)
@given(
    prices=quotes(),
    side=SIDES,
    kind=st.sampled_from([*LIMITED, *TAKERS]),
    body=st.none() | PRICES,
    qty=st.decimals("0.001", "100000", places=3),
    buffer=st.decimals(0, 50, places=2),
)
def test_w01_w02_an_order_is_worth_no_less_than_what_it_may_fill_at(
    *, prices: Quote, side: Side, kind: OrderType, body: Decimal | None, qty: Decimal, buffer: Decimal
) -> None:
    """A limit counts in full, a taker meets every price of its side that is shown, and the body's price nothing."""
    price = body if kind in TAKERS else body or Decimal(1)
    what = order(str(qty), None if price is None else str(price), order_type=kind, side=side)
    found = worth(what, world(prices), buffer)

    is_running = prices.session in {"continuous", "extended", "unknown"}
    touch = (prices.ask if side is Side.BUY else prices.bid) if is_running else None
    if kind in TAKERS:
        shown = [p for p in (touch, prices.last if is_running else None) if p is not None]
        assert all(found.price >= p for p in shown)
        assert found == worth(order(str(qty), "0.001", order_type=kind, side=side), world(prices), buffer)
    else:
        assert price is not None
        assert found.price >= price
        if side is Side.BUY:
            assert found.price == price
    assert Fraction(found.value.amount) == Fraction(qty) * Fraction(found.price)


@settings(max_examples=150, deadline=None)
@given(
    prices=quotes(),
    side=SIDES,
    kind=st.sampled_from([OrderType.STOP, OrderType.MARKET_IF_TOUCHED]),
    trigger=PRICES,
    more=PRICES,
    buffer=st.decimals(0, 50, places=2),
)
def test_a_higher_trigger_or_buffer_is_never_worth_less_for_a_buyer(
    *, prices: Quote, side: Side, kind: OrderType, trigger: Decimal, more: Decimal, buffer: Decimal
) -> None:
    """Monotone in trigger and buffer; and no less than trigger and reference price."""
    low = order("1", None, order_type=kind, side=side, aux_price=trigger)
    high = order("1", None, order_type=kind, side=side, aux_price=trigger + more)

    assert worth(low, world(prices), buffer).price >= trigger
    assert worth(low, world(prices), buffer + 1).price >= worth(low, world(prices), buffer).price
    if side is Side.BUY:
        assert worth(high, world(prices), buffer).price >= worth(low, world(prices), buffer).price


@settings(max_examples=200, deadline=None)
@given(
    limit=st.decimals("-5000", "5000", places=3),
    last=st.decimals("-5000", "5000", places=3).filter(bool),
    side=SIDES,
    multiplier=st.integers(1, 100_000),
)
def test_a_future_is_never_free(limit: Decimal, last: Decimal, side: Side, multiplier: int) -> None:
    """Whatever the signs: worth more than nothing, and a limit at or below zero no less than the reference price."""
    where = world(quote(str(last)), what=future(multiplier=str(multiplier)))
    found = worth(order("1", str(limit), side=side, market="FUTURES_US", code="CL2612"), where)

    assert found.value.amount > 0
    assert found.value.amount >= abs(limit) * multiplier
    if limit <= 0:
        assert found.value.amount >= abs(last) * multiplier


# ---------------------------------------------------------------- exchange rates

PAIRS = [f"{a}{b}" for i, a in enumerate(CURRENCIES) for b in CURRENCIES[i + 1 :]]
RATES = st.dictionaries(
    st.sampled_from(PAIRS), st.decimals("0.001", "999", places=3).map(lambda rate: f"{rate:f}"), min_size=1, max_size=5
)


@settings(max_examples=200, deadline=None)
@given(
    rates=RATES,
    amount=st.decimals("0.0001", "1e12", places=4),
    buffer=st.decimals(0, 10, places=2),
    cap=st.decimals("0.0001", "1e12", places=4),
    pair=st.tuples(st.sampled_from(CURRENCIES), st.sampled_from(CURRENCIES)),
)
def test_w08_conversion_is_exact_to_the_ledgers_unit(
    *, rates: dict[str, str], amount: Decimal, buffer: Decimal, cap: Decimal, pair: tuple[str, str]
) -> None:
    """W08: against fractions worked out by hand: rounded up by less than a unit, and never over or under a cap."""
    fx = fx_of(rates, as_of=date(2026, 11, 20), buffer_percent=buffer)
    assert isinstance(fx, Fx)
    source, target = pair
    if source == target:
        return
    found = fx.convert(Money(amount, source), target, wall=datetime(2026, 11, 20, tzinfo=UTC))
    one = {}
    for name, text in rates.items():
        one[name[:3], name[3:]] = Fraction(text)
        one[name[3:], name[:3]] = 1 / Fraction(text)
    ways = (
        [one[pair]]
        if pair in one
        else [one[source, m] * one[m, target] for m in CURRENCIES if {(source, m), (m, target)} <= set(one)]
    )
    if not ways:
        assert found is None
        return
    assert isinstance(found, Conversion)
    exact = Fraction(amount) * max(ways) * (100 + Fraction(buffer)) / 100
    assert 0 <= Fraction(found.value.amount) - exact < Fraction(1, 10_000)
    assert (found.value.amount <= cap) is (exact <= Fraction(cap))


# ---------------------------------------------------------------- the collar


@settings(max_examples=200, deadline=None)
@given(
    prices=quotes(),
    side=SIDES,
    limit=PRICES,
    percent=st.decimals(0, 100, places=2),
    ratio=st.none() | st.decimals("-0.99", "0.99", places=2),
    trigger=st.none() | PRICES,
)
def test_the_collar_is_what_brute_force_says(
    *, prices: Quote, side: Side, limit: Decimal, percent: Decimal, ratio: Decimal | None, trigger: Decimal | None
) -> None:
    """Each price of the order against the outermost of those that the market shows."""
    kind = OrderType.NORMAL if trigger is None else OrderType.STOP_LIMIT
    what = order("1", str(limit), side=side, order_type=kind, aux_price=trigger, adjust_side_and_limit=ratio)
    found = asked(f"[orders]\nprice_collar_percent = {{ stock = {percent} }}", what, world=world(prices))

    is_running = prices.session in {"continuous", "extended", "unknown"}
    if is_running:
        touch = prices.ask if side is Side.BUY else prices.bid
        shown = [Fraction(p) for p in (touch, prices.last) if p is not None]
    else:
        shown = [Fraction(prices.last or 0)]
    mine = [Fraction(limit), Fraction(limit) * (1 + Fraction(ratio or 0))] + ([Fraction(trigger)] if trigger else [])
    share = Fraction(percent) / 100
    # An adjustment to the side that does not cost never lies beyond the limit itself.
    if side is Side.BUY:
        is_beyond = any(price > max(shown) * (1 + share) for price in mine)
    else:
        is_beyond = any(price < min(shown) * (1 - share) for price in mine)
    assert bool(found.reasons) is is_beyond


# ---------------------------------------------------------------- largest quantity

CAPS = st.integers(0, 40_000)
LINES = {
    "max_qty": "[orders]\nmax_qty = {}",
    "max_value": '[orders]\nmax_value = "{} HKD"',
    "converted": '[orders]\nmax_value = "{} USD"\n[fx]\nUSDHKD = "7.77"\nas_of = 2026-11-20\nbuffer_percent = 1.5',
    "daily": '[budgets]\ndaily_value = "{} HKD"',
    "daily_usd": '[budgets]\ndaily_value = "{} USD"\n[fx]\nUSDHKD = "7.77"\nas_of = 2026-11-20',
    "open": '[budgets]\nopen_value = "{} HKD"',
}


@settings(max_examples=150, deadline=None)
@given(
    limits=st.dictionaries(st.sampled_from(sorted(LINES)), CAPS, min_size=1),
    past=st.lists(st.tuples(st.integers(1, 50), PRICES), max_size=3),
    qty=st.integers(1, 200),
    price=st.decimals("0.001", "900", places=3),
    lot=st.sampled_from([None, 1, 5, 100]),
    is_market=st.booleans(),
    held=st.integers(-50, 150),
)
def test_the_largest_quantity_passes_and_a_lot_more_does_not(
    *,
    limits: dict[str, int],
    past: list[tuple[int, Decimal]],
    qty: int,
    price: Decimal,
    lot: int | None,
    is_market: bool,
    held: int,
) -> None:
    """Against trying every number of lots: what is told is the largest that passes now."""
    rules: PolicySet = policies(*(LINES[name].format(cap) for name, cap in sorted(limits.items())))
    book = Book()
    for number, paid in past:
        book.place(asked(rules, order(str(number), str(paid))))
    where = world(quote(str(price)), what=stock(lot_size=lot), position=position(held))
    kind = OrderType.MARKET if is_market else OrderType.NORMAL

    def passes(number: int) -> bool:
        what = order(str(number), str(price), order_type=kind, side=Side.SELL)
        return not book.reasons(asked(rules, what, world=where))

    what = order(str(qty), str(price), order_type=kind, side=Side.SELL)
    told = book.largest(asked(rules, what, world=where))
    if passes(qty):
        assert told is None
        return
    step = lot or 1
    fitting = [number for number in range(step, qty, step) if passes(number)]
    assert told == Decimal(max(fitting, default=0))


# ---------------------------------------------------------------- days and what outlives them


@settings(max_examples=150, deadline=None)
@given(
    market=st.sampled_from(["HK", "US", "AU", "FUTURES_US"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - beside
    flow=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(TimeInForce), st.integers(1, 5), st.booleans()), max_size=12
    ),
)
def test_w15_a_budget_is_what_a_plain_list_of_orders_says(
    market: str, start: datetime, flow: list[tuple[int, TimeInForce, int, bool]]
) -> None:
    """W15: day orders of this local day, good-till-cancelled ones that live, and fills of this day, through every
    change of the clocks; told from local wall clocks alone.
    """
    currency = {"HK": "HKD", "US": "USD", "AU": "AUD", "FUTURES_US": "USD"}[market]
    rules, book, wall = policies(f'[budgets]\ndaily_value = "10 {currency}"'), Book(), start
    code = "CL2612" if market == "FUTURES_US" else "X"
    where = world(what=future("US.CL2612", multiplier="1")) if market == "FUTURES_US" else None
    reset = RESET_OF[market]
    spent: list[tuple[date, int]] = []
    live: dict[str, int] = {}

    def day_of(moment: datetime) -> date:
        local = moment.astimezone(ZoneInfo(reset.zone))
        has_turned = local.hour * 60 + local.minute >= reset.minute
        return local.date() if has_turned else local.date() - timedelta(days=1)

    for hours, time_in_force, qty, fills in flow:
        wall += timedelta(hours=hours)
        used = sum(amount for day, amount in spent if day == day_of(wall)) + sum(live.values())
        judgement = asked(
            rules, order(str(qty), "1", market=market, code=code, time_in_force=time_in_force), wall=wall, world=where
        )
        told = book.place(judgement)
        assert bool(told) is (used + qty > 10)
        if told:
            continue
        step = f"step-{book.steps}"
        settle(book.state, step, Outcome(Verdict.ACCEPTED, order_id=step), t_us=0)
        if time_in_force is TimeInForce.DAY:
            spent.append((day_of(wall), qty))
        elif fills:
            cell = judgement.claims[0].counter
            filled = fill_cell(cell, market=market, wall=wall)
            set_targets(book.state, step, {cell: 0, filled: qty * 10_000}, t_us=0)
            spent.append((day_of(wall), qty))
        else:
            live[step] = qty
