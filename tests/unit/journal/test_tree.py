"""The Merkle tree: the published vectors of RFC 6962, and every proof of every small tree.

The leaves, roots and proofs are those of transparency-dev/merkle and certificate-transparency-go.
"""

from typing import Final

import pytest

from guard.journal.tree import (
    EMPTY_ROOT,
    Stretch,
    Tree,
    TreeHead,
    consistency,
    inclusion,
    is_consistent,
    leaf,
    root_of_inclusion,
    roots,
)

LEAVES: Final = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS: Final = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION: Final[dict[tuple[int, int], list[str]]] = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY: Final[dict[tuple[int, int], list[str]]] = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
HASHES: Final = [leaf(line) for line in LEAVES]
SIZES: Final = range(len(HASHES) + 1)


def tree_of(size: int, *, start: Tree | None = None) -> Tree:
    """The tree of the first leaves."""
    tree = start or Tree()
    for part in HASHES[tree.size : size]:
        tree = tree.grown(part)
    return tree


def head_of(size: int) -> TreeHead:
    """Size and published root."""
    return TreeHead(size, ROOTS[size])


# ---------------------------------------------------------------- roots


@pytest.mark.parametrize("size", SIZES)
def test_the_root_of_every_size_is_the_published_one(size: int) -> None:
    """From the empty tree to eight leaves."""
    assert tree_of(size).root() == ROOTS[size]
    assert ROOTS[0] == EMPTY_ROOT


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_goes_on_from_its_compact_range(size: int) -> None:
    """Written down and read again, it grows to the same root; it has one hash for each set bit."""
    begun = tree_of(size)
    again = Tree.read(size, begun.written())

    assert len(again.hashes) == size.bit_count()
    assert tree_of(len(HASHES), start=again).root() == ROOTS[-1]


@pytest.mark.parametrize(("size", "written"), [(1, []), (0, ["00" * 32]), (1, ["00" * 31]), (1, ["zz"]), (-1, [])])
def test_what_is_no_compact_range_is_refused(size: int, written: list[str]) -> None:
    """Too few, too many, too short, not hex."""
    with pytest.raises(ValueError, match=r"compact range|hexadecimal"):
        Tree.read(size, written)


# ---------------------------------------------------------------- inclusion


@pytest.mark.parametrize(("place", "proof"), INCLUSION.items())
def test_inclusion_proofs_are_the_published_ones(place: tuple[int, int], proof: list[str]) -> None:
    """RFC 6962 §2.1.3, from the leaf up."""
    index, size = place

    assert [part.hex() for part in roots(inclusion(index, size), HASHES)] == proof


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_leaf_of_every_tree_is_proved_and_no_other_is(size: int) -> None:
    """A proof leads to the root for its own leaf, index and size only; one hash changed or missing spoils it."""
    for index in range(size):
        proof = roots(inclusion(index, size), HASHES)
        assert root_of_inclusion(HASHES[index], proof, index=index, size=size) == ROOTS[size]
        wrong = [
            root_of_inclusion(HASHES[index], proof, index=index ^ 1, size=size),
            root_of_inclusion(HASHES[index - 1], proof, index=index, size=size) if size > 1 else None,
            root_of_inclusion(HASHES[index], [*proof, ROOTS[1]], index=index, size=size),
            root_of_inclusion(HASHES[index], [b"", *proof], index=index, size=size),
            root_of_inclusion(HASHES[index], proof[:-1], index=index, size=size) if proof else None,
            root_of_inclusion(b"short", proof, index=index, size=size),
            root_of_inclusion(HASHES[index], proof, index=size, size=size),
            root_of_inclusion(HASHES[index], proof, index=-1, size=size),
        ]
        for at, part in enumerate(proof):
            flipped = [*proof[:at], bytes([part[0] ^ 8]) + part[1:], *proof[at + 1 :]]
            wrong.append(root_of_inclusion(HASHES[index], flipped, index=index, size=size))
        assert ROOTS[size] not in wrong


