"""How one signing key follows another: a note that names both, signed by both. Pure."""

from typing import Final

from guard.journal.entries import Vkey
from guard.journal.note import Note, NoteError, Signer, Verifier, sign

_PURPOSE: Final = "verifier key"  # the second line of the note; a checkpoint has a number there
_NOBODY: Final = "first"


def introduction(signer: Signer, previous: Signer | None = None) -> Vkey:
    """The record of a key: signed by itself and, where it follows another, by that one too."""
    before = previous.verifier.vkey if previous is not None else None
    signers = [signer] if previous is None else [previous, signer]
    return Vkey(signer.verifier.vkey, before, sign(_text(signer.name, signer.verifier.vkey, before), signers))


def related(record: Vkey) -> frozenset[Verifier]:
    """The keys of a `vkey` record that vouch for each other; none if its note is not signed by all of them."""
    try:
        keys = frozenset(Verifier.read(text) for text in (record.vkey, record.previous) if text is not None)
        name = Verifier.read(record.vkey).name
        note = Note.read(record.note)
        is_signed = frozenset(note.signers(keys)) == keys
    except NoteError:
        return frozenset()
    is_whole = note.text == _text(name, record.vkey, record.previous) and all(key.name == name for key in keys)
    return keys if is_signed and is_whole else frozenset()


def _text(name: str, vkey: str, previous: str | None) -> str:
    return f"{name}\n{_PURPOSE}\n{vkey}\n{previous or _NOBODY}\n"
