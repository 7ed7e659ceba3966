"""The tree and its proofs at any size, and readers of evidence under anything at all."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.journal.entries import Vkey
from guard.journal.examine import KeptNote, examine
from guard.journal.note import Checkpoint, Note, NoteError, Verifier, sign, split
from guard.journal.succession import related
from guard.journal.tree import Tree, TreeHead, consistency, inclusion, is_consistent, leaf, root_of_inclusion, roots
from tests.support.signed import OWN, Log

LINES = st.lists(st.binary(max_size=6), min_size=1, max_size=70)
TEXT = st.text(max_size=120)
LOG = Log().fill(12)
NOTE = LOG.signed().note


def grown(hashes: list[bytes]) -> Tree:
    """The tree of these leaves."""
    tree = Tree()
    for part in hashes:
        tree = tree.grown(part)
    return tree


def defined(hashes: list[bytes]) -> bytes:
    """The root as RFC 6962 §2.1 defines it, by recursion."""
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    from hashlib import sha256  # noqa: PLC0415 - the definition stands by itself

    return sha256(b"\x01" + defined(hashes[:half]) + defined(hashes[half:])).digest()


@settings(max_examples=150, deadline=None)
@given(LINES, st.data())
def test_every_proof_holds_and_only_for_what_it_proves(lines: list[bytes], data: st.DataObject) -> None:
    """Root by definition, inclusion of any leaf, consistency with any earlier size, also behind a pruned prefix."""
    hashes = [leaf(line) for line in lines]
    size = len(hashes)
    head = TreeHead(size, grown(hashes).root())
    index, old, pruned = (data.draw(st.integers(0, size - 1)) for _ in range(3))
    pruned = min(pruned, index, max(old, 0))
    start = grown(hashes[:pruned])

    assert head.root == defined(hashes)
    path = roots(inclusion(index, size), hashes[pruned:], start=start)
    assert root_of_inclusion(hashes[index], path, index=index, size=size) == head.root
    steps = roots(consistency(old, size), hashes[pruned:], start=start) if old else []
    assert is_consistent(TreeHead(old, grown(hashes[:old]).root()), head, steps)
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda raw: raw not in hashes))
    assert root_of_inclusion(other, path, index=index, size=size) != head.root
    if 0 < old < size:
        assert not is_consistent(TreeHead(old, other), head, steps)


@settings(max_examples=200, deadline=None)
@given(TEXT | st.builds(lambda at, text: NOTE[:at] + text + NOTE[at:], st.integers(0, len(NOTE)), TEXT))
def test_reading_any_text_as_evidence_gives_it_or_a_note_error(text: str) -> None:
    """Notes, keys, checkpoints, files of notes: nothing else ever comes out."""
    for read in (Note.read, Verifier.read, Checkpoint.read):
        try:
            read(text)
        except NoteError:
            continue
    notes, rest = split(text)
    assert "".join(notes).replace("\n", "") + rest.replace("\n", "") == text.replace("\n", "")
    assert related(Vkey(text, text, text)) == frozenset()
    assert related(Vkey(OWN.verifier.vkey, None, text)) == frozenset()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60))
def test_any_text_can_be_signed_and_read_back(text: str) -> None:
    """Byte for byte, and no other text bears the signature."""
    note = Note.read(sign(text + "\n", [OWN]))

    assert note.text == text + "\n"
    assert note.signers([OWN.verifier]) == (OWN.verifier,)


KINDS = st.sampled_from(["segment", "prune", "vkey", "x"])
MEMBERS = st.dictionaries(
    st.sampled_from(["tree_size", "compact", "vkey", "note", "first_seq", "previous"]),
    st.integers() | TEXT | st.lists(TEXT, max_size=2) | st.none(),
)


def record_like(seq: int, kind: str, members: dict[str, object]) -> bytes:
    """Something that looks like a record of this type."""
    return msgspec.json.encode({"seq": seq, "ts": "", "type": kind, "prev": ""} | members)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_lines_and_notes_have_a_finding(data: st.DataObject) -> None:
    """`examine` never raises for what it reads, and never says ok of a record that was changed."""
    lines = list(LOG.lines)
    changes = data.draw(st.integers(1, 3))
    for _ in range(changes):
        at = data.draw(st.integers(0, len(lines) - 1))
        junk = data.draw(
            st.binary(max_size=60)
            | st.sampled_from(LOG.lines)
            | st.builds(record_like, st.just(at + 1), KINDS, MEMBERS)
        )
        lines[at] = junk if junk.endswith(b"\n") or data.draw(st.booleans()) else junk + b"\n"
    notes = [KeptNote(data.draw(TEXT), "junk")] if data.draw(st.booleans()) else []

    found = examine(lines, [LOG.signed(), *notes], [OWN.verifier])
    if lines != LOG.lines:
        assert found.result != "ok"
