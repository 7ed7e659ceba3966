"""A file that is read whole while the guard runs: settings, policies, secrets, certificates, the keys of token issuers.

Whoever edits the files of a running guard can leave anything under their names. A pipe would be waited for, which
keeps a reload from its answer and the guard from its stop; a device or a file of gigabytes would fill memory. Both are
an `OSError` like any other file that cannot be read, and the last good state stays in force.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from guard.filemark import REPLACED, is_replaced

POLICY_BYTES_MAX: Final = 4 * 2**20  # one file; a list of 100,000 symbols is half as large
TEXT_BYTES_MAX: Final = 2**20  # settings, a secret, a chain of certificates
GIVEN_BYTES_MAX: Final = 64 * 2**20  # checkpoints of twenty years


def opened(path: Path, *, at_once: int = -1) -> BinaryIO:
    """A regular file, read ahead by so many bytes (0: by none). Raises OSError, also where it is none."""
    # Not blocking: a pipe in the file's place must be refused, not waited for.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb", buffering=at_once)
    os.close(fd)  # not left to a file object: of a directory none is made, and the descriptor stayed open
    raise OSError(errno.EINVAL, "is no regular file", str(path))


def read_whole(path: Path, *, bytes_max: int) -> bytes:
    """The bytes of a regular file. Raises OSError, also where it is none or is larger."""
    with opened(path) as file:
        raw = file.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", str(path))
    return raw


def read_newest(path: Path, *, bytes_max: int) -> bytes:
    """`read_whole` of what a reload puts in force. Raises OSError too where the file `is_replaced`."""
    raw = read_whole(path, bytes_max=bytes_max)
    if is_replaced(path):
        raise OSError(errno.ESTALE, REPLACED, str(path))
    return raw


def read_text(path: Path, *, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """The text of a regular file. Raises OSError, and ValueError where it is no UTF-8."""
    return read_whole(path, bytes_max=bytes_max).decode("utf-8")


def read_given(path: Path, *, bytes_max: int = GIVEN_BYTES_MAX) -> bytes:
    """The bytes of what a person names to a command. A pipe is waited for: `<(ssh host cat file)` is one.

    Raises OSError, also where it is larger or has no end.
    """
    with path.open("rb") as file:
        raw = file.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", str(path))
    return raw


def why(error: Exception) -> str:
    """What is wrong, in words: without the number and the path that an OSError's own text has; who was denied it."""
    if isinstance(error, PermissionError):
        return f"{error.strerror} to uid {os.geteuid()}"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
