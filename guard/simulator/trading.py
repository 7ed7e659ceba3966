"""New orders.

Lenient where the daemon is: the market traded is the code's, whatever the header says, and a sell needs no position.
A refusal is `Declined`, ret_type -1; its numbers are this daemon's own.
"""

from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from guard.simulator import matching
from guard.simulator.accounts import FUTURE_MARKETS
from guard.simulator.contracts import traded
from guard.simulator.faults import STUB_ORDER_ID
from guard.simulator.figures import tidy
from guard.simulator.header import Named, of_write
from guard.simulator.instruments import MARKETS, Instrument, Kind
from guard.simulator.orders import Order, Status
from guard.simulator.reading import Body, flag, number, required, text
from guard.simulator.refusals import Declined
from guard.simulator.world import World
from guard.terms import Account, Env, OrderType, Side, TimeInForce

NO_STOCK: Final = 1001
SHUT: Final = 1002
BAD_QTY: Final = 1003
BAD_PRICE: Final = 1004
NO_POWER: Final = 1005
LOCKED: Final = 1006
TOO_LONG: Final = 1007
_REMARK_BYTES_MAX: Final = 64
_HKCC: Final = 4
_DECIMALS: Final = Decimal("0.001")
_FUTURE_DECIMALS: Final = Decimal("0.000000001")
_AUX_TYPES: Final = matching.STOPS | matching.TOUCHES


def price_of(c2s: Body, name: str, instrument: Instrument) -> Decimal | None:
    """A price as the daemon keeps it: decimals beyond 3 (futures: 9) are dropped."""
    value = number(c2s, name)
    if value is None:
        return None
    grid = _FUTURE_DECIMALS if instrument.kind is Kind.FUTURE else _DECIMALS
    return tidy(value.quantize(grid, ROUND_DOWN))


def check_qty(world: World, instrument: Instrument, qty: Decimal | None) -> Decimal:
    """The quantity, where it is positive and a multiple of the lot."""
    if qty is None or qty <= 0:
        raise Declined("quantity must be positive", BAD_QTY)
    if world.quirks.odd_lots_refused and instrument.lot > 1 and qty % instrument.lot:
        raise Declined(f"quantity {qty} is no multiple of the lot size {instrument.lot}", BAD_QTY)
    return qty


def _check_open(world: World, instrument: Instrument) -> None:
    if not world.is_open(instrument):
        raise Declined("the market is closed", SHUT)


def check_unlocked(world: World, account: Account) -> None:
    """Real orders need trading unlocked."""
    if account.env is Env.REAL and not world.is_unlocked:
        raise Declined("unlock trade first", LOCKED)


def _check_power(world: World, order: Order) -> None:
    if not world.quirks.power_checked or order.sign < 0:
        return
    currency = order.instrument.currency
    free = world.ledger.balance(order.account, currency) - world.book.frozen(order.account, currency)
    if order.cost > free:
        raise Declined("insufficient buying power", NO_POWER)


def _trd_market(instrument: Instrument, named: int) -> int:
    if instrument.kind is Kind.FUTURE:
        return named if named in FUTURE_MARKETS else 5
    home = MARKETS[instrument.prefix].trd
    return _HKCC if instrument.prefix in {"SH", "SZ"} and named == _HKCC else home


def place(world: World, c2s: Body) -> dict[str, Any]:
    """A new order: taken, and filled as far as the market gives."""
    named = of_write(world, c2s)
    side, code = Side(required(c2s, "trd_side")), text(c2s, "code") or ""
    instrument = traded(code, sec_market=c2s.get("sec_market"), trd_market=named.trd_market)
    if instrument is None or instrument.kind is Kind.INDEX:
        raise Declined(f"unknown stock {code}", NO_STOCK)
    check_unlocked(world, named.account)
    if world.quirks.us_simulate_stubs and named.account.env is Env.SIMULATE and instrument.prefix == "US":
        return {"header": named.message(), "order_id": STUB_ORDER_ID, "order_id_ex": "0"}
    _check_open(world, instrument)
    order = _order(world, c2s, named, instrument=instrument, side=side)
    _check_power(world, order)
    if _is_held(world, order):
        order.status, order.needs_confirmation = Status.WAITING, True
    world.book.add(order)
    world.announce(order)
    if world.quirks.fills_at_once and order.is_open:
        world.match(order)
    return {"header": named.message(), "order_id": order.order_id, "order_id_ex": order.order_id_ex}


def _is_held(world: World, order: Order) -> bool:
    bound = world.quirks.confirms_above
    return bound is not None and order.price is not None and order.qty * order.price > bound


def _order(world: World, c2s: Body, named: Named, *, instrument: Instrument, side: Side) -> Order:
    order_type = OrderType(c2s.get("order_type", OrderType.NORMAL))
    price, aux = price_of(c2s, "price", instrument), price_of(c2s, "aux_price", instrument)
    needs_price = order_type not in matching.PRICELESS | matching.TRAILS
    if needs_price and (price is None or (price <= 0 and instrument.kind is not Kind.FUTURE)):
        raise Declined("price must be positive", BAD_PRICE)
    if order_type in _AUX_TYPES and aux is None:
        raise Declined("aux_price is required", BAD_PRICE)
    remark = text(c2s, "remark")
    if remark is not None and len(remark.encode()) > _REMARK_BYTES_MAX:
        raise Declined(f"remark is longer than {_REMARK_BYTES_MAX} bytes", TOO_LONG)
    qty = check_qty(world, instrument, number(c2s, "qty"))
    order_id, order_id_ex = world.book.new_ids(named.account.env)
    now = world.now()
    return Order(
        account=named.account,
        order_id=order_id,
        order_id_ex=order_id_ex,
        instrument=instrument,
        trd_market=_trd_market(instrument, named.trd_market),
        side=side,
        order_type=order_type,
        qty=qty,
        price=None if order_type in matching.PRICELESS else price,
        created=now,
        updated=now,
        mark=world.tape.price(instrument),
        remark=remark,
        time_in_force=c2s.get("time_in_force", TimeInForce.DAY),
        aux_price=aux,
        trail_type=c2s.get("trail_type"),
        trail_value=number(c2s, "trail_value"),
        trail_spread=number(c2s, "trail_spread"),
        fill_outside_rth=flag(c2s, "fill_outside_rth"),
        session=c2s.get("session"),
        jp_acc_type=named.jp_acc_type,
    )
