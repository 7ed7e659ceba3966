"""The one stream of the daemon that serves every caller: opened when somebody needs it, opened again when it is lost.

A handshake waits for it at most one attempt. Between attempts of its own the feed waits longer each time, up to a
bound; a handshake does not wait for that, and all that come at once share one attempt. When nobody has needed the
stream for a while it is let go. What is lost with a stream is never passed over in silence: `on_lost` is told, and
`on_open` at the next one, so that what the daemon forgot can be asked for again.
"""

import asyncio
from typing import Final, Protocol

import structlog
from aiohttp import WSMsgType

from guard.stream.bounds import StreamBounds
from guard.stream.dial import Dialler, Stream
from guard.stream.ending import End, Ending
from guard.stream.session import Frame, classify
from guard.supervisor import Supervisor
from guard.terms import Refusal

_ABNORMAL: Final = 1006

_log = structlog.get_logger("guard.stream")


class FeedObserver(Protocol):
    """What the feed reports to. Methods that are not coroutines must be quick."""

    def is_needed(self) -> bool:
        """Somebody has a socket, or a subscription that only a stream could tell to be lost."""
        ...

    def on_open(self) -> None:
        """The daemon's stream is open: for the first time, or again."""
        ...

    def on_frame(self, frame: Frame | None) -> None:
        """The daemon has sent a frame; None where it cannot be told what it is."""
        ...

    async def on_lost(self, ending: Ending) -> None:
        """The stream has ended by itself: frames are missed from here on. No other is opened before this is done."""
        ...

    def on_dialled(self, refusal: Refusal | None) -> None:
        """An attempt to open it has ended: well, or with a refusal."""
        ...


class Feed:
    """One daemon's stream. Used on one event loop."""

    def __init__(
        self,
        dialler: Dialler,
        observer: FeedObserver,
        *,
        supervisor: Supervisor,
        bounds: StreamBounds,
        connect_s: float,
        answer_s: float,
    ) -> None:
        self._dialler = dialler
        self._observer = observer
        self._supervisor = supervisor
        self._bounds = bounds
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._stream: Stream | None = None
        self._attempt: asyncio.Future[Refusal | None] | None = None
        self._hurry = asyncio.Event()
        self._service: asyncio.Task[None] | None = None
        self._needed_s = 0.0
        self._heard_s = 0.0

    @property
    def is_open(self) -> bool:
        """The stream is open: frames can come."""
        return self._stream is not None

    def wake(self) -> None:
        """Somebody needs the stream: makes sure that it is open or being opened."""
        if self._service is None or self._service.done():
            self._service = self._supervisor.start(self._serve(), "daemon stream", service=True)

    async def ready(self) -> Refusal | None:
        """None once the stream is open; else why the attempt under way, or a new one, could not open it."""
        if self._stream is not None:
            return None
        self.wake()
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_future()
            self._hurry.set()
        return await asyncio.shield(self._attempt)

    def let_go(self) -> None:
        """Close a stream that nobody has needed for a while; to be called now and then."""
        now_s = asyncio.get_running_loop().time()
        if self._observer.is_needed():
            self._needed_s = now_s
            self.wake()
        elif now_s - self._needed_s >= self._bounds.idle_s and self._service is not None:
            self._service.cancel()
            self._service = self._stream = self._attempt = None  # whoever comes in this very turn gets new ones

    async def close(self) -> None:
        """End it for good."""
        if self._service is not None:
            self._service.cancel()
            await asyncio.wait([self._service])
        if self._attempt is not None:
            self._attempt.cancel()
        await self._dialler.close()

    # ------------------------------------------------------------ the service

    async def _serve(self) -> None:
        """Dial, listen, dial again; until nobody needs it."""
        loop = asyncio.get_running_loop()
        self._needed_s = loop.time()
        wait_s = self._bounds.redial_first_s
        while True:
            self._hurry.clear()
            found = await self._dial()
            if not isinstance(found, Refusal):
                began_s = loop.time()
                await self._listen(found)
                if loop.time() - began_s >= self._bounds.redial_max_s:  # one that ends at once is no better than none
                    wait_s = self._bounds.redial_first_s
            if not self._observer.is_needed() and not self._hurry.is_set():
                return
            try:
                async with asyncio.timeout(wait_s):
                    await self._hurry.wait()
            except TimeoutError:
                wait_s = min(wait_s * 2, self._bounds.redial_max_s)

    async def _dial(self) -> Stream | Refusal:
        """One attempt, whose result is given to everyone who waits for it; nobody waits for ever."""
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_future()
        attempt = self._attempt
        try:
            found = await self._dialler.dial(connect_s=self._connect_s, answer_s=self._answer_s)
        except BaseException:
            attempt.cancel()
            raise
        finally:
            if self._attempt is attempt:
                self._attempt = None
        refusal = None
        if isinstance(found, Refusal):
            refusal = found
        else:
            self._stream = found
        attempt.set_result(refusal)  # whoever waits goes on in the next turn
        self._observer.on_dialled(refusal)
        if refusal is None:
            self._observer.on_open()
        return found

    async def _listen(self, stream: Stream) -> None:
        """Every frame to its end. A fault of ours loses frames too, so whoever was fed is told of it likewise."""
        ending = End.FAILED.value
        self._heard_s = asyncio.get_running_loop().time()
        asking = self._supervisor.start(self._ask(stream), "daemon stream's pings", service=True)
        try:
            ending = await self._hear(stream)
        except Exception:  # noqa: BLE001 - a bug of ours must end the sockets, not leave them open and unfed
            _log.exception("stream_failed")
        finally:
            if self._stream is stream:
                self._stream = None
            asking.cancel()
            await stream.close()
        await self._observer.on_lost(ending)

    async def _hear(self, stream: Stream) -> Ending:
        """Every frame until the stream ends. Only text is understood."""
        on_frame, time_s = self._observer.on_frame, asyncio.get_running_loop().time
        while True:
            message = await stream.receive()
            self._heard_s = time_s()
            if message.type is WSMsgType.TEXT:
                on_frame(classify(bytes(message.data)))
            elif message.type is WSMsgType.BINARY:
                on_frame(None)
            elif message.type is WSMsgType.PING:
                await stream.pong(message.data)
            elif message.type is WSMsgType.PONG:
                continue
            elif message.type is WSMsgType.ERROR and stream.close_code != _ABNORMAL:
                return End.DAEMON_UNREADABLE.value
            else:
                return End.DAEMON_LOST.value

    async def _ask(self, stream: Stream) -> None:
        """Ask a silent daemon whether it is there, and end a stream whose daemon does not answer.

        aiohttp would do this too, at the cost of a callback for each piece of data.
        """
        time_s, every_s = asyncio.get_running_loop().time, self._bounds.daemon_ping_every_s
        while True:
            asked_s = time_s()
            if (rest_s := self._heard_s + every_s - asked_s) > 0:
                await asyncio.sleep(rest_s)
                continue
            try:
                await stream.ping()
            except ConnectionError:  # gone already, as whoever listens is told
                return
            await asyncio.sleep(every_s / 2)
            if self._heard_s < asked_s:
                break
        await stream.close()
