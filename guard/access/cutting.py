"""The daemon's answers, cut to what a caller may see: rows dropped whole, all else as the daemon wrote it.

What stays are the daemon's own bytes: 64-bit ids and decimals never pass through a number. What is not understood is
not shown: a row without a name, members of an answer that nobody knows, an answer that is no JSON object. Pure.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import jiter
import msgspec
from msgspec import Raw, Struct

from guard.codes import Code
from guard.terms import OrderNames, Refusal, refuse

_NULL: Final = Raw(b"null")
ENVELOPE: Final = frozenset({"ret_type", "ret_msg", "err_code", "error"})
_FAULTS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_UNREADABLE: Final = refuse(Code.DAEMON_BAD_ANSWER, "the daemon's answer could not be cut to what this key may see")


class Cut(Struct, frozen=True):
    """What is shown, and how many rows are not."""

    body: bytes
    filtered: int = 0


class _Names(Struct):
    order_id: int | str | None = None
    order_id_ex: str | None = None
    remark: str | None = None


def cut_rows(body: bytes, rows: str, *, is_shown: Callable[[OrderNames], bool]) -> Cut | Refusal:
    """The answer with those rows of the list `rows` that are shown; of `s2c` nothing else stays but its header."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Raw])
        inner = msgspec.json.decode(answer.get("s2c", _NULL), type=dict[str, Raw] | None)
        listed = msgspec.json.decode((inner or {}).get(rows, _NULL), type=list[Raw] | None)
    except _FAULTS:
        return _UNREADABLE
    kept = {name: value for name, value in answer.items() if name in ENVELOPE}
    shown = [row for row in listed or () if _is_shown(bytes(row), is_shown)]
    if inner is not None:
        told = {name: value for name, value in inner.items() if name == "header"}
        if listed is not None:
            told[rows] = Raw(msgspec.json.encode(shown))
        kept["s2c"] = Raw(msgspec.json.encode(told))
    elif "s2c" in answer:
        kept["s2c"] = _NULL
    return Cut(msgspec.json.encode(kept), len(listed or ()) - len(shown))


def cut_members(body: bytes, members: Mapping[str, AbstractSet[str]]) -> Cut | Refusal:
    """The answer with these members of these objects, numbers and flags only, in `s2c` or where there is no `s2c`."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Raw])
        inner = msgspec.json.decode(answer.get("s2c", _NULL), type=dict[str, Raw] | None)
        told = {name: _plain(value, members[name]) for name, value in (inner or answer).items() if name in members}
    except _FAULTS:
        return _UNREADABLE
    kept: dict[str, object] = {name: value for name, value in answer.items() if name in ENVELOPE}
    if inner is not None:
        kept["s2c"] = told
    else:
        kept |= told | ({"s2c": None} if "s2c" in answer else {})
    return Cut(msgspec.json.encode(kept))


class _Security(Struct):
    market: int
    code: str


class _Lines(Struct):
    sub_type: int
    security_list: list[Raw] = []


class _Connection(Struct, omit_defaults=True):
    sub_info_list: list[_Lines] = []
    used_quota: int = 0
    is_own_conn_data: bool = False


class _Subscriptions(Struct, omit_defaults=True):
    conn_sub_info_list: list[_Connection] | None = None
    total_used_quota: int | None = None
    remain_quota: int | None = None


def cut_lines(body: bytes, *, is_held: Callable[[int, str, int], bool]) -> Cut | Refusal:
    """The subscriptions that a caller holds, by market, code and sub type; other connections' are not shown at all.

    The quota is the login's, and whoever subscribes has to know it.
    """
    try:
        answer = msgspec.json.decode(body, type=dict[str, Raw])
        told = msgspec.json.decode(answer.get("s2c", _NULL), type=_Subscriptions | None)
        if told is not None:
            own = [conn for conn in told.conn_sub_info_list or () if conn.is_own_conn_data]
            told.conn_sub_info_list = own
            for lines in (lines for conn in own for lines in conn.sub_info_list):
                lines.security_list = [row for row in lines.security_list if _is_line(row, lines.sub_type, is_held)]
    except _FAULTS:
        return _UNREADABLE
    kept: dict[str, object] = {name: value for name, value in answer.items() if name in ENVELOPE}
    return Cut(msgspec.json.encode(kept | ({"s2c": told} if "s2c" in answer else {})))


def _is_line(row: Raw, sub_type: int, is_held: Callable[[int, str, int], bool]) -> bool:
    security = msgspec.json.decode(row, type=_Security)
    return is_held(security.market, security.code, sub_type)


def _plain(value: Raw, names: AbstractSet[str]) -> dict[str, Raw]:
    fields = msgspec.json.decode(value, type=dict[str, Raw] | None) or {}
    plain = {name: field for name, field in fields.items() if name in names}
    return {name: field for name, field in plain.items() if bytes(field)[:1] not in {b'"', b"{", b"["}}


def _is_shown(row: bytes, is_shown: Callable[[OrderNames], bool]) -> bool:
    """The row names an order that is shown, and tells one story: a member that stands twice may be read either way."""
    try:
        names = msgspec.json.decode(row, type=_Names)
        order_id = None if names.order_id is None else str(names.order_id)
        if not is_shown(OrderNames(order_id, names.order_id_ex, names.remark)):
            return False
        _ = jiter.from_json(row, catch_duplicate_keys=True)
    except (ValueError, UnicodeDecodeError, RecursionError):  # msgspec's errors are ValueErrors too
        return False
    return True
