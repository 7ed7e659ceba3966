"""What an order is worth in its world: every order type, contracts, ages, and what cannot be valued."""

from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.policy import ValueTerms, value
from guard.policy.contracts import class_of
from guard.policy.prices import NO_PRICE
from guard.policy.valuation import underlying_value
from guard.terms import Missing, Money, OrderType, PlaceOrder, Side, Valuation, World
from tests.support.policy import asked, codes, order, policies
from tests.support.worlds import NOT_ASKED, future, option, quote, stock, world

T = OrderType
BOOK = quote("300", bid="299", ask="301", prev_close="290")
MARKET_LIKE = (T.MARKET, T.AUCTION, T.TWAP_MARKET, T.VWAP_MARKET)
RATIO, AMOUNT = 1, 2
CALL = {"market": "US", "code": "AAPL260116C200000"}
OIL = {"market": "FUTURES_US", "code": "CL2612"}


def valued(what: PlaceOrder, where: World, **terms: Any) -> Valuation:
    """The value of an order that has one."""
    found = value(what, where, terms=ValueTerms(**terms))
    assert isinstance(found, Valuation), found
    return found


def lacking(what: PlaceOrder, where: World) -> Missing:
    """What is missing for its value."""
    found = value(what, where)
    assert isinstance(found, Missing), found
    return found


# ---------------------------------------------------------------- orders without a limit


@pytest.mark.parametrize("order_type", MARKET_LIKE)
@pytest.mark.parametrize("price", [None, "0.01", "1000000"])
@pytest.mark.parametrize(
    ("side", "prices", "expected"),
    [
        (Side.BUY, BOOK, "316.05"),  # ask 301 + 5 %
        (Side.SELL, BOOK, "315"),  # last 300 is above bid 299
        (Side.SELL, quote("298", bid="299"), "313.95"),
        (Side.BUY, quote("305", ask="301"), "320.25"),
        (Side.BUY, quote("300", ask="301", bid="302"), "316.05"),  # crossed
    ],
)
def test_w01_w02_market_like_orders_are_worth_the_reference_price_and_buffer(
    order_type: OrderType, price: str | None, side: Side, prices: Any, expected: str
) -> None:
    """W01, W02: the larger of touch and last plus the buffer, whatever the body's `price` says."""
    what = order("200", price, order_type=order_type, side=side)
    found = valued(what, world(prices))

    assert found.price == Decimal(expected)
    assert found.value == Money(200 * Decimal(expected), "HKD")


@pytest.mark.parametrize(("buffer", "expected"), [("0", "301"), ("5", "316.05"), ("12.5", "338.625")])
def test_the_buffer_is_the_policys(buffer: str, expected: str) -> None:
    """`market_buffer_percent` on top of the reference price."""
    found = valued(order(order_type=T.MARKET), world(BOOK), buffer_percent=Decimal(buffer))

    assert found.price == Decimal(expected)


@pytest.mark.parametrize(
    ("order_type", "side", "trigger", "expected", "source"),
    [
        (T.STOP, Side.BUY, "310", "325.5", "trigger"),  # not crossed: trigger + 5 %
        (T.STOP, Side.BUY, "280", "316.05", "ask"),  # crossed: the market
        (T.STOP, Side.SELL, "280", "300", "last"),  # protective stop: what the market says, no buffer
        (T.STOP, Side.SELL, "299", "315", "last"),  # crossed by the bid: a market order, with buffer
        (T.STOP, Side.SELL, "310", "325.5", "trigger"),  # crossed already
        (T.MARKET_IF_TOUCHED, Side.BUY, "280", "316.05", "ask"),
        (T.MARKET_IF_TOUCHED, Side.BUY, "310", "325.5", "trigger"),
        (T.MARKET_IF_TOUCHED, Side.SELL, "310", "310", "trigger"),
        (T.MARKET_IF_TOUCHED, Side.SELL, "300", "315", "last"),  # touched: a market order
    ],
)
def test_triggered_orders_are_worth_the_larger_of_trigger_and_reference(
    order_type: OrderType, side: Side, trigger: str, expected: str, source: str
) -> None:
    """A buy with buffer; a sell without, unless its trigger is crossed already, for then it is a market order."""
    what = order("10", None, order_type=order_type, side=side, aux_price=Decimal(trigger))
    found = valued(what, world(BOOK))

    assert (found.price, found.source) == (Decimal(expected), source)


