"""What is asked in the benchmark, by whom, and under which limits: the one place that all processes share.

The limits are wide enough never to refuse under load, and every rule that a policy can hold is present: each is judged,
claimed and recorded for each order. `REFUSED` alone breaks one, the money limit of a single order.
"""

import hashlib
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
BY_NAME: Final = {ask.name: ask for ask in (QUOTE, ORDER, REFUSED)}


def key_id(number: int) -> str:
    """The id of a caller's key."""
    return f"bot-{number % KEYS:02d}"


def plaintext(number: int) -> str:
    """A caller's key: made from its number, of no use anywhere else."""
    return f"gk_{hashlib.sha256(key_id(number).encode()).hexdigest()}"


def digest(number: int) -> str:
    """What a keys file holds of it."""
    return hashlib.sha256(plaintext(number).encode()).hexdigest()


def head(ask: Ask, *, number: int, port: int) -> bytes:
    """The request's head as caller `number` sends it; a body's length does not depend on its serial."""
    lines = (
        f"POST {ask.path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept: */*",
        "User-Agent: bench/1",
        f"Authorization: Bearer {plaintext(number)}",
        "Content-Type: application/json",
        f"Content-Length: {len(ask.render(0))}",
        "\r\n",
    )
    return "\r\n".join(lines).encode()
