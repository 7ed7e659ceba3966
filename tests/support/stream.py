"""What tests of the stream share: a transport that only remembers, a caller's end of a socket, frames of the daemon."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from guard.lifecycle import Guard
from guard.simulator.proto import push_body
from guard.stream.audience import Audience
from guard.stream.bounds import StreamBounds
from guard.stream.caller import CallerSocket
from guard.stream.ending import Ending
from guard.stream.session import Frame as Push
from guard.stream.session import Kind, Slot, text_frame
from tests.support.edge import until
from tests.support.guards import call
from tests.support.scripted_daemon import Script, Talk

WS_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
WS_ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ORDER_PUSH: Final = 2208
HANDSHAKE: Final = {"upgrade": "websocket", "sec_websocket_version": "13", "sec_websocket_key": WS_KEY}


def frame(type_: str = "quote", proto_id: int | None = None, **members: Any) -> bytes:
    """A push frame as the daemon writes it; the proto id follows the type unless given. A trade's body: see `trade`."""
    usual = {"quote": 3005, "trade": 2208, "notify": 1003}
    full = {"type": type_, "proto_id": usual.get(type_, 1) if proto_id is None else proto_id}
    return json.dumps(full | {"body_b64": "" if type_ == "trade" else "AA=="} | members).encode()


def trade(proto_id: int = 2208, *, acc_id: int = 7, env: int = 1, **names: Any) -> bytes:
    """A trade push with its body: of an order (2208) or a fill (2218) of this account."""
    header = {"trd_env": env, "acc_id": acc_id, "trd_market": 1}
    coded = push_body(proto_id, {"header": header, "order" if proto_id == ORDER_PUSH else "order_fill": names})
    return frame("trade", proto_id, acc_id=acc_id, trd_market=1, body_b64=b64encode(coded).decode())


class Wire(asyncio.Transport):
    """A transport that remembers what it was told. `unsent_bytes` is what it claims to hold back.

    `on_write` is called from within each write, as a transport tells its protocol that it is full.
    """

    def __init__(self, *, is_tls: bool = False) -> None:
        super().__init__()
        self.sent = b""
        self.writes: list[bytes] = []
        self.on_write: Callable[[], None] | None = None
        self.unsent_bytes = 0
        self.has_ended = False
        self.is_closed = False
        self.is_aborted = False
        self._is_tls = is_tls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember the bytes; after our end of the stream there must be none."""
        assert not self.has_ended
        self.sent += bytes(data)
        self.writes.append(bytes(data))
        if self.on_write is not None:
            self.on_write()

    def write_eof(self) -> None:
        """Our side is closed."""
        assert not self._is_tls
        self.has_ended = True

    def can_write_eof(self) -> bool:
        """TLS cannot stay half open."""
        return not self._is_tls

    def close(self) -> None:
        """Both sides are closed."""
        self.is_closed = True

    def abort(self) -> None:
        """Cut."""
        self.is_closed = self.is_aborted = True

    def is_closing(self) -> bool:
        """Closed or cut."""
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        """What the caller has not taken yet."""
        return self.unsent_bytes


def pushed(data: bytes, slot: Slot | None = None, *, kind: Kind = "quote") -> Push:
    """A classified frame of a slot, or an event."""
    return Push(kind, None, (), text_frame(data), slot=slot)


class Peer:
    """A caller's socket with the caller at its other end: what it is sent is read by the client's side of RFC 6455.

    It listens in an audience of its own, or in the one that it is given.
    """

    def __init__(
        self, bounds: StreamBounds | None = None, *, is_tls: bool = False, audience: Audience | None = None
    ) -> None:
        self.ends: list[Ending] = []
        self.tallies: dict[str, int] = {}
        self.at_once = 0
        self.audience = (
            audience
            if audience is not None
            else Audience(
                bounds or StreamBounds(),
                sees=lambda *_: True,
                sees_order=lambda *_: True,
                tally=self._count,
                now=lambda: datetime.max.replace(tzinfo=UTC),
            )
        )
        self.wire = Wire(is_tls=is_tls)
        self.socket = CallerSocket(self.wire, bounds or StreamBounds(), self)
        self.client = ClientProtocol(parse_uri("ws://guard/ws"), state=State.OPEN)
        self._read = 0

    def ended(self, _: CallerSocket, ending: Ending) -> None:
        """The socket's house: an end."""
        self.ends.append(ending)
        self.audience.leave(self.socket)

    def turned(self, socket: CallerSocket) -> None:
        """The socket's house: it keeps up, or does not."""
        self.audience.turned(socket)

    def tally(self, result: str, frames: int) -> None:
        """The socket's house: what became of frames that waited."""
        self.tallies[result] = self.tallies.get(result, 0) + frames

    def push(self, *texts: bytes, slot: Slot | None = None) -> int:
        """Send text frames, of one slot or events; how many went out at once."""
        before = self.at_once
        for each in texts:
            self.audience.hear(pushed(each, slot))
        self.audience.flush()
        return self.at_once - before

    def _count(self, _: str, frames: int) -> None:
        self.at_once += frames

    def accept(self) -> bytes:
        """Open the socket, which listens from then on; its answer to the handshake."""
        self.socket.accept(WS_KEY, decision="01DECISION")
        self.audience.enter(self.socket)
        answer = self.wire.sent
        self._read = len(answer)
        return answer

    def seen(self) -> list[Frame]:
        """The frames that have come since the last look."""
        data, self._read = self.wire.sent[self._read :], len(self.wire.sent)
        self.client.receive_data(data)
        return [event for event in self.client.events_received() if isinstance(event, Frame)]

    def texts(self) -> list[bytes]:
        """The text frames among them."""
        return [bytes(each.data) for each in self.seen() if each.opcode is Opcode.TEXT]

    def closed_with(self) -> tuple[int, str] | None:
        """The close code and reason that have come."""
        self.seen()
        close: Close | None = self.client.close_rcvd
        return None if close is None else (close.code, close.reason)

    def say(self) -> None:
        """Hand what the client's side has to say to the socket."""
        for data in self.client.data_to_send():
            if data != SEND_EOF:
                self.socket.data_received(data)


