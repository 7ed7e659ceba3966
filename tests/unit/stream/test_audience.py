"""Who is shown which frames, and in how many pieces."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from guard.stream.audience import Audience
from guard.stream.bounds import StreamBounds
from guard.stream.session import NOTHING, CallerView, Frame
from guard.terms import Principal
from tests.support.stream import Peer, pushed

NOW: Final = datetime(2026, 11, 28, tzinfo=UTC)
ALL: Final = CallerView(frozenset({"qot:read"}))


class Room:
    """An audience whose judge is a table, and what it counted."""

    def __init__(self, bounds: StreamBounds | None = None) -> None:
        self.counts: dict[str, int] = {}
        self.views: list[CallerView] = []
        self.asked: list[str] = []
        self.hidden: set[str] = set()
        self.now = NOW
        self.audience = Audience(
            bounds or StreamBounds(),
            sees=self._sees,
            sees_order=self._sees_order,
            tally=self._tally,
            now=lambda: self.now,
        )

    def _sees(self, view: CallerView, _: Frame) -> bool:
        self.views.append(view)
        return view is not NOTHING

    def _sees_order(self, principal: Principal | None, _: Frame) -> bool:
        name = principal.name if principal else ""
        self.asked.append(name)
        return name not in self.hidden

    def _tally(self, result: str, frames: int) -> None:
        self.counts[result] = self.counts.get(result, 0) + frames

    def enter(self, name: str | None, view: CallerView = ALL, *, until: datetime | None = None) -> Peer:
        """A caller who has opened a socket."""
        peer = Peer(audience=self.audience)
        if name is not None:
            peer.socket.principal = Principal(id=name, name=name, scopes=frozenset(), until=until)
        peer.socket.view = view
        peer.accept()
        return peer


async def test_a_frame_is_judged_once_for_all_sockets_with_a_view() -> None:
    """Three sockets of one key and one of another, which see the same: one judgement, four deliveries."""
    room = Room()
    peers = [room.enter(name) for name in ("a", "a", "a", "b")]
    room.audience.hear(pushed(b"x"))
    await asyncio.sleep(0)

    assert (room.views, room.asked) == ([ALL], [])
    assert [peer.texts() for peer in peers] == [[b"x"]] * 4
    assert room.counts == {"relayed": 4}


async def test_an_order_is_judged_once_for_each_key_besides() -> None:
    """What one key may not see goes to the sockets of the others, in its place among what came before and after."""
    room = Room()
    room.hidden = {"b"}
    peers = [room.enter(name) for name in ("a", "a", "b", "c")]
    writes = [len(peer.wire.writes) for peer in peers]
    for frame in (pushed(b"1"), pushed(b"order", kind="trade"), pushed(b"2")):
        room.audience.hear(frame)
    await asyncio.sleep(0)

    assert sorted(room.asked) == ["a", "b", "c"]
    assert [peer.texts() for peer in peers] == [[b"1", b"order", b"2"]] * 2 + [[b"1", b"2"], [b"1", b"order", b"2"]]
    assert [len(peer.wire.writes) for peer in peers] == [before + 1 for before in writes]
    assert room.counts == {"relayed": 11, "filtered": 1}


async def test_an_order_that_is_for_nobody_goes_to_nobody() -> None:
    """Nor does it make anybody wait for anything."""
    room = Room()
    room.hidden = {"a", "b"}
    peers = [room.enter(name) for name in ("a", "b")]
    room.audience.hear(pushed(b"order", kind="trade"))
    await asyncio.sleep(0)

    assert [peer.texts() for peer in peers] == [[], []]
    assert room.counts == {"filtered": 2}


async def test_whoever_opens_in_a_turn_is_shown_nothing_of_what_came_before() -> None:
    """It was judged for those that were there: an order goes to nobody who was not asked about it."""
    room = Room()
    first = room.enter("a")
    room.audience.hear(pushed(b"order", kind="trade"))
    late = room.enter("b")
    room.audience.hear(pushed(b"quote"))
    await asyncio.sleep(0)

    assert room.asked == ["a"]
    assert (first.texts(), late.texts()) == ([b"order", b"quote"], [b"quote"])


async def test_what_one_turn_brings_is_one_write() -> None:
    """Frames in their order, in one piece for each socket; the next turn is another."""
    room = Room()
    peer = room.enter("a")
    before = len(peer.wire.writes)
    for data in (b"1", b"2", b"3"):
        room.audience.hear(pushed(data))
    assert len(peer.wire.writes) == before
    await asyncio.sleep(0)
    room.audience.hear(pushed(b"4"))
    await asyncio.sleep(0)

    assert peer.wire.writes[before:] == [b"".join(pushed(data).wire for data in (b"1", b"2", b"3")), pushed(b"4").wire]


async def test_a_large_turn_is_written_in_pieces_of_a_bound() -> None:
    """As soon as a turn holds the bound it is written, so a transport is never given more than that and one frame."""
    room = Room(StreamBounds(write_bytes=10))
    peer = room.enter("a")
    for data in (b"12345", b"67890", b"x"):
        room.audience.hear(pushed(data))

    assert peer.texts() == [b"12345", b"67890"]
    await asyncio.sleep(0)
    assert peer.texts() == [b"x"]


async def test_what_was_judged_before_a_view_changed_goes_out_by_the_old_one() -> None:
    """A frame is shown by the view at its own moment: neither later rights nor their loss reach back."""
    room = Room()
    peer = room.enter("a")
    room.audience.hear(pushed(b"before"))
    room.audience.show(peer.socket, NOTHING)
    room.audience.hear(pushed(b"hidden"))
    room.audience.show(peer.socket, ALL)
    room.audience.hear(pushed(b"after"))
    await asyncio.sleep(0)

    assert peer.texts() == [b"before", b"after"]
    assert room.counts == {"relayed": 2, "filtered": 1}


async def test_a_credential_that_has_ended_is_shown_nothing_more() -> None:
    """Its last moment counts when the frame is written, not when a sweep comes by."""
    room = Room()
    ending, stays = room.enter("a", until=NOW + timedelta(seconds=1)), room.enter("b")
    room.audience.hear(pushed(b"x"))
    room.now += timedelta(seconds=1)
    await asyncio.sleep(0)

    assert (ending.texts(), stays.texts()) == ([], [b"x"])
    assert room.counts == {"filtered": 1, "relayed": 1}

    room.audience.leave(ending.socket)
    room.audience.hear(pushed(b"y"))
    await asyncio.sleep(0)
    assert stays.texts() == [b"y"]


async def test_a_credential_that_has_ended_is_shown_nothing_of_a_turn_that_is_put_together_key_by_key() -> None:
    """A third key that may not see one order of the turn gives nobody else anything."""
    room = Room()
    room.hidden = {"c"}
    ending = [room.enter("a", until=NOW + timedelta(seconds=1)) for _ in range(2)]
    stays, cut = room.enter("b"), room.enter("c")
    for frame in (pushed(b"x"), pushed(b"order", kind="trade")):
        room.audience.hear(frame)
    room.now += timedelta(seconds=1)
    await asyncio.sleep(0)

    assert [peer.texts() for peer in (*ending, stays, cut)] == [[], [], [b"x", b"order"], [b"x"]]
    assert room.counts == {"relayed": 3, "filtered": 5}


async def test_each_credential_ends_at_its_own_time() -> None:
    """Whichever comes first, and also where the first to end has left before."""
    room = Room()
    names = {name: room.enter(name, until=NOW + timedelta(seconds=end)) for end, name in enumerate("abc", start=1)}
    room.audience.leave(names["a"].socket)
    for _ in range(4):
        room.audience.hear(pushed(str(room.now.second).encode()))
        await asyncio.sleep(0)
        room.now += timedelta(seconds=1)

    assert {name: peer.texts() for name, peer in names.items()} == {"a": [], "b": [b"0", b"1"], "c": [b"0", b"1", b"2"]}


async def test_a_transport_that_is_full_in_the_middle_of_a_write_has_the_frame_and_keeps_the_next() -> None:
    """It says so from within `write`; nothing is lost or doubled, and once it has been read it is written to again."""
    room = Room()
    peers = [room.enter("a") for _ in range(3)]
    wire, socket = peers[1].wire, peers[1].socket
    wire.on_write = socket.pause_writing
    for data in (b"1", b"2", b"3"):
        room.audience.hear(pushed(data))
        room.audience.flush()
    assert [peer.texts() for peer in peers] == [[b"1", b"2", b"3"], [b"1"], [b"1", b"2", b"3"]]

    wire.on_write = None
    socket.resume_writing()
    room.audience.hear(pushed(b"4"))
    room.audience.flush()
    assert peers[1].texts() == [b"2", b"3", b"4"]
    assert room.counts == {"relayed": 10}
    assert peers[1].tallies == {"relayed": 2}


async def test_who_has_left_is_not_written_to() -> None:
    """A socket that ends in the same turn gets nothing; one that never entered is not missed."""
    room = Room()
    gone, stays = room.enter("a"), room.enter("a")
    room.audience.hear(pushed(b"x"))
    room.audience.leave(gone.socket)
    room.audience.leave(Peer().socket)
    await asyncio.sleep(0)
    assert (gone.texts(), stays.texts()) == ([], [b"x"])

    other = room.enter("b")
    room.audience.hear(pushed(b"order", kind="trade"))
    await asyncio.sleep(0)
    room.audience.leave(other.socket)
    room.audience.hear(pushed(b"order", kind="trade"))
    await asyncio.sleep(0)
    assert (sorted(room.asked), stays.texts()) == (["a", "a", "b"], [b"order", b"order"])

    room.audience.leave(stays.socket)
    room.audience.show(stays.socket, NOTHING)
    stays.socket.pause_writing()  # its transport may still fill with last words
    room.audience.hear(pushed(b"y"))
    await asyncio.sleep(0)
    assert len(room.audience) == 0
    assert stays.texts() == []
    assert room.counts == {"relayed": 4}


async def test_one_slow_caller_does_not_hold_up_another() -> None:
    """It leaves in the middle of a round; the others of its circle have their frames all the same."""
    room = Room()
    peers = [room.enter("a") for _ in range(5)]
    for peer in peers[:2]:
        peer.socket.pause_writing()
        peer.wire.unsent_bytes = StreamBounds().unsent_bytes_max
    room.audience.hear(pushed(b"x"))
    await asyncio.sleep(0)

    assert [peer.socket.is_open for peer in peers] == [False, False, True, True, True]
    assert [peer.texts() for peer in peers[2:]] == [[b"x"]] * 3
