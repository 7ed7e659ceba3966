"""Listening sockets that were opened by whoever started the guard (systemd's socket activation, sd_listen_fds(3)).

They outlive a guard, so an upgrade refuses no connection: while one guard ends and the next starts, callers wait in the
socket's queue. Only a guard that was started with them waits for the state directory to be free.
Without names (`LISTEN_FDNAMES`) the first socket is the data listener's, the second the operator's.
"""

import fcntl
import socket
from collections.abc import Mapping
from typing import Final

from guard.errors import SettingsFault

FIRST_FD: Final = 3
NAMES: Final = ("data", "ops")


def inherited(environ: Mapping[str, str], *, pid: int, first_fd: int = FIRST_FD) -> dict[str, socket.socket]:
    """The sockets by listener, `data` and `ops`; none unless the variables are for this process.

    Raises SettingsFault for a name that is no listener's, or a descriptor that is no listening stream socket.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return {}
    count = environ.get("LISTEN_FDS", "0")
    if not count.isdigit() or int(count) > len(NAMES):
        raise SettingsFault([f"LISTEN_FDS: {count!r} sockets were handed over; the guard takes at most {len(NAMES)}"])
    names = environ.get("LISTEN_FDNAMES", "").split(":") if environ.get("LISTEN_FDNAMES") else NAMES[: int(count)]
    if len(names) != int(count) or len(set(names)) != len(names) or not set(names) <= set(NAMES):
        told = ", ".join(names) or "none"
        raise SettingsFault(
            [f"LISTEN_FDNAMES: {told}: name each socket once, FileDescriptorName= {' or '.join(NAMES)}"]
        )
    return {name: _listening(first_fd + place, name) for place, name in enumerate(names)}


def _listening(fd: int, name: str) -> socket.socket:
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        found = socket.socket(fileno=fd)
        is_fit = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsFault([f"LISTEN_FDS: descriptor {fd} ({name}) is no socket: {error.strerror}"]) from error
    if not is_fit:
        found.detach()
        raise SettingsFault([f"LISTEN_FDS: descriptor {fd} ({name}) is no listening stream socket"])
    found.settimeout(0)
    return found
