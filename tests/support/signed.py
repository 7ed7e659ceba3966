"""Records that are signed, in memory and on disk, for tests of what a signature proves."""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from guard.journal import Journal, read_lines
from guard.journal.checkpoints import checkpoints_path, read_notes
from guard.journal.examine import KeptNote, examine
from guard.journal.note import Checkpoint, Signer, Verifier, sign
from guard.journal.recordend import RecordEnd, appended
from guard.journal.tree import Tree, TreeHead, leaf
from tests.support.clock import START_US, ManualClock
from tests.support.journal import decision, outcome, refusal

OWN: Final = Signer("guard.test/1", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
NEXT: Final = Signer("guard.test/1", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))
FOREIGN: Final = Signer("guard.test/1", Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32))


class Log:
    """A record in memory: lines, newline included, and the tree after each."""

    def __init__(self, *, segment_bytes_max: int = 4000) -> None:
        self.place = RecordEnd()
        self.lines: list[bytes] = []
        self._trees = [Tree()]
        self._bytes_max = segment_bytes_max

    def add(self, type_: str, members: Struct | dict[str, object]) -> int:
        """One more record; its seq."""
        new, self.place = appended(self.place, type_, members, ts_us=START_US, segment_bytes_max=self._bytes_max)
        lines = new.split(b"\n")
        self.lines += [line + b"\n" for line in lines]
        for line in lines:
            self._trees.append(self._trees[-1].grown(leaf(line)))
        return self.place.seq

    def fill(self, records: int) -> "Log":
        """So many records more, and the segments' own."""
        for n in range(records):
            self.add("x", {"n": n})
        return self

    def tree(self, size: int) -> Tree:
        """The tree of the first lines."""
        return self._trees[size]

    def signed(self, size: int | None = None, *, by: tuple[Signer, ...] = (OWN,), source: str = "here") -> KeptNote:
        """A checkpoint over the first lines, or all."""
        tree = self.tree(len(self.lines) if size is None else size)
        return KeptNote(sign(Checkpoint(by[0].name, TreeHead(tree.size, tree.root())).text, by), source)

    def begins(self) -> list[int]:
        """The seq of each segment's first record."""
        return [seq for seq, line in enumerate(self.lines, 1) if b'"type":"segment"' in line]


def signed_state(state: Path) -> Path:
    """A closed journal with its checkpoint: segment, decision, outcome, refusal."""
    journal = Journal.open(state, clock=ManualClock())
    journal.append("decision", decision("01A", symbol="HK.00700"))
    journal.append("outcome", outcome("01A", order_id="900"))
    journal.append("decision", refusal("01B", symbol="US.AAPL"))
    journal.shut()
    return state


def verdict(state: Path) -> str:
    """What a full reading of the directory finds, with its own key and checkpoints."""
    notes = [KeptNote(note, "checkpoints") for note in read_notes(checkpoints_path(state))]
    verifier = Verifier.read((state / "journal.vkey").read_text())
    return examine(read_lines(state), notes, [verifier]).result
