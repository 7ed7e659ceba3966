"""What every proxy in Python has to do at least, and nothing else: the floor under the guard's requests.

One process, uvloop, a protocol on either side, connections to the daemon that are kept. It forwards: the end of a head
and the length of a body are found with `bytes.find`, the daemon's key takes the place of the caller's, the answer goes
back as it came. With `--record FILE` an order also meets what no sidecar of this kind can leave out: the hash of the
key is looked up, the body is parsed, the value is compared with a limit, a new encoding is sent, and a decision and an
outcome of the size of the guard's, each naming the hash of the line before it, are written by a thread, all those of a
turn at once, the decision before the order is sent; with `--sync` it is on the medium by then, and what has gathered
meanwhile has the next sync. There are no rules, counters, ids, times, metrics or bounds, no second shape of anything,
and a request must be written as the benchmark's caller writes it.

    python bench/floor.py --port PORT --daemon PORT [--record FILE [--sync]]
"""

import argparse
import asyncio
import gc
import os
import queue
import threading
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final, cast

import asks
import jiter
import msgspec
import uvloop

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "
_KEY: Final = b"\r\nAuthorization: Bearer "
_ORDER: Final = f"POST {asks.ORDER.path} ".encode()
_DAEMON_KEY: Final = asks.DAEMON_KEY.encode()
_VALUE_MAX: Final = Decimal(asks.ORDER_VALUE_MAX)
_HEAD: Final = (
    f"POST {asks.ORDER.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {asks.DAEMON_KEY}\r\n"
    "Content-Type: application/json\r\nContent-Length: "
).encode()
_CLAIMS: Final = 700  # bytes of a decision that are the same for all orders of a key and day: its counters' names

Write = Callable[[bytes], object]


class Decision(msgspec.Struct):
    """A decision's line; `claims` is text of the length that the names of its counters have."""

    seq: int
    key: str
    value: Decimal
    order: msgspec.Raw
    claims: msgspec.Raw
    policy_sha256: str
    config_sha256: str
    prev: str
    type: str = "decision"
    outcome: str = "allow"
    endpoint: str = asks.ORDER.path


class Outcome(msgspec.Struct):
    """An outcome's line."""

    seq: int
    decision: int
    ret_type: int
    order_id: int
    order_id_ex: str
    prev: str
    type: str = "outcome"
    verdict: str = "accepted"


class Canonical(msgspec.Struct):
    """An order as it is sent."""

    code: str
    qty: int
    price: Decimal
    remark: str
    acc_id: int
    env: str
    market: str
    side: str


class Record:
    """The file of decisions and outcomes. One thread writes; what came in one turn of the loop is one write."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, *, is_synced: bool) -> None:
        self._loop, self._is_synced = loop, is_synced
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._queue: queue.SimpleQueue[tuple[list[bytes], list[Recorded]]] = queue.SimpleQueue()
        self._lines: list[bytes] = []
        self._waiting: list[Recorded] = []
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self.seq = 0
        self.prev = "0" * 64
        threading.Thread(target=self._write, daemon=True).start()

    def append(self, line: Decision | Outcome, waiting: "Recorded | None") -> None:
        """Chain a line; whoever waits is told when it is written."""
        encoded = self._encoder.encode(line)
        self.prev = sha256(encoded).hexdigest()
        if not self._lines:
            self._loop.call_soon(self._hand_over)
        self._lines.append(encoded)
        if waiting is not None:
            self._waiting.append(waiting)

    def encoded(self, order: Canonical) -> bytes:
        """An order as it is sent and recorded."""
        return self._encoder.encode(order)

    def _hand_over(self) -> None:
        self._queue.put((self._lines, self._waiting))
        self._lines, self._waiting = [], []

    def _write(self) -> None:
        while True:
            lines, waiting = self._queue.get()
            while self._is_synced and not self._queue.empty():
                more, others = self._queue.get()
                lines += more
                waiting += others
            lines.append(b"")
            os.write(self._descriptor, b"\n".join(lines))
            if self._is_synced:
                os.fdatasync(self._descriptor)
            if waiting:
                self._loop.call_soon_threadsafe(_send_all, waiting)


def _send_all(waiting: "list[Recorded]") -> None:
    for caller in waiting:
        caller.send()


class Upstream(asyncio.Protocol):
    """A connection to the daemon: one request at a time, then it is idle again."""

    def __init__(self, pool: "Pool") -> None:
        self._idle = pool.idle
        self._held = b""
        self.caller: Caller | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        self.write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        if self._held:
            data = self._held + data
        if not _is_whole(data):
            self._held = data
            return
        self._held = b""
        self._idle.append(self)
        if self.caller is not None:
            self.caller.answered(data)


class Pool:
    """The connections to the daemon."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._dialling: set[asyncio.Task[None]] = set()
        self.idle: list[Upstream] = []

    def send(self, caller: "Caller", request: bytes) -> None:
        """Send on a connection that is idle, or on a new one."""
        if not self.idle:
            task = asyncio.ensure_future(self._dial(caller, request))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
            return
        upstream = self.idle.pop()
        upstream.caller = caller
        upstream.write(request)

    async def _dial(self, caller: "Caller", request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self), "127.0.0.1", self._port)
        self.idle.append(upstream)
        self.send(caller, request)


