"""The caller's side of a socket, against the client's side of the same protocol."""

import asyncio
from collections.abc import Callable

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from guard.stream.bounds import StreamBounds
from guard.stream.ending import End
from tests.support.stream import WS_ACCEPT, Peer, pushed

QUICK = StreamBounds(ping_every_s=0.0, pong_within_s=0.0)


async def test_the_answer_is_by_the_book() -> None:
    """101 with the accept key of RFC 6455 §1.3 and the decision; no extension, no subprotocol."""
    answer = Peer().accept()
    line, *fields = answer.decode().rstrip().split("\r\n")

    assert line == "HTTP/1.1 101 Switching Protocols"
    named = dict(field.split(": ", 1) for field in fields)
    assert named["Sec-WebSocket-Accept"] == WS_ACCEPT
    assert named["Guard-Decision"] == "01DECISION"
    assert named["Upgrade"] == "websocket"
    assert not {"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} & named.keys()


async def test_frames_are_sent_as_they_are() -> None:
    """What is pushed comes out as one text frame each, unmasked."""
    peer = Peer()
    peer.accept()

    assert peer.push(b'{"a":1}') == 1
    assert peer.push("é".encode()) == 1
    assert peer.texts() == [b'{"a":1}', "é".encode()]


async def test_nothing_is_sent_before_the_answer_or_after_the_end() -> None:
    """Only an open socket sends."""
    peer = Peer()
    assert not peer.push(b"early")
    peer.socket.keep_alive()
    peer.socket.end(End.SLOW.value)
    assert peer.wire.sent == b""
    peer.accept()
    peer.socket.end(End.SHUT_DOWN.value)
    sent = peer.wire.sent

    assert not peer.push(b"late")
    peer.socket.keep_alive()
    peer.socket.end(End.SLOW.value)
    assert peer.wire.sent == sent
    assert peer.ends == [End.SHUT_DOWN.value]


@pytest.mark.parametrize("end", [end for end in End if end.value.code is not None], ids=lambda end: end.value.word)
async def test_an_end_is_told_with_its_code(end: End) -> None:
    """The caller reads code and reason; when it has answered, our side of the connection closes."""
    peer = Peer()
    peer.accept()
    peer.socket.end(end.value)

    assert peer.closed_with() == (end.value.code, end.value.text)
    had_ended = peer.wire.has_ended
    peer.say()
    assert (had_ended, peer.wire.has_ended, peer.wire.is_closed) == (False, True, False)
    peer.socket.connection_lost(None)
    assert peer.ends == [end.value]


async def test_an_end_over_tls_closes_both_sides() -> None:
    """TLS cannot stay half open: the transport is closed once the last words are out."""
    peer = Peer(is_tls=True)
    peer.accept()
    peer.socket.end(End.REVOKED.value)

    assert peer.closed_with() == (4001, End.REVOKED.value.text)
    was_closed = peer.wire.is_closed
    peer.say()
    assert (was_closed, peer.wire.is_closed) == (False, True)
    peer.socket.connection_lost(None)


async def test_a_caller_that_does_not_close_is_cut() -> None:
    """After the time that its end allows, the connection is aborted."""
    peer = Peer()
    peer.accept()
    peer.socket.end(End.REVOKED.value)
    assert not peer.wire.is_aborted

    cut = peer.socket._cut
    assert cut is not None
    assert cut.when() - asyncio.get_running_loop().time() <= End.REVOKED.value.linger_s
    cut._run()
    cut.cancel()
    assert peer.wire.is_aborted


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.send_text(b"subscribe"),
        lambda client: client.send_binary(b"\x00"),
        lambda client: client.send_text(b"", fin=False),
        lambda client: client.send_text(b"x" * 60_000),
    ],
    ids=["text", "binary", "a first fragment", "long"],
)
async def test_a_message_of_the_caller_ends_the_socket(send: Callable[..., None]) -> None:
    """The stream is from server to client: data frames close 1008, their content is looked at by nobody."""
    peer = Peer()
    peer.accept()
    send(peer.client)
    peer.say()

    code, _ = peer.closed_with() or (0, "")
    assert code == 1008
    assert peer.ends == [End.MESSAGE.value]
    peer.say()  # the client's side has answered with its own close
    peer.socket.connection_lost(None)
    assert peer.ends == [End.MESSAGE.value]


