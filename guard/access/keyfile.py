"""keys.json on disk: loaded strictly, edited whole or not at all. The one module of this room that does I/O.

A file that others may read, or anyone but its owner may write, is not used; group-readable is allowed, since a mounted
secret needs it. An edit takes a lock on the directory (two editors never lose each other's work), starts from what is
on disk, and must itself load before anything is written: a temporary file of mode 0600 beside it, fsync, rename,
fsync of the directory. `EditFault.is_written` tells "nothing changed" from "changed, but a power loss may undo it".
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from guard.access import edits
from guard.access.edits import Document, EditRefused
from guard.access.parse import KEYFILE_BYTES_MAX, parse_keys
from guard.access.records import Keyring
from guard.errors import SettingsFault
from guard.filemark import REPLACED, is_replaced
from guard.wholefile import why

LOCK_WAIT_S: Final = 5.0
_LOCK_STEP_S: Final = 0.02

_T = TypeVar("_T")


class EditFault(SettingsFault):
    """An edit that failed. `is_written`: the new file is in place all the same, but not surely on the disk.

    Attributes:
        is_written: whether readers see the edit.
    """

    def __init__(self, errors: list[str], *, is_written: bool = False) -> None:
        super().__init__(errors)
        self.is_written = is_written


class KeyfileDisk:
    """The steps of an edit that can fail, and how long to wait for the lock; tests bring some that fail."""

    lock_wait_s: float = LOCK_WAIT_S

    def lock(self, fd: int) -> None:
        """Locks an open directory; `BlockingIOError` where somebody else has the lock."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync(self, fd: int) -> None:
        """Fsync of a file or directory."""
        os.fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Atomic replacement within a directory."""
        source.replace(target)


def load(path: Path) -> Keyring:
    """The keys of the file. Raises SettingsFault with every error at once: unsafe mode, structure, each field."""
    return _load(path)[0]


def add(path: Path, record: dict[str, Any], *, disk: KeyfileDisk | None = None) -> None:
    """Append one record, creating the file where there is none."""
    _edit(path, lambda document: (edits.added(document, record), None), disk=disk or KeyfileDisk(), may_create=True)


def revoke(
    path: Path, key_id: str, *, is_whole_name: bool = False, disk: KeyfileDisk | None = None
) -> tuple[list[str], list[str]]:
    """Take a record out, or all of its name; the ids that went, and those of the same name that stay."""

    def change(document: Document) -> tuple[Document, tuple[list[str], list[str]]]:
        after, gone, left = edits.revoked(document, key_id, is_whole_name=is_whole_name)
        return after, (gone, left)

    return _edit(path, change, disk=disk or KeyfileDisk())


def rotate(
    path: Path, key_id: str, *, new_hash: str, now: datetime, overlap: timedelta, expires_at: str | None = None
) -> tuple[str, str]:
    """Add the next record of the same name and end the old one after `overlap`; the new id and the old one's.

    `expires_at`: when the new one ends; None: when the old one would have.
    """

    def change(document: Document) -> tuple[Document, tuple[str, str]]:
        after, new_id, old_id = edits.rotated(
            document, key_id, new_hash=new_hash, now=now, overlap=overlap, expires_at=expires_at
        )
        return after, (new_id, old_id)

    return _edit(path, change, disk=KeyfileDisk())


def _load(path: Path) -> tuple[Keyring, bytes]:
    raw, errors = _read(path)
    found = parse_keys(raw, path=str(path)) if raw is not None else []
    if isinstance(found, Keyring) and raw is not None and not errors:
        return found, raw
    raise SettingsFault([*errors, *(found if isinstance(found, list) else [])])


def _read(path: Path) -> tuple[bytes | None, list[str]]:
    """The bytes and what is wrong with the file's mode; mode and bytes are of the same open file."""
    try:
        # Not blocking: a pipe in the file's place must be refused, not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None, [f"{path}: is no regular file"]
            if is_replaced(path):
                return None, [f"{path}: {REPLACED}"]
            return file.read(KEYFILE_BYTES_MAX + 1), mode_errors(found.st_mode, path)
    except FileNotFoundError:
        command = f"guard keys new --id ID --scopes SCOPES --file {path}"
        return None, [f"{path}: there is no such file; make a key with `{command}`"]
    except OSError as error:
        return None, [f"{path}: cannot be read: {why(error)}"]


