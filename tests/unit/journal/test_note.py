"""Signed notes and checkpoints: the published example, and everything that is none."""

from base64 import b64decode, b64encode
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guard.journal.note import Checkpoint, Note, NoteError, Signer, Verifier, sign, split
from guard.journal.tree import EMPTY_ROOT, TreeHead

# The example of golang.org/x/mod/sumdb/note, to which c2sp.org/signed-note goes back.
VKEY: Final = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY: Final = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT: Final = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE: Final = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE: Final = f"{TEXT}\n— PeterNeumann {SIGNATURE}\n"
PETER: Final = Signer.read(SKEY)
KEY: Final = PETER.verifier.public
OTHER: Final = Signer("other", Ed25519PrivateKey.from_private_bytes(bytes(32)))
# The example of c2sp.org/tlog-checkpoint.
CHECKPOINT: Final = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


# ---------------------------------------------------------------- keys


def test_the_published_key_is_read_and_written_back() -> None:
    """Name, id and key; the private half leads to the same text."""
    assert Verifier.read(VKEY).vkey == VKEY
    assert PETER.verifier.vkey == VKEY
    assert Verifier.read(f"{VKEY}\n").id.hex() == "c74f20a3"


def test_a_private_key_is_written_back_as_it_was_read() -> None:
    """As the Go implementation keeps it."""
    assert PETER.skey == SKEY
    for skey in (VKEY, SKEY.replace("c74f20a3", "c74f20a4"), SKEY[:-1]):
        with pytest.raises(NoteError) as told:
            Signer.read(skey)
        assert skey[-20:] not in str(told.value)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("PeterNeumann", "PeterNewmann"),
        VKEY.replace("PeterNeumann", "Peter Neumann"),
        VKEY.replace("PeterNeumann", ""),
        VKEY.replace("+ARpc", "+AhpC"),
        VKEY[:-1],
        VKEY[:-4],
        VKEY + "AAAA",
        VKEY.replace("/", "_"),
    ],
)
def test_a_mangled_key_is_refused(vkey: str) -> None:
    """Another id, name, type, length or alphabet."""
    with pytest.raises(NoteError):
        Verifier.read(vkey)


# ---------------------------------------------------------------- notes


def test_the_published_note_is_signed_and_verified_byte_for_byte() -> None:
    """Ed25519 is deterministic: the signature is the example's own."""
    assert sign(TEXT, [PETER]) == NOTE

    note = Note.read(NOTE)
    assert note.text == TEXT
    assert note.signers([Verifier.read(VKEY)]) == (PETER.verifier,)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    """That is how keys rotate and witnesses join in; a key of the same name but another id is unknown too."""
    note = Note.read(sign(TEXT, [OTHER, PETER]))
    namesake = Signer("PeterNeumann", OTHER.private)

    assert note.signers([PETER.verifier]) == (PETER.verifier,)
    assert note.signers([OTHER.verifier, PETER.verifier]) == (OTHER.verifier, PETER.verifier)
    assert note.signers([namesake.verifier]) == ()


@pytest.mark.parametrize(
    "verifier", [Verifier("Peter Neumann", KEY), Verifier("", KEY), Verifier("P", KEY[1:]), Verifier("P", KEY + b"\0")]
)
def test_a_key_with_an_id_of_its_own_still_needs_a_name_and_32_bytes(verifier: Verifier) -> None:
    """The id is what anybody can work out: it makes nothing a key that has not the form of one."""
    with pytest.raises(NoteError, match="not an Ed25519 key"):
        Verifier.read(verifier.vkey)


@pytest.mark.parametrize("at", range(0, len(TEXT) - 1, 7))
def test_a_changed_text_spoils_the_note(at: int) -> None:
    """A known key whose signature does not fit is worse than no signature."""
    changed = NOTE[:at] + ("x" if NOTE[at] != "x" else "y") + NOTE[at + 1 :]

    with pytest.raises(NoteError, match="does not fit"):
        Note.read(changed).signers([PETER.verifier])


def test_a_signature_cut_short_does_not_fit() -> None:
    """Its id is right, its length is not."""
    short = b64encode(b64decode(SIGNATURE)[:40]).decode()

    with pytest.raises(NoteError, match="does not fit"):
        Note.read(NOTE.replace(SIGNATURE, short)).signers([PETER.verifier])


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        f"{TEXT}\n",
        f"\n\n— PeterNeumann {SIGNATURE}\n",
        f"{TEXT}— PeterNeumann {SIGNATURE}\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "x\n",
        NOTE.replace("—", "-"),
        NOTE.replace("— ", "—  "),
        NOTE.replace(SIGNATURE, SIGNATURE[:-1]),
        NOTE.replace(SIGNATURE, SIGNATURE[:-2] + "N="),
        NOTE.replace("— PeterNeumann", "— Peter+Neumann"),
        NOTE.replace("— PeterNeumann", "— "),
        NOTE.replace("think", "th\tink"),
        NOTE.replace("think", "th\x00ink"),
        NOTE.replace("\n", "\r\n"),
    ],
)
def test_what_has_not_the_form_of_a_note_is_refused(note: str) -> None:
    """Nothing is repaired."""
    with pytest.raises(NoteError):
        Note.read(note)


def test_a_text_without_end_or_signer_is_a_bug() -> None:
    """Callers know better."""
    with pytest.raises(AssertionError):
        sign("text", [PETER])
    with pytest.raises(AssertionError):
        sign("text\n", [])


# ---------------------------------------------------------------- checkpoints


def test_the_published_checkpoint_is_read_and_written_back() -> None:
    """Origin, decimal size, base64 root."""
    found = Checkpoint.read(CHECKPOINT)

    assert (found.origin, found.head.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text == CHECKPOINT


def test_the_empty_tree_has_a_checkpoint() -> None:
    """Size 0 and the hash of nothing."""
    text = Checkpoint("log", TreeHead(0, EMPTY_ROOT)).text

    assert Checkpoint.read(text).head == TreeHead(0, EMPTY_ROOT)


def test_extension_lines_are_passed_over() -> None:
    """Another log's habit, not ours."""
    assert Checkpoint.read(CHECKPOINT + "more\n") == Checkpoint.read(CHECKPOINT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        CHECKPOINT[:-1],
        CHECKPOINT + "\n",
        "\n" + CHECKPOINT,
        CHECKPOINT.replace("20852163", "020852163"),
        CHECKPOINT.replace("20852163", "-1"),
        CHECKPOINT.replace("20852163", "+1"),
        CHECKPOINT.replace("20852163", "1e3"),
        CHECKPOINT.replace("20852163", "٣"),
        CHECKPOINT.replace("20852163", "9" * 30),
        CHECKPOINT.replace("q2I=", "q2I"),
        CHECKPOINT.replace("CsUY", ""),
        CHECKPOINT + "more",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """A size has one spelling, a root 32 bytes."""
    with pytest.raises(NoteError):
        Checkpoint.read(text)


# ---------------------------------------------------------------- files of notes


@pytest.mark.parametrize("between", ["", "\n"])
def test_notes_one_after_the_other_are_taken_apart(between: str) -> None:
    """With an empty line between them or none, and whatever follows the last whole one is told."""
    notes = [sign(Checkpoint("log", TreeHead(n, EMPTY_ROOT)).text, [PETER, OTHER]) for n in range(3)]

    assert split(between.join(notes)) == (notes, "")
    torn = notes[0][: notes[0].index("— other") - 9]
    assert split("".join(notes) + torn) == (notes, torn)
    assert split("") == ([], "")
