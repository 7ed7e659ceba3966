"""The daemon's side of a stream, against a daemon that follows a script."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from guard.codes import Code
from guard.stream.bounds import StreamBounds
from guard.stream.dial import Dialler, Stream
from guard.terms import Refusal
from guard.upstream.trust import Trust
from tests.support.scripted_daemon import Script, ScriptedDaemon, Talk, answer, scripted
from tests.support.stream import frame, pushing, text
from tests.support.tls import write_pair

KEY = "fc_own"
UPGRADED = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
QUICK = StreamBounds(daemon_close_s=0.02)
Found = Stream | Refusal


async def dialled(dialler: Dialler, *, connect_s: float = 60.0, answer_s: float = 60.0) -> Found:
    """What dialling leads to; a stream is closed again."""
    found = await dialler.dial(connect_s=connect_s, answer_s=answer_s)
    if not isinstance(found, Refusal):
        await found.close()
    return found


async def dial(daemon: ScriptedDaemon, *, key: str | None = KEY) -> Found:
    """What dialling this daemon leads to."""
    dialler = Dialler(Trust(f"http://127.0.0.1:{daemon.port}", ca_file=None), key=key, bounds=QUICK)
    try:
        return await dialled(dialler)
    finally:
        await dialler.close()


def answering(status: str, *, extra: str = "") -> Script:
    """A daemon that answers one request with this status."""

    async def play(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer(b"{}", status=status, extra=extra))

    return play


async def test_the_daemon_is_asked_with_the_guards_own_key_alone() -> None:
    """One handshake for /ws: no token, no extension, no cookie, no origin, no body; the key where it is lent."""
    async with scripted(pushing(), pushing()) as daemon:
        assert isinstance(await dial(daemon), aiohttp.ClientWebSocketResponse)
        assert isinstance(await dial(daemon, key=None), aiohttp.ClientWebSocketResponse)

    lent, bare = (request.decode().split("\r\n") for request in daemon.requests)
    assert lent[0] == bare[0] == "GET /ws HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in lent
    names = {line.partition(":")[0].lower() for line in bare[1:] if line}
    assert names == {"host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key", "accept"}


async def test_a_stream_is_read_and_closed_afterwards() -> None:
    """Frames come as bytes; closing the dialler leaves nothing open."""
    data = frame("quote")
    async with scripted(pushing(text(data))) as daemon:
        dialler = Dialler(Trust(f"http://127.0.0.1:{daemon.port}", ca_file=None), key=None, bounds=QUICK)
        stream = await dialler.dial(connect_s=60.0, answer_s=60.0)
        assert isinstance(stream, aiohttp.ClientWebSocketResponse)
        message = await stream.receive(timeout=60)
        assert message.data == data
        await stream.close()
        await dialler.close()


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_daemon_that_does_not_take_our_key_is_a_bad_answer(status: str) -> None:
    """The refusal says that it is the guard's own key, so that no caller looks for the fault in its own."""
    async with scripted(answering(status)) as daemon:
        found = await dial(daemon)

    assert isinstance(found, Refusal)
    assert found.code is Code.DAEMON_BAD_ANSWER
    assert "the guard's own key" in found.reasons[0].message
    assert status[:3] in found.reasons[0].message


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (answering("200 OK"), Code.DAEMON_BAD_ANSWER),
        (answering("500 Internal Server Error"), Code.DAEMON_BAD_ANSWER),
        (answering("101 Switching Protocols"), Code.DAEMON_BAD_ANSWER),
        (answering("101 Switching Protocols", extra=UPGRADED), Code.DAEMON_BAD_ANSWER),
        (lambda talk: talk.say(b"SSH-2.0\r\n\r\n"), Code.DAEMON_BAD_ANSWER),
        (Talk.request, Code.DAEMON_BAD_ANSWER),
        (Talk.hang, Code.DAEMON_TIMEOUT),
    ],
    ids=["200", "500", "no upgrade", "no accept", "no http", "closed", "silent"],
)
async def test_a_daemon_that_answers_badly_is_a_refusal(
    script: Callable[[Talk], Awaitable[object]], code: Code
) -> None:
    """Whatever comes instead of a 101 that fits is a refusal with the code of its kind."""

    async def play(talk: Talk) -> None:
        await script(talk)

    async with scripted(play) as daemon:
        daemon_s = 0.2 if code is Code.DAEMON_TIMEOUT else 60.0
        dialler = Dialler(Trust(f"http://127.0.0.1:{daemon.port}", ca_file=None), key=KEY, bounds=QUICK)
        found = await dialled(dialler, answer_s=daemon_s)
        assert isinstance(found, Refusal)
        assert found.code is code
        await dialler.close()


