"""The audit file: one JSON line a decision and one an outcome, each with the hash of the line before."""

import asyncio
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Audit:
    """An append-only file."""

    def __init__(self, path: Path, *, is_synced: bool) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._is_synced = is_synced
        self._last = "0" * 64
        self._sequence = 0

    def write(self, kind: str, **members: Any) -> None:
        """Append a line; it reaches the page cache."""
        self._sequence += 1
        now = datetime.now(UTC).isoformat()  # noqa: TID251 - not the product
        entry = {"seq": self._sequence, "ts": now, "type": kind, **members, "prev": self._last}
        line = json.dumps(entry, default=str).encode()
        self._last = hashlib.sha256(line).hexdigest()
        os.write(self._descriptor, line + b"\n")

    async def sync(self) -> None:
        """Return once everything that was written is on the disk."""
        if self._is_synced:
            await asyncio.get_running_loop().run_in_executor(None, os.fsync, self._descriptor)
