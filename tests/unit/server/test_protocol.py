"""One connection, its transport and its time in the test's hands: what is written, kept, waited for and cut."""

# ruff: noqa: D102 - the methods' names are asyncio's, or the wiring's

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from guard.codes import Code
from guard.server.asking import Asker
from guard.server.bounds import EdgeBounds
from guard.server.edge import AT_ONCE_MAX, NEVER, ROOM_AT_ONCE, Edge, UpgradedProtocol, Wiring
from guard.server.protocol import CallerConnection
from guard.terms import Call, Refusal, Reply
from tests.support.edge import each_in_a_task
from tests.support.edge_corpus import KEY, ORDER, WS, get, head, post

BOUNDS = EdgeBounds(connections_max=2)


class WireTransport(asyncio.Transport):
    """A transport that keeps what is written. `is_tls` cannot be half open."""

    def __init__(self, *, peer: object = ("192.0.2.7", 40123), is_tls: bool = False) -> None:
        super().__init__({"peername": peer})
        self.written: list[bytes] = []
        self.is_tls = is_tls
        self.is_reading_paused = False
        self.has_ended = False
        self.is_closed = False
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == BOUNDS.answer_buffer_bytes_max

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_aborted = True


class Door:
    """An edge whose walk runs when the test says so, at a time that the test winds."""

    def __init__(self, *, bounds: EdgeBounds = BOUNDS, answer: Reply | None = None) -> None:
        self.now = 1000.0
        self.is_known, self.wait_s = False, 0.0
        self.calls: list[Call] = []
        self.walks: list[Coroutine[Any, Any, None]] = []
        self.refused: list[tuple[str, Code, str]] = []
        self.answer: Reply | BaseException = answer or Reply(200, b'{"ret_type":0}')
        self.edge = Edge(self.wiring(), bounds, now=lambda: self.now)

    def wiring(self) -> Wiring:
        return Wiring(each_in_a_task(self.handle, self.start), lambda: "01K", refused=self.note)

    async def handle(self, call: Call) -> Reply:
        self.calls.append(call)
        call.is_known, call.wait_s = self.is_known, self.wait_s
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def start(self, walk: Coroutine[Any, Any, None], name: str) -> None:
        assert name == "request"
        self.walks.append(walk)

    def note(self, decision: str, refusal: Refusal, peer: str) -> float:
        self.refused.append((decision, refusal.code, peer))
        return self.wait_s

    def connect(self, transport: WireTransport | None = None) -> tuple[CallerConnection, WireTransport]:
        transport = transport or WireTransport()
        connection = CallerConnection(self.edge)
        connection.connection_made(transport)
        return connection, transport

    async def walk(self) -> None:
        if not self.walks:
            await asyncio.sleep(0)  # requests of one turn come to the walk together
        await self.walks.pop(0)

    def wind(self, seconds: float) -> None:
        self.now += seconds
        self.edge.sweep()


def status(answer: bytes) -> int:
    """The status of a written answer."""
    return int(answer.split(b" ", 2)[1])


async def test_a_request_is_answered_and_the_connection_goes_on() -> None:
    """One call, one write, and then the next."""
    door = Door()
    connection, transport = door.connect()

    for raw in (get(KEY), post()):
        connection.data_received(raw)
        await door.walk()

    assert [(call.method, call.path, call.body, call.peer) for call in door.calls] == [
        ("GET", "/api/ping", b"", "192.0.2.7"),
        ("POST", "/api/order", ORDER, "192.0.2.7"),
    ]
    assert [status(answer) for answer in transport.written] == [200, 200]
    assert b"Connection" not in transport.written[0]
    assert connection.is_idle
    assert not transport.is_closed


