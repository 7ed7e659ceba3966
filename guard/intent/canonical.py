"""The one body that the daemon is sent for an intent, and what an intent means.

Trades are written in the proto's shape with integers and the guard's own packet id: what the daemon acts on is what was
judged, to the digit. Three members carry more than they seem to:

- `price` of an order type without a limit price is the constant 0. FTAPI asks for the member on market orders and
  accepts any value there; the caller's own is not kept, so nobody can value an order by it (W02).
- `code` of a future keeps its prefix. The daemon reads the prefix before it consults its own list of futures roots, and
  under a futures account's header that list could say something else than was judged. Everything else goes without:
  header and `sec_market` say the same already.
- `trd_market` of a cancel of everything is always named. Without it FTAPI cancels in every market of the account, while
  only the orders of the header's market were looked at.
"""

import hashlib
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from guard.intent import plain
from guard.intent.orders import PRICELESS
from guard.terms import (
    STAMP,
    AccPush,
    CancelAll,
    CancelOrder,
    Env,
    Header,
    Intent,
    ModifyOrder,
    Op,
    PlaceOrder,
    Read,
    Reconfirm,
    Subscribe,
    Unlock,
)

_NO_PRICE: Final = Decimal(0)
_ENCODER: Final = msgspec.json.Encoder()
_BEGIN: Final = b'{"c2s":{"packet_id":{'
_HEADER: Final = b'"header":{'
_Pairs = list[tuple[str, object]]


class _Packet(Struct, frozen=True, gc=False):
    conn_id: int
    serial_no: int


class _OrderHeader(Struct, frozen=True, omit_defaults=True, gc=False):
    trd_env: Env | None = None
    acc_id: int | None = None
    card_num: str | None = None
    trd_market: int | None = None
    jp_acc_type: int | None = None


