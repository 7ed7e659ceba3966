"""Bodies as callers write them, and what the intent room makes of them."""

import json
from typing import Final

from guard.catalogue import find
from guard.intent import parse
from guard.terms import Endpoint, Intent, PlaceOrder, Refusal

ORDER: Final[dict[str, object]] = {
    "market": "HK",
    "acc_id": 123456,
    "env": "simulate",
    "side": "BUY",
    "code": "00700",
    "qty": 100,
    "price": 300.0,
}
"""The reference's own example of an order."""

ACCOUNT: Final[dict[str, object]] = {"market": "HK", "acc_id": 123456, "env": "simulate"}
HEADER: Final[dict[str, object]] = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}


def endpoint(path: str, method: str = "POST") -> Endpoint:
    """The catalogue's row."""
    found = find(method, path)
    assert isinstance(found, Endpoint)
    return found


def read_as(path: str, body: object) -> Intent | Refusal:
    """The intent of a body; bytes and text go in as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return parse(endpoint(path), raw)


def codes(path: str, body: object) -> list[str]:
    """The codes of a refusal, primary first; [] for an intent."""
    result = read_as(path, body)
    return [reason.code.value for reason in result.reasons] if isinstance(result, Refusal) else []


def why(path: str, body: object) -> str:
    """What a refusal says."""
    result = read_as(path, body)
    assert isinstance(result, Refusal)
    return "; ".join(reason.message for reason in result.reasons)


def order(**changes: object) -> PlaceOrder:
    """The example order with changes; None leaves a field out."""
    placed = read_as("/api/order", {k: v for k, v in (ORDER | changes).items() if v is not None})
    assert isinstance(placed, PlaceOrder), placed
    return placed


def order_codes(**changes: object) -> list[str]:
    """Why the example order with changes is refused; None leaves a field out."""
    return codes("/api/order", {k: v for k, v in (ORDER | changes).items() if v is not None})