@pytest.mark.parametrize(
    ("raw", "answer", "is_draining"),
    [
        (get("Connection: close"), Reply(200, b"{}"), False),
        (get(), Reply(401, b"{}", close=True), False),
        (get(), Reply(200, b"{}"), True),
    ],
)
async def test_either_side_may_end_the_connection_after_an_answer(raw: bytes, answer: Reply, is_draining: bool) -> None:
    """The caller, the walk, or the drain: the answer says close, and then it is closed."""
    door = Door(answer=answer)
    connection, transport = door.connect()
    door.edge.is_draining = is_draining

    connection.data_received(raw)
    await door.walk()

    assert b"\r\nConnection: close\r\n" in transport.written[0]
    assert transport.is_closed


async def test_head_is_answered_without_a_body() -> None:
    """The next answer on the connection must not be read as this one's body."""
    door = Door(answer=Reply(405, b'{"ret_type":-1}'))
    connection, transport = door.connect()

    connection.data_received(head("HEAD /api/ping HTTP/1.1", "Host: a"))
    await door.walk()

    assert transport.written[0].endswith(b"\r\n\r\n")
    assert b"Content-Length: 15\r\n" in transport.written[0]


async def test_bytes_during_an_answer_wait_and_are_then_read() -> None:
    """A second request that arrives while the first is walked is served after it, on its own."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get())
    connection.data_received(post())
    pauses = [transport.is_reading_paused]
    assert len(door.walks) == 1

    await door.walk()
    pauses.append(transport.is_reading_paused)
    await door.walk()
    assert pauses == [True, False]
    assert [call.path for call in door.calls] == ["/api/ping", "/api/order"]


async def test_two_requests_that_wait_together_are_refused() -> None:
    """What arrived together is judged together, also when it had to wait: neither is walked."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get())
    connection.data_received(post() + post())
    await door.walk()

    assert [status(answer) for answer in transport.written] == [200, 400]
    assert len(door.calls) == 1
    assert door.walks == []


async def test_what_waits_is_bounded() -> None:
    """A flood during an answer is cut off at one byte more than any request, and refused."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get())
    connection.data_received(post(body=b"x" * 65_536) + b"y" * 200_000)
    assert len(connection._held) == BOUNDS.held_bytes_max
    await door.walk()

    assert status(transport.written[1]) == 400
    assert len(door.calls) == 1


async def test_a_refusal_is_told_recorded_and_ends_the_connection() -> None:
    """The answer, then no more from us; what still comes is read away until the caller ends or time is up."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get(target="/api/../order"))
    connection.data_received(get())

    assert status(transport.written[0]) == 400
    assert b'"err_code":"bad_target"' in transport.written[0]
    assert b"Guard-Decision: 01K\r\n" in transport.written[0]
    assert b"\r\nConnection: close\r\n" in transport.written[0]
    assert door.refused == [("01K", Code.BAD_TARGET, "192.0.2.7")]
    assert transport.has_ended
    assert door.walks == []
    assert len(transport.written) == 1
    door.wind(1.9)
    assert not transport.is_aborted
    door.wind(0.2)
    assert transport.is_aborted


async def test_a_refusal_over_tls_does_not_end_half_of_it() -> None:
    """TLS has no half-closed state; the connection lingers all the same."""
    door = Door()
    connection, transport = door.connect(WireTransport(is_tls=True))

    connection.data_received(b"\x16")

    assert not transport.has_ended
    assert not transport.is_closed


async def test_an_expectation_is_answered_before_the_body() -> None:
    """100 Continue first, the call once the body is there."""
    door = Door()
    connection, transport = door.connect()
    raw = post("Expect: 100-continue")

    connection.data_received(raw[: -len(ORDER)])
    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    connection.data_received(ORDER)
    await door.walk()

    assert status(transport.written[1]) == 200


async def test_a_caller_that_hangs_up_changes_nothing_for_the_walk() -> None:
    """The walk runs to its end; its answer is dropped."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(post())
    connection.connection_lost(None)
    await door.walk()

    assert len(door.calls) == 1
    assert transport.written == []
    assert door.edge.counts.open == 0
    assert door.edge.emptied.is_set()


async def test_a_caller_that_has_sent_all_still_gets_its_answer() -> None:
    """Half-closed is not hung up: the answer goes out, then the connection ends."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(post())
    assert connection.eof_received() is True
    await door.walk()

    assert status(transport.written[0]) == 200
    assert transport.is_closed