@pytest.mark.parametrize(
    ("side", "limit", "trigger", "expected", "source"),
    [
        (Side.SELL, "290", "450", "450", "trigger"),  # rests until the market is there, and is filled there
        (Side.SELL, "500", "450", "500", "limit"),
        (Side.SELL, "290", "295", "300", "last"),  # touched already
        (Side.BUY, "290", "450", "290", "limit"),
    ],
)
def test_a_sale_that_waits_to_be_touched_is_worth_its_trigger(
    side: Side, limit: str, trigger: str, expected: str, source: str
) -> None:
    """Its limit says how little may be had for it, not how much; a purchase costs no more than its limit."""
    what = order("10", limit, order_type=T.LIMIT_IF_TOUCHED, side=side, aux_price=Decimal(trigger))
    found = valued(what, world(BOOK))

    assert (found.price, found.source) == (Decimal(expected), source)


@pytest.mark.parametrize(("trigger", "expected"), [("-80", "80"), ("80", "70")])
def test_a_future_that_is_bought_below_zero_once_touched_is_worth_its_trigger(trigger: str, expected: str) -> None:
    """Nothing else says how far below zero it is bought: the limit is above."""
    what = order("1", "70", order_type=T.LIMIT_IF_TOUCHED, aux_price=Decimal(trigger), **OIL)

    assert valued(what, world(quote("75"), what=future())).price == Decimal(expected)


@pytest.mark.parametrize(
    ("order_type", "side", "trail", "expected"),
    [
        (T.TRAILING_STOP, Side.BUY, (RATIO, "20", None), "379.26"),  # 301 + 20 % + 5 %
        (T.TRAILING_STOP, Side.BUY, (RATIO, "0.2", None), "316.6821"),  # percent units: a fifth of a percent
        (T.TRAILING_STOP, Side.BUY, (AMOUNT, "20", None), "337.05"),  # 301 + 20 + 5 %
        (T.TRAILING_STOP, Side.SELL, (RATIO, "20", None), "300"),
        (T.TRAILING_STOP, Side.SELL, (AMOUNT, "20", None), "300"),
        (T.TRAILING_STOP_LIMIT, Side.BUY, (AMOUNT, "20", "4"), "341.25"),  # 301 + 20 + 4, + 5 %
        (T.TRAILING_STOP_LIMIT, Side.SELL, (AMOUNT, "20", "4"), "300"),
    ],
)
def test_trailing_orders_are_worth_the_reference_price_and_trail(
    order_type: OrderType, side: Side, trail: tuple[int, str, str | None], expected: str
) -> None:
    """A ratio is in percent units (20 is 20 %); a buy adds trail, spread and buffer, a sell nothing."""
    kind, distance, spread = trail
    what = order(
        "10",
        None,
        order_type=order_type,
        side=side,
        trail_type=kind,
        trail_value=Decimal(distance),
        trail_spread=None if spread is None else Decimal(spread),
    )

    assert valued(what, world(BOOK)).price == Decimal(expected)


@pytest.mark.parametrize(
    ("order_type", "fields"),
    [
        (T.STOP, {}),
        (T.MARKET_IF_TOUCHED, {}),
        (T.TRAILING_STOP, {}),
        (T.TRAILING_STOP, {"trail_type": 3, "trail_value": Decimal(1)}),
        (T.TRAILING_STOP, {"trail_type": 1}),
        (T.TRAILING_STOP_LIMIT, {"trail_type": 1, "trail_value": Decimal(-1)}),
    ],
)
def test_an_order_without_its_terms_has_no_value(order_type: OrderType, fields: dict[str, Any]) -> None:
    """No trigger, no trail, or a trail of an unknown type."""
    assert lacking(order("1", None, order_type=order_type, **fields), world(BOOK)).code is Code.PRICE_UNAVAILABLE


