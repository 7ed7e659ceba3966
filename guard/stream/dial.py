"""The daemon's side: a WebSocket to `/ws` of the daemon, opened with the guard's own key.

No caller's key ever goes along, and nothing is ever sent on the stream. Redirects are not followed, there are no
cookies and no proxies; failures are refusals.
"""

import asyncio
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from guard.codes import Code
from guard.stream.bounds import StreamBounds
from guard.stream.session import FRAME_BYTES_MAX
from guard.terms import Refusal, refuse
from guard.upstream.origin import brief
from guard.upstream.trust import Trust

Stream = aiohttp.ClientWebSocketResponse[bool]

_DENIED: Final = frozenset({401, 403})


class _Redirected(aiohttp.ClientError):
    """The daemon answered with a redirect."""


async def _stay(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, _: aiohttp.TraceRequestRedirectParams
) -> None:
    raise _Redirected("the daemon answers with a redirect, which is not followed")


class Dialler:
    """Opens streams of the one daemon that `trust` names. A stream that is open outlives a change of its authorities.

    `key`: the guard's own for the daemon, None for a daemon that asks for none. Used on one event loop.
    """

    def __init__(self, trust: Trust, *, key: str | None, bounds: StreamBounds) -> None:
        self._trust = trust
        origin = trust.origin
        self._url = URL(f"{origin.scheme}://{origin.authority}/ws", encoded=True)
        self._lent = {"Authorization": f"Bearer {key}"} if key is not None else {}
        self._bounds = bounds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def dial(self, *, connect_s: float, answer_s: float) -> Stream | Refusal:
        """A stream of the daemon's, for the caller to close; or why there is none."""
        try:
            async with asyncio.timeout(connect_s + answer_s):
                return await self._open_session(connect_s).ws_connect(
                    self._url,
                    ssl=self._trust.context or True,
                    headers=self._lent,
                    autoping=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=self._bounds.daemon_close_s),
                    max_msg_size=FRAME_BYTES_MAX,
                    decode_text=False,
                )
        except aiohttp.WSServerHandshakeError as error:
            return _unwelcome(error.status)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return refuse(Code.DAEMON_UNREACHABLE, f"the daemon cannot be reached: {brief(error)}; nothing was sent")
        except TimeoutError:
            return refuse(Code.DAEMON_TIMEOUT, "the daemon did not open its stream in time")
        except (aiohttp.ClientError, OSError) as error:
            return refuse(Code.DAEMON_BAD_ANSWER, f"the daemon did not open its stream: {brief(error)}")

    def _open_session(self, connect_s: float) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_redirect.append(_stay)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
                trace_configs=[trace],
                skip_auto_headers=("User-Agent", "Accept-Encoding"),
            )
        return self._session


def _unwelcome(status: int) -> Refusal:
    if status not in _DENIED:
        return refuse(Code.DAEMON_BAD_ANSWER, f"the daemon answered {status} instead of opening its stream")
    message = f"the daemon answered {status}: it does not take the guard's own key for /ws; the operator has to look"
    return refuse(Code.DAEMON_BAD_ANSWER, message)
