"""What the listeners may take of the process, and what is said of one that cannot be opened."""

import errno
import socket
import subprocess
import sys
from typing import Final

import pytest

from guard.listeners import unopened
from guard.settings import Settings

_ASK: Final = """
import resource, sys
soft, hard, wanted, kept = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from guard.listeners import connections_within
print(connections_within(wanted, kept=kept), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "fits", "raised"),
    [
        (1024, 1024, 4096, 352, 1024),
        (512, 1024, 4096, 352, 1024),
        (512, 1024, 100, 100, 520),
        (1024, 1024, 100, 100, 1024),
        (256, 300, 4096, 1, 300),
        (1024, 20000, 10000, 10000, 11344),
        (1024, 8192, 10000, 6848, 8192),
    ],
)
def test_callers_leave_the_files_that_the_guard_needs(
    soft: int, hard: int, wanted: int, fits: int, raised: int
) -> None:
    """The limit of open files is raised as far as allowed; what does not fit then is not offered to callers."""
    words = [str(number) for number in (soft, hard, wanted, 320)]
    command = [sys.executable, "-c", _ASK, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own command

    assert done.stdout.splitlines()[-1] == f"{fits} {raised}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EADDRINUSE, "error while attempting to bind"), "already in use; is another guard running?"),
        (OSError(errno.EADDRNOTAVAIL, "[Errno 99] error while"), "cannot assign requested address; write an address"),
        (PermissionError(errno.EACCES, "error while attempting"), "permission denied; write an address"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "name or service not known; write an address",
        ),
    ],
)
def test_a_door_that_does_not_open_is_told_in_words(error: OSError, told: str) -> None:
    """Which listener, where, why and what to do; without a number of the system's and a library's sentence."""
    said = unopened(Settings(), "data", error)

    assert said.startswith(f"listen.data: {Settings().listen.data}: ")
    assert told in said
    assert "rrno" not in said
    assert "attempting" not in said
