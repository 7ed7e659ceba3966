"""Signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), signed with Ed25519. Pure.

A note is text that ends with a newline, an empty line, and signature lines `— <key name> <base64(key id ‖ signature)>`.
A checkpoint is a note whose text is origin, tree size and base64 root. A verifier key is
`<name>+<hex key id>+<base64(0x01 ‖ public key)>`: short enough for a README. What is odd is no note; signatures of
unknown keys are passed over, one of a known key that does not fit spoils the whole note.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.journal.tree import HASH_BYTES, TreeHead

_ED25519: Final = b"\x01"  # signature type of the specification
_KEY_BYTES: Final = 32
_PRIVATE: Final = "PRIVATE+KEY+"
_ID_BYTES: Final = 4
_NAME: Final = re.compile(r"[^\s+\x00-\x1f]++")
_SIGNATURE: Final = re.compile(r"— ([^\s+\x00-\x1f]++) ([A-Za-z0-9+/]++={0,2})\n")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}+")
_NOTES: Final = re.compile(r"((?:[^\n]++\n)++\n(?:— [^\n]*+\n)++)\n?")


class NoteError(ValueError):
    """Not a note, not a checkpoint, or not signed as it should be; the message says which."""


class Verifier(NamedTuple):
    """A public key and the name under which it signs."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys apart; not a fingerprint to trust."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text."""
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def fits(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True

    @classmethod
    def read(cls, vkey: str) -> Self:
        """A verifier key's text; `NoteError` where it is none of Ed25519, or its id is not its own."""
        name, key_id, key = _parts(vkey.strip())
        found = cls(name, key)
        if found.id.hex() != key_id:
            raise NoteError(f"the verifier key of {name} has the id {found.id.hex()}, not {key_id[:16]}")
        return found


class Signer(NamedTuple):
    """A private key and the name under which it signs."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.private.public_key().public_bytes_raw())

    @property
    def skey(self) -> str:
        """The private key as text, as golang.org/x/mod/sumdb/note writes it."""
        key = b64encode(_ED25519 + self.private.private_bytes_raw()).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{key}"

    @classmethod
    def read(cls, skey: str) -> Self:
        """A private key's text; `NoteError` where it is none. The message never shows it."""
        if not skey.startswith(_PRIVATE):
            raise NoteError("not a private key of a note")
        name, key_id, key = _parts(skey.removeprefix(_PRIVATE).strip())
        found = cls(name, Ed25519PrivateKey.from_private_bytes(key))
        if found.verifier.id.hex() != key_id:
            raise NoteError(f"the private key of {name} does not fit its id")
        return found


class Note(NamedTuple):
    """A note as it was read: its text, and signatures as (key name, key id ‖ signature). Nothing is verified yet."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, note: str) -> Self:
        """`NoteError` where the form is wrong."""
        text, found, lines = note.rpartition("\n\n")
        signatures = _SIGNATURE.findall(lines)
        is_whole = "".join(f"— {name} {base64}\n" for name, base64 in signatures) == lines
        if not found or not text or not signatures or not is_whole or _CONTROL.search(note):
            raise NoteError("not a signed note")
        return cls(text + "\n", tuple((name, _base64(signature)) for name, signature in signatures))

    def signers(self, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
        """Those of the keys that signed; `NoteError` where a signature under one of them does not fit."""
        known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
        signed = []
        for name, signature in self.signatures:
            verifier = known.get((name, signature[:_ID_BYTES]))
            if verifier is None:
                continue
            if not verifier.fits(self.text, signature[_ID_BYTES:]):
                raise NoteError(f"the signature of {name} does not fit the text")
            signed.append(verifier)
        return tuple(signed)


def sign(text: str, signers: Sequence[Signer]) -> str:
    """The text as a note, signed by each in turn."""
    if not text.endswith("\n") or not signers:
        raise AssertionError("a note's text ends with a newline, and somebody signs it")
    lines = []
    for signer in signers:
        signature = signer.verifier.id + signer.private.sign(text.encode())
        lines.append(f"— {signer.name} {b64encode(signature).decode()}\n")
    return f"{text}\n{''.join(lines)}"


class Checkpoint(NamedTuple):
    """What a log says of itself: which log, how many lines, and their root."""

    origin: str
    head: TreeHead

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.head.size}\n{b64encode(self.head.root).decode()}\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """A note's text; `NoteError` where it is no checkpoint. Extension lines are nobody's business here."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - three lines and an end
            raise NoteError("not a checkpoint: origin, size and root are expected")
        root = _base64(lines[2])
        if len(root) != HASH_BYTES:
            raise NoteError("not a checkpoint: its root is no SHA-256")
        return cls(lines[0], TreeHead(int(lines[1]), root))


def split(notes: str) -> tuple[list[str], str]:
    """The notes of a file that holds one after the other, and what follows the last whole one."""
    found, at = [], 0
    while match := _NOTES.match(notes, at):
        found.append(match[1])
        at = match.end()
    return found, notes[at:]


def _parts(text: str) -> tuple[str, str, bytes]:
    """Name, id and 32 bytes of a key's text."""
    name, _, rest = text.partition("+")
    key_id, _, key = rest.partition("+")
    raw = _base64(key)
    if not _NAME.fullmatch(name) or len(raw) != 1 + _KEY_BYTES or raw[:1] != _ED25519:
        raise NoteError("not an Ed25519 key: <name>+<id>+<key> is expected")
    return name, key_id, raw[1:]


def _base64(text: str) -> bytes:
    """Standard base64, padded, in its one canonical form; `NoteError` for anything else."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError as error:
        raise NoteError("not base64") from error
    if b64encode(raw).decode() != text:
        raise NoteError("not base64 in its canonical form")
    return raw