@pytest.mark.parametrize("session", ["break", "auction", "closed"])
def test_outside_of_trading_the_last_price_is_used_and_flagged(session: str) -> None:
    """Lunch, auction and close: the source says so, the arithmetic too."""
    found = valued(order("100", order_type=T.MARKET), world(quote("300", ask="999", session=session)))

    assert (found.price, found.source) == (Decimal(315), f"last, {session}")
    assert found.arithmetic == f"100 x 315 HKD = 31500 HKD; last, {session} 300, 0.4 s old, buffer 5 %"


def test_the_valuation_tells_price_source_age_and_arithmetic() -> None:
    """What goes into the decision."""
    found = valued(order("100", order_type=T.MARKET), world(BOOK))

    assert (found.source, found.age_ms, found.multiplier) == ("ask", 400, Decimal(1))
    assert found.arithmetic == "100 x 316.05 HKD = 31605 HKD; ask 301, 0.4 s old, buffer 5 %"


def test_a_stale_price_is_told_with_its_age() -> None:
    """The refusal names the datum and how old it is."""
    found = lacking(order(order_type=T.MARKET), world(quote(age_ms=7200)))

    assert found.code is Code.PRICE_UNAVAILABLE
    assert "the price of HK.00700 is 7.2 s old" in found.message


# ---------------------------------------------------------------- orders with a limit


@pytest.mark.parametrize("prices", [quote(age_ms=5001), Missing(Code.PRICE_UNAVAILABLE, "late", is_late=True)])
def test_w02_a_sale_has_no_value_while_its_price_is_late(prices: Any) -> None:
    """W02: there is a price, and whoever keeps it from being told would sell at any."""
    assert isinstance(value(order(side=Side.SELL, price="0.01"), world(prices)), Missing)


@pytest.mark.parametrize("prices", [quote(age_ms=5001), Missing(Code.PRICE_UNAVAILABLE, "late", is_late=True)])
def test_a_future_is_not_bought_while_its_price_is_late(prices: Any) -> None:
    """It may be below zero, and then a limit above says nothing; where nobody can have a price its own limit counts."""
    what = order("1", "0.01", **OIL)

    assert isinstance(value(what, world(prices, what=future())), Missing)
    assert valued(what, world(NO_PRICE, what=future())).price == Decimal("0.01")


@pytest.mark.parametrize(
    ("side", "limit", "prices", "expected", "source"),
    [
        (Side.BUY, "200", BOOK, "200", "limit"),
        (Side.BUY, "400", BOOK, "400", "limit"),
        (Side.SELL, "400", BOOK, "400", "limit"),
        (Side.SELL, "300", BOOK, "300", "limit"),
        (Side.SELL, "0.01", BOOK, "300", "last"),
        (Side.BUY, "200", quote(age_ms=5001), "200", "limit"),
        (Side.SELL, "0.01", NOT_ASKED, "0.01", "limit"),
        (Side.SELL, "0.01", NO_PRICE, "0.01", "limit"),
    ],
)
def test_a_sale_is_worth_what_it_may_fill_at(side: Side, limit: str, prices: Any, expected: str, source: str) -> None:
    """A sell may fill above its limit, where a fresh price is known; a buy never fills above its own."""
    found = valued(order("10", limit, side=side), world(prices))

    assert (found.price, found.source) == (Decimal(expected), source)


def test_w06_a_limit_counts_as_far_up_as_it_may_be_moved() -> None:
    """W06: for both sides, also where a price is known."""
    for side in (Side.BUY, Side.SELL):
        found = valued(order("10", "310", side=side, adjust_side_and_limit=Decimal("0.1")), world(BOOK))
        assert (found.price, found.source) == (Decimal(341), "limit, adjusted")


