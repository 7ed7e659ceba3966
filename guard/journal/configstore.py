"""Whatever decides, stored by hash beside the journal: texts of policy files, keys without hashes, settings.

A year later a reviewer finds the very policy text that made a decision under its `policy_sha256`.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from guard.journal.disk import Disk, replace_file, sync_directory
from guard.wholefile import GIVEN_BYTES_MAX, read_whole


class ConfigStore:
    """A directory of `<sha256>.json` files. A file is written once, and again only if it is damaged or `is_anew`."""

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        self._directory, self._disk = directory, disk or Disk()
        self._doubted = set[str]()  # hashes of files that are perhaps not on the medium, though they can be read

    def put(self, sha256: str, content: bytes, *, is_anew: bool = False) -> None:
        """Keeps the content; it is on the disk when this returns. Raises OSError.

        A file that is there stays unless `is_anew`, or it is damaged: no JSON, or not the bytes that were hashed. (The
        hash of policies is that of the compiled set, so texts with other comments have the same.)
        """
        path, kept = self._path(sha256), self.get(sha256)
        is_named_by_bytes = hashlib.sha256(content).hexdigest() == sha256
        if not is_anew and kept is not None and (kept == content or not is_named_by_bytes):
            if sha256 not in self._doubted and self._is_in_use(path):
                return
            content = kept
        self._doubted.add(sha256)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        replace_file(self._disk, path, content)
        self._doubted.discard(sha256)

    def _is_in_use(self, path: Path) -> bool:
        """Says so by its time, since `leftover` deletes by age what no record names, and makes sure of its name.

        False where that fails: for somebody else's file, as a copy that root put back may be. A run that was killed
        may have given the name, and no more.
        """
        try:
            os.utime(path)
            sync_directory(self._disk, self._directory)
        except OSError:
            return False
        return True

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
