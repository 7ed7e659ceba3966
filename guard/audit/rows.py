"""A record in the columns that a person reads: who did what, to whom it applied, and what came of it.

Every type has a message of its own; a type that is not known, or a member of another shape, is shown as far as it goes.
Foreign text cannot move the cursor. Pure.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from guard.journal.record import plain
from guard.journal.search import FoundRecord, reasons_of
from guard.terms import OrderType, Side

_OUTCOMES: Final = ("outcome", "verdict", "result", "state", "code")
_SCOPES: Final = ("keys", "accounts", "markets")
_MOVED: Final = ("added", "removed", "changed", "issuers")
_STEP_US: Final = 1_000_000
_MESSAGE_MAX: Final = 1000

Members = Mapping[str, Any]


class RecordRow(NamedTuple):
    """A record in the columns of a table, fit for a terminal. `time` is UTC."""

    time: str
    seq: str
    type: str
    key: str
    endpoint: str
    outcome: str
    symbol: str
    value: str
    decision: str
    message: str


def row(record: FoundRecord) -> RecordRow:
    """The columns of one record."""
    line, members = record
    return RecordRow(
        time=plain(line.ts[:23].replace("T", " ")),
        seq=str(line.seq),
        type=plain(line.type),
        key=_text(members, "key"),
        endpoint=_text(members, "endpoint"),
        outcome=_outcome(line.type, members),
        symbol=_text(members, "symbol"),
        value=_value(members.get("valuation")),
        decision=_text(members, "id" if line.type == "decision" else "decision"),
        message=plain(_MESSAGES.get(line.type, _said)(members), chars_max=_MESSAGE_MAX),
    )


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    return "" if value is None else plain(str(value))


def _texts(members: Members, name: str) -> str:
    """A list between commas; anything else as it stands."""
    value = members.get(name)
    return ", ".join(map(str, value)) if isinstance(value, list) else _text(members, name)


def _outcome(type_: str, members: Members) -> str:
    if type_ == "order":  # elsewhere the status is HTTP's
        return _text(members, "status")
    words = " ".join(_text(members, name) for name in _OUTCOMES if members.get(name))
    kind = _text(members, "kind")
    return f"{words} ({kind})" if kind else words


def _value(valuation: object) -> str:
    money = valuation.get("value") if isinstance(valuation, dict) else None
    return plain(f"{money.get('amount')} {money.get('currency')}") if isinstance(money, dict) else ""


# ---------------------------------------------------------------- messages


def _said(members: Members) -> str:
    """The reasons; else what there is in words, and whose word it is."""
    reasons = "; ".join(str(reason.get("message", "")) for reason in reasons_of(members))
    words = reasons or next((text for name in ("message", "reason", "note") if (text := _text(members, name))), "")
    by = _text(members, "by")
    by += f", with key {_text(members, 'by_key')}" if members.get("by_key") else ""
    return ": ".join(part for part in (f"by {by}" if by else "", words) if part)


def _decision(members: Members) -> str:
    order, found = members.get("order"), ""
    terms = order.get("c2s") if isinstance(order, dict) else None
    if isinstance(terms, dict):
        effect = _text(members, "effect").removeprefix("order_")
        verb = _label(Side, terms.get("trd_side")) if effect == "new" else effect
        price = f"at {terms['price']}" if terms.get("price") else _label(OrderType, terms.get("order_type"))
        asked = (str(terms["qty"]), price) if terms.get("qty") else ()
        found = " ".join(part for part in (_text(members, "environment"), verb, *asked) if part)
    nobody = members.get("key") is None and members.get("peer") is not None
    note = "; ".join(part for part in (f"from {_text(members, 'peer')}", _text(members, "note")) if part)
    again = f"{_text(members, 'replays')} was answered again, nothing was sent" if members.get("replays") else ""
    return ": ".join(
        part for part in (found, again, _said(members), _shadowed(members), note if nobody else "") if part
    )


def _shadowed(members: Members) -> str:
    """What policies in shadow say of it, each by its name."""
    said = reasons_of(members, "shadow")
    return "; ".join(f"in shadow {_text(reason, 'policy')}: {_text(reason, 'message')}" for reason in said)


def _label(labels: type[IntEnum], value: object) -> str:
    return next((label.name for label in labels if label == value), "")


def _order(members: Members) -> str:
    filled, worth = _text(members, "filled_qty"), _text(members, "filled_value")
    placed = _elsewhere(members) if members.get("owner") else ""
    done = f"{filled} filled" + (f" for {worth}" if worth else "") if filled else ""
    ended = "nothing more can be filled" if members.get("ended") is True else ""
    source = f"seen in {_text(members, 'source')}" if members.get("source") else ""
    if members.get("status") == "vanished":
        source = "no longer in the daemon's lists"
    return ", ".join(part for part in (placed, done, ended, source) if part)


def _elsewhere(members: Members) -> str:
    """What a person needs to find the order at the broker."""
    where = " ".join(text for name in ("environment", "account") if (text := _text(members, name)))
    number = _text(members, "order_id_ex") or _text(members, "order_id")
    parts = (f"placed elsewhere ({_text(members, 'owner')})", where and f"in {where}", number and f"as {number}")
    return " ".join(part for part in parts if part)


def _reconciled(members: Members) -> str:
    return _said(members) if members.get("by") else f"found by evidence: {_text(members, 'source')}"


def _policy(members: Members) -> str:
    asked, until = _text(members, "asked_by"), _text(members, "until")
    asked += f", with key {_text(members, 'asked_key')}" if members.get("asked_key") else ""
    parts = [_said(members), f"asked for by {asked}: {_text(members, 'asked_reason')}" if asked else ""]
    parts += [f"until {until}" if until else "", _texts(members, "changes"), _texts(members, "errors")]
    return "; ".join(part for part in parts if part)


def _keys(members: Members) -> str:
    moved = [f"{name} {_texts(members, name)}" for name in _MOVED if members.get(name)]
    return "; ".join(part for part in (_said(members), *moved, _texts(members, "errors")) if part)


def _state(members: Members) -> str:
    scope = members.get("scope")
    named = [f"{name} {_texts(scope, name)}" for name in _SCOPES if scope.get(name)] if isinstance(scope, dict) else []
    parts = ["for " + "; ".join(named) if named else "for everyone", _said(members)]
    parts += ["a drill"] if members.get("drill") is True else []
    parts += ["working orders cancelled"] if members.get("cancel_working") is True else []
    return ", ".join(part for part in parts if part)


def _start(members: Members) -> str:
    weak = _texts(members, "weakened")
    return f"version {_text(members, 'version')}" + (f"; weakened: {weak}" if weak else "")


def _clock(members: Members) -> str:
    step_us = members.get("step_us")
    return f"the wall clock stepped by {step_us / _STEP_US:g} s" if isinstance(step_us, int) else ""


def _gap(members: Members) -> str:
    many = _text(members, "cancels")
    return f"{many} cancel{'' if many == '1' else 's'} passed while the record could not be written: {_said(members)}"


def _count(members: Members) -> str:
    times = _text(members, "count")
    source = f" from {_text(members, 'source')}" if members.get("source") else ""
    return f"{times} {'time' if times == '1' else 'times'}{source}"


_MESSAGES: Final[Mapping[str, Callable[[Members], str]]] = MappingProxyType(
    {
        "segment": lambda members: f"segment {_text(members, 'segment')} begins",
        "start": _start,
        "decision": _decision,
        "order": _order,
        "reconciled": _reconciled,
        "policy": _policy,
        "keys": _keys,
        "state": _state,
        "recovered": lambda members: f"{_text(members, 'bytes')} bytes set aside in {_text(members, 'file')}",
        "gap": _gap,
        "clock": _clock,
        "prune": lambda members: f"old segments deleted; the record begins at {_text(members, 'first_seq')}",
        "vkey": lambda members: f"signs checkpoints from now on: {_text(members, 'vkey')}",
        "access": _count,
        "denied": _count,
    }
)
