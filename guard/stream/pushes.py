"""Which order a trade push is about: a reader of the few protobuf fields that say so. Pure; None is "nobody knows".

`body_b64` is a whole response of the broker's (proto2), the message in `s2c`; the message alone is read as well, which
the wire type of its first field tells apart. A field that stands twice would be read differently by different readers,
so it is not understood; a body that names another account than its frame is an error. Source: Trd_UpdateOrder,
Trd_UpdateOrderFill, Trd_Common.Order, Trd_Common.OrderFill, Trd_Common.TrdHeader.
"""

import binascii
from typing import Final

from msgspec import Struct

from guard.terms import Account, Env, OrderNames

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BYTES_MAX: Final = 10
_S2C, _HEADER = 4, 1
_ENV, _ACC_ID, _TRD_MARKET = 1, 2, 3
_ORDER: Final = 2
# Where Order and OrderFill carry order_id, order_id_ex and remark; a fill has no remark, nor a field of number 0.
ORDER_PUSHES: Final = {2208: (4, 5, 18), 2218: (4, 5, 0)}

Fields = dict[int, int | bytes]


class Pushed(Struct, frozen=True):
    """The order that a push is about. `trd_market`: that of its header, None where the header names none."""

    account: Account
    names: OrderNames
    trd_market: int | None = None


class TwoAccountsError(Exception):
    """The frame names one account, and its body another."""


class _Odd(ValueError):
    """Not the bytes of such a message."""


def pushed(proto_id: int, body_b64: str, *, acc_id: int | None) -> Pushed | None:
    """The order of a push; None if it is about none, or the body cannot be read. Raises TwoAccountsError."""
    places = ORDER_PUSHES.get(proto_id)
    if places is None:
        return None
    try:
        message = _message(binascii.a2b_base64(body_b64, strict_mode=True))
        header = _fields(_bytes(message, _HEADER), _ENV, _ACC_ID, _TRD_MARKET)
        named = _number(header, _ACC_ID)
        if acc_id is not None and named != acc_id:
            raise TwoAccountsError
        account = Account(Env(_number(header, _ENV)), named)
        names = _names(_bytes(message, _ORDER), places)
        trd_market = _number(header, _TRD_MARKET) if _TRD_MARKET in header else None
    except ValueError:  # binascii's and Unicode's errors are ValueErrors too
        return None
    return None if acc_id is None else Pushed(account, names, trd_market)


def _message(data: bytes) -> Fields:
    fields = _fields(data, _HEADER, _ORDER, _S2C)
    return fields if isinstance(fields.get(_HEADER), bytes) else _fields(_bytes(fields, _S2C), _HEADER, _ORDER)


def _names(data: bytes, places: tuple[int, int, int]) -> OrderNames:
    order_id, order_id_ex, remark = places
    fields = _fields(data, order_id, order_id_ex, remark)
    number = str(_number(fields, order_id)) if order_id in fields else None
    return OrderNames(number, _text(fields, order_id_ex), _text(fields, remark))


def _fields(data: bytes, *wanted: int) -> Fields:
    """The wanted fields of a message by their numbers, none of which may stand twice; others are passed over."""
    found: Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _value(data, at, tag & 7)
        number = tag >> 3
        if number in found:
            raise _Odd
        if number in wanted:
            found[number] = value
    return found


def _value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _varint(data, at)
    if wire == _BYTES:
        size, at = _varint(data, at)
    elif wire in _SIZES:
        size = _SIZES[wire]
    else:
        raise _Odd
    end = at + size
    if end > len(data):
        raise _Odd
    return data[at:end], end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_VARINT_BYTES_MAX):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at + place + 1
    raise _Odd


def _bytes(fields: Fields, number: int) -> bytes:
    value = fields.get(number)
    if not isinstance(value, bytes):
        raise _Odd
    return value


def _number(fields: Fields, number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int) or value >= 2**64:
        raise _Odd
    return value


def _text(fields: Fields, number: int) -> str | None:
    return _bytes(fields, number).decode() if number in fields else None
