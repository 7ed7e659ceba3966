"""What every relay of frames has to do at least, and nothing else: read the daemon's stream, send it to each caller.

No frame is looked at, no handshake checked, nothing is bounded. What it costs is the kernel's share of what the others
cost: the floor under them.

    python bench/sends.py PORT UPSTREAM_PORT
"""

import select
import socket
import sys
from typing import Final

_ASK: Final = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_READ_BYTES: Final = 1 << 18


def relay(port: int, upstream: int) -> None:
    """One stream of the daemon, until it ends."""
    listening = socket.create_server(("127.0.0.1", port), backlog=2000)
    stream = socket.create_connection(("127.0.0.1", upstream))
    stream.sendall(_ASK)
    stream.recv(4096)
    ready = select.epoll()
    held: dict[int, socket.socket] = {}
    callers: dict[int, socket.socket] = {}
    for each in (listening, stream):
        ready.register(each, select.EPOLLIN)
    while True:
        for number, _ in ready.poll():
            if number == stream.fileno():
                data = stream.recv(_READ_BYTES)
                if not data:
                    return
                for caller in callers.values():
                    caller.send(data)
            elif number == listening.fileno():
                caller, _ = listening.accept()
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                held[caller.fileno()] = caller
                ready.register(caller, select.EPOLLIN)
            elif not _heard(held[number], callers):
                callers.pop(number, None)
                ready.unregister(number)
                held.pop(number).close()


def _heard(caller: socket.socket, callers: dict[int, socket.socket]) -> bool:
    """Welcome a caller, or read what it says away; whether it stays."""
    data = caller.recv(4096)
    if data.startswith(b"GET /ws"):
        caller.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        callers[caller.fileno()] = caller
    elif data.startswith(b"GET "):
        caller.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return False
    return bool(data)


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]))
