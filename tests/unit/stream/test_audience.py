"""Who is shown which frames, and in how many pieces."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from guard.stream.audience import Audience
from guard.stream.bounds import Bounds
from guard.stream.session import NOTHING, Frame, View
from guard.terms import Principal
from tests.support.stream import Peer, pushed

NOW: Final = datetime(2026, 11, 28, tzinfo=UTC)
ALL: Final = View(frozenset({"qot:read"}))


class Room:
    """An audience whose judge is a table, and what it counted."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.counts: dict[str, int] = {}
        self.judged: list[tuple[str, Frame]] = []
        self.now = NOW
        self.audience = Audience(bounds or Bounds(), judge=self._judge, tally=self._tally, now=lambda: self.now)

    def _judge(self, principal: Principal | None, view: View, frame: Frame) -> bool:
        self.judged.append((principal.name if principal else "", frame))
        return view is not NOTHING

    def _tally(self, result: str, frames: int) -> None:
        self.counts[result] = self.counts.get(result, 0) + frames

    def enter(self, name: str | None, view: View = ALL, *, until: datetime | None = None) -> Peer:
        """A caller who has opened a socket."""
        peer = Peer()
        if name is not None:
            peer.socket.principal = Principal(id=name, name=name, scopes=frozenset(), until=until)
        peer.socket.view = view
        peer.accept()
        self.audience.enter(peer.socket)
        return peer


async def test_a_frame_is_judged_once_for_all_sockets_of_a_key() -> None:
    """Three sockets of one key and one of another: two judgements, four deliveries."""
    room = Room()
    peers = [room.enter(name) for name in ("a", "a", "a", "b")]
    room.audience.hear(pushed(b"x"))
    await asyncio.sleep(0)

    assert sorted(name for name, _ in room.judged) == ["a", "b"]
    assert [peer.texts() for peer in peers] == [[b"x"]] * 4
    assert room.counts == {"relayed": 4}


async def test_what_one_turn_brings_is_one_write() -> None:
    """Frames in their order, in one piece for each socket; the next turn is another."""
    room = Room()
    peer = room.enter("a")
    writes: list[bytes] = []
    peer.wire.write = writes.append  # type: ignore[assignment, method-assign]
    for data in (b"1", b"2", b"3"):
        room.audience.hear(pushed(data))
    assert writes == []
    await asyncio.sleep(0)
    room.audience.hear(pushed(b"4"))
    await asyncio.sleep(0)

    assert writes == [b"".join(pushed(data).wire for data in (b"1", b"2", b"3")), pushed(b"4").wire]


async def test_a_large_turn_is_written_in_pieces_of_a_bound() -> None:
    """As soon as a turn holds the bound it is written, so a transport is never given more than that and one frame."""
    room = Room(Bounds(write_bytes=10))
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


async def test_who_has_left_is_not_written_to() -> None:
    """A socket that ends in the same turn gets nothing; one that never entered is not missed."""
    room = Room()
    gone, stays = room.enter("a"), room.enter("a")
    room.audience.hear(pushed(b"x"))
    room.audience.leave(gone.socket)
    room.audience.leave(Peer().socket)
    await asyncio.sleep(0)
    assert (gone.texts(), stays.texts()) == ([], [b"x"])

    room.audience.leave(stays.socket)
    room.audience.show(stays.socket, NOTHING)
    room.audience.hear(pushed(b"y"))
    await asyncio.sleep(0)
    assert len(room.audience) == 0
    assert stays.texts() == []
    assert room.counts == {"relayed": 1}


async def test_one_slow_caller_does_not_hold_up_another() -> None:
    """It leaves in the middle of a round; the others of its circle have their frames all the same."""
    room = Room()
    peers = [room.enter("a") for _ in range(5)]
    for peer in peers[:2]:
        peer.socket.pause_writing()
        peer.wire.unsent_bytes = Bounds().unsent_bytes_max
    room.audience.hear(pushed(b"x"))
    await asyncio.sleep(0)

    assert [peer.socket.is_open for peer in peers] == [False, False, True, True, True]
    assert [peer.texts() for peer in peers[2:]] == [[b"x"]] * 3
