"""Which push frames a caller may see. Pure: bytes in, a classified frame or None out; None is dropped.

A frame of the daemon is JSON `{type, proto_id, sec_key?, acc_id?, trd_market?, body_b64, …}`. Quotes and notifications
want `qot:read`, trade events `acc:read` and, for keys restricted to accounts or markets, theirs (B04, B31). A trade
event that does not say whose it is, or for a market-bound key which market, is nobody's (W13). What is passed on are
the daemon's own bytes, so a frame that two readers could read differently is not understood either. A frame is
classified and written as RFC 6455 wants it once, whoever may see it: what a server sends is not masked.
"""

from collections.abc import Callable
from typing import Final, Literal

import jiter
import msgspec
from msgspec import Struct

from guard.markets import FUTURES, market_words
from guard.stream.pushes import ORDER_PUSHES, Pushed, TwoAccountsError, pushed
from guard.terms import Account, AccountRow, Principal

FRAME_BYTES_MAX: Final = 1 << 20

Kind = Literal["quote", "trade", "notify"]

_SCOPE_OF: Final = {"quote": "qot:read", "notify": "qot:read", "trade": "acc:read"}
# Every message of the trade family has a proto id of this range, and no message of another family has.
_TRADE_PROTO_IDS: Final = range(2000, 3000)
# Pushes whose newest says all that an older one of the same symbol said: basic quote, candle, time share, order book,
# broker queue. Ticks and reminders are events: each counts.
_SNAPSHOTS: Final = frozenset({3005, 3007, 3009, 3013, 3015})
_TEXT: Final = 0x81  # FIN and the opcode of a text frame
_SHORT_MAX, _MEDIUM_MAX, _MEDIUM, _LONG = 125, 0xFFFF, 126, 127

Slot = tuple[int, str, int | None, int | None]


class Frame(Struct, frozen=True):
    """One push frame, classified.

    `markets` are the policy's words that its trade market may stand for: four for FUTURES, none where the frame names
    no market, one without a word, or another than its body, or where that is of an order and cannot be read. `wire` is
    the whole text frame (RFC 6455 §5.2) around the daemon's own bytes. `order`: what a trade event is about, None where
    that cannot be told. `slot`: of frames that have the same one, the newest is all that a caller who is behind needs.
    None: each counts.
    """

    kind: Kind
    acc_id: int | None
    markets: tuple[str, ...]
    wire: bytes
    order: Pushed | None = None
    slot: Slot | None = None


class _Wire(Struct):
    type: Kind
    proto_id: int
    acc_id: int | None = None
    trd_market: int | None = None
    body_b64: str | None = None
    sec_key: str | None = None
    sub_type: int | None = None
    rehab_type: int | None = None


class CallerView(Struct, frozen=True):
    """What one caller may be shown. `acc_ids` None and `markets` None: all."""

    scopes: frozenset[str]
    acc_ids: frozenset[int] | None = None
    markets: frozenset[str] | None = None


NOTHING: Final = CallerView(frozenset())
"""The view of a caller without a key: every frame wants a scope."""


def view_of(principal: Principal, visible: frozenset[Account] | None, rows: tuple[AccountRow, ...]) -> CallerView:
    """The view of a key that may see the accounts `visible` (None: all) of the account list `rows`.

    A push names an account id without its environment, so an id counts as visible only where every listed account of
    that id is.
    """
    acc_ids = None
    if visible is not None:
        hidden = {row.account.acc_id for row in rows if row.account not in visible}
        acc_ids = frozenset(account.acc_id for account in visible) - hidden
    return CallerView(principal.scopes, acc_ids, _markets_of(principal))


def _markets_of(principal: Principal) -> frozenset[str] | None:
    allowed = principal.limits.allowed_markets
    if allowed is None:
        return None
    return frozenset(allowed).union(FUTURES if "FUTURES" in allowed else ())


def classify(data: bytes) -> Frame | None:
    """The frame, or None if it cannot be classified."""
    if len(data) > FRAME_BYTES_MAX:
        return None
    try:
        # A member that stands twice is an error here: the caller's reader might take the other one.
        parsed = jiter.from_json(data, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
        wire = msgspec.convert(parsed, _Wire)
        order = pushed(wire.proto_id, wire.body_b64 or "", acc_id=wire.acc_id) if wire.type == "trade" else None
    except (ValueError, TwoAccountsError):  # msgspec's errors are ValueErrors too
        return None
    if (wire.type == "trade") != (wire.proto_id in _TRADE_PROTO_IDS):
        return None
    return Frame(wire.type, wire.acc_id, _markets(wire, order), text_frame(data), order=order, slot=_slot(wire))


def _markets(wire: _Wire, order: Pushed | None) -> tuple[str, ...]:
    if order is not None:
        is_sure = order.trd_market in {None, wire.trd_market}
    else:
        is_sure = not wire.body_b64 or wire.proto_id not in ORDER_PUSHES
    return market_words(wire.trd_market) if is_sure and wire.trd_market is not None else ()


def _slot(wire: _Wire) -> Slot | None:
    if wire.sec_key is None or wire.type != "quote" or wire.proto_id not in _SNAPSHOTS:
        return None
    return wire.proto_id, wire.sec_key, wire.sub_type, wire.rehab_type


def text_frame(data: bytes) -> bytes:
    """One whole text frame as a server sends it."""
    size = len(data)
    if size <= _SHORT_MAX:
        head = bytes((_TEXT, size))
    elif size <= _MEDIUM_MAX:
        head = bytes((_TEXT, _MEDIUM)) + size.to_bytes(2)
    else:
        head = bytes((_TEXT, _LONG)) + size.to_bytes(8)
    return head + data


def may_see(view: CallerView, frame: Frame) -> bool:
    """Whether this caller is shown this frame."""
    if _SCOPE_OF[frame.kind] not in view.scopes:
        return False
    if frame.kind != "trade":
        return True
    if frame.acc_id is None:
        return False
    if view.acc_ids is not None and frame.acc_id not in view.acc_ids:
        return False
    return view.markets is None or (bool(frame.markets) and view.markets.issuperset(frame.markets))


def may_see_order(name: str, frame: Frame, *, owner: str, is_own_only: bool) -> bool:
    """Whether the key `name` is shown this frame, whose order is `owner`'s: `rights.see`.

    A key that sees its own alone is shown no trade event of another, of nobody, or of which nobody can tell.
    """
    return frame.kind != "trade" or not is_own_only or (frame.order is not None and owner == name)


class Seeing(Struct, frozen=True):
    """What decides who is shown a frame: scopes, accounts and markets of the view, then whose order it is about."""

    may_see: Callable[[CallerView, Frame], bool] = may_see
    may_see_order: Callable[..., bool] = may_see_order


SEEING: Final = Seeing()