async def test_a_ping_is_answered_and_a_pong_is_not() -> None:
    """Control frames do not end a socket; a ping gets its pong with the same content."""
    peer = Peer()
    peer.accept()
    peer.client.send_ping(b"are you there")
    peer.client.send_pong(b"")
    peer.say()

    assert [(each.opcode, bytes(each.data)) for each in peer.seen()] == [(Opcode.PONG, b"are you there")]
    assert peer.socket.is_open


async def test_a_caller_that_closes_gets_its_close_back() -> None:
    """The closing handshake is completed with the caller's own code."""
    peer = Peer()
    peer.accept()
    peer.client.send_close(1000, "bye")
    peer.say()

    assert peer.closed_with() == (1000, "bye")
    assert peer.ends == [End.BY_CALLER.value]
    assert peer.wire.has_ended
    peer.socket.connection_lost(None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.PING, b"x").serialize(mask=False, extensions=[]), 1002),  # unmasked (RFC 6455 §5.1)
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # a reserved opcode
        (b"\xc1\x80\x00\x00\x00\x00", 1002),  # an extension that was not agreed
        (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", 1009),  # says it has 65,537 bytes
        (b"\x89\xfe\x00\x7e" + bytes(4 + 126), 1002),  # a control frame beyond 125 bytes
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # a continuation of nothing
    ],
    ids=["unmasked", "opcode", "extension", "too long", "long ping", "continuation"],
)
async def test_frames_against_the_book_end_the_socket(data: bytes, code: int) -> None:
    """The protocol says what was wrong; of a message that is too long the announced length is enough."""
    peer = Peer()
    peer.accept()
    peer.socket.data_received(data)

    assert (peer.closed_with() or (0, ""))[0] == code
    assert peer.ends == [End.BAD_FRAMES.value]
    peer.socket.data_received(b"\x00" * 100_000)
    peer.socket.connection_lost(None)


async def test_frames_for_a_full_transport_wait_and_go_out_in_order() -> None:
    """Nothing is written while the transport is full; when the caller reads on, what waited comes in one piece."""
    peer = Peer()
    peer.accept()
    peer.socket.pause_writing()
    assert peer.push(b"one", b"two") == 0
    assert peer.push(b"three") == 0
    assert peer.texts() == []

    peer.socket.resume_writing()
    assert peer.texts() == [b"one", b"two", b"three"]
    assert peer.tallies == {"relayed": 3}
    assert peer.push(b"four") == 1


async def test_snapshots_conflate_and_events_do_not() -> None:
    """The newest quote of a symbol takes its own place in the order; what it replaced is counted; events all come."""
    peer = Peer()
    peer.accept()
    peer.socket.pause_writing()
    peer.push(b"quote 1", slot=(3005, "1_00700", None, None))
    peer.push(b"order 1")
    peer.push(b"other", slot=(3005, "1_00005", None, None))
    peer.push(b"quote 2", b"quote 3", slot=(3005, "1_00700", None, None))
    peer.push(b"order 1")

    peer.socket.resume_writing()
    assert peer.texts() == [b"order 1", b"other", b"quote 3", b"order 1"]
    assert peer.tallies == {"conflated": 2, "relayed": 4}


async def test_what_waits_goes_out_only_as_far_as_the_transport_takes_it() -> None:
    """A part in a turn, and no further once the transport is full again; what comes meanwhile queues up behind."""
    peer = Peer(StreamBounds(drain_bytes=1))
    peer.accept()
    peer.socket.pause_writing()
    peer.push(b"one", b"two", b"three")
    peer.socket.resume_writing()
    assert peer.texts() == [b"one"]
    assert peer.push(b"four") == 0

    await asyncio.sleep(0)
    peer.socket.pause_writing()
    await asyncio.sleep(0)
    assert peer.texts() == [b"two"]
    peer.socket.resume_writing()
    for _ in range(3):
        await asyncio.sleep(0)
    assert peer.texts() == [b"three", b"four"]
    assert peer.tallies == {"relayed": 4}
    assert peer.push(b"five") == 1