def test_a_stop_limit_is_worth_its_limit() -> None:
    """The trigger is no price that it fills at."""
    what = order("10", "200", order_type=T.STOP_LIMIT, aux_price=Decimal(190))

    assert valued(what, world(NOT_ASKED)).value == Money(Decimal(2000), "HKD")


def test_fractional_shares_and_odd_lots_are_valued_as_they_are() -> None:
    """A thousandth of a share, 7 of a lot of 100: quantity times price; lots are the broker's business."""
    us = world(quote(symbol="US.BRK.A"), what=stock("US.BRK.A", currency="USD", lot_size=1))
    assert valued(order("0.001", "123.456", market="US", code="BRK.A"), us).value.amount == Decimal("0.123456")
    assert valued(order("7", "300"), world(what=stock(lot_size=100))).value.amount == Decimal(2100)


def test_the_currency_is_the_instruments_own() -> None:
    """What the daemon's own orders show wins over the table of markets."""
    assert valued(order("1", "1"), world(what=stock(currency="USD"))).value.currency == "USD"
    assert valued(order("1", "1"), world(what=stock(currency=""))).value.currency == "HKD"


# ---------------------------------------------------------------- contracts


def test_w07_an_option_has_two_values() -> None:
    """W07: the premium with its multiplier, and the larger of strike and underlying price with it."""
    where = world(quote("5", symbol="US.AAPL260116C200000"), what=option(), underlying=quote("230", symbol="US.AAPL"))
    found = valued(order("2", "5.25", **CALL), where)

    assert found.value == Money(Decimal(1050), "USD")
    assert (found.price, found.multiplier) == (Decimal("5.25"), Decimal(100))
    assert found.underlying == Money(Decimal(46000), "USD")
    assert found.arithmetic == "2 x 5.25 USD x 100 = 1050 USD"


@pytest.mark.parametrize(
    ("underlying", "strike", "expected"),
    [
        (quote("230"), "200", "23000"),
        (quote("170"), "200", "20000"),
        (quote(None, prev_close="231"), "200", "23100"),
        (quote("230", age_ms=5001), "200", Code.PRICE_UNAVAILABLE),
        (quote(None), "200", Code.PRICE_UNAVAILABLE),
        (NOT_ASKED, "200", Code.REFERENCE_UNAVAILABLE),
        (None, "200", Code.PRICE_UNAVAILABLE),
        (quote("230"), None, Code.REFERENCE_UNAVAILABLE),
        (quote("230"), "0", Code.REFERENCE_UNAVAILABLE),
    ],
)
def test_w07_w19_what_an_option_stands_for(underlying: Any, strike: str | None, expected: str | Code) -> None:
    """W07, W19: for a sold option the premium says little; without strike or price its other value is missing."""
    where = world(what=option(strike=strike), underlying=underlying)
    found = underlying_value(order("1", "0.05", side=Side.SELL, **CALL), where)

    if isinstance(expected, Code):
        assert isinstance(found, Missing)
        assert found.code is expected
        # The premium is known all the same.
        assert valued(order("1", "0.05", **CALL), where).underlying is None
    else:
        assert found == Money(Decimal(expected), "USD")


def test_what_is_no_option_stands_for_nothing_else() -> None:
    """Neither shares nor futures, known or not."""
    assert underlying_value(order(), world(what=stock())) is None
    assert underlying_value(order(**OIL), world(what=NOT_ASKED)) is None
    assert underlying_value(order(), None) is None
    assert isinstance(underlying_value(order(**CALL), world(what=NOT_ASKED)), Missing)


