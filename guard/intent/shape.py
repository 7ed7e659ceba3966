"""Names before meaning: every field of a body is one the endpoint has, given once, in one of the two shapes.

Flat (`{"acc_id": 1, "code": …}`) or the proto's own (`{"c2s": {"header": {"acc_id": 1}, "code": …}}`), never both. A
`null` is an absent field, its name is checked all the same. Two spellings of one field are refused whatever their
values (W11), since which of them the daemon would take is not known.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.intent.names import Names
from guard.intent.strict import SCALARS, Members, is_array, is_object
from guard.terms import Reason, Refusal, in_order, refuse, without_digests

WRAPPER: Final = "c2s"
# Objects and nothing else; a header in a list would name an account that nobody saw. A security may be a string too.
_OBJECTS: Final = frozenset({"header", "packet_id", "filter_conditions", "data_filter"})
_REASONS_MAX: Final = 8  # a body may hold thousands of unknown names, and the likeness of each would be looked for
_SEARCHES_MAX: Final = 2  # a search for likeness takes most of a millisecond
_NAMES_TOLD_MAX: Final = 20  # where none is alike; whoever is mistaken about one of more names has a reference to read
_NAME_CHARACTERS_MAX: Final = 40  # longer names are cut in messages and not searched for likeness
# A capital that follows a small letter or digit, or ends a run of capitals, begins a word: pwdMD5 → pwd_md5.
_WORD_BEGINS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Body(Struct, frozen=True):
    """A body whose names are in order: `values` by the field's path, nulls left out; `members` as it came."""

    values: Mapping[str, object]
    members: Members
    is_flat: bool


def shape(names: Names, members: Members) -> Body | Refusal:
    """The body's values by path, or `unknown_field` and `conflicting_fields`, all of them at once (the first eight)."""
    if WRAPPER not in members:
        return _gather(names, members, is_flat=True)
    wrapped = members[WRAPPER]
    beside = [name for name in members if name != WRAPPER][:_REASONS_MAX]
    if beside:
        reasons = [_both_shapes(name, names, wrapped, is_searched=at < _SEARCHES_MAX) for at, name in enumerate(beside)]
        return Refusal(in_order(reasons))
    if not is_object(wrapped):
        return refuse(Code.BAD_VALUE, "c2s is an object")
    return _gather(names, wrapped, is_flat=False)


def _gather(names: Names, members: Members, *, is_flat: bool) -> Body | Refusal:
    known = names.flat if is_flat else names.proto
    values: dict[str, object] = {}
    reasons: list[Reason] = []
    for name, value in members.items():
        path = known.get(name)
        if path is not None and type(value) in SCALARS and path not in values and path not in _OBJECTS:
            values[path] = value
        elif len(reasons) >= _REASONS_MAX:
            break
        elif path is None:
            hint = _elsewhere(name, names, is_flat=is_flat)
            reasons.append(_unknown(name, known, hint, is_searched=len(reasons) < _SEARCHES_MAX))
        elif value is None:
            continue
        elif path in _OBJECTS and not is_object(value):
            reasons.append(Reason(Code.BAD_VALUE, f"{path} is an object"))
        elif path in names.inner and is_object(value):
            _merge(values, value, names.inner[path], reasons=reasons)
            _put(values, path, value, reasons=reasons)
        elif is_object(value) or is_array(value):
            _check_inside(name, value, names.inner.get(path), reasons=reasons)
            _put(values, path, value, reasons=reasons)
        else:
            _put(values, path, value, reasons=reasons)
    if reasons:
        return Refusal(in_order(reasons[:_REASONS_MAX]))
    return Body(values, members, is_flat)


def _put(values: dict[str, object], path: str, value: object, *, reasons: list[Reason]) -> None:
    if path in values:
        message = f"{path.rpartition('.')[2]} is given twice, under two of its names"
        reasons.append(Reason(Code.CONFLICTING_FIELDS, message))
    values[path] = value


def _merge(values: dict[str, object], inside: Members, known: Mapping[str, str], *, reasons: list[Reason]) -> None:
    """The fields of one object (the trade header, say) beside the others, by their paths."""
    for name, value in inside.items():
        path = known.get(name)
        if path is not None and type(value) in SCALARS and path not in values:
            values[path] = value
        elif len(reasons) >= _REASONS_MAX:
            return
        elif path is None:
            reasons.append(_unknown(name, known, "", is_searched=len(reasons) < _SEARCHES_MAX))
        elif value is not None:
            if is_object(value) or is_array(value):
                _check_inside(name, value, None, reasons=reasons)
            _put(values, path, value, reasons=reasons)


def _check_inside(name: str, value: object, known: Mapping[str, str] | None, *, reasons: list[Reason]) -> None:
    """The names in an array, and in an object where none was expected; the recursion is as deep as a body may be."""
    if is_array(value):
        for item in value:
            if len(reasons) < _REASONS_MAX and (is_object(item) or is_array(item)):
                _check_inside(name, item, known, reasons=reasons)
    elif is_object(value):
        if known is None:
            room = list(value)[: _REASONS_MAX - len(reasons)]
            reasons.extend(
                _unknown(inner, {}, f"{_shown(name)} has no fields of its own", is_searched=False) for inner in room
            )
        else:
            _merge({}, value, known, reasons=reasons)


# ---------------------------------------------------------------- what to say


def _shown(name: str) -> str:
    name = without_digests(name)
    cut = name if len(name) <= _NAME_CHARACTERS_MAX else f"{name[:_NAME_CHARACTERS_MAX]}…"
    return ascii(cut)


def _both_shapes(name: str, names: Names, wrapped: object, *, is_searched: bool) -> Reason:
    """A `null` is no exception: the daemon takes a body for flat only where there is no c2s at all."""
    if name in names.flat or name in names.proto:
        cure = "; leave out the c2s that is null" if wrapped is None else ""
        return Reason(Code.CONFLICTING_FIELDS, f"{name} stands beside c2s: a body is flat or in c2s, never both{cure}")
    return _unknown(name, names.flat, "", is_searched=is_searched)


def _elsewhere(name: str, names: Names, *, is_flat: bool) -> str:
    """Says where a name of the other shape belongs, and how the wrapper is written."""
    if is_flat and name.lower() == WRAPPER:
        return f"write {WRAPPER}"
    if is_flat and name in names.proto:
        return f"{name} belongs in c2s; a flat body has its fields at top level"
    path = names.flat.get(name)
    return f"in c2s it is written {path}" if path is not None else ""


def _unknown(name: str, known: Mapping[str, str], hint: str, *, is_searched: bool) -> Reason:
    hint = hint or _suggestion(name, known, is_searched=is_searched)
    return Reason(Code.UNKNOWN_FIELD, f"unknown field {_shown(name)}" + (f": {hint}" if hint else ""))


def _suggestion(name: str, known: Mapping[str, str], *, is_searched: bool) -> str:
    if len(name) > _NAME_CHARACTERS_MAX:
        return ""
    snake = _WORD_BEGINS.sub("_", name).lower()
    if snake in known:
        return f"write {snake}"
    close = difflib.get_close_matches(snake, known, n=1) if is_searched else []
    if close:
        return f"did you mean {close[0]}?"
    if not known:
        return "there are no fields here"
    return f"there are {', '.join(known)}" if is_searched and len(known) <= _NAMES_TOLD_MAX else ""