@pytest.mark.parametrize("raw", [b"", b"GET /api", post()[:-1]])
async def test_half_a_request_and_an_end_is_nothing(raw: bytes) -> None:
    """The transport may close; nothing is walked."""
    door = Door()
    connection, _ = door.connect()

    if raw:
        connection.data_received(raw)

    assert connection.eof_received() is False
    assert door.walks == []


async def test_a_walk_that_raises_is_answered_and_does_not_invite_a_repeat() -> None:
    """503 rule_error, not retryable: nobody knows how far the walk came. The log names its decision."""
    door = Door()
    door.answer = ValueError("a bug")
    connection, transport = door.connect()

    connection.data_received(post())
    with capture_logs() as logged:
        await door.walk()

    assert [line["decision"] for line in logged if line["event"] == "walk_failed"] == ["01K"]
    assert b"Guard-Decision: 01K" in transport.written[0]
    assert status(transport.written[0]) == 503
    assert b'"err_code":"rule_error"' in transport.written[0]
    assert b'"retryable":false' in transport.written[0]
    assert b"a bug" not in transport.written[0]
    assert transport.is_closed
    assert door.refused == [("01K", Code.RULE_ERROR, "192.0.2.7")]


async def test_an_answer_that_cannot_be_written_is_a_failed_walk() -> None:
    """A field that would split the answer never gets out; the caller is told that we failed."""
    door = Door(answer=Reply(200, b"{}", (("X", "a\r\nSet-Cookie: b"),)))
    connection, transport = door.connect()

    connection.data_received(get())
    await door.walk()

    assert status(transport.written[0]) == 503
    assert b"Set-Cookie" not in transport.written[0]


async def test_a_walk_that_is_cancelled_cuts_its_connection() -> None:
    """A program that ends early says nothing it does not know."""
    door = Door()
    door.answer = asyncio.CancelledError()
    connection, transport = door.connect()

    connection.data_received(post())
    with pytest.raises(asyncio.CancelledError):
        await door.walk()

    assert transport.is_aborted
    assert transport.written == []


@pytest.mark.parametrize(
    ("raw", "limit_s"),
    [(b"GET /", BOUNDS.header_timeout_s), (post()[:-1], BOUNDS.body_timeout_s)],
)
async def test_a_slow_request_is_told_that_it_is_too_slow(raw: bytes, limit_s: float) -> None:
    """408 once its time is up; bytes in between do not buy more."""
    door = Door()
    connection, transport = door.connect()
    door.wind(BOUNDS.header_timeout_s - 0.1)

    connection.data_received(raw[:-1])
    door.wind(limit_s - 0.1)
    connection.data_received(raw[-1:])
    assert transport.written == []
    door.wind(0.2)

    assert status(transport.written[0]) == 408
    assert door.edge.counts.timed_out == 1


async def test_head_and_body_have_one_deadline_together() -> None:
    """A slow head leaves less time for its body: 408 when the whole request is due, before the body alone would be."""
    door = Door()
    connection, transport = door.connect()
    whole = post()
    head = whole.index(b"\r\n\r\n") + 4

    connection.data_received(whole[: head - 1])
    door.wind(BOUNDS.header_timeout_s - 0.1)
    connection.data_received(whole[head - 1 : -1])
    door.wind(BOUNDS.request_timeout_s - BOUNDS.header_timeout_s)
    assert transport.written == []
    door.wind(0.2)

    assert status(transport.written[0]) == 408


async def test_a_fresh_connection_that_says_nothing_goes_silently() -> None:
    """No request has begun, so there is nobody to answer."""
    door = Door()
    _, transport = door.connect()

    door.wind(BOUNDS.header_timeout_s + 0.1)

    assert transport.is_closed
    assert transport.written == []


