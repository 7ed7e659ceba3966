"""What is asked in the benchmark, by whom, and under which limits: the one place that all processes share.

The limits are wide enough never to refuse under load, and every rule that a policy can hold is present: each is judged,
claimed and recorded for each order. `REFUSED` alone breaks one, the money limit of a single order.
"""

import hashlib
import json
from typing import Final, NamedTuple

KEYS: Final = 64
ACC_ID: Final = 123456
MARKETS: Final = ("HK", "US")
SIDES: Final = ("BUY", "SELL")
ORDER_TYPES: Final = ("NORMAL", "MARKET", "STOP_LIMIT")
TIMES_IN_FORCE: Final = ("DAY", "GTC")
BLOCKED: Final = "US.GME"
ORDER_VALUE_MAX: Final = 100_000
KEY_ORDER_VALUE_MAX: Final = 1_000_000
DAILY_VALUE_MAX: Final = 900_000_000_000
QTY_MAX: Final = 1_000_000
ORDERS_PER_DAY_MAX: Final = 100_000_000
RATE_MAX: Final = 100_000
ORDER_WINDOW_S: Final = 30
READ_WINDOW_S: Final = 10
DUPLICATE_WINDOW_S: Final = 5
DAEMON_KEY: Final = f"fc_{hashlib.sha256(b'daemon').hexdigest()}"


class Ask(NamedTuple):
    """One kind of request: its name, path, body before and after the serial number, and the status it must get."""

    name: str
    path: str
    before: bytes
    after: bytes
    status: int

    def render(self, serial: int) -> bytes:
        """The body; a serial number in an order's remark keeps it from being a duplicate."""
        return self.before + b"%010d" % serial + self.after if self.after else self.before


def _order(price: str) -> bytes:
    fields = '{"market":"HK","acc_id":%d,"env":"simulate","side":"BUY","code":"00700","qty":100,"price":%s,"remark":"b'
    return (fields % (ACC_ID, price)).encode()


QUOTE: Final = Ask("quote", "/api/quote", b'{"symbol":"HK.00700"}', b"", 200)
ORDER: Final = Ask("order", "/api/order", _order("300.0"), b'"}', 200)
REFUSED: Final = Ask("refused", "/api/order", _order("3000.0"), b'"}', 403)
STRANGE: Final = Ask("strange", "/api/order", _order("300.0"), b'"}', 401)
HISTORY: Final = Ask("history", "/api/history-kline", b'{"symbol":"HK.00700","kl_type":"day","count":50000}', b"", 200)
BY_NAME: Final = {ask.name: ask for ask in (QUOTE, ORDER, REFUSED, STRANGE, HISTORY)}
STRANGER: Final = "gk_nobody"


def _odd(**changed: object) -> bytes:
    """An order that differs from a good one in one thing."""
    return json.dumps(_GOOD | changed).encode()


_GOOD: Final = {"market": "HK", "acc_id": ACC_ID, "env": "simulate", "side": "BUY", "code": "00700", "qty": 100}
# What everyone with a policy must refuse, with which status and code; the price keeps the value small.
ODD: Final = {
    "a blocked symbol": (_odd(market="US", code="GME", price=1), 403, "symbol"),
    "too large a quantity": (_odd(qty=QTY_MAX + 100, price=0.05), 403, "max_order_qty"),
    "somebody else's account": (_odd(acc_id=ACC_ID + 1, price=1), 403, "account"),
    "real money": (_odd(env="real", price=1), 403, "environment"),
    "a field that nobody knows": (_odd(price=1, urgent=True), 400, "unknown_field"),
    "a number in a string": (_odd(price="1"), 400, "bad_number"),
    "no price": (_odd(), 400, "missing_field"),
    "no object": (b'{"market":', 400, "bad_json"),
}


def key_id(number: int) -> str:
    """The id of a caller's key."""
    return f"bot-{number % KEYS:02d}"


def plaintext(number: int) -> str:
    """A caller's key: made from its number, of no use anywhere else."""
    return f"gk_{hashlib.sha256(key_id(number).encode()).hexdigest()}"


def digest(number: int) -> str:
    """What a keys file holds of it."""
    return hashlib.sha256(plaintext(number).encode()).hexdigest()


def head(ask: Ask, *, bearer: str, port: int) -> bytes:
    """The request's head with this key or token; a body's length does not depend on its serial."""
    lines = (
        f"POST {ask.path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept: */*",
        "User-Agent: bench/1",
        f"Authorization: Bearer {bearer}",
        "Content-Type: application/json",
        f"Content-Length: {len(ask.render(0))}",
        "\r\n",
    )
    return "\r\n".join(lines).encode()
