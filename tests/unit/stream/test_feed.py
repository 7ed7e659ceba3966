"""The one stream of the daemon, against a daemon that follows a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final, cast

import pytest
import structlog
from aiohttp.http import WS_CLOSED_MESSAGE

from guard.codes import Code
from guard.stream.bounds import StreamBounds
from guard.stream.dial import Dialler
from guard.stream.ending import End, Ending
from guard.stream.feed import Feed
from guard.stream.session import Frame
from guard.supervisor import Supervisor
from guard.terms import Refusal
from guard.upstream.trust import Trust
from tests.support.edge import until
from tests.support.looptime import timed
from tests.support.scripted_daemon import Script, ScriptedDaemon, Talk, answer, scripted
from tests.support.stream import Live, frame, text, welcome

QUICK: Final = StreamBounds(daemon_close_s=0.02, redial_first_s=0.01, redial_max_s=0.04, idle_s=0.02)


class FeedObserver:
    """Who is told; `needs` says whether anybody needs the stream."""

    def __init__(self) -> None:
        self.needs = True
        self.breaks_on = ""
        self.told: list[object] = []

    def is_needed(self) -> bool:
        """As the test says."""
        return self.needs

    def on_open(self) -> None:
        """Opened."""
        self.told.append("open")

    def on_frame(self, frame: Frame | None) -> None:
        """A frame."""
        if frame is not None and frame.kind == self.breaks_on:
            raise RuntimeError("a bug")
        self.told.append(None if frame is None else frame.kind)

    async def on_lost(self, ending: Ending) -> None:
        """Lost."""
        self.told.append(ending.word)

    def on_dialled(self, refusal: Refusal | None) -> None:
        """Tried."""
        self.told.append("dialled" if refusal is None else refusal.code)


@asynccontextmanager
async def feeding(
    *scripts: Script, bounds: StreamBounds = QUICK
) -> AsyncIterator[tuple[Feed, FeedObserver, ScriptedDaemon]]:
    """A feed of this daemon; the last script is every later connection's."""
    supervisor, observer = Supervisor(), FeedObserver()
    async with scripted(*scripts, default=scripts[-1]) as daemon:
        dialler = Dialler(Trust(f"http://127.0.0.1:{daemon.port}", ca_file=None), key=None, bounds=bounds)
        feed = Feed(dialler, observer, supervisor=supervisor, bounds=bounds, connect_s=60.0, answer_s=60.0)
        try:
            yield feed, observer, daemon
        finally:
            await feed.close()
            await supervisor.drain(1.0)
    assert not supervisor.concerns()


async def away(talk: Talk) -> None:
    """A daemon that is not up yet."""
    await talk.request()
    await talk.say(answer(b"{}", status="503 Service Unavailable"))


async def test_a_stream_is_opened_once_for_all_who_wait() -> None:
    """Ten ask at the same time, one attempt is made; who asks later has it at once."""
    async with feeding(Live()) as (feed, observer, daemon):
        assert await asyncio.gather(*(feed.ready() for _ in range(10))) == [None] * 10
        assert await feed.ready() is None

        assert (daemon.connections, observer.told) == (1, ["dialled", "open"])


async def test_a_failed_attempt_is_told_to_all_who_waited_for_it() -> None:
    """The refusal is theirs; the next who asks has another attempt made at once, whatever the feed waits for."""
    async with feeding(away, Live(), bounds=StreamBounds(redial_first_s=60.0)) as (feed, observer, daemon):
        found = await asyncio.gather(*(feed.ready() for _ in range(3)))
        assert [each.code for each in found if each is not None] == [Code.DAEMON_BAD_ANSWER] * 3
        assert not feed.is_open

        assert await feed.ready() is None
        assert (daemon.connections, observer.told) == (2, [Code.DAEMON_BAD_ANSWER, "dialled", "open"])


async def test_a_lost_stream_is_opened_again_with_growing_waits() -> None:
    """Told as lost, dialled until the daemon is back, told as open again; each wait doubles up to the bound."""
    live = Live()
    loop = asyncio.get_running_loop()
    dials: list[float] = []

    async def still_away(talk: Talk) -> None:
        dials.append(loop.time())
        await away(talk)

    async with feeding(live, *([still_away] * 4), live) as (feed, observer, _):
        await feed.ready()
        await live.push(frame("quote"))
        await until(lambda: "quote" in observer.told)
        live.talks[-1].writer.close()
        await until(lambda: observer.told.count("open") == 2)

        away_told = [Code.DAEMON_BAD_ANSWER] * 4
        assert observer.told == ["dialled", "open", "quote", "daemon_lost", *away_told, "dialled", "open"]
        waits = [later - sooner for sooner, later in pairwise(dials)]
        assert all(wait >= least for wait, least in zip(waits, (0.018, 0.036, 0.036), strict=True))


class Fickle:
    """Dials at once streams that end by themselves after `stay_s`, and notes when."""

    close_code = None

    def __init__(self) -> None:
        self.dials: list[float] = []
        self.stay_s = 0.0

    async def dial(self, **_: float) -> "Fickle":
        """One more."""
        self.dials.append(asyncio.get_running_loop().time())
        return self

    async def receive(self) -> object:
        """Its end."""
        await asyncio.sleep(self.stay_s)
        return WS_CLOSED_MESSAGE

    async def close(self) -> None:
        """Nothing is open."""