async def test_a_daemon_that_is_not_there_is_unreachable() -> None:
    """Nobody listens: nothing was sent, and the message does not tell callers where the daemon is."""
    async with scripted() as daemon:
        pass
    found = await dial(daemon)

    assert isinstance(found, Refusal)
    assert found.code is Code.DAEMON_UNREACHABLE
    assert str(daemon.port) not in found.reasons[0].message
    assert "127.0.0.1" not in found.reasons[0].message


async def test_b21_the_daemons_certificate_is_checked(tmp_path: Path) -> None:
    """Over https the key goes to a daemon of the named authority only; another is unreachable, with the reason."""
    certificate, private = write_pair(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, private)
    async with scripted(default=pushing(), tls=tls) as daemon:
        found: list[Found] = []
        for ca_file in (str(certificate), None):
            dialler = Dialler(Trust(f"https://localhost:{daemon.port}", ca_file=ca_file), key=KEY, bounds=QUICK)
            found.append(await dialled(dialler))
            await dialler.close()
            await asyncio.sleep(0.01)  # TLS says goodbye on a later turn of the loop

    trusted, unknown = found
    assert isinstance(trusted, aiohttp.ClientWebSocketResponse)
    assert isinstance(unknown, Refusal)
    assert unknown.code is Code.DAEMON_UNREACHABLE
    assert "certificate is not accepted" in unknown.reasons[0].message
    assert len(daemon.requests) == 1


async def test_a_redirect_is_not_followed() -> None:
    """Our key goes to no other place than the daemon: the second request is never made."""
    async with scripted() as elsewhere, scripted() as daemon:
        daemon.scripts.append(
            answering("307 Temporary Redirect", extra=f"Location: http://127.0.0.1:{elsewhere.port}/ws\r\n")
        )
        found = await dial(daemon)

    assert isinstance(found, Refusal)
    assert found.code is Code.DAEMON_BAD_ANSWER
    assert elsewhere.connections == 0


async def test_cookies_are_not_kept() -> None:
    """What one answer sets is not in the next request: callers share nothing through us."""
    async with scripted(answering("403 Forbidden", extra="Set-Cookie: a=b; Path=/\r\n"), pushing()) as daemon:
        dialler = Dialler(Trust(f"http://localhost:{daemon.port}", ca_file=None), key=KEY, bounds=QUICK)
        for _ in range(2):
            await dialled(dialler)
        await dialler.close()

    assert [b"cookie" in request.lower() for request in daemon.requests] == [False, False]


async def test_a_cancelled_dial_leaves_nothing_open() -> None:
    """A caller that hangs up while the daemon is asked takes the connection with it."""
    async with scripted(Talk.hang) as daemon:
        dialling = asyncio.ensure_future(dial(daemon))
        await daemon.accepted.wait()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling


async def test_a_dialler_that_never_dialled_can_be_closed() -> None:
    """No session is made before the first stream."""
    dialler = Dialler(Trust("http://127.0.0.1:1", ca_file=None), key=None, bounds=QUICK)
    await dialler.close()

    assert dialler._session is None
