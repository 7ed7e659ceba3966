"""The relay: a handshake becomes an open socket, the daemon's frames become the caller's, as far as it may see them.

The order is fixed: who asks and may they → the daemon's stream opened → accounts looked up → [one synchronous step:
the key still valid, the guard still open, the decision recorded, 101] → frames, until one side ends. Open sockets are
looked at again every half second and after every reload of keys, so none outlives its key by a second (B03). What a key
may see is looked up anew while its socket lives; an account list that cannot be had shows a restricted key no trade.
"""

import asyncio
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from typing import Final

import structlog
from aiohttp import WSMsgType
from msgspec import structs

from guard.access import still_valid, visible_accounts
from guard.codes import Code
from guard.errors import JournalFault
from guard.policy import sees_own_only
from guard.server import encode
from guard.stream.admission import admit, admit_still
from guard.stream.bounds import Bounds
from guard.stream.caller import CallerSocket
from guard.stream.dial import Dialler, Stream
from guard.stream.ending import End, Ending
from guard.stream.owners import Owners
from guard.stream.session import Frame, View, classify, may_see, may_see_order, view_of
from guard.terms import AccountRow, Call, Missing, Principal, Refusal, refuse
from guard.walk.desk import Visit
from guard.walk.recorder import Recorder
from guard.walk.replies import refused

_log = structlog.get_logger("guard.stream")
_FRAMES: Final = "guard_ws_frames_total"
_HASTY: Final = refuse(Code.BAD_HEADER, "bytes arrived before the handshake was answered")
_FAILED: Final = refuse(Code.RULE_ERROR, "the guard failed on this request; its log says why")


