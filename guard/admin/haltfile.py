"""The file HALT on record: when it was found and whose it is, and when it was gone.

It stops trading by itself, since every order looks for it; this only tells of it, for whoever asks later who did.
"""

import os
from datetime import UTC, datetime
from typing import Final

import structlog

from guard.journal import StateRecord
from guard.walk.desk import Desk

BY: Final = "HALT"
GONE: Final = "the file HALT is gone from the state directory; a state that an operator has set goes on"
_log = structlog.get_logger("guard.admin")


class HaltFile:
    """Over one desk. A start that finds the file tells of it anew, and nothing of one that went between two runs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._was_there = False

    def changed(self) -> StateRecord | None:
        """What is to be recorded, since the file has come or gone; None while that is as before."""
        found = self._found()
        if (found is not None) == self._was_there:
            return None
        self._was_there = found is not None
        state, reason = ("active", GONE) if found is None else ("cancel_only", _told(found))
        _log.warning("halt_file", is_there=self._was_there, why=reason)
        return StateRecord(t=self._desk.clock.t_us(), state=state, reason=reason, by=BY, halt_file=True)

    def _found(self) -> os.stat_result | None:
        try:
            return os.lstat(self._desk.directory / "HALT")
        except OSError:
            return None


def _told(found: os.stat_result) -> str:
    try:
        made = f"{datetime.fromtimestamp(int(found.st_mtime), UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # some file systems keep times that no calendar has
        made = f"{int(found.st_mtime)} s after 1970"
    return f"the file HALT lies in the state directory, of uid {found.st_uid} and from {made}"
