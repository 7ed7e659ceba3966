"""Frames on their way to many sockets, in any order of events, against a list for each socket."""

import asyncio
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.stream.audience import Audience
from guard.stream.bounds import StreamBounds
from guard.stream.ending import End
from guard.stream.session import CallerView, Frame, Slot
from guard.terms import Principal
from tests.support.stream import Peer, pushed

VIEWS: Final = (CallerView(frozenset({"a"})), CallerView(frozenset({"b"})))
KEYS: Final = tuple(Principal(id=name, name=name, scopes=frozenset()) for name in "xyz")
SLOTS: Final[tuple[Slot, ...]] = ((3005, "1_00700", None, None), (3005, "1_00005", None, None))

places = st.integers(0, 4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(KEYS), st.sampled_from(VIEWS)),
        st.tuples(st.just("quote"), st.sampled_from((None, *SLOTS)), st.sampled_from(((0, 1), (0,), (1,)))),
        st.tuples(st.just("order"), st.frozensets(st.sampled_from("xyz")), st.sampled_from(((0, 1), (0,), (1,)))),
        st.tuples(st.just("turn"), st.none(), st.none()),
        st.tuples(st.sampled_from(("pause", "resume", "fill", "end")), places, st.none()),
        st.tuples(st.just("show"), places, st.sampled_from(VIEWS)),
    ),
    min_size=5,
    max_size=40,
)


class Watched:
    """One socket, what it has to be sent, and what has to wait for it."""

    def __init__(self, peer: Peer, key: Principal, view: CallerView) -> None:
        self.peer, self.key, self.view = peer, key, view
        self.due: list[tuple[bytes, Slot | None]] = []  # heard in this turn
        self.waiting: list[tuple[bytes, Slot | None]] = []
        self.sent: list[bytes] = []
        self.got: list[bytes] = []
        self.is_full = self.fills = self.has_ended = False

    def turn(self) -> None:
        """The turn is over: what is due goes out, or waits in the place of what it replaces."""
        due, self.due = self.due, []
        if not self.is_full:
            self.sent += [data for data, _ in due]
            self.is_full = bool(due) and self.fills
            return
        for data, slot in due:
            self.waiting = [each for each in self.waiting if slot is None or each[1] != slot]
            self.waiting.append((data, slot))

    def resume(self) -> None:
        """The caller reads on."""
        waiting, self.waiting = self.waiting, []
        self.sent += [data for data, _ in waiting]
        self.is_full = bool(waiting) and self.fills

    def look(self) -> None:
        """It was sent just that."""
        self.got += self.peer.texts()
        assert self.got == self.sent


class Play:
    """The audience and the lists side by side."""

    def __init__(self) -> None:
        self.shown_to: tuple[int, ...] = ()
        self.hidden: frozenset[str] = frozenset()
        self.all: list[Watched] = []
        self.tallied = {"relayed": 0, "filtered": 0}
        self.audience = Audience(
            StreamBounds(),
            sees=lambda view, _: VIEWS.index(view) in self.shown_to,
            sees_order=lambda principal, _: principal is not None and principal.name not in self.hidden,
            tally=self._tally,
            now=lambda: (_ for _ in ()).throw(AssertionError("no credential ends here")),
        )

    def _tally(self, result: str, frames: int) -> None:
        self.tallied[result] += frames

    def goes_out(self) -> None:
        """What was heard leaves the audience: at the end of a turn, and before who is shown what changes."""
        for each in self.all:
            each.turn()

    def enter(self, key: Principal, view: CallerView) -> None:
        """One more socket."""
        self.goes_out()
        peer = Peer(audience=self.audience)
        peer.socket.principal, peer.socket.view = key, view
        peer.accept()
        self.all.append(Watched(peer, key, view))

    def hear(self, frame: Frame, data: bytes) -> None:
        """A frame for the views and the keys of this moment."""
        self.audience.hear(frame)
        for each in self.all:
            is_hidden = frame.kind == "trade" and each.key.name in self.hidden
            if VIEWS.index(each.view) in self.shown_to and not is_hidden and not each.has_ended:
                each.due.append((data, frame.slot))

    def tell(self, word: str, watched: Watched, view: object = None) -> None:
        """Something happens to a socket."""
        socket = watched.peer.socket
        if isinstance(view, CallerView):
            if watched.view != view:
                self.goes_out()
            watched.view = view
            self.audience.show(socket, view)
        elif word == "pause" and not watched.is_full:
            watched.is_full = True
            socket.pause_writing()
        elif word == "resume" and watched.is_full:
            watched.resume()
            socket.resume_writing()
        elif word == "fill":
            watched.fills = not watched.fills
            watched.peer.wire.on_write = socket.pause_writing if watched.fills else None
        elif word == "end":
            watched.peer.wire.on_write = None
            watched.due, watched.waiting, watched.has_ended = [], [], True
            socket.end(End.REVOKED.value)


@given(steps)
@settings(max_examples=120)
def test_every_socket_is_sent_what_it_may_see_once_and_in_order(script: list[tuple[str, object, object]]) -> None:
    """Whoever enters, falls behind, catches up, is shown something else or ends: nothing is lost, doubled or leaked."""
    asyncio.run(_play(script))


async def _play(script: list[tuple[str, object, object]]) -> None:
    play = Play()
    for key, view in ((KEYS[0], VIEWS[0]), (KEYS[0], VIEWS[0]), (KEYS[1], VIEWS[0]), (KEYS[1], VIEWS[1])):
        play.enter(key, view)
    for number, (word, first, second) in enumerate(script):
        data = b"%d" % number
        if word == "enter":
            play.enter(first, second)  # type: ignore[arg-type] # as the strategy says
        elif word == "quote":
            play.shown_to, play.hidden = second, frozenset()  # type: ignore[assignment]
            play.hear(pushed(data, first), data)  # type: ignore[arg-type]
        elif word == "order":
            play.shown_to, play.hidden = second, first  # type: ignore[assignment]
            play.hear(pushed(data, kind="trade"), data)
        elif word == "turn":
            play.audience.flush()
            play.goes_out()
        elif isinstance(first, int) and first < len(play.all):
            watched = play.all[first]
            if not watched.has_ended:
                play.tell(word, watched, second)
    play.audience.flush()
    play.goes_out()
    for each in play.all:
        each.look()
        if each.is_full and not each.has_ended:
            play.tell("resume", each)
            each.look()
        if each.peer.socket._cut is not None:
            each.peer.socket._cut.cancel()
    relayed = play.tallied["relayed"] + sum(each.peer.tallies.get("relayed", 0) for each in play.all)
    assert relayed == sum(len(each.got) for each in play.all)
