"""Signs checkpoints and keeps the last one. Belongs to the writer thread; its attributes may be read by any thread."""

from guard.clock import Clock
from guard.journal.checkpoints import CheckpointFile
from guard.journal.note import Checkpoint, Signer, sign
from guard.journal.tree import Tree, TreeHead


class CheckpointSigner:
    """Signs the checkpoints of one log.

    Attributes:
        signers: the log's own key first; in the run that changes it, the new one follows.
        note: the last checkpoint; None before the first of this run.
        signed_us: the wall clock when it was made.
    """

    def __init__(self, signer: Signer, file: CheckpointFile, *, clock: Clock) -> None:
        self.signers: tuple[Signer, ...] = (signer,)
        self.note: str | None = None
        self.signed_us = 0
        self._clock = clock
        self._file = file

    def sign(self, tree: Tree) -> None:
        """A checkpoint over the tree, on the medium when this returns."""
        now_us = self._clock.wall_us()
        note = self.note_of(tree)
        self._file.put(note, wall_s=now_us // 1_000_000)
        self.note, self.signed_us = note, now_us

    def note_of(self, tree: Tree) -> str:
        """A signed checkpoint over the tree; any thread."""
        return sign(Checkpoint(self.signers[0].name, TreeHead(tree.size, tree.root())).text, self.signers)

    def close(self) -> None:
        """Gives the descriptor back."""
        self._file.close()
