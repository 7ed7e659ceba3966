"""Protobuf (proto2 wire format) read back by the simulator's table of messages; what the table lacks is skipped."""

import struct
from decimal import Decimal
from typing import Any, Final

from guard.simulator.proto import PUSHES, SCHEMA, Field

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN: Final = 2**63


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _read_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _read_varint(data, at)
    if wire == _BYTES:
        size, at = _read_varint(data, at)
        return data[at : at + size], at + size
    size = {_FIXED64: 8, _FIXED32: 4}[wire]
    return data[at : at + size], at + size


def _typed(field: Field, raw: int | bytes) -> Any:
    if isinstance(raw, int):
        if field.type == "bool":
            return bool(raw)
        return raw - 2**64 if field.type in {"int32", "int64"} and raw >= _SIGN else raw
    if field.type == "double":
        return Decimal(repr(struct.unpack("<d", raw)[0]))
    return raw.decode() if field.type == "string" else decode(field.type, raw)


def decode(message: str, data: bytes) -> dict[str, Any]:
    """A message read back; doubles become the `Decimal` of their shortest form."""
    known = {field.number: field for field in SCHEMA[message]}
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        raw, at = _read_value(data, at, tag & 7)
        field = known.get(tag >> 3)
        if field is None:
            continue
        value = _typed(field, raw)
        if field.is_repeated:
            found.setdefault(field.name, []).append(value)
        else:
            found[field.name] = value
    return found


def read_push(proto_id: int, data: bytes) -> dict[str, Any]:
    """The response inside a push body."""
    return decode(f"{PUSHES[proto_id]}Response", data)
