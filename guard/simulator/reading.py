"""Bodies as the daemon reads them: lenient, in its own order of steps.

Keys to snake case, aliases to names, a flat body wrapped into `c2s`, flat header fields into `header`, shorthand
symbols into securities, then unknown names refused. Nothing here is shared with the guard's parser. Where two spellings
meet, the later one wins; where a body is both flat and wrapped, the wrapped part wins.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from guard.simulator.instruments import MARKETS
from guard.simulator.labels import label
from guard.simulator.names import HEADER, SPELLINGS, Spelling, snake
from guard.simulator.refusals import BadBody
from guard.simulator.shapes import check_types

Body = dict[str, Any]

_DEPTH_MAX: Final = 64
_LISTED_MAX: Final = 100
_ENUMS: Final = ("trd_side", "order_type", "time_in_force", "modify_order_op", "trail_type", "sec_market", "session")
_MARKET_WORDS: Final = {"/api/trading-days": "trade_date_market"}
_OPS: Final = {"/api/set-price-reminder": "reminder_op", "/api/modify-user-security": "watchlist_op"}
_EXPONENT_MAX: Final = 18
_U64_MAX: Final = 2**64 - 1


def parse(body: bytes | None) -> Body:
    """The body as a JSON object; a missing one is an empty object, of repeated keys the last one counts."""
    if not body:
        return {}
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        if b"\\u" in body:
            json.dumps(value, default=str, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise BadBody(f"invalid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadBody("invalid JSON: an object is expected")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _snaked(value: Any, depth: int = 0) -> Any:
    if depth > _DEPTH_MAX:
        raise BadBody("invalid JSON: nested too deeply")
    if isinstance(value, dict):
        return {snake(key): _snaked(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_snaked(item, depth + 1) for item in value]
    return value


def read(path: str, body: bytes | None) -> Body:
    """The `c2s` of a request in the protocol's own names, enums as integers, securities as {market, code}."""
    spelling = SPELLINGS[path]
    c2s = _unwrapped(_snaked(parse(body)))
    c2s = {spelling.aliases.get(name, name): value for name, value in c2s.items() if value is not None}
    if spelling.has_header:
        c2s = _with_header(c2s, spelling)
    if spelling.has_filter:
        c2s = _with_filter(c2s, spelling)
    _refuse_unknown(c2s, spelling)
    check_types(c2s)
    check_types(c2s.get("filter_conditions") or {})
    _expand_securities(c2s)
    _number_enums(c2s, path)
    return c2s


def _unwrapped(body: Body) -> Body:
    if "c2s" not in body:
        return body
    inner = body.pop("c2s")
    if not isinstance(inner, dict):
        raise BadBody("c2s: an object is expected")
    return body | inner


def _with_header(c2s: Body, spelling: Spelling) -> Body:
    header = c2s.pop("header", None)
    if header is not None and not isinstance(header, dict):
        raise BadBody("header: an object is expected")
    is_flat = header is None
    # trd_market beside a header is the filter of a cancel-all; without a header it is the header's
    stays = frozenset() if is_flat else spelling.fields
    moved = {name: c2s.pop(name) for name in list(c2s) if name in HEADER and name not in stays}
    renamed = {spelling.aliases.get(name, name): value for name, value in (header or {}).items()}
    unknown = sorted(renamed.keys() - HEADER)
    if unknown:
        raise BadBody(f"unknown field(s): {', '.join(f'header.{name}' for name in unknown)}")
    full = renamed | moved
    return {"header": _numbered_header(full), **c2s} if full else c2s


def _numbered_header(header: Body) -> Body:
    numbered = {name: value for name, value in header.items() if value is not None}
    for name in ("trd_env", "trd_market"):
        if name in numbered:
            numbered[name] = label(name, numbered[name])
    if "acc_id" in numbered:
        numbered["acc_id"] = whole("acc_id", numbered["acc_id"])
    return numbered


def _with_filter(c2s: Body, spelling: Spelling) -> Body:
    moved = {name: c2s.pop(name) for name in list(c2s) if name in spelling.flat_filter}
    conditions = c2s.pop("filter_conditions", {})
    if not isinstance(conditions, dict):
        raise BadBody("filter_conditions: an object is expected")
    unknown = sorted(conditions.keys() - spelling.flat_filter)
    if unknown:
        raise BadBody(f"unknown field(s): {', '.join(f'filter_conditions.{name}' for name in unknown)}")
    full = conditions | moved
    return c2s | {"filter_conditions": full} if full else c2s


def _refuse_unknown(c2s: Body, spelling: Spelling) -> None:
    unknown = sorted(c2s.keys() - spelling.known)
    if unknown:
        raise BadBody(f"unknown field(s): {', '.join(unknown)}")


def _security(value: object) -> Body:
    if isinstance(value, str):
        prefix, dot, code = value.partition(".")
        if not dot or prefix not in MARKETS:
            raise BadBody(f"invalid symbol: {value!r}; MARKET.CODE is expected")
        return {"market": MARKETS[prefix].qot, "code": code}
    if not isinstance(value, dict) or "code" not in value:
        raise BadBody("a security is an object of market and code, or a symbol")
    return {"market": label("qot_market", value.get("market", 0)), "code": str(value["code"])}


def _expand_securities(c2s: Body) -> None:
    for name in ("security", "owner", "plate"):
        if name in c2s:
            c2s[name] = _security(c2s[name])
    if "security_list" in c2s:
        given = c2s["security_list"]
        rows = given if isinstance(given, list) else [given]
        if len(rows) > _LISTED_MAX:
            raise BadBody(f"security_list: at most {_LISTED_MAX} entries")
        c2s["security_list"] = [_security(row) for row in rows]


def _number_enums(c2s: Body, path: str) -> None:
    for name in _ENUMS:
        if name in c2s:
            c2s[name] = label(name, c2s[name])
    for name in ("trd_market", "currency", "kl_type", "rehab_type", "plate_set_type", "reference_type"):
        if name in c2s:
            c2s[name] = label(name, c2s[name])
    if "market" in c2s:
        c2s["market"] = label(_MARKET_WORDS.get(path, "qot_market"), c2s["market"])
    if "op" in c2s:
        c2s["op"] = label(_OPS[path], c2s["op"])
    if "sub_type_list" in c2s:
        given = c2s["sub_type_list"]
        c2s["sub_type_list"] = [label("sub_type", item) for item in (given if isinstance(given, list) else [given])]


def whole(name: str, value: object) -> int:
    """A u64: a JSON integer, or its digits in a string."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _U64_MAX:
        raise BadBody(f"invalid {name}: an unsigned 64-bit integer is expected")
    return value


def number(c2s: Body, name: str) -> Decimal | None:
    """A JSON number, or None where there is none; a string is a malformed number, as for the daemon."""
    value = c2s.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadBody(f"invalid {name}: a number is expected")
    if value and not -_EXPONENT_MAX < Decimal(value).adjusted() < _EXPONENT_MAX:
        raise BadBody(f"invalid {name}: out of range")
    return Decimal(value)


def text(c2s: Body, name: str) -> str | None:
    """A string, or None where there is none."""
    value = c2s.get(name)
    if value is not None and not isinstance(value, str):
        raise BadBody(f"invalid {name}: a string is expected")
    return value


def flag(c2s: Body, name: str) -> bool | None:
    """A boolean, or None where there is none."""
    value = c2s.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadBody(f"invalid {name}: a boolean is expected")
    return value


def required(c2s: Body, name: str) -> Any:
    """A member that must be there."""
    if name not in c2s:
        raise BadBody(f"missing field: {name}")
    return c2s[name]