def welcome(request: bytes) -> bytes:
    """The daemon's 101 to a handshake."""
    server = ServerProtocol()
    server.receive_data(request)
    (asked,) = server.events_received()
    server.send_response(server.accept(asked))  # type: ignore[arg-type] # a whole head is a request
    return b"".join(server.data_to_send())


def pushing(*frames: Frame, then: Script = Talk.hang) -> Script:
    """A daemon that opens its stream, sends these frames, and goes on with `then`."""

    async def play(talk: Talk) -> None:
        await talk.say(welcome(await talk.request()))
        for each in frames:
            await talk.say(each.serialize(mask=False, extensions=[]))
        await then(talk)

    return play


class Live:
    """A script: a daemon that opens its stream and sends what it is told to, on the newest connection."""

    def __init__(self) -> None:
        self.talks: list[Talk] = []

    async def __call__(self, talk: Talk) -> None:
        """Welcome a stream and keep it."""
        await talk.say(welcome(await talk.request()))
        self.talks.append(talk)
        await talk.hang()

    async def push(self, *texts: bytes) -> None:
        """Text frames, in one piece."""
        await self.say(*(text(each) for each in texts))

    async def say(self, *frames: Frame) -> None:
        """Frames of any kind, in one piece."""
        await self.talks[-1].say(b"".join(each.serialize(mask=False, extensions=[]) for each in frames))


def text(data: bytes) -> Frame:
    """A text frame of the daemon's."""
    return Frame(Opcode.TEXT, data)


class Visitor:
    """A caller at a guard's relay, without a socket of its own: what it is answered and sent can be looked at."""

    def __init__(self, guard: Guard, who: str | None = "bot", *, token: str | None = None, **head: str) -> None:
        asked = call("/ws", who=who, **HANDSHAKE, **head)
        asked.token = token
        self.wire = Wire()
        self.socket = guard.relay.upgrade(asked, self.wire, b"GET /ws HTTP/1.1\r\n\r\n")
        self._client = ClientProtocol(parse_uri("ws://guard/ws"), state=State.OPEN)
        self._read = 0

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The answer to the handshake, once it is there: status, fields by lower-case name, body."""
        await until(lambda: b"\r\n\r\n" in self.wire.sent or self.wire.is_closed)
        head, _, rest = self.wire.sent.partition(b"\r\n\r\n")
        self._read = self._read or len(head) + 4
        line, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        return int(line.split()[1]), fields, rest

    async def opened(self) -> "Visitor":
        """Itself, when its socket is open."""
        status, _, body = await self.answer()
        assert status == 101, body
        return self

    async def refusal(self) -> tuple[int, str]:
        """Status and code of the refusal that it got."""
        status, fields, body = await self.answer()
        parsed = json.loads(body)
        assert fields["connection"] == "close"
        assert fields["guard-decision"] == parsed["guard"]["decision"]
        assert int(fields["content-length"]) == len(body)
        assert self.wire.has_ended
        return status, parsed["err_code"]

    def frames(self) -> list[Frame]:
        """The frames that have come since the last look."""
        data, self._read = self.wire.sent[self._read :], len(self.wire.sent)
        self._client.receive_data(data)
        return [event for event in self._client.events_received() if isinstance(event, Frame)]

    async def texts(self, count: int) -> list[bytes]:
        """The next `count` text frames."""
        found: list[bytes] = []

        def has_all() -> bool:
            found.extend(bytes(each.data) for each in self.frames() if each.opcode is Opcode.TEXT)
            return len(found) >= count

        await until(has_all)
        return found

    async def closed(self) -> int:
        """The close code, once it has come."""

        def has_close() -> bool:
            self.frames()
            return self._client.close_rcvd is not None

        await until(has_close)
        close: Close | None = self._client.close_rcvd
        assert close is not None
        return close.code

    def hang_up(self) -> None:
        """The connection is gone."""
        self.wire.abort()
        self.socket.connection_lost(None)


def settings_for(port: int, *, more: str = "") -> str:
    """The text of a guard's settings whose daemon listens at this port of the loopback."""
    return f'[daemon]\nurl = "http://127.0.0.1:{port}"\nconnect_timeout_s = 60.0\nread_timeout_s = 60.0\n{more}'
