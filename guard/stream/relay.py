"""The relay: a handshake becomes an open socket, the daemon's frames become the caller's, as far as it may see them.

The order is fixed: who asks and may they → the daemon's stream open → accounts looked up → [one synchronous step: the
key still valid, the guard still open, the decision recorded, 101] → frames, until one side ends. Open sockets are
looked at again every half second and after every reload of keys, so none outlives its key by a second (B03), nor the
moment from which nothing but cancels passes for it. What a key may see is looked up anew while its socket lives; an
account list that cannot be had shows a restricted key no trade. When the daemon's stream is lost every socket that was
fed by it is closed: a caller that was told nothing would take a gap for silence (ADR 10). A caller without a key is fed
by nothing and is let be.
"""

import asyncio
from collections.abc import Callable
from email.utils import format_datetime
from typing import Final

import structlog

from guard.access import still_valid, visible_accounts
from guard.codes import Code
from guard.errors import JournalFault
from guard.policy import sees_own_only
from guard.server import encode
from guard.stream.admission import admit, admit_still, is_locked
from guard.stream.audience import Audience
from guard.stream.bounds import StreamBounds
from guard.stream.caller import CallerSocket
from guard.stream.dial import Dialler
from guard.stream.ending import End, Ending
from guard.stream.feed import Feed
from guard.stream.owners import Owners
from guard.stream.seats import NOBODY, Seats
from guard.stream.session import SEEING, CallerView, Frame, Seeing, view_of
from guard.terms import AccountRow, Call, Missing, Principal, Refusal, refuse
from guard.upstream.trust import Trust
from guard.walk.door import unrecorded
from guard.walk.recorder import Recorder
from guard.walk.replies import OUR_FAULT, refused
from guard.walk.subscribing import gone, restore, take_back
from guard.walk.visit import Visit

_log = structlog.get_logger("guard.stream")
_ENDS_IN_A_TURN: Final = 16  # orders go on while a thousand sockets are closed
_FRAMES: Final = "guard_ws_frames_total"
_HASTY: Final = refuse(Code.BAD_HEADER, "bytes arrived before the handshake was answered")
_FAILED: Final = refuse(Code.RULE_ERROR, OUR_FAULT)
_DAEMONS: Final = frozenset({Code.DAEMON_UNREACHABLE, Code.DAEMON_BAD_ANSWER, Code.DAEMON_TIMEOUT})


