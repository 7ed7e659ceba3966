"""Intents: what a caller exactly wants, in closed types. Enums are numbered as on the wire."""

from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Final

from msgspec import Struct

from guard.terms.callers import Env


class Side(IntEnum):
    """Trd_Common.TrdSide."""

    BUY = 1
    SELL = 2
    SELL_SHORT = 3
    BUY_BACK = 4


class OrderType(IntEnum):
    """Trd_Common.OrderType."""

    NORMAL = 1
    MARKET = 2
    ABSOLUTE_LIMIT = 5
    AUCTION = 6
    AUCTION_LIMIT = 7
    SPECIAL_LIMIT = 8
    SPECIAL_LIMIT_ALL = 9
    STOP = 10
    STOP_LIMIT = 11
    MARKET_IF_TOUCHED = 12
    LIMIT_IF_TOUCHED = 13
    TRAILING_STOP = 14
    TRAILING_STOP_LIMIT = 15
    TWAP_MARKET = 16
    TWAP_LIMIT = 17
    VWAP_MARKET = 18
    VWAP_LIMIT = 19


PRICELESS: Final = frozenset(
    {
        OrderType.MARKET,
        OrderType.AUCTION,
        OrderType.STOP,
        OrderType.MARKET_IF_TOUCHED,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP_LIMIT,  # its limit follows from trail_spread
        OrderType.TWAP_MARKET,
        OrderType.VWAP_MARKET,
    }
)
"""The types that have no limit price of their own: filled at the market's, whatever `price` says."""
TRAILING: Final = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})


class TimeInForce(IntEnum):
    """Trd_Common.TimeInForce."""

    DAY = 0
    GTC = 1


class Op(IntEnum):
    """Trd_Common.ModifyOrderOp."""

    NORMAL = 1
    CANCEL = 2
    DISABLE = 3
    ENABLE = 4
    DELETE = 5


class Header(Struct, frozen=True, omit_defaults=True, cache_hash=True, gc=False):
    """The trade header as the body has it. `env` None: the body names none. One of `acc_id`, `card_num` may be None."""

    env: Env | None
    acc_id: int | None
    card_num: str | None
    trd_market: int
    jp_acc_type: int | None = None


class PlaceOrder(Struct, frozen=True, omit_defaults=True, gc=False):
    """A new order, or what an order shall be after a change.

    `market` is the policy's word (HK, US, CN, HKCC, SG, JP, AU, MY, CA, HK_FUND, US_FUND, FUTURES_HK, …), `symbol`
    is prefix and code ("HK.00700"), `code` what the daemon is sent (no prefix). Prices in the instrument's currency;
    `trail_value` in percent units for ratios. `packet_id`, here and in the other trades, is the caller's own pair of
    connection and serial: it is recorded, never forwarded.
    """

    header: Header
    market: str
    symbol: str
    code: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    sec_market: int | None = None
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_price: bool | None = None
    adjust_side_and_limit: Decimal | None = None
    fill_outside_rth: bool | None = None
    session: int | None = None
    position_id: int | None = None
    remark: str | None = None
    packet_id: tuple[int, int] | None = None


class ModifyOrder(Struct, frozen=True, omit_defaults=True):
    """A change of one order: NORMAL (new quantity and price) or ENABLE. `order_id` is text."""

    header: Header
    order_id: str | None
    order_id_ex: str | None
    op: Op
    qty: Decimal | None = None
    price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_price: bool | None = None
    adjust_side_and_limit: Decimal | None = None
    packet_id: tuple[int, int] | None = None


class CancelOrder(Struct, frozen=True, omit_defaults=True):
    """CANCEL, DISABLE or DELETE of one order."""

    header: Header
    order_id: str | None
    order_id_ex: str | None
    op: Op = Op.CANCEL
    packet_id: tuple[int, int] | None = None


class CancelAll(Struct, frozen=True, omit_defaults=True):
    """Cancel all orders of an account; `modify-order` with `for_all` is the same thing (W12)."""

    header: Header
    trd_market: int | None = None
    packet_id: tuple[int, int] | None = None


class Reconfirm(Struct, frozen=True, omit_defaults=True):
    """Confirm an order that the broker holds back."""

    header: Header
    order_id: str
    reason: int
    packet_id: tuple[int, int] | None = None


class Unlock(Struct, frozen=True, omit_defaults=True):
    """Unlock (or lock) trading. `pwd_md5` is a credential: it is forwarded and never recorded."""

    unlock: bool
    pwd_md5: str | None = None
    security_firm: int | None = None
    sec_otp: str | None = None
    acc_ids: tuple[int, ...] | None = None


class Subscribe(Struct, frozen=True, omit_defaults=True):
    """Quote subscription or its end; `securities` are (QotMarket, code) pairs, `extra` the other fields as sent."""

    is_subscribe: bool
    securities: tuple[tuple[int, str], ...]
    sub_types: tuple[int, ...]
    extra: Mapping[str, object] = {}


class AccPush(Struct, frozen=True, omit_defaults=True):
    """Account push subscription; `acc_ids` None means every account that the key may see."""

    is_subscribe: bool
    acc_ids: tuple[int, ...] | None = None


class Read(Struct, frozen=True, omit_defaults=True):
    """A read (or user write): names were checked, the body goes on as it came.

    `header` where the body has a trade header, `acc_ids` where it lists accounts. `body` is None for GET; where it
    carries an account, those fields were re-encoded. `is_anew`: the broker shall be asked, not the daemon's memory.
    """

    body: bytes | None
    header: Header | None = None
    acc_ids: tuple[int, ...] | None = None
    is_anew: bool = False


TradeIntent = PlaceOrder | ModifyOrder | CancelOrder | CancelAll | Reconfirm
Intent = TradeIntent | Unlock | Subscribe | AccPush | Read