@pytest.mark.parametrize(
    ("limit", "last", "side", "expected"),
    [
        ("70", "72", Side.BUY, "70"),
        ("70", "72", Side.SELL, "72"),
        ("0", "72", Side.BUY, "72"),
        ("-5", "72", Side.BUY, "72"),
        ("-5", "-37", Side.BUY, "37"),
        ("-50", "-37", Side.BUY, "50"),
        ("0", "-37", Side.SELL, "37"),
        ("1", "-37", Side.SELL, "37"),
        ("1", "-37", Side.BUY, "37"),
        ("50", "-37", Side.BUY, "50"),
    ],
)
def test_futures_below_zero_are_never_free(limit: str, last: str, side: Side, expected: str) -> None:
    """Negative and zero prices count by their size, and no less than the reference price."""
    where = world(quote(last, symbol="US.CL2612"), what=future())

    assert valued(order("2", limit, side=side, **OIL), where).value == Money(2000 * Decimal(expected), "USD")


def test_a_bought_future_whose_price_nobody_knows_counts_at_its_limit() -> None:
    """As a sold share does: the price is asked for, and a limit above zero stands where there is none."""
    assert valued(order("2", "70", **OIL), world(what=future())).value == Money(Decimal(140_000), "USD")


def test_a_future_without_price_and_limit_has_no_value() -> None:
    """A limit of zero needs a reference price."""
    assert lacking(order("1", "0", **OIL), world(what=future())).code is Code.REFERENCE_UNAVAILABLE
    assert lacking(order("1", None, **OIL), world(what=future())).code is Code.PRICE_UNAVAILABLE
    assert lacking(order("1", "0"), world(BOOK)).code is Code.PRICE_UNAVAILABLE


def test_a_market_order_of_a_future_with_a_negative_price() -> None:
    """By its size, with buffer and multiplier."""
    where = world(quote("-37", symbol="US.CL2612", ask="-36"), what=future())

    assert valued(order("1", None, order_type=T.MARKET, **OIL), where).value.amount == Decimal(38850)


@pytest.mark.parametrize(
    ("what", "fields", "known", "code"),
    [
        ("future", OIL, Missing(Code.UNSUPPORTED_INSTRUMENT, "no such thing"), Code.UNSUPPORTED_INSTRUMENT),
        ("future", OIL, NOT_ASKED, Code.REFERENCE_UNAVAILABLE),
        ("option", CALL, option(multiplier="0"), Code.REFERENCE_UNAVAILABLE),
        ("stock", {}, Missing(Code.UNSUPPORTED_INSTRUMENT, "no such thing"), Code.UNSUPPORTED_INSTRUMENT),
        ("stock", {}, NOT_ASKED, None),
        ("index", {}, stock(kind="index"), None),
    ],
)
def test_an_instrument_that_nobody_knows_has_no_value(what: str, fields: Any, known: Any, code: Code | None) -> None:
    """A share may be valued without contract data; what the daemon does not know at all is not traded."""
    found = value(order("1", "1", **fields), world(what=known))

    assert (found.code if isinstance(found, Missing) else None) is code, what


def test_without_a_currency_there_is_no_value() -> None:
    """A future whose currency neither table nor daemon knows."""
    where = world(what=future("SG.XX2612", currency=""))

    assert lacking(order("1", "1", market="FUTURES_SG", code="XX2612"), where).message == (
        "the currency of SG.XX2612 is not known"
    )


def test_what_cannot_be_worked_out_exactly_is_missing() -> None:
    """A number beyond exact arithmetic is refused, in the value as in the underlying's."""
    where = world(quote("9." + "9" * 59), what=stock())
    assert lacking(order("1." + "3" * 30, order_type=T.MARKET), where).code is Code.BAD_NUMBER


@pytest.mark.parametrize(
    ("fields", "known", "expected"),
    [
        ({}, None, "stock"),
        (CALL, None, "option"),
        (OIL, None, "future"),
        ({}, stock(kind="warrant"), "stock"),
        ({}, option(), "option"),
    ],
)
def test_an_instrument_belongs_to_one_class(fields: Any, known: Any, expected: str) -> None:
    """What the daemon says, else the spelling; warrants and funds are stocks."""
    where = None if known is None else world(what=known)

    assert class_of(order(**fields), where) == expected


# ---------------------------------------------------------------- against limits

TWO_CAPS = '[orders]\nmax_premium = "1050 USD"\nmax_underlying_value = "46000 USD"'


