"""From an endpoint and its body to the intent, or to the refusal that says everything that is wrong with it."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from guard.codes import Code
from guard.intent.canonical import changed, encode
from guard.intent.changes import cancel_all_order, modify_order, reconfirm_order
from guard.intent.fields import Fields
from guard.intent.names import NAMES
from guard.intent.orders import place_order
from guard.intent.reads import account_read, market_read
from guard.intent.repeats import ORDER_BYTES_MAX, keep, like
from guard.intent.sessions import sub_acc_push, subscribe, unlock_trade, unsub_acc_push, unsubscribe
from guard.intent.shape import Body, shape
from guard.intent.strict import load
from guard.markets import market_words
from guard.terms import (
    STAMP,
    AccountAt,
    Endpoint,
    Intent,
    ModifyOrder,
    PlaceOrder,
    Read,
    Reconfirm,
    Refusal,
    refuse,
)

_ORDER: Final = "/api/order"
KEPT_MAX: Final = 1024  # bodies of market-data reads that are known to be in order
KEPT_BYTES_MAX: Final = 256  # how long each of them is at most
_MARK: Final = re.compile(rf"{STAMP}[0-9A-Z]{{26}}")
_NUMBERS: Final = msgspec.json.Encoder(decimal_format="number")
_READERS: Final[Mapping[str, Callable[[Fields], Intent | Refusal]]] = {
    _ORDER: place_order,
    "/api/modify-order": modify_order,
    "/api/cancel-all-order": cancel_all_order,
    "/api/reconfirm-order": reconfirm_order,
    "/api/unlock-trade": unlock_trade,
    "/api/subscribe": subscribe,
    "/api/unsubscribe": unsubscribe,
    "/api/sub-acc-push": sub_acc_push,
    "/api/unsub-acc-push": unsub_acc_push,
}
"""The endpoints whose bodies are understood whole; every other one is a read."""
_known: Final[dict[tuple[str, bytes], Read]] = {}


def parse(endpoint: Endpoint, body: bytes) -> Intent | Refusal:
    """What is wanted. A GET takes no body; a POST takes one object of at most 64 KiB, 16 levels deep.

    Refuses with `body_too_large`, `bad_json`, `duplicate_key`, `unknown_field`, `conflicting_fields`, `missing_field`,
    `bad_number` or `bad_value`, never by raising.
    """
    if endpoint.method == "GET":
        return refuse(Code.BAD_VALUE, f"GET {endpoint.path} takes no body") if body else Read(None)
    known = _known.get((endpoint.path, body))
    if known is not None:
        return known
    members = load(body)
    if isinstance(members, Refusal):
        return members
    reader = _READERS.get(endpoint.path)
    if reader is place_order:
        order = like(members)
        if order is not None:
            return order if order.remark is None else _unmarked(order)
    shaped = shape(NAMES[endpoint.path], members)
    if isinstance(shaped, Refusal):
        return shaped
    if reader is not None:
        found = _unmarked(reader(Fields(shaped.values)))
        if isinstance(found, PlaceOrder) and len(body) <= ORDER_BYTES_MAX:
            keep(members, found)
        return found
    if endpoint.account is AccountAt.HEADER:
        return account_read(NAMES[endpoint.path], body, shaped)
    return _kept(endpoint.path, market_read(body))


def _kept(path: str, read: Read) -> Read:
    """The read of this body, cached: callers ask for the same quotes over and over.

    Only market data that passed is kept: a secret sent to the wrong place is refused, so it is never kept.
    """
    if read.body is not None and len(read.body) <= KEPT_BYTES_MAX:
        if len(_known) >= KEPT_MAX:
            _known.clear()
        _known[path, read.body] = read
    return read


def _unmarked(found: Intent | Refusal) -> Intent | Refusal:
    """A caller's order bears no mark of the guard's: it would be taken for the order of the decision that it names."""
    remark = found.remark if isinstance(found, PlaceOrder) else None
    if remark is not None and STAMP in remark and _MARK.fullmatch(remark.strip()):
        return refuse(Code.BAD_VALUE, f"remark: {STAMP!r} and a decision's id is the guard's own mark; write another")
    return found


def order_of(c2s: bytes) -> PlaceOrder:
    """The new order whose canonical body this is, read by the same functions. Only for bytes that `encode` wrote.

    The packet id in it is the guard's own and is left out.
    """
    shaped = _shaped(_ORDER, c2s)
    order = shaped if isinstance(shaped, Refusal) else place_order(Fields(shaped.values))
    if isinstance(order, Refusal):
        raise AssertionError(f"not a canonical order: {order.reasons[0].message}")  # noqa: TRY004 - a bug, not a type
    return replace(order, packet_id=None)


def listed_order(members: Mapping[str, object]) -> PlaceOrder | Refusal:
    """An order as a list of the daemon's shows it (None: not shown), read as if somebody had placed it."""
    body = _NUMBERS.encode({"c2s": {name: value for name, value in members.items() if value is not None}})
    shaped = _shaped(_ORDER, body)
    return shaped if isinstance(shaped, Refusal) else place_order(Fields(shaped.values))


def order_after(c2s: bytes, intent: ModifyOrder | Reconfirm) -> PlaceOrder | Refusal:
    """The live order whose canonical body this is, as it will be after a change or a reconfirmation.

    Refused where nobody could place such an order: a trigger for a type that has none, the header of another market.
    The daemon would be sent what no rule has understood, and no later change could start from it.
    """
    was = order_of(c2s)
    if was.market not in market_words(intent.header.trd_market):
        message = f"the order is one of {was.market}: its trd_market is {was.header.trd_market}"
        return refuse(Code.BAD_VALUE, message)
    if isinstance(intent, Reconfirm):
        return was
    order = changed(was, intent)
    again = _shaped(_ORDER, encode(order, env=None, acc_id=None, serial=0, remark=None))
    read = again if isinstance(again, Refusal) else place_order(Fields(again.values))
    return read if isinstance(read, Refusal) else order


def _shaped(path: str, body: bytes) -> Body | Refusal:
    members = load(body)
    return members if isinstance(members, Refusal) else shape(NAMES[path], members)