async def test_an_idle_connection_goes_silently_after_the_idle_time() -> None:
    """Between requests a connection may rest longer than a request may take; a close that hangs is cut."""
    door = Door()
    connection, transport = door.connect()
    connection.data_received(get())
    await door.walk()

    seen = []
    for seconds in (BOUNDS.idle_timeout_s - 0.1, 0.2, BOUNDS.write_timeout_s + 0.1):
        door.wind(seconds)
        seen.append((transport.is_closed, transport.is_aborted))
    assert seen == [(False, False), (True, False), (True, True)]


async def test_a_walk_may_take_its_time() -> None:
    """The edge sets no deadline on an answer: the walk's own limits do."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(post())
    assert connection.deadline == NEVER
    door.wind(3600.0)
    await door.walk()

    assert status(transport.written[0]) == 200


async def test_a_caller_that_does_not_read_gets_no_second_answer() -> None:
    """The next request waits until the answer is taken, and not for ever."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get())
    connection.pause_writing()
    await door.walk()
    connection.data_received(post())
    assert door.walks == []

    connection.resume_writing()
    await asyncio.sleep(0)
    assert len(door.walks) == 1
    connection.pause_writing()
    await door.walk()
    door.wind(BOUNDS.write_timeout_s + 0.1)
    assert transport.is_aborted


async def test_too_many_connections_are_answered_and_far_too_many_are_cut() -> None:
    """503 overloaded beyond the bound while all are at work, nothing at all beyond as many again."""
    door = Door()
    busy = [door.connect() for _ in range(2)]
    for connection, _ in busy:
        connection.data_received(get())
    transports = [door.connect()[1] for _ in range(3)]

    assert [len(transport.written) for transport in transports] == [1, 1, 0]
    assert status(transports[0].written[0]) == 503
    assert b'"err_code":"overloaded"' in transports[0].written[0]
    assert b"Retry-After: 1\r\n" in transports[0].written[0]
    assert transports[2].is_aborted
    assert (door.edge.counts.open, door.edge.counts.total, door.edge.counts.overloaded) == (5, 5, 3)
    for _ in busy:
        await door.walk()


async def test_one_key_cannot_hold_every_connection() -> None:
    """What rests with a verified key goes for the newest, the longest first; what is at work stays."""
    door = Door()
    door.is_known = True
    first, second = door.connect(), door.connect()
    for connection, _ in (first, second):
        connection.data_received(get())
        await door.walk()
        door.now += 1
    assert door.edge.counts.evicted == 0

    third, came = door.connect()
    assert (first[1].is_closed, second[1].is_closed, came.written) == (True, False, [])
    first[0].connection_lost(None)
    second[0].data_received(get())
    third.data_received(get())
    assert status(door.connect()[1].written[0]) == 503
    await door.walk()
    await door.walk()
    assert (door.edge.counts.evicted, second[1].is_closed) == (1, False)


async def test_strangers_of_however_many_addresses_leave_room() -> None:
    """Where most wait without proof, the oldest of the address that has most goes, and nobody's key is touched."""
    door = Door(bounds=replace(BOUNDS, connections_max=5))
    door.is_known = True
    known, resting = door.connect()
    known.data_received(get())
    await door.walk()
    strangers = [door.connect(WireTransport(peer=(f"198.51.100.{last}", 40123)))[1] for last in (1, 2, 2, 3)]

    _, came = door.connect()

    assert [each.is_aborted for each in strangers] == [False, True, False, False]
    assert (came.written, resting.is_closed, door.edge.counts.evicted) == ([], False, 1)


async def test_whoever_waits_for_a_refusal_does_not_hold_its_place() -> None:
    """It waits among those without proof, and is told what it waits for when it has to go; no timer is left."""
    door = Door(answer=Reply(401, b"{}"))
    door.wait_s = 60.0
    waiting = [door.connect() for _ in range(2)]
    for connection, _ in waiting:
        connection.data_received(get())
        await door.walk()
        assert connection.deadline == NEVER

    for came, leaving in enumerate(waiting, start=1):
        _, newest = door.connect()
        assert (newest.written, newest.is_aborted) == ([], False)
        assert [status(answer) for answer in leaving[1].written] == [401]
        assert leaving[1].is_closed
        leaving[0].connection_lost(None)
        assert door.edge.counts.evicted == came