class Relay:
    """All sockets of one guard. `upgrade` is what the edge is wired to. Used on one event loop.

    `on_trade` is told the account id of every trade frame that the daemon sent, whoever may see it; it must be quick.
    """

    def __init__(
        self,
        recorder: Recorder,
        trust: Trust,
        *,
        bounds: StreamBounds | None = None,
        on_trade: Callable[[int], None] = lambda _: None,
        seeing: Seeing = SEEING,
    ) -> None:
        self._recorder = recorder
        self._seeing = seeing
        self._on_trade = on_trade
        self._desk = desk = recorder.desk
        self._bounds = bounds or StreamBounds()
        settings = desk.config.settings
        self._feed = Feed(
            Dialler(trust, key=settings.daemon_key, bounds=self._bounds),
            self,
            supervisor=desk.supervisor,
            bounds=self._bounds,
            connect_s=settings.daemon.connect_timeout_s,
            answer_s=settings.daemon.read_timeout_s,
        )
        self._owners = Owners(desk.state)
        self._audience = Audience(
            self._bounds, sees=seeing.may_see, sees_order=self._may_see_order, tally=self.tally, now=desk.clock.wall
        )
        # One that has ended belongs to the edge's connection alone.
        self._seats = Seats(self._bounds)
        self._timer: asyncio.TimerHandle | None = None
        self._views_s = 0.0
        for end in End:  # from 0: of a series that begins with its first events, increase() misses these
            desk.metrics.count("guard_ws_closed_total", end.value.word, by=0)
        self._renewal: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ what the program calls

    @property
    def connections(self) -> int:
        """Open sockets."""
        return len(self._audience)

    def upgrade(self, call: Call, transport: asyncio.Transport, raw_head: bytes) -> CallerSocket:  # noqa: ARG002 - the head may hold a credential and is not needed
        """Take a handshake over from the edge: the protocol that answers it and owns the connection's bytes."""
        socket = CallerSocket(transport, self._bounds, self)
        socket.task = self._desk.supervisor.start(self._serve(socket, call), "stream", service=True)
        return socket

    def revalidate(self) -> None:
        """End every socket whose key was revoked, changed or has expired, or whose token's issuer is believed no more.

        And of those for whom trading is locked. To be called when keys have changed.
        """
        desk = self._desk
        config, now = desk.config, desk.clock.wall()
        for socket in self._audience:
            who = socket.principal
            if who is not None and not still_valid(config.keyring, who, now=now, issuers=config.issuers):
                socket.end(End.REVOKED.value)
            elif is_locked(desk, _name(who)):
                socket.end(End.LOCKED.value)

    def tick(self) -> None:
        """Once a second: subscriptions of keys that are gone end, and a stream that nobody needs is let go."""
        desk = self._desk
        if gone(desk) and (self._taking is None or self._taking.done()):
            self._taking = desk.supervisor.start(take_back(desk), "subscriptions", service=True)
        self._feed.let_go()

    def end_all(self) -> None:
        """End every socket; handshakes under way are refused once the desk is draining."""
        for socket in self._audience:
            socket.end(End.SHUT_DOWN.value)

    async def close(self) -> None:
        """After `end_all`: end the look at sockets, and the connection to the daemon."""
        if self._timer is not None:
            self._timer.cancel()
        await self._feed.close()

    # ------------------------------------------------------------ one socket

    async def _serve(self, socket: CallerSocket, call: Call) -> None:
        """A handshake to its answer. Cancelled when its caller hangs up."""
        visit = self._desk.open_visit(call)
        try:
            refusal = self._enter(socket, visit) or await self._answer(socket, visit)
            if refusal is not None:
                await self._refuse(socket, visit, refusal)
        except asyncio.CancelledError:  # its caller hung up unanswered, or the program stops
            self._recorder.finished(visit)
            raise
        except Exception:  # noqa: BLE001 - a bug of ours must refuse or end the socket, not leave it hanging
            _log.exception("stream_failed", decision=visit.id)
            socket.end(End.FAILED.value)
            if not socket.decision:
                await self._refuse(socket, visit, _FAILED)
        finally:
            socket.task = None
            socket.drop()
            if not socket.is_open:
                self._forget(socket)

    def _enter(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        """May this caller have a socket, and is there room for one? From here on it counts."""
        refusal = admit(self._desk, visit)
        if refusal is not None:
            return refusal
        socket.principal = visit.principal
        return self._seats.take(socket, _name(visit.principal))

    def _forget(self, socket: CallerSocket) -> None:
        """It no longer counts; with its last socket a key leaves."""
        name = self._seats.leave(socket)
        if name is not None:
            self._desk.subscriptions.left(name, now_us=self._desk.clock.t_us())

    async def _answer(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        """A caller with a key waits for the daemon's stream and, if bound to accounts, for the account list."""
        desk, principal = self._desk, visit.principal
        if principal is not None:
            began_us = desk.clock.mono_us()
            refusal = await self._feed.ready()
            visit.daemon_us += desk.clock.mono_us() - began_us
            if refusal is not None:
                return refusal
            rows = await desk.accounts.rows() if principal.is_restricted else ()
            socket.view = _view(principal, rows)
        return self._open(socket, visit)

    def _open(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        """The synchronous step: nothing that was looked at may have changed by the time the socket counts as open."""
        refusal = _HASTY if socket.is_hasty else admit_still(self._desk, visit)
        if refusal is None and visit.principal is not None and not self._feed.is_open:
            refusal = refuse(Code.DAEMON_UNREACHABLE, "the daemon's stream has just ended; connect again")
        if refusal is not None:
            return refusal
        try:
            self._recorder.allowed(visit)
        except JournalFault as fault:
            return unrecorded(self._desk.journal, fault)
        visit.outcome = "allowed"
        socket.accept(visit.call.head["sec-websocket-key"], decision=visit.id)
        self._audience.enter(socket)
        self._desk.subscriptions.arrived(_name(socket.principal))
        self._recorder.finished(visit)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._bounds.sweep_s, self._sweep)
        return None

    async def _refuse(self, socket: CallerSocket, visit: Visit, refusal: Refusal) -> None:
        """Records the refusal and answers it, in the contract's form; later to a caller that is refused too often."""
        reply = refused(self._recorder, visit, refusal)
        socket.is_refused = True
        if refusal.code in _DAEMONS:
            visit.outcome = "failed"
        if visit.call.wait_s:
            await asyncio.sleep(visit.call.wait_s)
        socket.refuse(encode(reply, date=format_datetime(visit.wall, usegmt=True), is_closing=True))
        self._recorder.finished(visit)

    # ------------------------------------------------------------ what sockets tell

    def ended(self, socket: CallerSocket, ending: Ending) -> None:
        """A socket has ended, or its caller hung up before it was answered."""
        self._forget(socket)
        self._audience.leave(socket)
        if socket.decision:
            self._desk.metrics.count("guard_ws_closed_total", ending.word)
            if ending.word == End.MESSAGE.value.word:
                self._desk.metrics.count(_FRAMES, "from_caller", "refused")
            if socket.principal is not None:  # of a stranger's, which is shown nothing, as many may be as he likes
                _log.info("stream_ended", decision=socket.decision, reason=ending.word)
        elif socket.task is not None:
            socket.task.cancel()

    def turned(self, socket: CallerSocket) -> None:
        """A socket has fallen behind, or caught up."""
        self._audience.turned(socket)

    def tally(self, result: str, frames: int) -> None:
        """Counts frames towards callers, by what was done with them."""
        self._desk.metrics.count(_FRAMES, "to_caller", result, by=frames)

    # ------------------------------------------------------------ what the daemon's stream tells

    def is_needed(self) -> bool:
        """Whether there are callers with a key, or subscriptions that only an open stream could tell to be lost."""
        return bool(self._desk.subscriptions) or self._seats.has_keys

    def on_dialled(self, refusal: Refusal | None) -> None:
        """Notes whether the daemon can be reached. A bad answer may be none: the connection was taken, and cut off."""
        if refusal is None or refusal.code is not Code.DAEMON_BAD_ANSWER:
            self._desk.circuits.is_answering = refusal is None

    def on_open(self) -> None:
        """Subscribes again: a daemon that was away has forgotten all, even what was renewed just before it went."""
        if self._restoring is not None:
            self._restoring.cancel()
        if self._desk.subscriptions:
            self._restoring = self._desk.supervisor.start(restore(self._desk), "subscriptions", service=True)

    def on_frame(self, frame: Frame | None) -> None:
        """One frame for everybody."""
        if frame is None:
            self.tally("unclassified", 1)
            return
        if frame.kind == "trade" and frame.acc_id is not None:
            self._on_trade(frame.acc_id)
        self._audience.hear(frame)

    def _may_see_order(self, principal: Principal | None, frame: Frame) -> bool:
        """Of the orders that a key's view shows, those that `rights.see` does by the policies of this moment."""
        if principal is None:
            return True
        order = frame.order
        env = None if order is None else order.account.env
        policies, wall = self._desk.config.policies, self._desk.clock.wall()
        is_own_only = sees_own_only(policies, principal, env=env, acc_id=frame.acc_id, wall=wall)
        return self._seeing.may_see_order(principal.name, frame, owner=self._owners.of(order), is_own_only=is_own_only)

    async def on_lost(self, ending: Ending) -> None:
        """Sends what was received, then closes every socket that was fed, some per turn, so that they reconnect."""
        self._audience.flush()
        fed = [socket for socket in self._audience if socket.principal is not None]
        for place, socket in enumerate(fed, start=1):
            socket.end(ending)
            if place % _ENDS_IN_A_TURN == 0:
                await asyncio.sleep(0)

    # ------------------------------------------------------------ all sockets

    def _sweep(self) -> None:
        """Checks keys, silent callers and, less often, accounts, for as long as there are sockets."""
        loop = asyncio.get_running_loop()
        # First of all: a fault in this look must not make it the last one.
        self._timer = loop.call_later(self._bounds.sweep_s, self._sweep) if self._seats else None
        self.revalidate()
        for socket in self._audience:
            socket.keep_alive()
        is_idle = self._renewal is None or self._renewal.done()
        if self._seats and is_idle and loop.time() - self._views_s >= self._bounds.views_every_s:
            self._views_s = loop.time()
            self._renewal = self._desk.supervisor.start(self._look_again(), "stream accounts", service=True)

    async def _look_again(self) -> None:
        """Renews what restricted keys may see; no other view can change while its key stands."""
        restricted = [
            (each, each.principal) for each in self._audience if each.principal and each.principal.is_restricted
        ]
        rows = await self._desk.accounts.rows() if restricted else ()
        for socket, principal in restricted:
            self._audience.show(socket, _view(principal, rows))


def _name(principal: Principal | None) -> str:
    return NOBODY if principal is None else principal.name


def _view(principal: Principal, rows: tuple[AccountRow, ...] | Missing) -> CallerView:
    """What the key may see; with an account list that cannot be had a restricted key sees no account."""
    listed = () if isinstance(rows, Missing) else rows
    return view_of(principal, visible_accounts(principal, listed), listed)