class _OrderBody(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A new order's members in the order in which they are written; None is left out. Raw: digit by digit, escaped."""

    packet_id: _Packet
    header: _OrderHeader
    trd_side: int
    order_type: int
    code: str
    qty: Raw
    price: Raw
    adjust_price: bool | None = None
    adjust_side_and_limit: Raw | None = None
    sec_market: int | None = None
    remark: Raw | None = None
    time_in_force: int | None = None
    fill_outside_rth: bool | None = None
    aux_price: Raw | None = None
    trail_type: int | None = None
    trail_value: Raw | None = None
    trail_spread: Raw | None = None
    session: int | None = None
    position_id: int | None = None


def encode(intent: Intent, *, env: Env | None, acc_id: int | None, serial: int, remark: str | None) -> bytes:
    """The body to send, b"" for a GET.

    `env` and `acc_id` are the resolved account; None leaves what the body itself named. `serial` makes the packet id.
    `remark` stamps a new order that has none of its own.
    """
    if isinstance(intent, Read):
        return b"" if intent.body is None else intent.body
    if isinstance(intent, Unlock | Subscribe | AccPush):
        return _wrapped(_session(intent))
    if isinstance(intent, PlaceOrder):
        return _order(intent, _Packet(0, serial), _placed(intent.header, env, acc_id), remark=remark)
    head: _Pairs = [
        ("packet_id", {"conn_id": 0, "serial_no": serial}),
        ("header", _header(intent.header, env, acc_id)),
    ]
    if isinstance(intent, Reconfirm):
        return _wrapped([*head, ("order_id", int(intent.order_id)), ("reconfirm_reason", intent.reason)])
    return _wrapped(head + _change(intent))


def kept(body: bytes, *, decision: str) -> bytes:
    """The canonical body of a new order as a live one keeps it: `order_of` needs neither packet id nor our own mark."""
    if not body.startswith(_BEGIN):
        return body
    mark = b',"remark":"%b%b"' % (STAMP.encode(), decision.encode())
    return b'{"c2s":{%b' % body[body.index(_HEADER) :].replace(mark, b"", 1)


def digest(intent: Intent, *, env: Env | None, acc_id: int | None) -> str:
    """SHA-256 in hex of what is meant: alike for every spelling of the same request.

    Neither packet ids nor the guard's stamp take part; nor do trade password and one-time code, since a digest of a
    secret is kept where the secret must not be.
    """
    if isinstance(intent, Unlock):
        intent = replace(intent, pwd_md5=None, sec_otp=None)
    body = encode(intent, env=env, acc_id=acc_id, serial=0, remark=None)
    return hashlib.sha256(type(intent).__name__.encode() + _direction(intent) + b"\n" + body).hexdigest()


def changed(order: PlaceOrder, change: ModifyOrder) -> PlaceOrder:
    """The order as it will be once the change is accepted; ENABLE brings it back as it was."""
    if change.op is Op.ENABLE:
        return order
    if change.qty is None:
        raise AssertionError("a NORMAL change without a quantity is refused when it is read")
    return replace(
        order,
        qty=change.qty,
        price=None if order.order_type in PRICELESS else change.price,
        aux_price=order.aux_price if change.aux_price is None else change.aux_price,
        trail_type=order.trail_type if change.trail_type is None else change.trail_type,
        trail_value=order.trail_value if change.trail_value is None else change.trail_value,
        trail_spread=order.trail_spread if change.trail_spread is None else change.trail_spread,
        adjust_price=change.adjust_price,
        adjust_side_and_limit=change.adjust_side_and_limit,
    )


def _wrapped(pairs: _Pairs) -> bytes:
    return f'{{"c2s":{plain.members(pairs)}}}'.encode()


def _header(header: Header, env: Env | None, acc_id: int | None) -> dict[str, object]:
    """The trade header with the resolved account; the card number stands in only while no account id is known."""
    account = header.acc_id if acc_id is None else acc_id
    pairs: _Pairs = [
        ("trd_env", header.env if env is None else env),
        ("acc_id", account),
        ("card_num", header.card_num if account is None else None),
        ("trd_market", header.trd_market),
        ("jp_acc_type", header.jp_acc_type),
    ]
    return {name: value for name, value in pairs if value is not None}


def _placed(header: Header, env: Env | None, acc_id: int | None) -> _OrderHeader:
    """`_header` of a new order."""
    account = header.acc_id if acc_id is None else acc_id
    return _OrderHeader(
        trd_env=header.env if env is None else env,
        acc_id=account,
        card_num=header.card_num if account is None else None,
        trd_market=header.trd_market,
        jp_acc_type=header.jp_acc_type,
    )


def _order(order: PlaceOrder, packet: _Packet, header: _OrderHeader, *, remark: str | None) -> bytes:
    """Written by an encoder of its own: no other body is written as often."""
    said = remark if order.remark is None else order.remark
    body = _OrderBody(
        packet_id=packet,
        header=header,
        trd_side=order.side,
        order_type=order.order_type,
        code=order.symbol if order.market.startswith("FUTURES_") else order.code,
        qty=_raw(order.qty),
        price=_raw(_NO_PRICE if order.price is None else order.price),
        adjust_price=order.adjust_price,
        adjust_side_and_limit=_raw_or_none(order.adjust_side_and_limit),
        sec_market=order.sec_market,
        remark=None if said is None else Raw(plain.text(said).encode()),
        time_in_force=order.time_in_force,
        fill_outside_rth=order.fill_outside_rth,
        aux_price=_raw_or_none(order.aux_price),
        trail_type=order.trail_type,
        trail_value=_raw_or_none(order.trail_value),
        trail_spread=_raw_or_none(order.trail_spread),
        session=order.session,
        position_id=order.position_id,
    )
    return b'{"c2s":%b}' % _ENCODER.encode(body)


def _raw(number: Decimal) -> Raw:
    return Raw(format(number, "f").encode())


def _raw_or_none(number: Decimal | None) -> Raw | None:
    return None if number is None else _raw(number)


def _change(change: ModifyOrder | CancelOrder | CancelAll) -> _Pairs:
    if isinstance(change, CancelAll):
        return [
            ("order_id", 0),
            ("modify_order_op", Op.CANCEL),
            ("for_all", True),
            ("trd_market", change.trd_market or change.header.trd_market),
        ]
    named: _Pairs = [("order_id", int(change.order_id or 0)), ("modify_order_op", change.op)]
    if isinstance(change, ModifyOrder):
        named += [
            ("qty", change.qty),
            ("price", change.price),
            ("adjust_price", change.adjust_price),
            ("adjust_side_and_limit", change.adjust_side_and_limit),
            ("aux_price", change.aux_price),
            ("trail_type", change.trail_type),
            ("trail_value", change.trail_value),
            ("trail_spread", change.trail_spread),
        ]
    return [*named, ("order_id_ex", change.order_id_ex)]


def _session(intent: Unlock | Subscribe | AccPush) -> _Pairs:
    if isinstance(intent, AccPush):
        return [("acc_id_list", None if intent.acc_ids is None else list(intent.acc_ids))]
    if isinstance(intent, Unlock):
        return [
            ("unlock", intent.unlock),
            ("pwd_md5", intent.pwd_md5),
            ("security_firm", intent.security_firm),
            ("sec_otp", intent.sec_otp),
            ("acc_ids", None if intent.acc_ids is None else list(intent.acc_ids)),
        ]
    return [
        ("security_list", [{"market": market, "code": code} for market, code in intent.securities]),
        ("sub_type_list", list(intent.sub_types)),
        ("is_sub_or_un_sub", intent.is_subscribe),
        *intent.extra.items(),
    ]


def _direction(intent: Intent) -> bytes:
    """Account pushes are begun and ended with the same body."""
    return b"+" if isinstance(intent, AccPush) and intent.is_subscribe else b""