async def test_a_key_that_is_refused_does_not_hold_its_places_either() -> None:
    """Refusals that wait go before what rests, that before half a request, many at once; what leaves counts once."""
    door = Door(bounds=replace(BOUNDS, connections_max=ROOM_AT_ONCE + 3))
    door.is_known = True
    begun, resting, *refused = (door.connect() for _ in range(ROOM_AT_ONCE + 3))
    for connection, _ in (begun, resting):
        connection.data_received(get())
        await door.walk()
    begun[0].data_received(get()[:-1])
    door.answer, door.wait_s = Reply(403, b"{}"), 60.0
    for connection, _ in refused:
        connection.data_received(get())
        await door.walk()

    seen = []
    for _ in range(4):
        door.connect()
        told = sum(one.is_closed for _, one in refused)
        seen.append((told, resting[1].is_closed, begun[1].is_aborted))
    assert seen == [
        (ROOM_AT_ONCE, False, False),
        (ROOM_AT_ONCE + 1, False, False),
        (ROOM_AT_ONCE + 1, True, False),
        (ROOM_AT_ONCE + 1, True, True),
    ]
    assert all([status(answer) for answer in one.written] == [403] for _, one in refused)
    for connection, _ in refused:
        connection.connection_lost(None)


async def test_a_caller_that_leaves_before_it_is_told_leaves_nothing() -> None:
    """Neither its answer nor a timer is kept for it, whether the edge refused it or the walk."""
    door = Door(answer=Reply(401, b"{}"))
    door.wait_s = 60.0
    for raw in (get(), b"\0"):
        connection, transport = door.connect()
        connection.data_received(raw)
        while door.walks:
            await door.walk()
        telling = connection._telling
        assert telling is not None
        connection.connection_lost(None)
        assert telling.cancelled()
        assert not connection._owed
        assert transport.written == []
    connection, transport = door.connect()
    connection.data_received(get())
    connection.connection_lost(None)
    await door.walk()
    assert (connection._telling, door.edge.counts.open, len(door.edge.unproven)) == (None, 0, 0)


async def test_a_socket_file_has_no_address() -> None:
    """Records say `unix` for such a caller."""
    door = Door()
    connection, _ = door.connect(WireTransport(peer=""))

    connection.data_received(get())
    await door.walk()

    assert door.calls[0].peer == "unix"


async def test_a_connection_that_is_going_is_neither_read_nor_told() -> None:
    """A transport that has begun to close is left to close; what waited on it is not walked."""
    door = Door()
    connection, transport = door.connect()
    connection.data_received(get())
    connection.data_received(post())
    transport.close()
    await door.walk()
    assert door.walks == []

    connection, transport = door.connect()
    connection.data_received(b"GET /")
    transport.close()
    door.wind(BOUNDS.header_timeout_s + 0.1)
    assert transport.is_aborted
    assert transport.written == []


async def test_who_does_not_take_its_answer_is_counted_apart_from_who_makes_room() -> None:
    """Too many answers lie there, and the house is not full: the oldest of them goes, for no newer connection."""
    answer = Reply(200, b'{"ret_type":0,"s2c":"' + b"x" * 1000 + b'"}')
    door = Door(bounds=replace(BOUNDS, connections_max=5, unread_bytes_max=2000), answer=answer)
    door.is_known = True
    slow, later = door.connect(), door.connect()
    for connection, _ in (slow, later):
        connection.data_received(get())
        await door.walk()
        connection.pause_writing()
    assert (slow[1].is_aborted or slow[1].is_closed, later[1].is_aborted) == (True, False)
    counts = door.edge.counts
    assert (counts.untaken, counts.evicted, counts.cut["untaken"]) == (1, 0, 1)