class Caller(asyncio.Protocol):
    """A caller's connection whose requests are forwarded."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held = b""
        self.answered: Write
        self.write: Write

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        self.answered = self.write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """A request, or a part of it."""
        if self._held:
            data = self._held + data
        if _is_whole(data):
            self._held = b""
            self.asked(data)
        else:
            self._held = data

    def asked(self, request: bytes) -> None:
        """A whole request: it goes on with the daemon's key."""
        begins = request.find(_KEY) + len(_KEY)
        ends = request.find(b"\r", begins)
        self._pool.send(self, request[:begins] + _DAEMON_KEY + request[ends:])


class Recorded(Caller):
    """A caller's connection whose orders are looked at and recorded."""

    def __init__(self, pool: Pool, record: Record, keys: dict[bytes, str]) -> None:
        super().__init__(pool)
        self._record, self._keys = record, keys
        self._canonical = b""
        self._decision = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        super().connection_made(transport)
        self.answered = self.settled

    def asked(self, request: bytes) -> None:
        """A whole request. An order is decided and recorded, anything else goes on."""
        if not request.startswith(_ORDER):
            super().asked(request)
            return
        begins = request.find(_KEY) + len(_KEY)
        key = self._keys.get(sha256(request[begins : request.find(b"\r", begins)]).digest())
        if key is None:
            self._refuse(b"401 Unauthorized", b"unauthenticated")
            return
        order = jiter.from_json(request[request.find(_END) + 4 :], float_mode="decimal", catch_duplicate_keys=True)
        value = order["price"] * order["qty"]
        if value > _VALUE_MAX:
            self._refuse(b"403 Forbidden", b"max_order_value")
            return
        record = self._record
        record.seq = self._decision = record.seq + 1
        canonical = self._canonical = record.encoded(Canonical(**order))
        raw = msgspec.Raw(canonical)
        record.append(Decision(self._decision, key, value, raw, _TEXT, _SHA, _SHA, record.prev), self)

    def send(self) -> None:
        """The decision is written: the order goes on."""
        canonical = self._canonical
        self._pool.send(self, b"%b%d\r\n\r\n%b" % (_HEAD, len(canonical), canonical))

    def settled(self, answer: bytes) -> None:
        """The daemon's answer goes back; that to an order is looked at and recorded first."""
        if self._decision:
            record, said = self._record, jiter.from_json(answer[answer.find(_END) + 4 :])
            placed = said["s2c"]
            record.seq += 1
            ids = placed["order_id"], placed["order_id_ex"]
            record.append(Outcome(record.seq, self._decision, said["ret_type"], *ids, record.prev), None)
            self._decision = 0
        self.write(answer)

    def _refuse(self, status: bytes, code: bytes) -> None:
        body = b'{"err_code":"%b"}' % code
        self.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )


_TEXT: Final = msgspec.Raw(b'"%b"' % (b"x" * _CLAIMS))
_SHA: Final = "5" * 64


def _is_whole(data: bytes) -> bool:
    end, at = data.find(_END), data.find(_LENGTH) + len(_LENGTH)
    return end > 0 and len(data) >= end + len(_END) + int(data[at : data.find(b"\r", at)])


async def serve(port: int, daemon: int, *, path: Path | None, is_synced: bool) -> None:
    """Answer until the process is ended."""
    loop, pool = asyncio.get_running_loop(), Pool(daemon)
    record = Record(path, loop, is_synced=is_synced) if path else None
    keys = {bytes.fromhex(asks.digest(number)): asks.key_id(number) for number in range(asks.KEYS)}

    def connected() -> Caller:
        return Recorded(pool, record, keys) if record else Caller(pool)

    server = await loop.create_server(connected, "127.0.0.1", port, backlog=1024)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--daemon", type=int, required=True)
    arguments.add_argument("--record", type=Path)
    arguments.add_argument("--sync", action="store_true")
    given = arguments.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.port, given.daemon, path=given.record, is_synced=given.sync))
