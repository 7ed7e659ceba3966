"""Whether a record is what was written and signed: chain, tree and every checkpoint in one reading of the lines. Pure.

The chain finds an edit and its place; the tree under a signed checkpoint finds what a chain computed anew, or cut off,
would hide. A checkpoint counts if a trusted key signed it: one that was given, or one that a `vkey` record ties to it.
A prefix may be missing if a later `prune` record says so: the compact range of the first segment that is kept stands
for it, and the next checkpoint vouches for that.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final, Literal

from msgspec import Struct, field

from guard.journal.chain import BrokenChain, ChainHead, digest, walk
from guard.journal.entries import Prune, Segment, Vkey
from guard.journal.note import Checkpoint, Note, NoteError, Verifier
from guard.journal.record import Line, decode
from guard.journal.succession import related
from guard.journal.tree import EMPTY_ROOT, Tree, TreeHead, leaf

Result = Literal["ok", "edited", "shorter", "cannot_verify", "torn"]
_TYPES: Final = frozenset({"segment", "vkey", "prune"})


class KeptNote(Struct, frozen=True):
    """A note that somebody kept: its text, and where it was found."""

    note: str
    source: str


class Finding(Struct, frozen=True, kw_only=True):
    """What a full reading found.

    `records` counts to the last good one, `head` is its SHA-256, `root` the tree's. `first_seq`: the first that is
    still there. `signed`: the largest trusted checkpoint that fits. `first_bad_seq`: where the chain is broken, the
    record itself; where the chain is whole and a checkpoint does not fit, how many records cannot all be as they were
    signed. Then `fits_until` tells up to where a checkpoint does fit: the first bad record is one of those between, and
    no evidence says more. Each further checkpoint that somebody kept makes the stretch shorter.
    """

    result: Result
    message: str
    records: int = 0
    head: str = ""
    root: str = ""
    first_seq: int = 1
    first_bad_seq: int | None = None
    first_ts: str | None = None
    last_ts: str | None = None
    signed: int | None = None
    fits_until: int | None = None


class _Reading(Struct):
    """What one reading gathers."""

    sizes: frozenset[int]
    begin: int = 0  # leaves that are not there any more
    line: Line | None = None
    first_ts: str | None = None
    tree: Tree = Tree()
    fault: BrokenChain | None = None
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    prunes: list[Prune] = field(default_factory=list)
    keys: list[Vkey] = field(default_factory=list)


def examine(lines: Iterable[bytes], kept_notes: Sequence[KeptNote], verifiers: Sequence[Verifier]) -> Finding:
    """Reads all lines, newline included, and holds them against the notes; never raises for what it finds there."""
    notes, spoiled = _parsed(kept_notes)
    read = _Reading(frozenset(checkpoint.head.size for _, _, checkpoint in notes))
    try:
        _gather(read, lines)
    except BrokenChain as broken:
        read.fault = broken
    trusted = _trusted(verifiers, read.keys)
    heads: list[tuple[KeptNote, TreeHead]] = []
    for kept_note, note, checkpoint in notes:
        try:
            signers = note.signers(trusted)
        except NoteError as error:
            spoiled.append(f"{kept_note.source}: {error}")
            continue
        if any(signer.name == checkpoint.origin for signer in signers):
            heads.append((kept_note, checkpoint.head))
    return _judged(read, heads, spoiled=spoiled, kept_notes=kept_notes)


# ---------------------------------------------------------------- reading


def _parsed(kept_notes: Sequence[KeptNote]) -> tuple[list[tuple[KeptNote, Note, Checkpoint]], list[str]]:
    found, spoiled = [], []
    for kept_note in kept_notes:
        try:
            note = Note.read(kept_note.note)
            found.append((kept_note, note, Checkpoint.read(note.text)))
        except NoteError as error:
            spoiled.append(f"{kept_note.source}: {error}")
    return found, spoiled


def _gather(read: _Reading, lines: Iterable[bytes]) -> None:
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    head = _begin(read, first)
    for line in walk(chain([first], rest), head=head):
        if line.type in _TYPES:
            _take(read, line)
        read.first_ts = read.first_ts or line.ts
        read.line, read.tree = line, read.tree.grown(leaf(line.raw))
        if read.tree.size in read.sizes:
            read.roots[read.tree.size] = read.tree.root()


def _begin(read: _Reading, first: bytes) -> ChainHead | None:
    """Where the chain begins: at the first line ever, or at a segment whose record stands for what is gone."""
    try:
        line = decode(first.removesuffix(b"\n"))
        record = line.typed()
        if not isinstance(record, Segment) or line.seq == 1 or record.tree_size != line.seq - 1:
            return None
        read.tree = Tree.read(record.tree_size, record.compact)
    except ValueError:
        return None
    read.begin = read.tree.size
    read.roots[read.begin] = read.tree.root()
    return ChainHead(read.begin, line.prev)


def _take(read: _Reading, line: Line) -> None:
    try:
        record = line.typed()
        if isinstance(record, Segment) and (record.tree_size, record.compact) != (read.tree.size, read.tree.written()):
            raise BrokenChain(line.seq, "it tells another tree than that of the lines before it")
    except ValueError as error:
        raise BrokenChain(line.seq, f"its {line.type} record cannot be read: {error}") from error
    match record:
        case Segment():
            read.roots[read.tree.size] = read.tree.root()
        case Prune():
            read.prunes.append(record)
        case Vkey():
            read.keys.append(record)
        case _:
            pass


def _trusted(verifiers: Sequence[Verifier], records: Sequence[Vkey]) -> set[Verifier]:
    """The keys that were given, and all that records signed by both tie to them."""
    trusted, families = set(verifiers), [related(record) for record in records]
    while any(family & trusted and not family <= trusted for family in families):
        for family in families:
            if family & trusted:
                trusted |= family
    return trusted


# ---------------------------------------------------------------- judging


def _judged(
    read: _Reading, heads: list[tuple[KeptNote, TreeHead]], *, spoiled: list[str], kept_notes: Sequence[KeptNote]
) -> Finding:
    here = [(kept_note, head) for kept_note, head in heads if read.begin <= head.size <= read.tree.size]
    wrong = [(kept_note, head) for kept_note, head in here if read.roots.get(head.size) != head.root]
    right = [head.size for kept_note, head in here if read.roots.get(head.size) == head.root]
    beyond = [(kept_note, head) for kept_note, head in heads if head.size > read.tree.size]
    found = partial(_found, read, signed=max(right, default=None))
    fault, missing = read.fault, _missing(read)
    if fault is not None and not fault.is_torn:
        return found("edited", f"EDITED: {fault}; first bad seq {fault.seq}", bad=fault.seq)
    if missing is not None:
        return found("edited", f"EDITED: {missing}; first bad seq 1", bad=1)
    if wrong:
        kept_note, head = min(wrong, key=lambda one: one[1].size)
        fits = max((size for size in right if size < head.size), default=read.begin)
        return found("edited", _rewritten(kept_note, head, fits), bad=head.size, fits=fits)
    if beyond:
        kept_note, head = max(beyond, key=lambda one: one[1].size)
        message = f"SHORTER: {read.tree.size} records, but {kept_note.source} has a checkpoint over {head.size}"
        return found("shorter", f"{message}: the last {head.size - read.tree.size} were cut off")
    doubt = _doubt(heads, spoiled, kept_notes) or (
        None if right else "no checkpoint is over records that are still there"
    )
    if doubt is not None:
        return found("cannot_verify", f"cannot verify: {doubt}")
    if fault is not None:
        message = f"torn tail: after {read.tree.size} good records the last line is not whole"
        return found("torn", f"{message}; the next start sets it aside", bad=fault.seq)
    return found("ok", f"ok: {read.tree.size} records, {max(right)} of them under a signed checkpoint")


def _found(
    read: _Reading, result: Result, message: str, *, signed: int | None, bad: int | None = None, fits: int | None = None
) -> Finding:
    line = read.line
    return Finding(
        result=result,
        message=message,
        records=read.tree.size,
        head=digest(line.raw) if line is not None else "",
        root=read.tree.root().hex(),
        first_seq=read.begin + 1,
        first_bad_seq=bad,
        first_ts=read.first_ts,
        last_ts=line.ts if line is not None else None,
        signed=signed,
        fits_until=fits,
    )


def _missing(read: _Reading) -> str | None:
    """What is wrong with the records that are not there; None where a `prune` record tells of them."""
    if read.begin == 0:
        return None
    if not any(prune.first_seq > read.begin for prune in read.prunes):
        return f"records 1 to {read.begin} are gone, and no prune record tells so"
    for prune in read.prunes:
        known = read.roots.get(prune.first_seq - 1)
        if known is not None and known.hex() != prune.root:
            return f"the prune record up to {prune.first_seq - 1} names another root than the segment after it"
    return None


def _rewritten(kept_note: KeptNote, head: TreeHead, fits: int) -> str:
    since = "" if fits == 0 else f", and the first {fits} are"
    where = f"record {head.size}" if fits + 1 == head.size else f"one of {fits + 1} to {head.size}"
    more = "" if fits + 1 == head.size else "; checkpoints from the operational log, as --held, tell it closer"
    return (
        f"EDITED: the first {head.size} records are not those that a checkpoint in {kept_note.source} signed{since}; "
        f"the chain is whole, so it was computed anew; first bad seq: {where}{more}"
    )


def _doubt(heads: list[tuple[KeptNote, TreeHead]], spoiled: list[str], kept_notes: Sequence[KeptNote]) -> str | None:
    """Why nothing can be said; None where something can."""
    if spoiled:
        return "; ".join(spoiled)
    known = {kept_note.source for kept_note, _ in heads}
    unknown = [source for source in dict.fromkeys(kept_note.source for kept_note in kept_notes) if source not in known]
    if unknown:
        return f"no checkpoint in {', '.join(unknown)} is signed by a key that is trusted here"
    return None if heads else "there is no checkpoint"
