"""A daemon that costs next to nothing, so that what stands in front of it shows: five answers and a counter.

It reads HTTP with httptools on uvloop and looks at the path alone: no key is checked, no body is understood. Answers
have the daemon's own envelope; every order gets ids that were never given before. The simulator of the product is not
used here, since it does the work of a whole daemon in Python and would hide the difference between two proxies.
"""

import argparse
import asyncio
import json
from typing import Final, cast

import httptools
import uvloop
from asks import ACC_ID

ORDER_ID_FIRST: Final = 900_000_000_000_000_000
EX_ID_FIRST: Final = 7_000_000_000


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _envelope(s2c: object) -> bytes:
    whole = {"ret_type": 0, "ret_msg": None, "err_code": None, "s2c": s2c}
    return json.dumps(whole, separators=(",", ":")).encode()


def _order_body(number: int) -> bytes:
    header = {"trd_env": 0, "acc_id": ACC_ID, "trd_market": 1}
    return _envelope({"header": header, "order_id": ORDER_ID_FIRST + number, "order_id_ex": str(EX_ID_FIRST + number)})


ACCOUNTS: Final = _answer(
    _envelope({"acc_list": [{"trd_env": 0, "acc_id": ACC_ID, "trd_market_auth_list": [1, 2], "acc_type": 2}]})
)
STATIC_INFO: Final = _answer(
    _envelope(
        {
            "static_info_list": [
                {
                    "basic": {
                        "security": {"market": 1, "code": "00700"},
                        "id": 1099511628216,
                        "lot_size": 100,
                        "sec_type": 3,
                        "name": "TENCENT",
                        "list_time": "2004-06-16",
                        "delisting": False,
                        "exch_type": 1,
                    }
                }
            ]
        }
    )
)
QUOTE: Final = _answer(
    _envelope(
        {
            "basic_qot_list": [
                {
                    "security": {"market": 1, "code": "00700"},
                    "name": "TENCENT",
                    "is_suspended": False,
                    "list_time": "2004-06-16",
                    "price_spread": 0.2,
                    "update_time": "2026-11-20 14:36:36",
                    "high_price": 300.2,
                    "open_price": 296.8,
                    "low_price": 296.6,
                    "cur_price": 300.0,
                    "last_close_price": 296.8,
                    "volume": 18900,
                    "turnover": 5670000.0,
                    "turnover_rate": 0.5,
                    "amplitude": 1.2,
                    "sec_status": 1,
                }
            ]
        }
    )
)
HISTORY_BYTES: Final = 5_000_000
_DAY: Final = {
    "time": "2026-11-20 00:00:00",
    "is_blank": False,
    "high_price": 300.2,
    "open_price": 296.8,
    "low_price": 296.6,
    "close_price": 300.0,
    "last_close_price": 296.8,
    "volume": 18900,
    "turnover": 5670000.0,
    "turnover_rate": 0.5,
    "pe": 21.7,
    "change_rate": 1.07,
    "timestamp": 1795968000.0,
}
HISTORY_BODY: Final = _envelope(
    {
        "security": {"market": 1, "code": "00700"},
        "name": "TENCENT",
        "kl_list": [_DAY] * (HISTORY_BYTES // len(json.dumps(_DAY, separators=(",", ":")))),
        "next_req_key": None,
    }
)
HISTORY: Final = _answer(HISTORY_BODY)
# Ids have one width, so an order's answer is three constants and two numbers.
_ORDER_A, _REST = _answer(_order_body(0)).split(str(ORDER_ID_FIRST).encode())
_ORDER_B, _ORDER_C = _REST.split(str(EX_ID_FIRST).encode())
NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Orders:
    """How many orders were placed since the start, over all connections."""

    def __init__(self) -> None:
        self.placed = 0

    def place(self) -> bytes:
        """The answer to one more order."""
        self.placed += 1
        order_id, ex_id = ORDER_ID_FIRST + self.placed, EX_ID_FIRST + self.placed
        return b"".join((_ORDER_A, b"%d" % order_id, _ORDER_B, b"%d" % ex_id, _ORDER_C))


class Connection(asyncio.Protocol):
    """One connection: requests are answered in the order in which they come."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.abort()

    def on_url(self, url: bytes) -> None:
        """The request's target, which may come in pieces."""
        self._path += url

    def on_message_complete(self) -> None:
        """A whole request was read: answer it."""
        path, self._path = self._path, b""
        if self._transport is not None:
            self._transport.write(self._answer(path))

    def _answer(self, path: bytes) -> bytes:
        match path:
            case b"/api/quote":
                return QUOTE
            case b"/api/order":
                return self._orders.place()
            case b"/api/history-kline":
                return HISTORY
            case b"/api/static-info":
                return STATIC_INFO
            case b"/api/accounts":
                return ACCOUNTS
            case b"/bench/placed":
                return _answer(json.dumps({"placed": self._orders.placed}).encode())
            case _:
                return NOT_FOUND


async def serve(port: int) -> None:
    """Answer until the process is ended."""
    orders = Orders()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(orders), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.parse_args().port))