@pytest.mark.parametrize(
    ("qty", "price", "side", "found"),
    [
        ("2", "5.25", Side.BUY, []),
        ("2", "5.251", Side.BUY, [(Code.MAX_ORDER_VALUE, "orders.max_premium")]),
        ("3", "0.05", Side.SELL, [(Code.MAX_ORDER_VALUE, "orders.max_underlying_value")]),
        (
            "3",
            "5.25",
            Side.BUY,
            [(Code.MAX_ORDER_VALUE, "orders.max_premium"), (Code.MAX_ORDER_VALUE, "orders.max_underlying_value")],
        ),
    ],
)
def test_w07_w19_options_meet_two_caps(qty: str, price: str, side: Side, found: Any) -> None:
    """W07, W19: premium and underlying, each inclusive; both answer max_order_value."""
    where = world(what=option(), underlying=quote("230", symbol="US.AAPL"))
    judgement = asked(TWO_CAPS, order(qty, price, side=side, **CALL), world=where)

    assert [(reason.code, reason.rule) for reason in judgement.reasons] == found


def test_option_caps_say_nothing_of_shares() -> None:
    """A stock order of any size, priced or not, passes them."""
    assert not codes(asked(TWO_CAPS, order("1000000", "1000")))
    assert not codes(asked(TWO_CAPS, order(order_type=T.MARKET)))


def test_option_caps_fail_closed() -> None:
    """Without a world, without contract data, without the underlying's price."""
    call = order("1", "1", **CALL)

    assert codes(asked(TWO_CAPS, call)) == [Code.REFERENCE_UNAVAILABLE]
    assert codes(asked(TWO_CAPS, call, world=world())) == [Code.REFERENCE_UNAVAILABLE]
    assert codes(asked(TWO_CAPS, call, world=world(what=option()))) == [Code.PRICE_UNAVAILABLE]


def test_an_underlying_over_its_cap_is_told() -> None:
    """Which contracts, and how the value came about."""
    where = world(what=option(), underlying=quote("230", symbol="US.AAPL"))
    (reason,) = asked(TWO_CAPS, order("3", "0.05", **CALL), world=where).reasons

    assert (reason.observed, reason.limit, reason.unit) == ("69000", "46000", "USD")
    assert reason.message == (
        "underlying value 69000 USD is above 46000 USD: "
        "3 contracts of US.AAPL260116C200000, at strike or price, whichever is larger"
    )


def test_a_market_order_over_its_cap_tells_price_source_age_and_arithmetic() -> None:
    """The refusal text holds everything that led to it."""
    what = order("100", "0.01", order_type=T.MARKET)
    (reason,) = asked('[orders]\nmax_value = "31604 HKD"', what, world=world(BOOK)).reasons

    assert reason.message == (
        "order value 31605 HKD is above 31604 HKD: 100 x 316.05 HKD = 31605 HKD; ask 301, 0.4 s old, buffer 5 %"
    )
    assert not codes(asked('[orders]\nmax_value = "31605 HKD"', what, world=world(BOOK)))


def test_the_largest_buffer_and_the_smallest_age_of_all_policies_bind() -> None:
    """Also those of a policy that has no money limit of its own."""
    caps = '[orders]\nmax_value = "33110 HKD"\nmarket_buffer_percent = 2'
    wide = "[orders]\nmarket_buffer_percent = 10\n[reference]\nprice_age_max_s = 0.4"
    what = order("100", order_type=T.MARKET)

    assert not codes(asked(policies(caps, wide), what, world=world(BOOK)))
    assert codes(asked(policies(caps.replace("33110", "33109"), wide), what, world=world(BOOK))) == [
        Code.MAX_ORDER_VALUE
    ]
    older = world(quote("300", ask="301", age_ms=401))
    assert codes(asked(policies(caps, wide), what, world=older)) == [Code.PRICE_UNAVAILABLE]
    assert not codes(asked(policies(caps), what, world=older))