class TurnTransport(WireTransport):
    """Says in a list that many share what was written to whom."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self.log.append(self.name)


class Crowd:
    """Callers whose requests are all under way when the first is answered."""

    def __init__(self, *names: str) -> None:
        self.log: list[str] = []
        self.door = StreamDoor(bounds=EdgeBounds(connections_max=len(names)))
        self.callers = {name: self.door.connect(TurnTransport(name, self.log)) for name in names}
        self.door.edge.answering += 1  # one more that is under way for as long as the test takes
        for connection, _ in self.callers.values():
            connection.data_received(get(KEY))

    async def answer(self, count: int) -> None:
        """Walk, without an end of the turn."""
        for _ in range(count):
            await self.door.walk()


async def test_the_answers_of_a_turn_leave_together_in_their_order() -> None:
    """Where others are under way an answer waits for the end of the turn; the last of all does not."""
    crowd = Crowd("a", "b", "c")
    await crowd.answer(2)
    assert crowd.log == []
    await asyncio.sleep(0)
    assert crowd.log == ["a", "b"]

    crowd.door.edge.answering -= 1
    await crowd.answer(1)
    assert crowd.log == ["a", "b", "c"]
    assert crowd.door.edge.answering == 0


async def test_a_request_is_under_way_as_soon_as_it_is_read() -> None:
    """Answers that wait for nobody, as refusals do, are not written one by one while others are still to be walked."""
    crowd = Crowd("a", "b", "c")
    crowd.door.edge.answering -= 1
    await crowd.answer(2)
    assert crowd.log == []

    await crowd.answer(1)
    assert crowd.log == ["a", "b", "c"]
    assert crowd.door.edge.answering == 0


async def test_an_answer_that_waits_goes_before_one_that_does_not() -> None:
    """The last request under way may be the next on a connection whose answer still waits."""
    crowd = Crowd("a")
    await crowd.answer(1)
    connection, transport = crowd.callers["a"]
    crowd.door.edge.answering -= 1
    crowd.door.answer = Reply(201, b"{}")
    connection.data_received(get(KEY))
    await crowd.answer(1)
    await asyncio.sleep(0)

    assert [status(answer) for answer in transport.written] == [200, 201]


@pytest.mark.parametrize(
    "event",
    [
        lambda connection: connection.eof_received(),
        lambda connection: connection.close(),
        lambda connection: connection.data_received(b"GET / HTTP/0.9\r\n\r\n"),
        lambda connection: connection.data_received(post("Expect: 100-continue")[: -len(ORDER)]),
        lambda connection: connection.data_received(get(KEY, *WS, target="/ws")),
    ],
    ids=["eof", "close", "refusal", "continue", "handshake"],
)
async def test_whatever_happens_in_the_turn_of_an_answer_the_answer_goes_first(
    event: Callable[[CallerConnection], object],
) -> None:
    """An end, a refusal, an invitation or a handshake on the same connection comes after what was answered before."""
    crowd = Crowd("a")
    await crowd.answer(1)
    connection, transport = crowd.callers["a"]
    event(connection)

    assert status(transport.written[0]) == 200


async def test_an_answer_to_one_who_has_gone_keeps_nobody_elses() -> None:
    """A transport that closes in the same turn is written nothing; the others get their answers."""
    crowd = Crowd("a", "b")
    await crowd.answer(2)
    connection, transport = crowd.callers["a"]
    transport.is_closed = True
    connection.connection_lost(None)
    await asyncio.sleep(0)

    assert crowd.log == ["b"]


async def test_a_caller_whose_answer_is_not_taken_at_the_end_of_the_turn_gets_no_second_one() -> None:
    """The transport says only at the write that it is full: the next request waits, and not for ever."""
    crowd = Crowd("a")
    await crowd.answer(1)
    connection, transport = crowd.callers["a"]
    connection.pause_writing()
    connection.data_received(post())
    assert crowd.door.walks == []

    crowd.door.wind(BOUNDS.write_timeout_s + 0.1)
    assert transport.is_aborted


async def _answered_twice(event: Callable[[CallerConnection], object] = lambda _: None) -> WireTransport:
    """Two callers without a key, of an address that may have one; both are answered in one turn, the first first."""
    door = Door(bounds=EdgeBounds(connections_max=2, unproven_per_address_max=1))
    door.edge.answering += 1
    (first, transport), (second, _) = [door.connect() for _ in range(2)]
    transport.is_aborted = False  # the fake one goes on
    for connection in (first, second):
        connection.data_received(get())
    await door.walk()
    event(first)
    await door.walk()
    return transport


async def test_who_has_to_go_in_the_turn_of_an_answer_has_it_first() -> None:
    """A caller without a key makes room for the next of its address, but not for its answer."""
    transport = await _answered_twice()

    assert transport.is_aborted
    assert [status(answer) for answer in transport.written] == [200]


async def test_who_takes_an_answer_slowly_makes_no_room_meanwhile() -> None:
    """Whether the answer was written at once or at the end of the turn."""
    transport = await _answered_twice(lambda connection: connection.pause_writing())

    assert not transport.is_aborted


async def test_a_walk_that_is_cancelled_is_no_longer_under_way() -> None:
    """The next lonely answer is written at once."""
    door = Door(answer=Reply(200, b"{}"))
    connection, _ = door.connect()
    door.answer = asyncio.CancelledError()
    connection.data_received(get(KEY))
    with pytest.raises(asyncio.CancelledError):
        await door.walk()

    assert door.edge.answering == 0


class Upgraded(UpgradedProtocol):
    """An upgraded protocol that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.has_ended = False

    @property
    def is_over(self) -> bool:
        return self.has_ended

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