def test_a_leaf_that_is_not_there_has_no_proof() -> None:
    """Neither beyond the end nor before the beginning."""
    for index, size in ((0, 0), (1, 1), (-1, 3)):
        with pytest.raises(ValueError, match="there is no leaf"):
            inclusion(index, size)


# ---------------------------------------------------------------- consistency


@pytest.mark.parametrize(("sizes", "proof"), CONSISTENCY.items())
def test_consistency_proofs_are_the_published_ones(sizes: tuple[int, int], proof: list[str]) -> None:
    """RFC 6962 §2.1.3."""
    old, new = sizes

    assert [part.hex() for part in roots(consistency(old, new), HASHES)] == proof


@pytest.mark.parametrize("new", SIZES)
def test_every_tree_is_shown_to_begin_with_every_smaller_one(new: int) -> None:
    """And with no other: a changed root, a changed hash, one too many or too few is refused."""
    for old in range(new + 1):
        proof = roots(consistency(old, new), HASHES)
        assert is_consistent(head_of(old), head_of(new), proof)
        assert not is_consistent(head_of(old), head_of(new), [*proof, ROOTS[1]])
        if old in {0, new}:
            continue
        assert not is_consistent(TreeHead(old, ROOTS[new]), head_of(new), proof)
        assert not is_consistent(head_of(old), TreeHead(new, ROOTS[old]), proof)
        assert not is_consistent(TreeHead(old - 1, ROOTS[old]), head_of(new), proof)
        assert not is_consistent(head_of(old), head_of(new), proof[:-1])
        assert not is_consistent(head_of(old), head_of(new), [b"", *proof[1:]])
        for at, part in enumerate(proof):
            flipped = [*proof[:at], bytes([part[0] ^ 16]) + part[1:], *proof[at + 1 :]]
            assert not is_consistent(head_of(old), head_of(new), flipped)


def test_time_does_not_run_backwards() -> None:
    """A smaller tree does not begin with a larger one, and equal sizes need equal roots."""
    assert not is_consistent(head_of(2), head_of(1), [])
    assert not is_consistent(head_of(2), TreeHead(2, ROOTS[1]), [])
    with pytest.raises(ValueError, match="does not go on"):
        consistency(2, 1)


# ---------------------------------------------------------------- proofs after a prune


@pytest.mark.parametrize("pruned", SIZES[:-1])
def test_proofs_of_what_is_kept_need_only_the_compact_range_of_what_is_gone(pruned: int) -> None:
    """Every kept leaf, and every step from a kept size on, with the first leaves deleted."""
    start, kept = tree_of(pruned), HASHES[pruned:]
    for index in range(pruned, len(HASHES)):
        wanted = inclusion(index, len(HASHES))
        assert roots(wanted, kept, start=start) == roots(wanted, HASHES)
    for old in range(max(pruned, 1), len(HASHES)):
        wanted = consistency(old, len(HASHES))
        assert roots(wanted, kept, start=start) == roots(wanted, HASHES)


def test_what_is_gone_cannot_be_proved() -> None:
    """A stretch within the deleted leaves, or beyond the last, is told."""
    with pytest.raises(ValueError, match="leaf 0 is not there"):
        roots([Stretch(0, 1)], HASHES[4:], start=tree_of(4))
    with pytest.raises(ValueError, match="leaf 8 is not there"):
        roots([Stretch(6, 9)], HASHES)


def test_a_proof_reads_no_further_than_it_needs() -> None:
    """A record of years is read up to the checkpoint only."""
    leaves = iter(HASHES)

    assert roots([Stretch(0, 2)], leaves) == [ROOTS[2]]
    assert len(list(leaves)) >= 5


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 13])
@pytest.mark.parametrize("more", [0, 1, 3, 8, 21])
def test_many_leaves_at_once_are_as_many_one_by_one(size: int, more: int) -> None:
    """The same compact range, from wherever it goes on."""
    leaves = [leaf(b"%d" % n) for n in range(size + more)]
    tree = Tree()
    for part in leaves[:size]:
        tree = tree.grown(part)
    begun = tree
    for part in leaves[size:]:
        tree = tree.grown(part)

    assert begun.grown_by(leaves[size:]) == tree
    assert Tree().grown_by(iter(leaves)) == tree
