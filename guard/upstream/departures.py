"""When the bytes of a request that has its connection leave: at once, or with the others of its turn of the loop.

Each write wakes a waiting daemon, and writes made one right after another cost the wake-up once; so requests are kept
for the end of the turn, trades first. In that step each is asked whether it may still leave, and nothing else runs
before the first bytes are written.
"""

import asyncio
from collections.abc import Callable

import structlog

from guard.upstream.circuited import WITHDRAWN
from guard.upstream.connection import DaemonConnection

MayLeave = Callable[[], bool]
_log = structlog.get_logger("guard")


class Departures:
    """Connections whose requests are written at the end of this turn, those of `asked` first."""

    def __init__(self) -> None:
        self.asked: list[tuple[DaemonConnection, MayLeave]] = []
        self.unasked: list[DaemonConnection] = []

    def add(self, connection: DaemonConnection, may_leave: MayLeave | None) -> None:
        """Has the connection's request written at the end of this turn of the loop."""
        if not (self.asked or self.unasked):
            asyncio.get_running_loop().call_soon(self._leave)
        if may_leave is None:
            self.unasked.append(connection)
        else:
            self.asked.append((connection, may_leave))

    def _leave(self) -> None:
        """All are asked, then all that may still leave are written."""
        asked, unasked = self.asked, self.unasked
        self.asked, self.unasked = [], []
        for connection, may_leave in asked:
            _ask(connection, may_leave)
        for connection in (*[connection for connection, _ in asked], *unasked):
            _write(connection)


def leave_now(connection: DaemonConnection, may_leave: MayLeave | None) -> None:
    """Writes the connection's request, if it may leave."""
    if may_leave is not None:
        _ask(connection, may_leave)
    _write(connection)


def _ask(connection: DaemonConnection, may_leave: MayLeave) -> None:
    """Keeps its request back if it may not leave by now."""
    try:
        if not may_leave():
            connection.keep_back(WITHDRAWN)
    except Exception:  # noqa: BLE001 - a bug of ours is one request's alone, and the others leave
        _broken(connection)


def _write(connection: DaemonConnection) -> None:
    try:
        connection.leave()
    except Exception:  # noqa: BLE001 - likewise
        _broken(connection)


def _broken(connection: DaemonConnection) -> None:
    _log.exception("leaving_failed")
    connection.drop()
