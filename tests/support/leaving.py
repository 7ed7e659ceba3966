"""What leaves for the daemon, looked at in the step in which it does; and a disk that says what is on it."""

import fcntl
import json
import os
from typing import Final

import pytest

from guard.journal import Disk
from guard.upstream.connection import DaemonConnection
from guard.walk.desk import Desk
from tests.support.stage import CANCEL_ALL, MODIFY
from tests.support.wire import asked_in

_CANCELS: Final = frozenset({2, 3, 5})  # what modify-order may be asked for, and takes only risk away
_SHUT: Final = frozenset({"cancel_only", "locked"})


class Medium(Disk):
    """The real disk. `synced`: the decisions that are on it; `is_broken`: it syncs no more."""

    def __init__(self) -> None:
        self._unsynced = b""
        self.synced: set[str] = set()
        self.is_broken = False

    def write(self, fd: int, data: memoryview) -> int:
        """Writes; what is not appended is beside the record."""
        written = super().write(fd, data)
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            self._unsynced += bytes(data[:written])
        return written

    def fdatasync(self, fd: int) -> None:
        """Syncs."""
        if self.is_broken:
            raise OSError("no medium")
        now, self._unsynced = self._unsynced, b""
        super().fdatasync(fd)
        self.synced |= {json.loads(line)["id"] for line in now.splitlines() if b'"type":"decision"' in line}


class Leaving:
    """Sees each trade as its first byte leaves.

    `names`: the decisions that have left; `wrong`: what should not have. `desk`: of the guard that runs; None: it was
    killed, and nothing of it leaves any more.
    """

    def __init__(self, medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk: Desk | None = None
        self.names: list[str] = []
        self.wrong: list[str] = []
        self._medium = medium
        leave, seen = DaemonConnection.leave, self

        def watched(connection: DaemonConnection) -> bool:
            raw = connection._unsent
            if seen.desk is None:
                connection.drop()
                return False
            has_left = leave(connection)
            if has_left and raw is not None:
                seen._look(raw, seen.desk)
            return has_left

        monkeypatch.setattr(DaemonConnection, "leave", watched)

    def _look(self, raw: bytes, desk: Desk) -> None:
        asked = asked_in(raw)
        name = asked.idempotency_key
        if name is None:
            return
        step, holder = desk.state.steps.get(name), desk.state.holders.get(name)
        against = {
            "for the second time": name in self.names,
            "and is not held": step is None or step.status != "sent",
        }
        self.names.append(name)
        if asked.path != CANCEL_ALL and not (asked.path == MODIFY and asked.json["c2s"]["modify_order_op"] in _CANCELS):
            known = {one.name for one in desk.config.keyring.unending.values()}
            against |= {
                "before it was on the disk": name not in self._medium.synced,
                "under HALT": (desk.directory / "HALT").exists(),
                "while trading was shut": any(rule.state in _SHUT for rule in desk.state.trading.values()),
                "with a revoked key": holder is not None and holder.key not in known,
            }
        self.wrong += [f"{name} left {why}" for why, is_so in against.items() if is_so]
