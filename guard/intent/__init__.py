"""Room 3, the intent: what exactly do they want?

In: an `Endpoint` and the bytes of a body. Out: an intent of `guard.terms`, or a `Refusal` (400, 413); from an intent,
the one canonical body that the daemon is sent, the digest of its meaning, and the order that a change leads to.
Nothing odd is repaired: what is not understood whole is refused. It never raises on input, never reads a clock, never
looks at who is asking, and no byte of a trade's body reaches the daemon unread. Pure.

`parse` is the way in: `strict` (bytes to JSON), `shape` (names, by the table in `names`), then one reader per kind of
intent over `fields`: `orders`, `changes`, `sessions`, `reads`, with `header` and `instrument`. `repeats` shortens the
way for an order like one before. `canonical` is the way out, with `plain` for the JSON.
"""

from guard.intent.canonical import changed, digest, encode, kept
from guard.intent.changes import ORDER_ID_EX
from guard.intent.header import UNNAMED
from guard.intent.parse import listed_order, order_after, order_of, parse

__all__ = [
    "ORDER_ID_EX",
    "UNNAMED",
    "changed",
    "digest",
    "encode",
    "kept",
    "listed_order",
    "order_after",
    "order_of",
    "parse",
]
