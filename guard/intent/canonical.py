"""The one body that the daemon is sent for an intent, and what an intent means.

Trades are written in the proto's shape with integers and the guard's own packet id: what the daemon acts on is what was
judged, to the digit. Three members carry more than they seem to:

- `price` of an order type without a limit price is the constant 0. FTAPI asks for the member on market orders and
  accepts any value there; the caller's own is not kept, so nobody can value an order by it (W02).
- `code` keeps its prefix for futures, and where a share may be written like the root of one. The daemon reads the
  prefix first, then its own list of those roots, and `sec_market` and header last: `ES` under a header of Australia is
  American to it, and `MHI` under one of America from Hong Kong. Elsewhere the code goes without.
- `trd_market` of a cancel of everything is always named. Without it FTAPI cancels in every market of the account, while
  only the orders of the header's market were looked at.
"""

import hashlib
from functools import lru_cache
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from guard.intent import plain
from guard.markets import FUTURES, ROOTS_ABROAD
from guard.terms import (
    PRICELESS,
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

PREFIXED: Final = frozenset({*FUTURES, "SG", "AU", "MY", "CA"})
"""The markets whose codes are sent with their prefix."""
HEADERS_MAX: Final = 1024  # texts of headers, one of each account and market
_ORDER: Final = (
    '{"c2s":{"packet_id":{"conn_id":0,"serial_no":%d},"header":%s,"trd_side":%d,"order_type":%d,'
    '"code":"%s","qty":%s,"price":%s%s%s%s,"time_in_force":%d%s}}'
)
"""A new order. A `%s` without a name stands for members that may be absent; a code needs no escapes (`instrument`)."""
_ADJUSTMENT: Final = ("adjust_price", "adjust_side_and_limit")
_TERMS: Final = (
    "fill_outside_rth",
    "aux_price",
    "trail_type",
    "trail_value",
    "trail_spread",
    "session",
    "position_id",
)
_rare: Final = attrgetter(*_ADJUSTMENT, *_TERMS)
_NOTHING: Final = (None,) * len((*_ADJUSTMENT, *_TERMS))
_BEGIN: Final = b'{"c2s":{"packet_id":{'
_HEADER: Final = b'"header":{'
_MARK: Final = b',"remark":"%b%%b"' % STAMP.encode()
_Pairs = list[tuple[str, object]]
_Others = ModifyOrder | CancelOrder | CancelAll | Reconfirm | Unlock | Subscribe | AccPush | Read


def encode(intent: Intent, *, env: Env | None, acc_id: int | None, serial: int, remark: str | None) -> bytes:
    """The body to send, b"" for a GET.

    `env` and `acc_id` are the resolved account; None leaves what the body itself named. `serial` makes the packet id.
    `remark` stamps a new order that has none of its own.
    """
    if not isinstance(intent, PlaceOrder):
        return _rarer(intent, env=env, acc_id=acc_id, serial=serial)
    said = remark if intent.remark is None else intent.remark
    adjusted = terms = ""
    if _rare(intent) != _NOTHING:
        adjusted, terms = _more(intent, _ADJUSTMENT), _more(intent, _TERMS)
    return (
        _ORDER
        % (
            serial,
            _header_text(intent.header, env, acc_id),
            intent.side,
            intent.order_type,
            intent.symbol if intent.market in PREFIXED or intent.code in ROOTS_ABROAD else intent.code,
            plain.digits(intent.qty),
            "0" if intent.price is None else plain.digits(intent.price),
            adjusted,
            "" if intent.sec_market is None else f',"sec_market":{intent.sec_market}',
            "" if said is None else f',"remark":{plain.quoted(said)}',
            intent.time_in_force,
            terms,
        )
    ).encode()


def _rarer(intent: _Others, *, env: Env | None, acc_id: int | None, serial: int) -> bytes:
    """The body of an intent that is no new order."""
    if isinstance(intent, Read):
        return b"" if intent.body is None else intent.body
    if isinstance(intent, Unlock | Subscribe | AccPush):
        return _wrapped(_session(intent))
    head: _Pairs = [
        ("packet_id", {"conn_id": 0, "serial_no": serial}),
        ("header", _header(intent.header, env, acc_id)),
    ]
    if isinstance(intent, Reconfirm):
        return _wrapped([*head, ("order_id", int(intent.order_id)), ("reconfirm_reason", intent.reason)])
    return _wrapped(head + _change(intent))


def kept(body: bytes, *, decision: str) -> bytes:
    """The canonical body of a new order as a live order keeps it: `order_of` needs neither packet id nor stamp."""
    if not body.startswith(_BEGIN):
        return body
    terms = body[body.index(_HEADER) :]
    return b'{"c2s":{' + terms.replace(_MARK % decision.encode(), b"", 1)


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


@lru_cache(maxsize=HEADERS_MAX)
def _header_text(header: Header, env: Env | None, acc_id: int | None) -> str:
    """The same as text, cached: orders have few different headers."""
    return plain.text(_header(header, env, acc_id))


def _more(order: PlaceOrder, names: tuple[str, ...]) -> str:
    """The members that most orders do not have, each after a comma."""
    pairs = [(name, getattr(order, name)) for name in names]
    return "".join([f',"{name}":{plain.text(value)}' for name, value in pairs if value is not None])


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