async def test_a_slow_caller_is_cut_off_not_waited_for() -> None:
    """At the bound a frame still waits; one byte more and the socket is closed 4008, and what waited is dropped."""
    peer = Peer(StreamBounds(unsent_bytes_max=1000))
    peer.accept()
    peer.socket.pause_writing()
    peer.wire.unsent_bytes = 1000 - len(pushed(b"one more").wire)
    peer.push(b"one more")
    assert peer.socket.is_open
    peer.push(b"x")

    assert peer.texts() == []
    assert peer.closed_with() == (4008, End.SLOW.value.text)
    assert peer.ends == [End.SLOW.value]
    assert peer.tallies == {"dropped": 2}
    peer.socket.resume_writing()
    assert peer.texts() == []
    peer.socket.connection_lost(None)


async def test_quotes_alone_never_make_a_caller_too_slow() -> None:
    """However many come for a symbol, what waits is its newest."""
    peer = Peer(StreamBounds(unsent_bytes_max=1000))
    peer.accept()
    peer.socket.pause_writing()
    for number in range(1000):
        peer.push(b"%d" % number * 10, slot=(3005, "1_00700", None, None))

    assert peer.socket.is_open
    peer.socket.resume_writing()
    assert peer.texts() == [b"999" * 10]


async def test_what_waits_is_dropped_when_the_caller_is_gone() -> None:
    """Counted, not forgotten in silence."""
    peer = Peer()
    peer.accept()
    peer.socket.pause_writing()
    peer.push(b"one", b"two")
    peer.socket.connection_lost(None)

    assert peer.tallies == {"dropped": 2}
    assert peer.ends == [End.HUNG_UP.value]


async def test_a_flood_of_control_frames_ends_the_socket() -> None:
    """As many as the bound between two sweeps pass, one more is 1008."""
    peer = Peer(StreamBounds(controls_max=10))
    peer.accept()
    for _ in range(2):
        for _ in range(10):
            peer.client.send_ping(b"")
            peer.say()
        assert peer.socket.is_open
        peer.socket.keep_alive()
    for _ in range(11):
        peer.client.send_pong(b"")
    peer.say()

    assert peer.closed_with() == (1008, End.FLOOD.value.text)
    peer.socket.connection_lost(None)