class StreamDoor(Door):
    """A door with a stream behind it."""

    def wiring(self) -> Wiring:
        self.tenant = Upgraded()
        self.taken: list[tuple[Call, asyncio.Transport, bytes]] = []
        return Wiring(each_in_a_task(self.handle, self.start), lambda: "01K", upgrade=self.upgrade)

    def upgrade(self, call: Call, transport: asyncio.Transport, raw_head: bytes) -> UpgradedProtocol:
        self.taken.append((call, transport, raw_head))
        return self.tenant


async def test_a_handshake_is_handed_over_with_all_that_follows() -> None:
    """The stream gets the call, the transport and the raw head, then every event; the edge sets no deadline on it."""
    door = StreamDoor()
    connection, transport = door.connect()
    raw = get(*WS, target="/ws?token=k1")

    connection.data_received(raw)
    connection.data_received(b"frame")
    connection.pause_writing()
    connection.resume_writing()
    assert connection.eof_received() is True
    door.wind(3600.0)
    connection.connection_lost(None)

    assert door.taken[0][0].token == "k1"
    assert door.taken[0][1:] == (transport, raw)
    assert door.tenant.told == [b"frame", "pause", "resume", "eof", "lost"]
    assert transport.written == []
    assert door.edge.counts.open == 0
    assert door.walks == []


async def test_a_stream_that_was_refused_makes_room_and_an_open_one_does_not() -> None:
    """What the stream keeps of a handshake that is over is let go for a newer connection."""
    door = StreamDoor()
    streams = [door.connect() for _ in range(2)]
    for connection, _ in streams:
        connection.data_received(get(*WS, target="/ws"))
    assert status(door.connect()[1].written[0]) == 503

    door.tenant.has_ended = True
    assert door.connect()[1].written == []
    assert [transport.is_aborted for _, transport in streams] == [True, True]


async def test_without_a_stream_a_handshake_is_an_ordinary_call() -> None:
    """The walk answers it."""
    door = Door()
    connection, transport = door.connect()

    connection.data_received(get(*WS, target="/ws"))
    await door.walk()

    assert door.calls[0].path == "/ws"
    assert status(transport.written[0]) == 200


async def test_the_date_is_made_once_a_second() -> None:
    """Answers within one second share it."""
    door = Door()
    first = door.edge.date()
    door.edge._date = "kept"

    assert first.endswith(" GMT")
    assert door.edge.date() == "kept"
    door.now += 1
    assert door.edge.date() != "kept"


