"""The journal under any records and any damage."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.journal import JournalBounds, replay
from guard.journal.chain import ChainHead, digest
from guard.journal.record import decode, encode, plain
from tests.support.journal import open_journal, verify

NAMES = st.text(max_size=12).filter(lambda name: name not in {"seq", "ts", "type", "prev"})
TEXT = st.text(max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.tuples(st.sampled_from(["decision", "outcome", "later"]), st.dictionaries(NAMES, VALUES, max_size=4))
)


def chain(texts: list[str]) -> list[bytes]:
    """Lines in order, newline included."""
    head, lines = ChainHead(), []
    for text in texts:
        line = encode({"text": text}, seq=head.seq + 1, ts_us=0, type_="x", prev=head.hash)
        lines.append(line + b"\n")
        head = ChainHead(head.seq + 1, digest(line))
    return lines


def _split(file: bytes) -> list[bytes]:
    """A file's bytes as its lines, as a file object would give them."""
    parts = file.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


@settings(max_examples=40, deadline=None)
@given(RECORDS, st.integers(300, 3000), st.integers(0, 2))
def test_any_sequence_of_appends_replays_to_the_same_members(
    records: list[tuple[str, dict[str, object]]], segment_bytes_max: int, restarts: int
) -> None:
    """Whatever is appended, however often the guard starts again and the files rotate, comes back in order."""

    async def write(state: Path, part: list[tuple[str, dict[str, object]]]) -> list[int]:
        journal = open_journal(state, bounds=JournalBounds(segment_bytes_max=segment_bytes_max))
        seqs = [journal.append(type_, members) for type_, members in part]
        await asyncio.gather(*map(journal.durable, seqs))
        await journal.close()
        return seqs

    with tempfile.TemporaryDirectory() as folder:
        state, size = Path(folder) / "state", len(records) // (restarts + 1) + 1
        seqs = [
            seq
            for at in range(0, max(len(records), 1), size)
            for seq in asyncio.run(write(state, records[at : at + size]))
        ]
        if not records:
            return
        lines = {line.seq: line for line in replay(state)}

    assert sorted(lines) == list(range(1, len(lines) + 1))
    own = [lines[seq] for seq in seqs]
    assert [(line.type, without_head(line.members())) for line in own] == records
    assert {line.type for seq, line in lines.items() if seq not in seqs} <= {"segment"}


def without_head(members: dict[str, object]) -> dict[str, object]:
    """The record's own members."""
    return {name: value for name, value in members.items() if name not in {"seq", "ts", "type", "prev"}}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipping_any_byte_is_found_with_the_first_bad_seq(data: st.DataObject) -> None:
    """Any byte, newlines too, in any record but the last: the chain names that record.

    In the last one a flip shows only where it breaks the record, its seq or its prev; no later hash vouches for it.
    """
    lines = chain(data.draw(st.lists(TEXT, min_size=2, max_size=6)))
    victim = data.draw(st.integers(0, len(lines) - 2))
    size = len(lines[victim])
    at = data.draw(st.just(size - 1) | st.integers(0, size - 1))
    flip = data.draw(st.integers(1, 255))
    bad = bytearray(lines[victim])
    bad[at] ^= flip

    _, fault = verify(_split(b"".join([*lines[:victim], bytes(bad), *lines[victim + 1 :]])))

    assert fault is not None
    assert (fault.seq, fault.is_torn) == (victim + 1, False)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flip_in_the_last_line_is_an_edit_a_torn_tail_or_unseen(data: st.DataObject) -> None:
    """What a chain without a checkpoint can and cannot say of its last record."""
    lines = chain(data.draw(st.lists(TEXT, min_size=2, max_size=4)))
    at = data.draw(st.integers(0, len(lines[-1]) - 1))
    bad = bytearray(lines[-1])
    bad[at] ^= data.draw(st.integers(1, 255))

    _, fault = verify(_split(b"".join([*lines[:-1], bytes(bad)])))

    if fault is None:
        kept = decode(bytes(bad[:-1]))
        assert (kept.seq, kept.prev) == (len(lines), digest(lines[-2][:-1]))
    else:
        assert fault.seq in {len(lines) - 1, len(lines)}


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=6), st.data())
def test_every_cut_is_a_shorter_chain_or_a_torn_tail(texts: list[str], data: st.DataObject) -> None:
    """A crash leaves a prefix of the bytes: never does that look like an edit."""
    file = b"".join(chain(texts))
    cut = data.draw(st.integers(0, len(file)))

    head, fault = verify(_split(file[:cut]))

    assert fault is None or fault.is_torn
    assert head.seq == file[:cut].count(b"\n")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | TEXT.map(str.encode))
@example(chain(["a"])[0].removesuffix(b"\n"))
def test_reading_any_bytes_gives_a_line_or_a_value_error(raw: bytes) -> None:
    """Nothing else ever comes out of a file."""
    try:
        line = decode(raw)
    except ValueError:
        return
    assert line.raw == raw


@given(st.text())
def test_plain_text_can_always_be_recorded(text: str) -> None:
    """Any foreign text is bounded, printable in one line, and JSON."""
    clean = plain(text)

    assert len(clean) <= 200
    assert "\x1b" not in clean
    assert "\n" not in clean
    encode({"text": clean}, seq=1, ts_us=0, type_="x", prev="0" * 64)
