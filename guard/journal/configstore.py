"""Whatever decides, stored by hash beside the journal: texts of policy files, keys without hashes, settings.

A year later a reviewer finds the very policy text that made a decision under its `policy_sha256`.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from guard.journal.disk import Disk, replace_file
from guard.wholefile import GIVEN_BYTES_MAX, read_whole


class ConfigStore:
    """A directory of `<sha256>.json` files. A file is written once, and again only if it is damaged or `is_anew`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, sha256: str, content: bytes, *, is_anew: bool = False) -> None:
        """Keeps the content; it is on the disk when this returns. Raises OSError.

        A file that is there stays unless `is_anew`, or it is damaged: no JSON, or not the bytes that were hashed. (The
        hash of policies is that of the compiled set, so texts with other comments have the same.)
        """
        path, kept = self._path(sha256), self.get(sha256)
        is_named_by_bytes = hashlib.sha256(content).hexdigest() == sha256
        if not is_anew and kept is not None and (kept == content or not is_named_by_bytes):
            try:
                os.utime(path)  # still in use: `leftover` deletes by age what no record names
            except OSError:  # somebody else's file, as a copy that root put back may be
                content = kept
            else:
                return
        self._directory.mkdir(mode=0o700, exist_ok=True)
        replace_file(Disk(), path, content)

    def get(self, sha256: str) -> bytes | None:
        """The content; None if it is not here, or is damaged and no longer JSON."""
        try:
            content = read_whole(self._path(sha256), bytes_max=GIVEN_BYTES_MAX)
            msgspec.json.decode(content)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return content

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.json"