class Relay:
    """All sockets of one guard. `upgrade` is what the edge is wired to. Used on one event loop.

    `on_trade` is told the account id of every trade frame that the daemon sent, whoever may see it; it must be quick.
    """

    def __init__(
        self, recorder: Recorder, *, bounds: Bounds | None = None, on_trade: Callable[[int], None] = lambda _: None
    ) -> None:
        self._recorder = recorder
        self._on_trade = on_trade
        self._desk = recorder.desk
        self._bounds = bounds or Bounds()
        settings = self._desk.standing.settings
        ca_file = settings.daemon.ca_file
        self._dialler = Dialler(
            settings.daemon.url,
            key=settings.daemon_key,
            ca_file=str(settings.path(ca_file)) if ca_file else None,
            bounds=self._bounds,
        )
        self._owners = Owners(self._desk.state)
        # Every socket that counts: in its handshake or open. One that has ended belongs to the edge's connection alone.
        self._sockets: set[CallerSocket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._views_s = 0.0
        self._renewal: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ what the program calls

    @property
    def connections(self) -> int:
        """Open sockets."""
        return sum(1 for _ in self._open())

    def upgrade(self, call: Call, transport: asyncio.Transport, raw_head: bytes) -> asyncio.Protocol:  # noqa: ARG002 - the head may hold a credential and is not needed
        """Take a handshake over from the edge: the protocol that answers it and owns the connection's bytes."""
        socket = CallerSocket(transport, self._bounds, self._ended)
        socket.task = self._desk.supervisor.start(self._serve(socket, call), "stream", service=True)
        return socket

    def revalidate(self) -> None:
        """End every socket whose key was revoked, changed or has expired; to be called when keys have changed."""
        desk = self._desk
        keyring, now = desk.standing.keyring, desk.clock.wall()
        for socket in tuple(self._open()):
            if socket.principal is not None and not still_valid(keyring, socket.principal, now=now):
                socket.end(End.REVOKED.value)

    async def close_all(self, code: int = 1001) -> None:
        """End every socket with this close code; handshakes under way are refused once the desk is draining."""
        for socket in tuple(self._open()):
            socket.end(structs.replace(End.SHUT_DOWN.value, code=code))

    async def close(self) -> None:
        """End everything, and the connections to the daemon."""
        await self.close_all()
        if self._timer is not None:
            self._timer.cancel()
        await self._dialler.close()

    # ------------------------------------------------------------ one socket

    async def _serve(self, socket: CallerSocket, call: Call) -> None:
        """A handshake to its answer, and the socket to its end. Cancelled when the socket has ended."""
        visit = self._desk.open_visit(call)
        try:
            refusal = self._enter(socket, visit) or await self._relay(socket, visit)
            if refusal is not None:
                self._refuse(socket, visit, refusal)
        except asyncio.CancelledError:  # the socket has ended, its caller hung up unanswered, or the program stops
            if not socket.decision:
                self._recorder.finished(visit)
            socket.end(End.SHUT_DOWN.value)
            raise
        except Exception:  # noqa: BLE001 - a bug of ours must refuse or end the socket, not leave it hanging
            _log.exception("stream_failed", decision=visit.id)
            socket.end(End.FAILED.value)
            if not socket.decision:
                self._refuse(socket, visit, _FAILED)
        finally:
            socket.drop()
            if not socket.is_open:
                self._sockets.discard(socket)

    def _enter(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        """May this caller have a socket, and is there room for one? From here on it counts."""
        refusal = admit(self._desk, visit)
        if refusal is not None:
            return refusal
        socket.principal = visit.principal
        same = sum(1 for each in self._sockets if _name(each.principal) == _name(visit.principal))
        if same >= self._bounds.sockets_per_key_max:
            message = f"a key has at most {self._bounds.sockets_per_key_max} open sockets; close one first"
            return refuse(Code.OVERLOADED, message, rule="sockets_per_key_max")
        if len(self._sockets) >= self._bounds.sockets_max:
            return refuse(Code.OVERLOADED, "the guard has as many open sockets as it may; try again")
        self._sockets.add(socket)
        return None

    async def _relay(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        desk, daemon = self._desk, visit.standing.settings.daemon
        began_us = desk.clock.mono_us()
        dialled = self._dialler.dialled(
            is_lent=visit.principal is not None,
            connect_timeout_s=daemon.connect_timeout_s,
            answer_timeout_s=daemon.read_timeout_s,
        )
        async with dialled as stream:
            visit.daemon_us += desk.clock.mono_us() - began_us
            desk.is_daemon_up = not isinstance(stream, Refusal) or stream.code is Code.DAEMON_BAD_ANSWER
            if isinstance(stream, Refusal):
                return stream
            if visit.principal is not None:
                rows = await desk.book.rows() if visit.principal.is_restricted else ()
                socket.view = _view(visit.principal, rows)
            refusal = self._open_socket(socket, visit)
            if refusal is not None:
                return refusal
            if stream is not None:
                await self._pump(socket, stream)
        return None

    def _open_socket(self, socket: CallerSocket, visit: Visit) -> Refusal | None:
        """The synchronous step: nothing that was looked at may have changed by the time the socket counts as open."""
        refusal = _HASTY if socket.is_hasty else admit_still(self._desk, visit)
        if refusal is not None:
            return refusal
        try:
            self._recorder.allowed(visit)
        except JournalFault as fault:
            return refuse(Code.JOURNAL_UNAVAILABLE, str(fault))
        visit.outcome = "allowed"
        socket.accept(visit.call.head["sec-websocket-key"], decision=visit.id)
        self._recorder.finished(visit)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._bounds.sweep_s, self._sweep)
        return None

    async def _pump(self, socket: CallerSocket, stream: Stream) -> None:
        """The daemon's frames to the caller, until one of them ends. Only text is understood."""
        count = self._desk.metrics.count
        while socket.is_open:
            message = await stream.receive()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                frame = classify(bytes(message.data)) if message.type is WSMsgType.TEXT else None
                if frame is not None and frame.kind == "trade" and frame.acc_id is not None:
                    self._on_trade(frame.acc_id)
                if frame is None:
                    count(_FRAMES, "to_caller", "unclassified")
                elif not may_see(socket.view, frame) or not self._is_its_own(socket, frame):
                    count(_FRAMES, "to_caller", "filtered")
                else:
                    count(_FRAMES, "to_caller", "relayed" if socket.push(frame.data) else "dropped")
            elif message.type is WSMsgType.ERROR and stream.close_code != _ABNORMAL:
                socket.end(End.DAEMON_UNREADABLE.value)
            else:
                socket.end(End.DAEMON_LOST.value)

    def _is_its_own(self, socket: CallerSocket, frame: Frame) -> bool:
        """What `rights.see` says now of a trade frame, by the policies and orders of this moment."""
        principal, order = socket.principal, frame.order
        if frame.kind != "trade" or principal is None:
            return True
        env = None if order is None else order.account.env
        policies, wall = self._desk.standing.policies, self._desk.clock.wall()
        is_own_only = sees_own_only(policies, principal, env=env, acc_id=frame.acc_id, wall=wall)
        return may_see_order(principal.name, frame, owner=self._owners.of(order), is_own_only=is_own_only)

    def _refuse(self, socket: CallerSocket, visit: Visit, refusal: Refusal) -> None:
        """Written down and told, in the contract's body."""
        reply = refused(self._recorder, visit, refusal)
        if refusal.code in _DAEMONS:
            visit.outcome = "failed"
        socket.refuse(encode(reply, date=format_datetime(visit.wall, usegmt=True), is_closing=True))
        self._recorder.finished(visit)

    def _ended(self, socket: CallerSocket, ending: Ending) -> None:
        """A socket tells its end, or that its caller hung up before it was answered."""
        self._sockets.discard(socket)
        if socket.decision:
            self._desk.metrics.count("guard_ws_closed_total", ending.word)
            if ending.word == End.MESSAGE.value.word:
                self._desk.metrics.count(_FRAMES, "from_caller", "refused")
            _log.info("stream_ended", decision=socket.decision, reason=ending.word)
        if socket.task is not None and socket.task is not asyncio.current_task():
            socket.task.cancel()

    # ------------------------------------------------------------ all sockets

    def _open(self) -> Iterator[CallerSocket]:
        return (socket for socket in self._sockets if socket.is_open)

    def _sweep(self) -> None:
        """Keys, silent callers and, less often, accounts; for as long as there are sockets."""
        self._timer = None
        self.revalidate()
        for socket in tuple(self._open()):
            socket.keep_alive()
        loop = asyncio.get_running_loop()
        if not self._sockets:
            return
        self._timer = loop.call_later(self._bounds.sweep_s, self._sweep)
        is_idle = self._renewal is None or self._renewal.done()
        if is_idle and loop.time() - self._views_s >= self._bounds.views_every_s:
            self._views_s = loop.time()
            self._renewal = self._desk.supervisor.start(self._look_again(), "stream accounts", service=True)

    async def _look_again(self) -> None:
        """What restricted keys may see now; nobody else's view can change while the key stands."""
        restricted = [
            (each, each.principal) for each in self._open() if each.principal and each.principal.is_restricted
        ]
        rows = await self._desk.book.rows() if restricted else ()
        for socket, principal in restricted:
            socket.view = _view(principal, rows)


_ABNORMAL: Final = 1006
_DAEMONS: Final = frozenset({Code.DAEMON_UNREACHABLE, Code.DAEMON_BAD_ANSWER, Code.DAEMON_TIMEOUT})


def _name(principal: Principal | None) -> str:
    return "" if principal is None else principal.name


def _view(principal: Principal, rows: tuple[AccountRow, ...] | Missing) -> View:
    """What the key may see; with an account list that cannot be had a restricted key sees no account."""
    listed = () if isinstance(rows, Missing) else rows
    return view_of(principal, visible_accounts(principal, listed), listed)
