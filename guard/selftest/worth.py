"""Cases about what an order is worth, and about orders that become another one after they were looked at."""

from typing import Any, Final

from guard.selftest.case import Ask, Case, Do
from guard.selftest.words import MODIFY, cancel, change, market_order, order

_HUGE: Final = 1_000_000  # shares: more than any cap of the drill, and than most others
_AMERICAN: Final[dict[str, Any]] = {"market": "US", "code": "AAPL"}
_OPTION: Final[dict[str, Any]] = {"market": "US", "code": "<option>", "qty": 1, "price": 4}


def _too_much(body: Any, *, path: str = "/api/order") -> Ask:
    """A request that is worth more than the drill's limits."""
    return Ask(path=path, body=body, status=403, code="max_order_value")


_PLAIN: Final = Ask(body=order(qty=_HUGE))  # what a cap on value stops, if there is one

WORTH: Final = (
    Case(
        id="W01",
        sentence="An order without a price of its own is valued at the market: no type evades a cap.",
        steps=(
            Ask(body=market_order(qty=300)),
            _too_much(market_order(qty=400)),
            _too_much(market_order(order_type="STOP", aux_price=310, qty=400)),
            _too_much(market_order(order_type="MARKET_IF_TOUCHED", aux_price=310, qty=400)),
            _too_much(market_order(order_type="TRAILING_STOP", trail_type="RATIO", trail_value=1, qty=400)),
        ),
        proves=("orders.max_value",),
    ),
    Case(
        id="W01-yours",
        sentence="A market order of a quantity that a limit order could not have is refused too.",
        steps=(_too_much(market_order(qty=_HUGE)),),
        proves=("orders.max_value",),
        anywhere=True,
        twin=_PLAIN,
    ),
    Case(
        id="W02",
        sentence="A market order's tiny price field makes it no cheaper.",
        steps=(_too_much(market_order(qty=_HUGE, price=0.01)),),
        proves=("orders.max_value",),
        anywhere=True,
        twin=_PLAIN,
    ),
    Case(
        id="W02-sale",
        sentence="A sale at a tiny limit is worth what it will fill at.",
        steps=(_too_much(order(side="SELL", qty=_HUGE, price=0.01)),),
        proves=("orders.max_value",),
        anywhere=True,
        twin=_PLAIN,
    ),
    Case(
        id="B02+W04",
        sentence="A change is judged as the order that it leads to, not passed because the first one was small.",
        steps=(
            Ask(),
            _too_much(change(qty=600), path=MODIFY),
            _too_much(change(qty=100, price=1100), path=MODIFY),
            Ask(path=MODIFY, body=change(qty=200), sends={"qty": 200, "modify_order_op": 1}),
        ),
        proves=("orders.max_value",),
    ),
    Case(
        id="W05",
        sentence="Enabling an order is judged like placing it.",
        steps=(
            Ask(),
            Ask(path=MODIFY, body=change(op="DISABLE", qty=None, price=None), sends={"modify_order_op": 3}),
            Do("tighten"),
            _too_much(change(op="ENABLE", qty=None, price=None), path=MODIFY),
        ),
        proves=("orders.max_value",),
    ),
    Case(
        id="B14",
        sentence="Each operation is sent as itself: a cancel never arrives as Enable.",
        steps=(Ask(), Ask(path=MODIFY, body=cancel(), sends={"modify_order_op": 2, "order_id_ex": "<1>"})),
        proves=("judge",),
    ),
    Case(
        id="W06",
        sentence="An adjustment that the daemon may make to the price is counted at its worst.",
        steps=(
            Ask(body=order(qty=400, price=240)),
            _too_much(order(qty=400, price=240, adjust_price=True, adjust_side_and_limit=0.1)),
        ),
        proves=("orders.max_value",),
    ),
    Case(
        id="W06-yours",
        sentence="An adjusted order of a quantity that a plain one could not have is refused too.",
        steps=(_too_much(order(qty=_HUGE, adjust_price=True, adjust_side_and_limit=-0.9)),),
        proves=("orders.max_value",),
        anywhere=True,
        twin=_PLAIN,
    ),
    Case(
        id="W07",
        sentence="An option is valued with its multiplier: three contracts at 9 are 2700, not 27.",
        steps=(
            Ask(body=order(**_OPTION)),
            _too_much(order(**_OPTION | {"qty": 3, "price": 9})),
        ),
        proves=("orders.max_premium",),
    ),
    Case(
        id="W07+W19",
        sentence="A sold option meets the value of what it is on, however small its premium.",
        steps=(
            Ask(body=order(side="SELL", **_OPTION | {"price": 5})),
            _too_much(order(side="SELL", **_OPTION | {"qty": 4, "price": 5})),
        ),
        proves=("orders.max_underlying_value",),
    ),
    Case(
        id="W08",
        sentence="Amounts of different currencies are not compared: what no amount speaks of is refused.",
        steps=(
            Ask(body=order(code="80700", price=100), status=503, code="fx_unavailable"),
            _too_much(order(**_AMERICAN, qty=100, price=150)),
            Ask(body=order(**_AMERICAN, qty=50, price=150)),
        ),
        proves=("orders.max_value",),
    ),
    Case(
        id="B16-derived",
        sentence="What an order is for is read off its code, and the daemon is told the market that was judged.",
        steps=(
            Ask(
                body=order(**_AMERICAN, qty=10, price=100),
                sends={"header.trd_market": 2, "sec_market": 2, "code": "AAPL"},
            ),
        ),
        proves=("judge",),
    ),
    Case(
        id="G04",
        sentence="A price far from the market is refused on the side that costs.",
        steps=(Ask(body=order(price=380, qty=100), status=403, code="price_collar"),),
        proves=("orders.price_collar_percent",),
    ),
)
