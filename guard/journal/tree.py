"""The Merkle tree over the lines (RFC 6962 §2.1, RFC 9162 §2.1). Pure.

A leaf is SHA-256(0x00 ‖ line), a node SHA-256(0x01 ‖ left ‖ right); the line has no newline. Leaf *i* is record *i+1*.
A growing tree is kept as its *compact range*: the roots of its full subtrees, largest first, one for each set bit of
its size. That is enough to append from anywhere, and to compute the root.

Proofs are made in one pass over the leaves, in constant memory: each hash of a proof is the root of a stretch of
leaves, the stretches do not overlap, and those before the first leaf that is still there are nodes of the compact
range.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import chain
from typing import Final, NamedTuple, Self

from msgspec import Struct

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()


class Stretch(NamedTuple):
    """Leaves `begin` (inclusive) to `end`, counted from 0."""

    begin: int
    end: int


class TreeHead(NamedTuple):
    """How large a tree is, and its root."""

    size: int
    root: bytes


def leaf(line: bytes) -> bytes:
    """The hash of a line without its newline."""
    return sha256(b"\x00" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Tree(Struct, frozen=True, gc=False):
    """A tree of `size` leaves as its compact range."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def grown(self, leaf_hash: bytes) -> "Tree":
        """The tree with one more leaf."""
        hashes, size = self.hashes, self.size
        while size & 1:
            leaf_hash = sha256(b"\x01" + hashes[-1] + leaf_hash).digest()  # `node` inlined
            hashes, size = hashes[:-1], size >> 1
        return Tree(self.size + 1, (*hashes, leaf_hash))

    def grown_by(self, leaf_hashes: Iterable[bytes]) -> "Tree":
        """The tree with all these leaves added, without making a tree for each."""
        hashes, size = list(self.hashes), self.size
        for leaf_hash in leaf_hashes:
            part, below = leaf_hash, size
            while below & 1:
                part, below = sha256(b"\x01" + hashes.pop() + part).digest(), below >> 1
            hashes.append(part)
            size += 1
        return Tree(size, tuple(hashes))

    def root(self) -> bytes:
        """The Merkle tree hash."""
        return EMPTY_ROOT if not self.hashes else _folded(self.hashes)

    def written(self) -> tuple[str, ...]:
        """The compact range as a `segment` record has it: lower-case hex, largest subtree first."""
        return tuple(part.hex() for part in self.hashes)

    @classmethod
    def read(cls, size: int, written: Sequence[str]) -> Self:
        """The tree of a `segment` record; `ValueError` where these cannot be the subtrees of so many leaves."""
        hashes = tuple(bytes.fromhex(part) for part in written)
        if size < 0 or len(hashes) != size.bit_count() or any(len(part) != HASH_BYTES for part in hashes):
            raise ValueError(f"{len(hashes)} hashes are no compact range of {size} leaves")
        return cls(size, hashes)


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The root over full subtrees that stand side by side, the largest first."""
    *rest, root = hashes
    for left in reversed(rest):
        root = node(left, root)
    return root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`: where RFC 6962 divides a tree."""
    return 1 << (size - 1).bit_length() - 1


# ---------------------------------------------------------------- which hashes a proof consists of


def inclusion(index: int, size: int) -> list[Stretch]:
    """The stretches whose roots lead from leaf `index` to the root of a tree of `size` (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    begin, path = 0, list[Stretch]()
    while size > 1:
        half = _split(size)
        if index < half:
            path.append(Stretch(begin + half, begin + size))
            size = half
        else:
            path.append(Stretch(begin, begin + half))
            begin, index, size = begin + half, index - half, size - half
    return path[::-1]


def consistency(old: int, new: int) -> list[Stretch]:
    """The stretches whose roots show that a tree of `old` leaves is the beginning of one of `new` (RFC 6962 §2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not go on from one of {old}")
    begin, end, path, is_whole = 0, new, list[Stretch](), True
    while 0 < old - begin < end - begin:
        half = begin + _split(end - begin)
        if old <= half:
            path.append(Stretch(half, end))
            end = half
        else:
            path.append(Stretch(begin, half))
            begin, is_whole = half, False
    if not is_whole:
        path.append(Stretch(begin, end))
    return path[::-1]


def roots(stretches: Sequence[Stretch], leaves: Iterable[bytes], *, start: Tree | None = None) -> list[bytes]:
    """The root of each stretch, from the leaf hashes in order; `start` is the tree before the first of them.

    `stretches` do not overlap. `ValueError` where the leaves end too early, or a stretch needs one from before the
    first.
    """
    start = start or Tree()
    sums = {stretch: _Sum(stretch) for stretch in sorted(stretches)}
    waiting = list(sums.values())[::-1]
    at = 0
    for size, part in chain(zip(_sizes(start.size), start.hashes, strict=True), ((1, part) for part in leaves)):
        while waiting and waiting[-1].is_done:
            waiting.pop()
        if not waiting:
            break
        waiting[-1].take(part, begin=at, size=size)
        at += size
    return [sums[stretch].root() for stretch in stretches]


class _Sum:
    """The root of one stretch, gathered from full subtrees that come in order."""

    def __init__(self, stretch: Stretch) -> None:
        self._at, self._end = stretch
        self._parts: list[tuple[int, bytes]] = []

    @property
    def is_done(self) -> bool:
        return self._at == self._end

    def take(self, part: bytes, *, begin: int, size: int) -> None:
        if begin != self._at or begin + size > self._end:
            return
        self._at += size
        while self._parts and self._parts[-1][0] == size:
            part, size = node(self._parts.pop()[1], part), size * 2
        self._parts.append((size, part))

    def root(self) -> bytes:
        if not self.is_done:
            raise ValueError(f"leaf {self._at} is not there")
        return _folded([part for _, part in self._parts])


def _sizes(size: int) -> list[int]:
    """The sizes of the full subtrees of a tree, largest first."""
    return [1 << place for place in range(size.bit_length() - 1, -1, -1) if size >> place & 1]


# ---------------------------------------------------------------- checking a proof


def root_of_inclusion(leaf_hash: bytes, proof: Sequence[bytes], *, index: int, size: int) -> bytes | None:
    """The root that this proof leads to (RFC 9162 §2.1.3.2); None where it cannot be one of that leaf and size."""
    if not 0 <= index < size or len(leaf_hash) != HASH_BYTES or any(len(part) != HASH_BYTES for part in proof):
        return None
    stretches = inclusion(index, size)
    if len(stretches) != len(proof):
        return None
    found = leaf_hash
    for stretch, part in zip(stretches, proof, strict=True):
        found = node(part, found) if stretch.end <= index else node(found, part)
    return found


def is_consistent(old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` begins with that of `old`, as the proof shows (RFC 9162 §2.1.4.2)."""
    if not 0 <= old.size <= new.size:
        return False
    if old.size in {0, new.size}:
        return not proof and (old.size != new.size or old.root == new.root)
    stretches, parts = consistency(old.size, new.size), list(proof)
    if old.size & (old.size - 1) == 0:  # a full tree: the proof leaves out its root, which is known
        stretches, parts = [Stretch(0, old.size), *stretches], [old.root, *parts]
    if len(stretches) != len(parts) or any(len(part) != HASH_BYTES for part in parts):
        return False
    old_root = new_root = parts[0]
    for stretch, part in zip(stretches[1:], parts[1:], strict=True):
        if stretch.end <= old.size:
            old_root = node(part, old_root)
            new_root = node(part, new_root)
        else:
            new_root = node(new_root, part)
    return (old_root, new_root) == (old.root, new.root)
