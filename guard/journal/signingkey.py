"""The key that signs checkpoints: `<state>/journal.key` (private, 0600) and `<state>/journal.vkey` (public).

Made at the first start. The name of a key is the log's origin and stays when the key changes: host and the first key's
fingerprint, so that no two logs share one.
"""

import re
import socket
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guard.errors import StateFault
from guard.journal.disk import Disk, replace_file
from guard.journal.note import Signer
from guard.wholefile import read_whole, why

_OTHERS: Final = 0o077
_NO_HOST_CHARACTER: Final = re.compile(r"[^A-Za-z0-9.-]+")
_HOST_CHARS_MAX: Final = 63
_BYTES_MAX: Final = 10_000


def key_path(state: Path) -> Path:
    """The private key."""
    return state / "journal.key"


def vkey_path(state: Path) -> Path:
    """The verifier key; a copy kept elsewhere is worth more."""
    return state / "journal.vkey"


def load(state: Path, *, disk: Disk) -> Signer:
    """The key, made at the first call. `StateFault` where it cannot be read or others may read it."""
    path = key_path(state)
    try:
        if not path.exists():
            _keep(state, _fresh(), disk=disk)
        mode = disk.stat(path).st_mode & 0o777
        signer = Signer.read(read_whole(path, bytes_max=_BYTES_MAX).decode("ascii"))
        vkey = signer.verifier.vkey + "\n"
        if not vkey_path(state).exists() or read_whole(vkey_path(state), bytes_max=_BYTES_MAX) != vkey.encode():
            replace_file(disk, vkey_path(state), vkey.encode())
    except (OSError, ValueError) as error:
        hint = "restore it from a copy, or move it away: then a new log begins, whose key the record names"
        raise StateFault(f"{path}: the key that signs checkpoints cannot be used: {why(error)}; {hint}") from error
    if mode & _OTHERS:
        raise StateFault(f"{path}: mode {mode:04o} lets others read or write it: chmod 600 {path}")
    return signer


def successor(signer: Signer) -> Signer:
    """A new key of the same name, not in use yet: `take_over` puts it in use once it is on record."""
    return Signer(signer.name, Ed25519PrivateKey.generate())


def take_over(state: Path, signer: Signer, *, disk: Disk) -> None:
    """Stores this key, which signs from the next start on."""
    _keep(state, signer, disk=disk)
    replace_file(disk, vkey_path(state), f"{signer.verifier.vkey}\n".encode())


def _fresh() -> Signer:
    private = Ed25519PrivateKey.generate()
    host = _NO_HOST_CHARACTER.sub("-", socket.gethostname())[:_HOST_CHARS_MAX] or "host"
    return Signer(f"guard.{host}/{sha256(private.public_key().public_bytes_raw()).hexdigest()[:12]}", private)


def _keep(state: Path, signer: Signer, *, disk: Disk) -> None:
    replace_file(disk, key_path(state), f"{signer.skey}\n".encode())
