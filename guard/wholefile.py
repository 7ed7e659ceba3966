"""A file that is read whole while the guard runs: policies, their tests, the keys of token issuers.

Whoever edits the files of a running guard can leave anything under their names. A pipe would be waited for, which
keeps a reload from its answer and the guard from its stop; a device or a file of gigabytes would fill memory. Both are
an `OSError` like any other file that cannot be read, and the last good state stays in force.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

POLICY_BYTES_MAX: Final = 4 * 2**20  # one file; a list of 100,000 symbols is half as large


def read_whole(path: Path, *, bytes_max: int) -> bytes:
    """The bytes of a regular file. Raises OSError, also where it is none or is larger."""
    # Not blocking: a pipe in the file's place must be refused, not waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        raw = file.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", str(path))
    return raw


def why(error: Exception) -> str:
    """What is wrong, in words: without the number and the path that an OSError's own text has."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
