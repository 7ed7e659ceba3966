"""Protobuf (proto2 wire format) for push bodies: a small writer driven by one table of messages.

A field is `number type name`, `*` before the type for repeated ones. What a value lacks is not written. Numbers are
those of the broker's official messages; a push body is a whole response, with `ret_type`, `ret_msg`, `err_code` and the
message in `s2c`.
"""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_HEADER: Final = "1 int32 trd_env, 2 uint64 acc_id, 3 int32 trd_market, 4 int32 jp_acc_type"
_SECURITY: Final = "1 int32 market, 2 string code"
_ORDER: Final = (
    "1 int32 trd_side, 2 int32 order_type, 3 int32 order_status, 4 uint64 order_id, 5 string order_id_ex,"
    " 6 string code, 7 string name, 8 double qty, 9 double price, 10 string create_time, 11 string update_time,"
    " 12 double fill_qty, 13 double fill_avg_price, 14 string last_err_msg, 15 int32 sec_market,"
    " 16 double create_timestamp, 17 double update_timestamp, 18 string remark, 19 int32 time_in_force,"
    " 20 bool fill_outside_rth, 21 double aux_price, 22 int32 trail_type, 23 double trail_value,"
    " 24 double trail_spread, 25 int32 currency, 26 int32 trd_market, 27 int32 session, 28 int32 jp_acc_type"
)
_FILL: Final = (
    "1 int32 trd_side, 2 uint64 fill_id, 3 string fill_id_ex, 4 uint64 order_id, 5 string order_id_ex,"
    " 6 string code, 7 string name, 8 double qty, 9 double price, 10 string create_time, 11 int32 counter_broker_id,"
    " 12 string counter_broker_name, 13 int32 sec_market, 14 double create_timestamp, 15 double update_timestamp,"
    " 16 int32 status, 17 int32 trd_market, 18 int32 jp_acc_type"
)
_QUOTE: Final = (
    "1 Security security, 24 string name, 2 bool is_suspended, 3 string list_time, 4 double price_spread,"
    " 5 string update_time, 6 double high_price, 7 double open_price, 8 double low_price, 9 double cur_price,"
    " 10 double last_close_price, 11 int64 volume, 12 double turnover, 13 double turnover_rate, 14 double amplitude,"
    " 15 int32 dark_status, 17 double list_timestamp, 18 double update_timestamp, 21 int32 sec_status"
)
_BOOK: Final = (
    "1 Security security, 8 string name, 2 *Level order_book_ask_list, 3 *Level order_book_bid_list,"
    " 4 string svr_recv_time_bid, 5 double svr_recv_time_bid_timestamp, 6 string svr_recv_time_ask,"
    " 7 double svr_recv_time_ask_timestamp"
)
_MESSAGES: Final = {
    "Header": _HEADER,
    "Security": _SECURITY,
    "Order": _ORDER,
    "OrderFill": _FILL,
    "BasicQot": _QUOTE,
    "Level": "1 double price, 2 int64 volume, 3 int32 oreder_count",
    "GtwEvent": "1 int32 event_type, 2 string desc",
    "ConnectStatus": "1 bool qot_logined, 2 bool trd_logined",
    "Trd_UpdateOrder": "1 Header header, 2 Order order",
    "Trd_UpdateOrderFill": "1 Header header, 2 OrderFill order_fill",
    "Qot_UpdateBasicQot": "1 *BasicQot basic_qot_list",
    "Qot_UpdateOrderBook": _BOOK,
    "Notify": "1 int32 type, 2 GtwEvent event, 4 ConnectStatus connect_status",
}
PUSHES: Final = MappingProxyType(
    {
        2208: "Trd_UpdateOrder",
        2218: "Trd_UpdateOrderFill",
        3005: "Qot_UpdateBasicQot",
        3013: "Qot_UpdateOrderBook",
        1003: "Notify",
    }
)
_RESPONSE: Final = "1 int32 ret_type, 2 string ret_msg, 3 int32 err_code, 4 {} s2c"

_VARINTS: Final = frozenset({"int32", "int64", "uint64", "bool"})
_VARINT, _FIXED64, _BYTES = 0, 1, 2
_MASK64: Final = 2**64 - 1


class Field(NamedTuple):
    """One field of a message."""

    number: int
    type: str
    name: str
    is_repeated: bool


def _fields(text: str) -> tuple[Field, ...]:
    rows = (part.split() for part in text.split(","))
    return tuple(Field(int(number), type_.lstrip("*"), name, type_.startswith("*")) for number, type_, name in rows)


SCHEMA: Final = {name: _fields(text) for name, text in _MESSAGES.items()} | {
    f"{name}Response": _fields(_RESPONSE.format(name)) for name in PUSHES.values()
}


def _varint(value: int) -> bytes:
    value &= _MASK64
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits of payload a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _written(field: Field, value: Any) -> bytes:
    if field.type in _VARINTS:
        return _varint(field.number << 3 | _VARINT) + _varint(int(value))
    if field.type == "double":
        return _varint(field.number << 3 | _FIXED64) + struct.pack("<d", value)
    payload = value.encode() if field.type == "string" else encode(field.type, value)
    return _varint(field.number << 3 | _BYTES) + _varint(len(payload)) + payload


def encode(message: str, value: Mapping[str, Any]) -> bytes:
    """The bytes of a message; members that are absent or None are not written."""
    parts: list[bytes] = []
    for field in SCHEMA[message]:
        given = value.get(field.name)
        if given is not None:
            parts.extend(_written(field, item) for item in (given if field.is_repeated else [given]))
    return b"".join(parts)


def push_body(proto_id: int, s2c: Mapping[str, Any]) -> bytes:
    """The body of a push: a successful response around the message."""
    return encode(f"{PUSHES[proto_id]}Response", {"ret_type": 0, "s2c": s2c})