def test_a_stream_that_ends_at_once_is_not_dialled_in_a_circle() -> None:
    """A daemon that welcomes and hangs up is waited for longer each time; one that stayed is dialled soon again."""

    async def play() -> None:
        supervisor, daemon = Supervisor(), Fickle()
        dialler = cast("Dialler", daemon)
        feed = Feed(dialler, FeedObserver(), supervisor=supervisor, bounds=QUICK, connect_s=60.0, answer_s=60.0)
        feed.wake()
        await until(lambda: len(daemon.dials) == 5)
        waits = [later - sooner for sooner, later in pairwise(daemon.dials)]
        assert waits == pytest.approx([0.01, 0.02, 0.04, 0.04])

        daemon.stay_s = QUICK.redial_max_s + 0.01
        await until(lambda: len(daemon.dials) == 7)
        assert daemon.dials[-1] - daemon.dials[-2] == pytest.approx(daemon.stay_s + QUICK.redial_first_s)
        await feed.close()
        await supervisor.drain(1.0)

    timed(play())


async def test_a_fault_of_ours_loses_frames_too_and_is_told_like_a_lost_stream() -> None:
    """Nobody is left with a socket that is fed no more; the stream is opened again, and goes on."""
    live = Live()
    async with feeding(live) as (feed, observer, daemon):
        await feed.ready()
        observer.breaks_on = "notify"
        with structlog.testing.capture_logs() as logged:
            await live.push(frame("quote"), frame("notify"), frame("quote"))
            await until(lambda: observer.told.count("open") == 2)
        await live.push(frame("trade", acc_id=7))
        await until(lambda: observer.told[-1] == "trade")

        assert observer.told == ["dialled", "open", "quote", End.FAILED.value.word, "dialled", "open", "trade"]
        assert [each["event"] for each in logged] == ["stream_failed"]
        assert daemon.connections == 2


async def test_a_stream_that_nobody_needs_is_not_opened_again() -> None:
    """The daemon ends it, nobody has a socket or a subscription: the next who needs it dials."""
    live = Live()
    async with feeding(live) as (feed, observer, daemon):
        await feed.ready()
        observer.needs = False
        live.talks[-1].writer.close()
        await until(lambda: observer.told[-1] == End.DAEMON_LOST.value.word)
        await asyncio.sleep(0.03)
        assert daemon.connections == 1

        assert await feed.ready() is None
        assert daemon.connections == 2


async def test_it_is_kept_for_a_while_after_the_last_who_needed_it_not_after_the_first() -> None:
    """However long ago it was opened."""
    async with feeding(Live(), bounds=StreamBounds(idle_s=3600.0)) as (feed, observer, daemon):
        await feed.ready()
        feed._needed_s -= 7200.0
        feed.let_go()
        observer.needs = False
        feed.let_go()
        was_kept = feed.is_open

        feed._needed_s -= 7200.0
        feed.let_go()
        assert (was_kept, feed.is_open) == (True, False)
        feed.let_go()
        assert daemon.connections == 1


async def test_who_comes_in_the_turn_in_which_it_is_let_go_gets_a_new_one() -> None:
    """Letting go and asking again at once leaves nobody waiting, and no stream that is about to end."""
    async with feeding(Live()) as (feed, observer, daemon):
        await feed.ready()
        observer.needs = False
        feed.let_go()
        await asyncio.sleep(0.03)
        feed.let_go()
        assert await feed.ready() is None
        assert daemon.connections == 2
        observer.needs = True
        feed.let_go()
        assert feed.is_open


@pytest.mark.parametrize("said", [b"\x8a\0", text(frame("quote")).serialize(mask=False, extensions=[])])
async def test_a_daemon_that_says_something_when_it_is_asked_is_there(said: bytes) -> None:
    """An answer to a ping, or a frame that comes instead: the stream goes on, and is asked again when it is silent."""
    pings: list[bytes] = []

    async def answering(talk: Talk) -> None:
        await talk.say(welcome(await talk.request()))
        while (data := await talk.reader.read(64)).startswith(b"\x89"):
            pings.append(data)
            await talk.say(said)

    async with feeding(answering, bounds=StreamBounds(daemon_ping_every_s=0.4, daemon_close_s=0.02)) as (
        feed,
        observer,
        daemon,
    ):
        await feed.ready()
        await until(lambda: len(pings) == 2)
        assert (daemon.connections, End.DAEMON_LOST.value.word in observer.told) == (1, False)


async def test_a_daemon_that_asks_is_answered() -> None:
    """With what it asked (RFC 6455 §5.5.3); frames go on after it."""
    answers: list[bytes] = []

    async def asking(talk: Talk) -> None:
        await talk.say(welcome(await talk.request()))
        await talk.say(b"\x89\x02hi")
        head, mask = await talk.reader.readexactly(2), await talk.reader.readexactly(4)
        answers.append(head + bytes(a ^ b for a, b in zip(await talk.reader.readexactly(2), mask, strict=False)))
        await talk.say(text(frame("quote")).serialize(mask=False, extensions=[]))
        await talk.hang()

    async with feeding(asking) as (feed, observer, _):
        await feed.ready()
        await until(lambda: "quote" in observer.told)
        assert (answers, observer.told) == ([b"\x8a\x82hi"], ["dialled", "open", "quote"])


async def test_a_need_alone_opens_it() -> None:
    """A subscription that must be restored is enough: nobody has to ask."""
    async with feeding(Live()) as (feed, observer, _):
        feed.let_go()
        await until(lambda: feed.is_open)
        assert observer.told == ["dialled", "open"]


@pytest.mark.parametrize("when", ["before", "during"])
async def test_closing_leaves_nobody_waiting(when: str) -> None:
    """Whoever waits for an attempt is let go with it."""
    async with feeding(Talk.hang) as (feed, _, daemon):
        waiting = asyncio.ensure_future(feed.ready())
        await asyncio.sleep(0)
        if when == "during":
            await daemon.accepted.wait()
        await feed.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 60)