def mode_errors(mode: int, path: Path, *, is_secret: bool = True) -> list[str]:
    """What is wrong with the mode of a file that lets callers in; everybody may read one that holds no secret."""
    unsafe = []
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        unsafe.append("written by others than its owner")
    if is_secret and mode & stat.S_IROTH:
        unsafe.append("read by everybody")
    return (
        [f"{path}: can be {' and '.join(unsafe)}: run chmod {'600' if is_secret else 'go-w'} {path}"] if unsafe else []
    )


def _edit(
    path: Path, change: Callable[[Document], tuple[Document, _T]], *, disk: KeyfileDisk, may_create: bool = False
) -> _T:
    """One edit under the lock: read, change, check, write. What does not load before or after is not written."""
    path = path.resolve()  # a link keeps pointing to the file that is replaced
    with _locked(path.parent, disk=disk):
        is_new = may_create and not path.exists()
        raw = None if is_new else _load(path)[1]
        try:
            after, answer = change(edits.blank() if raw is None else edits.decode(raw))
        except EditRefused as error:
            raise EditFault([f"{path}: {error}"]) from None
        text = edits.encode(after)
        parsed = parse_keys(text, path=str(path))
        if isinstance(parsed, list):
            raise EditFault([*parsed, f"{path}: was not changed"])
        _write(path, text, before=raw, disk=disk)
        return answer


@contextlib.contextmanager
def _locked(directory: Path, *, disk: KeyfileDisk) -> Iterator[None]:
    """An exclusive lock on the directory: it leaves no file behind and ends with the process."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise EditFault([f"{directory}: cannot be opened: {error.strerror}"]) from error
    try:
        _lock(fd, directory, disk=disk)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, directory: Path, *, disk: KeyfileDisk) -> None:
    wait_s = disk.lock_wait_s
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return disk.lock(fd)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                message = f"{directory}: somebody else has been editing for {wait_s} s; nothing was changed"
                raise EditFault([message]) from None
        except OSError as error:
            raise EditFault([f"{directory}: cannot be locked: {error.strerror}; nothing was changed"]) from error
        time.sleep(_LOCK_STEP_S)


def _write(path: Path, text: bytes, *, before: bytes | None, disk: KeyfileDisk) -> None:
    """Replace the file. A failure up to the rename leaves the old one; a failure after it is told as written.

    `before`: what the edit started from; an editor that takes no lock may have written since, and wins.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _write_beside(temporary, text, like=path, disk=disk)
        if _content(path) != before:
            temporary.unlink()
            raise EditFault([f"{path}: was written by somebody else meanwhile; not changed, try again"])
        disk.rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # A rename may report failure and have happened (a network file system): look rather than guess.
        if _content(path) == text:
            raise EditFault(
                [f"{path}: was changed, but {error.strerror}: it may be undone"], is_written=True
            ) from error
        raise EditFault([f"{path}: was not changed: {error.strerror}"]) from error
    try:
        _sync_directory(path.parent, disk)
    except OSError as error:
        message = (
            f"{path}: was changed, but its directory could not be synced ({error.strerror}): a power loss may undo it"
        )
        raise EditFault([message], is_written=True) from error


def _write_beside(temporary: Path, text: bytes, *, like: Path, disk: KeyfileDisk) -> None:
    temporary.unlink(missing_ok=True)  # left by a crash of a process with our number
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(text)
        _keep_readers(fd, like)
        disk.sync(fd)
    finally:
        os.close(fd)


def _keep_readers(fd: int, like: Path) -> None:
    """Mode 0600; a file that was there keeps its owner, its group, and that the group may read it.

    Otherwise an edit by root would lock out the guard that reads the file as somebody else.
    """
    try:
        old = like.stat()
    except FileNotFoundError:
        return
    new = os.fstat(fd)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IRUSR | stat.S_IWUSR | (old.st_mode & stat.S_IRGRP))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _sync_directory(directory: Path, disk: KeyfileDisk) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.sync(fd)
    finally:
        os.close(fd)
