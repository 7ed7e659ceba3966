"""What decided, kept by hash beside the journal: the texts of policy files, keys without hashes, settings.

A year later a reviewer finds under the `policy_sha256` of a decision the very text that made it.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from guard.journal.disk import Disk, replace_file
from guard.wholefile import GIVEN_BYTES_MAX, read_whole


class Shelf:
    """A directory of `<sha256>.json` files; written once, and put anew where damaged or where the caller says so."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, sha256: str, content: bytes, *, is_anew: bool = False) -> None:
        """Keeps the content, on the disk before this returns. Raises OSError where that fails.

        What is there already stays, unless `is_anew`, or it is damaged: no JSON, or not the bytes that the hash names
        (policies are named by their set, which texts make that differ in a comment).
        """
        path, kept = self._path(sha256), self.get(sha256)
        is_named_by_bytes = hashlib.sha256(content).hexdigest() == sha256
        if not is_anew and kept is not None and (kept == content or not is_named_by_bytes):
            os.utime(path)  # it is wanted anew: what nobody names goes by its age (`leftover`)
            return
        self._directory.mkdir(mode=0o700, exist_ok=True)
        replace_file(Disk(), path, content)

    def get(self, sha256: str) -> bytes | None:
        """The content, or None where it is not here, or is damaged and no JSON any more."""
        try:
            content = read_whole(self._path(sha256), bytes_max=GIVEN_BYTES_MAX)
            msgspec.json.decode(content)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return content

    def _path(self, sha256: str) -> Path:
        return self._directory / f"{sha256}.json"