@pytest.mark.parametrize(("opcode", "end"), [(Opcode.PING, End.FLOOD), (Opcode.TEXT, End.MESSAGE)])
async def test_a_flood_that_comes_in_one_piece_is_not_read_to_its_end(
    opcode: Opcode, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport hands on a quarter megabyte at once: read whole, its 43,000 frames hold up every order 0.2 s."""
    read: list[int] = []
    receive = ServerProtocol.receive_data

    def counted(frames: ServerProtocol, data: bytes) -> None:
        read.append(len(data))
        receive(frames, data)

    peer = Peer()
    peer.accept()
    monkeypatch.setattr(ServerProtocol, "receive_data", counted)
    peer.socket.data_received(Frame(opcode, b"").serialize(mask=True, extensions=[]) * 43_000)

    assert peer.ends == [end.value]
    assert peer.wire.is_aborted
    assert sum(read) <= 3 * StreamBounds().read_bytes
    peer.socket.connection_lost(None)


@pytest.mark.parametrize("end", [End.SHUT_DOWN, End.FLOOD], ids=lambda end: end.value.word)
@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.TEXT])
async def test_a_caller_is_not_heard_for_ever_after_the_end(opcode: Opcode, end: End) -> None:
    """While its close is waited for it may send as many frames as the bound; one more and the connection is cut."""
    peer = Peer(StreamBounds(controls_max=10))
    peer.accept()
    for _ in range(10):
        peer.client.send_pong(b"")
    peer.say()
    peer.socket.end(end.value)
    said = Frame(opcode, b"x").serialize(mask=True, extensions=[])
    sent, was_cut = [], []
    for _ in range(11):
        peer.socket.data_received(said)
        sent.append(len(peer.wire.sent))
        was_cut.append(peer.wire.is_aborted)

    assert was_cut == [False] * 10 + [True]
    assert sent[-1] == sent[-2]
    peer.socket.connection_lost(None)
    assert peer.ends == [end.value]


async def test_a_caller_that_pings_and_does_not_read_is_slow_too() -> None:
    """Pongs count against the same bound."""
    peer = Peer(StreamBounds(unsent_bytes_max=1000))
    peer.accept()
    peer.wire.unsent_bytes = 1001
    peer.client.send_ping(b"x")
    peer.say()

    assert peer.ends == [End.SLOW.value]
    peer.socket.connection_lost(None)


async def test_a_silent_caller_is_asked_once_and_then_ended() -> None:
    """A ping after the first wait, 1011 after the second; an answer in between starts both waits anew."""
    peer = Peer(StreamBounds(ping_every_s=0.0, pong_within_s=60.0))
    peer.accept()
    peer.socket.keep_alive()
    peer.socket.keep_alive()
    assert [each.opcode for each in peer.seen()] == [Opcode.PING]
    peer.say()  # the client's side has answered with a pong
    peer.socket.keep_alive()
    assert [each.opcode for each in peer.seen()] == [Opcode.PING]
    assert peer.socket.is_open

    mute = Peer(QUICK)
    mute.accept()
    mute.socket.keep_alive()
    assert [each.opcode for each in mute.seen()] == [Opcode.PING]  # asked, however late the first look at it comes
    assert mute.ends == []
    mute.socket.keep_alive()
    assert mute.ends == [End.SILENT.value]
    assert mute.closed_with() == (1011, End.SILENT.value.text)
    mute.socket.connection_lost(None)


async def test_a_caller_that_hangs_up_is_told_of_once() -> None:
    """The end of the caller's side is the end of the socket, with nothing to tell it."""
    peer = Peer()
    peer.accept()
    sent = peer.wire.sent
    assert peer.socket.eof_received() is False
    peer.socket.connection_lost(ConnectionResetError())

    assert peer.ends == [End.HUNG_UP.value]
    assert peer.wire.sent == sent


async def test_a_connection_that_was_reset_meanwhile_ends_all_the_same() -> None:
    """Closing our side fails where the peer has reset the connection: it is cut, and the end is told."""
    peer = Peer()
    peer.accept()

    def reset() -> None:
        raise OSError(107, "Transport endpoint is not connected")

    peer.wire.write_eof = reset  # type: ignore[method-assign]
    peer.client.send_close(1000)
    peer.say()

    assert peer.wire.is_aborted
    assert peer.ends == [End.BY_CALLER.value]
    peer.socket.connection_lost(None)


async def test_a_connection_that_is_lost_before_the_answer_ends_unanswered() -> None:
    """Nothing is written to a caller that has gone, neither 101 nor a refusal."""
    peer = Peer()
    assert peer.socket.eof_received() is False
    peer.socket.connection_lost(None)
    peer.socket.refuse(b"HTTP/1.1 503 ")

    assert peer.ends == [End.HUNG_UP.value]
    assert peer.wire.sent == b""


async def test_a_refusal_closes_our_side_and_reads_the_rest_away() -> None:
    """The answer is out, our side closed, what still comes is dropped, and a caller that stays is cut."""
    peer = Peer()
    peer.socket.refuse(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    peer.socket.data_received(b"anything" * 1000)
    peer.socket.refuse(b"twice")

    assert peer.wire.sent == b"HTTP/1.1 401 Unauthorized\r\n\r\n"
    assert peer.wire.has_ended
    assert peer.ends == []
    peer.socket.connection_lost(None)
    assert peer.ends == []


async def test_bytes_before_the_answer_are_noticed_and_not_kept() -> None:
    """RFC 6455 §4.1: a client waits for the answer; what comes earlier marks the handshake."""
    peer = Peer()
    was_hasty = peer.socket.is_hasty
    peer.socket.data_received(b"\x81\x85" * 1000)

    assert (was_hasty, peer.socket.is_hasty) == (False, True)
    assert peer.wire.sent == b""


async def test_a_handshake_can_be_dropped_an_open_socket_cannot() -> None:
    """`drop` is for what was never answered."""
    peer = Peer()
    peer.socket.drop()
    assert peer.wire.is_aborted

    opened = Peer()
    opened.accept()
    opened.socket.drop()
    assert opened.socket.is_open
    assert not opened.wire.is_aborted
