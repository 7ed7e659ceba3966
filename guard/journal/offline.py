"""Verifies a guard's record, or a proof from it, with verifier keys alone. Needs Python and `cryptography`, no guard.

    python guard_verify.py proof FILE --vkey KEYS                 one record is in the log; prints it
    python guard_verify.py record DIR --vkey KEYS [--held NOTES]  a whole state directory, or a copy of it
KEYS: verifier keys. NOTES: kept checkpoints. Exit: 0 ok, 1 edited, 2 shorter, 3 cannot verify, 4 torn, 64 wrong usage.
"""

import argparse
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Keys = dict[tuple[str, bytes], bytes]  # (name, id): public key
Tree = list[tuple[int, bytes]]  # full subtrees as (leaves, hash), largest first
EDITED, SHORTER, CANNOT, TORN, WRONG_USAGE = 1, 2, 3, 4, 64


def stop(code: int, message: str) -> NoReturn:
    """Says it and ends."""
    print(message)  # noqa: T201 - a command speaks
    raise SystemExit(code)


def node(left: bytes, right: bytes) -> bytes:
    """RFC 6962: the hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def grow(tree: Tree, line: bytes) -> None:
    """One more leaf: a line without its newline."""
    size, part = 1, sha256(b"\x00" + line).digest()
    while tree and tree[-1][0] == size:
        part, size = node(tree.pop()[1], part), size * 2
    tree.append((size, part))


def root(tree: Tree) -> bytes:
    """The Merkle tree hash."""
    found = tree[-1][1] if tree else sha256(b"").digest()
    for _, left in reversed(tree[:-1]):
        found = node(left, found)
    return found


def read_keys(text: str) -> Keys:
    """Each line: <name>+<hex id>+<base64 of 0x01 and the 32 bytes of an Ed25519 key>."""
    keys: Keys = {}
    for vkey in text.split():
        name, identity, key = vkey.split("+", 2)
        if (raw := b64decode(key))[:1] != b"\x01" or sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != identity:
            stop(CANNOT, f"not an Ed25519 verifier key: {vkey}")
        keys[name, bytes.fromhex(identity)] = raw[1:]
    return keys


def checkpoints(text: str, keys: Keys) -> Iterator[tuple[int, bytes]]:
    """Size and root of each checkpoint in the text that one of the keys signed for its own log."""
    for note in re.findall(r"((?:[^\n]+\n)+\n(?:— [^\n]+\n)+)\n?", text):
        body, _, lines = note.rpartition("\n\n")
        origin, size, head = body.split("\n")[:3]
        for name, signature in re.findall(r"— (\S+) (\S+)\n", lines):
            if name == origin and (public := keys.get((name, b64decode(signature)[:4]))):
                Ed25519PublicKey.from_public_bytes(public).verify(b64decode(signature)[4:], (body + "\n").encode())
                yield int(size), b64decode(head)


def sides(index: int, size: int) -> list[bool]:
    """From the leaf up: whether the sibling stands to the left (RFC 6962 §2.1.1)."""
    if size == 1:
        return []
    half = 1 << (size - 1).bit_length() - 1
    return [*sides(index, half), False] if index < half else [*sides(index - half, size - half), True]


def proof(text: str, keys: Keys) -> NoReturn:
    """A c2sp.org/tlog-proof whose extra data is the line itself."""
    head, _, note = text.partition("\n\n")
    first, extra, place, *hashes = head.split("\n")
    line, index, signed = b64decode(extra[6:]), int(place[6:]), list(checkpoints(note, keys))
    if first != "c2sp.org/tlog-proof@v1" or not signed:
        stop(CANNOT, "cannot verify: no proof with a checkpoint of these keys")
    (size, signed_root), found = signed[0], sha256(b"\x00" + line).digest()
    for is_left, part in zip(sides(index, size), map(b64decode, hashes), strict=False):
        found = node(part, found) if is_left else node(found, part)
    if not 0 <= index < size or len(sides(index, size)) != len(hashes) or found != signed_root:
        stop(EDITED, "NOT PROVED: the path does not lead to the signed root")
    stop(0, f"{line.decode()}\nok: this is record {index + 1} of the {size} that were signed")


def lines_of(folder: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Every line of every segment in order, with its members: {} where it is no JSON, None where it is torn."""
    for path in sorted((folder / "journal").glob("[0-9]*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield line[:-1], dict(json.loads(line)) if line.endswith(b"\n") else None
                except (TypeError, ValueError):
                    yield line, {}


def record(folder: Path, held: str, keys: Keys) -> NoReturn:
    """The chain, the tree, and every checkpoint of the folder and of `held`."""
    path, _ = folder / "checkpoints", folder.stat()  # a directory that is not there was not cut short
    beside, kept = (list(checkpoints(text, keys)) for text in (path.read_text("utf-8") if path.exists() else "", held))
    tree, wanted, roots = Tree(), {size for size, _ in beside + kept}, {0: root([])}
    seq, prev, first, is_torn = 0, "0" * 64, 1, False
    for line, found in lines_of(folder):
        if seq == 0 and found and found.get("type") == "segment" and found["seq"] != 1:
            seq, prev = found["tree_size"], found["prev"]  # what was before is pruned; its compact range stands for it
            sizes = [1 << bit for bit in range(seq.bit_length() - 1, -1, -1) if seq >> bit & 1]
            tree = list(zip(sizes, map(bytes.fromhex, found["compact"]), strict=True))
            first, roots = seq + 1, {seq: root(tree)}
        if is_torn or (found is not None and (found.get("seq"), found.get("prev")) != (seq + 1, prev)):
            stop(EDITED, f"EDITED: record {seq + 1} is not what follows the record before it")
        if not (is_torn := found is None):
            seq, prev = seq + 1, sha256(line).hexdigest()
            grow(tree, line)
        roots |= {seq: root(tree)} if seq in wanted else {}
    if wrong := sorted(size for size, head in beside + kept if roots.get(size, head) != head):
        stop(EDITED, f"EDITED: the first {wrong[0]} records are not those that were signed")
    if 1 < first > max((n["first_seq"] for _, n in lines_of(folder) if n and n.get("type") == "prune"), default=1):
        stop(EDITED, f"EDITED: records 1 to {first - 1} are gone, and no prune record tells so")
    if (most := max(wanted, default=0)) > seq:
        stop(SHORTER, f"SHORTER: {seq} records, but a checkpoint is over {most}")
    if most < first or not beside or (held and not kept):
        stop(CANNOT, "cannot verify: no checkpoint of these keys over a record that is there, beside it, or in NOTES")
    stop(TORN if is_torn else 0, f"{'torn tail' if is_torn else 'ok'}: records {first} to {seq}, {most} signed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["proof", "record"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--vkey", type=Path, required=True)
    parser.add_argument("--held", type=Path)
    parser.error = lambda message: stop(WRONG_USAGE, f"{message}\n\n{__doc__}")  # type: ignore[method-assign] # as argparse has it
    said = parser.parse_args()
    try:
        keys, held = read_keys(said.vkey.read_text("utf-8")), said.held.read_text("utf-8") + "\n" if said.held else ""
        proof(said.path.read_text("utf-8"), keys) if said.what == "proof" else record(said.path, held, keys)
    except (InvalidSignature, OSError, ValueError, TypeError, LookupError) as fault:  # unreadable proves nothing
        stop(CANNOT, f"cannot verify: {fault!r}; record takes a state directory, proof what was proved")
