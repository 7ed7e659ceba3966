"""What is asked in the benchmark, by whom, and under which limits: the one place that all processes share.

The limits are wide enough never to refuse under load. Each rule of the policy that is about new orders is judged for
each, and its claims are recorded. `REFUSED` alone breaks one, the money limit of a single order.
"""

import hashlib
import json
from typing import Final, NamedTuple

KEYS: Final = 64  # one for each connection; the guards of `scale.py` have others
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


def _written(name: str, text: str) -> bytes:
    """A good order, but for one value as the caller writes it."""
    return _odd(**({"price": 1} | {name: "@"})).replace(b'"@"', text.encode())


# What everyone with a policy must refuse, with which status and code; the price keeps the value small.
ODD: Final = {
    "a blocked symbol": (_odd(market="US", code="GME", price=1), 403, "symbol"),
    "a blocked symbol behind its prefix": (_odd(market="US", code="US.GME", price=1), 403, "symbol"),
    "a blocked symbol behind two prefixes": (_odd(market="US", code="US.US.GME", price=1), 400, "bad_value"),
    "a prefix that the daemon knows and the market has not": (
        _odd(market="US", code="SH.600000", price=1),
        400,
        "bad_value",
    ),
    "another market's symbol": (_odd(code="US.AAPL", price=1), 400, "bad_value"),
    "a market that is not allowed": (_odd(market="SG", code="D05", price=1), 403, "market"),
    "a market that nobody knows": (_odd(market="XX", price=1), 400, "bad_value"),
    "a code that is none of its market": (_odd(code="700", price=1), 400, "bad_value"),
    "a pattern for a code": (_odd(code="*", price=1), 400, "bad_value"),
    "too large a quantity": (_odd(qty=QTY_MAX + 100, price=0.05), 403, "max_order_qty"),
    "too large a quantity and value": (_odd(qty=2 * QTY_MAX, price=1), 403, "max_order_qty"),
    "too large a quantity with an exponent": (_odd(qty=2e6, price=0.05), 403, "max_order_qty"),
    "a quantity that is no number any more": (_written("qty", "1E+999999"), 400, "bad_number"),
    "a price that is no number any more": (_written("price", "1e400"), 400, "bad_number"),
    "a price of ten to the fifteenth": (_written("price", "1e15"), 400, "bad_number"),
    "a price with four decimals": (_odd(price=1.0006), 400, "bad_number"),
    "a price just below a decimal": (_written("price", "1.00000000000001"), 400, "bad_number"),
    "a quantity with ten decimals": (_written("qty", "1.0000000001"), 400, "bad_number"),
    "a quantity of sixteen digits": (_written("qty", "1000000000000000"), 400, "bad_number"),
    "a price of zero": (_odd(price=0), 400, "bad_value"),
    "a negative price": (_odd(price=-1), 400, "bad_value"),
    "a quantity of zero": (_odd(qty=0, price=1), 400, "bad_value"),
    "a negative quantity": (_odd(qty=-100, price=1), 400, "bad_value"),
    "somebody else's account": (_odd(acc_id=ACC_ID + 1, price=1), 403, "account"),
    "an account with a fraction": (_odd(acc_id=ACC_ID + 0.5, price=1), 400, "bad_number"),
    "account 0": (_odd(acc_id=0, price=1), 400, "bad_value"),
    "real money": (_odd(env="real", price=1), 403, "environment"),
    "an environment that nobody knows": (_odd(env="paper", price=1), 400, "bad_value"),
    "a side that nobody knows": (_odd(side="HOLD", price=1), 400, "bad_value"),
    "a type that is not allowed": (_odd(order_type="ABSOLUTE_LIMIT", price=1), 403, "order_type"),
    "a type that nobody knows": (_odd(order_type="LIMIT", price=1), 400, "bad_value"),
    "a stop without what triggers it": (_odd(order_type="STOP_LIMIT", price=1), 400, "missing_field"),
    "a trigger where there is no stop": (_odd(aux_price=1, price=1), 400, "bad_value"),
    "a time in force that nobody knows": (_odd(time_in_force="IOC", price=1), 400, "bad_value"),
    "a remark that is too long": (_odd(remark="x" * 65, price=1), 400, "bad_value"),
    "a remark of two lines": (_odd(remark="a\nb", price=1), 400, "bad_value"),
    "a remark that is a number": (_odd(remark=1, price=1), 400, "bad_value"),
    "a field that nobody knows": (_odd(price=1, urgent=True), 400, "unknown_field"),
    "a name in camel case": (_odd(price=1, accId=ACC_ID), 400, "unknown_field"),
    "a name twice": (_written("qty", '100,"qty":200'), 400, "duplicate_key"),
    "a name twice, once escaped": (_written("qty", '100,"q\\u0074y":200'), 400, "duplicate_key"),
    "a name twice, and colons in a text": (_written("remark", '":::","qty":200'), 400, "duplicate_key"),
    "a number in a string": (_odd(price="1"), 400, "bad_number"),
    "a truth for a number": (_odd(qty=True, price=1), 400, "bad_number"),
    "a list for a number": (_odd(qty=[100], price=1), 400, "bad_number"),
    "a hexadecimal number": (_written("qty", "0x64"), 400, "bad_json"),
    "a number with a leading zero": (_written("qty", "0100"), 400, "bad_json"),
    "a price that is not a number": (_written("price", "NaN"), 400, "bad_json"),
    "an infinite price": (_written("price", "Infinity"), 400, "bad_json"),
    "no price": (_odd(), 400, "missing_field"),
    "null for a price": (_odd(price=None), 400, "missing_field"),
    "no side": (_odd(side=None, price=1), 400, "missing_field"),
    "no object": (b'{"market":', 400, "bad_json"),
    "a list": (b"[" + _odd(price=1) + b"]", 400, "bad_json"),
    "an empty list": (b"[]", 400, "bad_json"),
    "two orders": (_odd(price=1) * 2, 400, "bad_json"),
    "too long a body": (_odd(price=1) + b" " * 65536, 413, ""),
}


def key_id(number: int) -> str:
    """The id of a caller's key."""
    return f"bot-{number:02d}"


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
