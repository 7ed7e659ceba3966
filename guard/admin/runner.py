"""The ops listener's connections are bounded: the oldest goes for the newest, so that the operator always gets in.

aiohttp takes as many as come. Each costs an open file, and files are what the journal, callers and the daemon need too.
"""

import asyncio
from typing import Final, cast

from aiohttp import web

CONNECTIONS_MAX: Final = 64


class _Bounded:
    """Makes the protocol of each new connection, and room for it before."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def __call__(self) -> asyncio.Protocol:
        """As the server itself; connections that are being cut do not count twice."""
        held = self._server.connections
        for handler in held[: max(0, len(held) + 1 - CONNECTIONS_MAX)]:
            if handler.transport is not None:
                handler.transport.abort()
        return self._server()


class OpsRunner(web.AppRunner):
    """A runner whose sites serve a bounded number of connections altogether."""

    @property
    def connections(self) -> int:
        """How many there are now."""
        server = super().server
        return 0 if server is None else len(server.connections)

    @property
    def server(self) -> web.Server | None:
        """What sites make their connections with."""
        server = super().server
        return None if server is None else cast("web.Server", _Bounded(server))
