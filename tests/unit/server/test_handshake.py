"""Listening with TLS where something is in the way: no file for a connection, a port that is taken."""

import asyncio
import errno
import socket
import ssl
from typing import Any

import pytest

from guard.server import TlsServer, bound_sockets, handshake
from tests.support.edge import until


class Full(socket.socket):
    """A listening socket for whose first connection the process has no file."""

    is_full = True

    def accept(self) -> tuple[socket.socket, Any]:
        """Fails once."""
        if self.is_full:
            self.is_full = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_without_a_file_for_a_connection_the_listener_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller waits in the queue meanwhile; it is not spun on, and nobody is turned away."""
    monkeypatch.setattr(handshake, "RETRY_S", 0.01)
    listening = Full(socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = TlsServer([listening], asyncio.Protocol, context, within_s=5.0, backlog=4, handshakes_max=4)
    _, writer = await asyncio.open_connection(*listening.getsockname())
    await until(lambda: server.handshakes == 1)
    server.close()
    await server.wait_closed()
    assert (listening.is_full, server.handshakes, listening.fileno()) == (False, 0, -1)
    writer.transport.abort()


def test_a_port_that_is_taken_is_told_and_nothing_stays_bound() -> None:
    """As a loop's own listener would."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        bound_sockets(*taken.getsockname())


def test_a_name_is_bound_at_each_of_its_addresses() -> None:
    """An address that is one gives one socket, with a port of its own."""
    (found,) = bound_sockets("127.0.0.1", 0)
    with found:
        assert found.getsockname()[1] > 0
