"""A folder that ends with its use: for a guard that is only tried, and for what a question to the record spills."""

import tempfile

from guard.errors import StateFault


def scratch(purpose: str) -> tempfile.TemporaryDirectory[str]:
    """For `with`, which gives its path. Raises `StateFault` where no temporary folder can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix=f"guard-{purpose}-")
    except OSError as error:
        message = "no folder for temporary files can be written: set TMPDIR to one that can, or start with --tmpfs /tmp"
        raise StateFault(message) from error