async def test_a_refusal_that_can_wait_is_told_later_and_the_connection_is_kept() -> None:
    """The walk's own; the next request on the connection is read as ever."""
    door = Door()
    door.wait_s = 0.01
    connection, transport = door.connect()
    connection.data_received(get())
    began_s = asyncio.get_running_loop().time()
    await door.walk()
    assert transport.written == []
    await asyncio.sleep(0.02)
    assert len(transport.written) == 1
    assert asyncio.get_running_loop().time() - began_s >= 0.01
    door.wait_s = 0.0
    connection.data_received(get())
    await door.walk()
    assert len(transport.written) == 2


@pytest.mark.parametrize("is_gone", [False, True])
async def test_what_the_edge_refuses_can_wait_too(is_gone: bool) -> None:
    """Nothing is written until then, and nothing at all to a caller that has gone."""
    door = Door()
    door.wait_s = 0.01
    connection, transport = door.connect()
    connection.data_received(b"GET /api/%2e HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (door.refused[0][1], transport.written) == (Code.BAD_TARGET, [])
    if is_gone:
        connection.connection_lost(None)
    await asyncio.sleep(0.02)
    assert [status(one) for one in transport.written] == ([] if is_gone else [400])


async def test_requests_of_one_turn_come_to_the_walk_together() -> None:
    """The first at once, since no other is under way; the rest in groups that the processor's caches hold."""
    door, groups = Door(), list[int]()
    each_alone = door.edge.wiring.begin

    def begin(askers: Sequence[Asker]) -> None:
        groups.append(len(askers))
        each_alone(askers)

    door.edge.wiring = replace(door.edge.wiring, begin=begin)
    for connection, _ in [door.connect() for _ in range(AT_ONCE_MAX + 3)]:
        connection.data_received(get())
    assert groups == [1]
    await asyncio.sleep(0)
    assert groups == [1, AT_ONCE_MAX]
    await asyncio.sleep(0)
    assert groups == [1, AT_ONCE_MAX, 2]
    assert door.edge.answering == AT_ONCE_MAX + 3
    while door.walks:
        await door.walk()
    assert door.edge.answering == 0


async def test_requests_that_are_answered_as_they_are_begun_come_together_too() -> None:
    """Refusals are never under way, and those of one turn are still judged and recorded in one step."""
    door, groups = Door(), list[int]()

    def begin(askers: Sequence[Asker]) -> None:
        groups.append(len(askers))
        for asker in askers:
            asker.answer(Reply(403, b"{}"))

    door.edge.wiring = replace(door.edge.wiring, begin=begin)
    callers = [door.connect() for _ in range(4)]
    for turn in range(2):
        for connection, _ in callers:
            connection.data_received(get())
        assert groups == [1, 3] * turn + [1]
        await asyncio.sleep(0)
        assert groups == [1, 3] * (turn + 1)
    assert [[status(one) for one in transport.written] for _, transport in callers] == [[403, 403]] * 4
    assert door.edge.answering == 0


class Torn(WireTransport):
    """A transport on which nothing can be written."""

    def writelines(self, _: Any) -> None:
        raise RuntimeError


async def test_an_answer_that_cannot_be_written_to_its_connection_ends_it_and_nothing_else() -> None:
    """Whoever answers goes on with the others; the request is over."""
    door = Door()
    connection, transport = door.connect(Torn())
    connection.data_received(get())
    await door.walk()
    assert transport.is_aborted
    assert door.edge.answering == 0


async def test_a_refusal_that_fails_ends_its_connection() -> None:
    """Nobody can answer it, and the request is over."""

    class Mute(Door):
        def note(self, decision: str, refusal: Refusal, peer: str) -> float:
            raise RuntimeError

    door = Mute()
    door.answer = ValueError("a bug")
    connection, transport = door.connect()
    connection.data_received(get())
    await door.walk()
    assert (transport.is_aborted, transport.written, door.edge.answering) == (True, [], 0)
