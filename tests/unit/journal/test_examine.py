"""What a full reading of a signed record finds, and what it cannot."""

from collections.abc import Callable

import pytest

from guard.journal.chain import digest
from guard.journal.entries import Prune, Segment
from guard.journal.examine import Finding, KeptNote, examine
from guard.journal.note import NoteError, Signer, Verifier
from guard.journal.record import decode, encode
from guard.journal.succession import introduction, related
from tests.support.clock import START_US
from tests.support.signed import FOREIGN, NEXT, OWN, Log

KEYS = [OWN.verifier]
LOG = Log().fill(200)
LINES = LOG.lines
NOTES = [LOG.signed()]


def found(lines: list[bytes], notes: list[KeptNote] | None = None, keys: list[Verifier] | None = None) -> Finding:
    """The finding on lines as a file would give them."""
    joined = b"".join(lines)
    again = [line + b"\n" for line in joined.split(b"\n")[:-1]]
    rest = joined.rsplit(b"\n", 1)[-1]
    return examine(again + ([rest] if rest else []), NOTES if notes is None else notes, keys or KEYS)


def rewritten(log: Log, seq: int) -> list[bytes]:
    """The lines with one edited and every hash after it computed anew, as who holds the files can."""
    lines, prev = log.lines[: seq - 1], decode(log.lines[seq - 2][:-1])
    head = digest(prev.raw)
    for written in log.lines[seq - 1 :]:
        line = decode(written[:-1])
        members = {n: v for n, v in line.members().items() if n not in {"seq", "ts", "type", "prev"}}
        if line.seq == seq:
            members["n"] = "changed"
        raw = encode(members, seq=line.seq, ts_us=START_US, type_=line.type, prev=head)
        lines.append(raw + b"\n")
        head = digest(raw)
    return lines


# ---------------------------------------------------------------- nothing wrong


def test_a_signed_record_is_ok() -> None:
    """Head, root and the largest checkpoint that fits are told."""
    finding = found(LINES)

    assert (finding.result, finding.records, finding.signed) == ("ok", len(LINES), len(LINES))
    assert (finding.head, finding.root) == (digest(LINES[-1][:-1]), LOG.tree(len(LINES)).root().hex())
    assert len(LOG.begins()) > 4
    assert (finding.first_seq, finding.first_bad_seq) == (1, None)


def test_every_checkpoint_ever_signed_fits() -> None:
    """Hourly ones, and those that were kept elsewhere."""
    notes = [LOG.signed(size) for size in range(1, len(LINES) + 1, 7)]

    assert found(LINES, notes).result == "ok"
    assert found(LINES, [LOG.signed(0), LOG.signed(3)]).signed == 3


# ---------------------------------------------------------------- every edit


@pytest.mark.parametrize("part", range(8))
def test_a_flipped_byte_in_any_line_is_found_with_its_seq(part: int) -> None:
    """In every line its first byte, its last, the newline, and some between; the last line's show by the checkpoint."""
    for at in range(part, len(LINES), 8):
        size = len(LINES[at])
        for place in {0, 7 + at % 20, size // 2, size - 60 + at % 50, size - 2, size - 1}:
            bad = bytearray(LINES[at])
            bad[place] ^= 1 << (at + place) % 8 or 1
            finding = found([*LINES[:at], bytes(bad), *LINES[at + 1 :]])
            if at < len(LINES) - 1:
                assert (finding.result, finding.first_bad_seq) == ("edited", at + 1), (at, place)
            else:  # no later record says which of the last two was changed, or that the last one had an end
                assert finding.result in {"edited", "shorter"}, place
                assert finding.first_bad_seq in {None, at, at + 1}, place


def test_every_byte_of_a_record_is_guarded() -> None:
    """Each byte of a few segments in turn, another bit each time: never unseen, and named but for the last line."""
    log = Log(segment_bytes_max=1500).fill(16)
    lines, notes = log.lines, [log.signed()]
    for at, line in enumerate(lines):
        for place in range(len(line)):
            bad = bytearray(line)
            bad[place] ^= 1 << (at + place) % 8
            told, _, rest = b"".join((bytes(bad), *lines[at + 1 : at + 2])).rpartition(b"\n")
            again = [part + b"\n" for part in told.split(b"\n")] + ([rest] if rest else [])
            finding = examine([*lines[:at], *again, *lines[at + 2 :]], notes, KEYS)
            if at == len(lines) - 1:
                assert finding.result in {"edited", "shorter"}, place
            else:
                assert (finding.result, finding.first_bad_seq) == ("edited", at + 1), (at, place)


def test_a_dropped_line_is_found() -> None:
    """Each in turn: the place where it was is named, and of the last one the checkpoint tells."""
    for at in range(len(LINES)):
        finding = found([*LINES[:at], *LINES[at + 1 :]])
        if at == len(LINES) - 1:
            assert finding.result == "shorter"
            assert "the last 1 were cut off" in finding.message
        else:
            assert (finding.result, finding.first_bad_seq) == ("edited", at + 1)


def test_swapped_and_repeated_lines_are_found() -> None:
    """Each line with its neighbour, each line twice."""
    for at in range(len(LINES)):
        repeated = found([*LINES[: at + 1], *LINES[at:]])
        assert (repeated.result, repeated.first_bad_seq) == ("edited", at + 2)
    for at in range(len(LINES) - 1):
        swapped = found([*LINES[:at], LINES[at + 1], LINES[at], *LINES[at + 2 :]])
        assert (swapped.result, swapped.first_bad_seq) == ("edited", at + 1)


def test_an_inserted_line_is_found() -> None:
    """A record of somebody's own, properly chained to the one before it."""
    line = encode({}, seq=11, ts_us=0, type_="x", prev=digest(LINES[9][:-1])) + b"\n"
    finding = found([*LINES[:10], line, *LINES[10:]])

    assert (finding.result, finding.first_bad_seq) == ("edited", 12)


@pytest.mark.parametrize("seq", [2, 100, len(LINES) - 1, len(LINES)])
def test_a_chain_computed_anew_is_found_by_the_checkpoint(seq: int) -> None:
    """The chain is whole and proves nothing; the signed root does not fit it."""
    lines = rewritten(LOG, seq)
    finding = found(lines)

    assert finding.result == "edited"
    assert found(lines, [LOG.signed(1), LOG.signed()]).result == "edited"


def test_a_rewritten_chain_is_narrowed_down_by_the_checkpoints_that_fit() -> None:
    """Between the last one that fits and the first that does not."""
    log = Log(segment_bytes_max=10**6).fill(100)
    finding = found(rewritten(log, 50), [log.signed(size) for size in (10, 40, 60, 90)])

    assert (finding.result, finding.fits_until, finding.first_bad_seq) == ("edited", 40, 60)
    assert "one of 41 to 60; checkpoints from the operational log, as --held" in finding.message


@pytest.mark.parametrize("seq", [2, 50, 77])
def test_a_rewritten_chain_is_named_to_the_record_where_every_record_had_its_checkpoint(seq: int) -> None:
    """Whoever collects a checkpoint for each record knows exactly; nobody can know more than what was signed."""
    log = Log(segment_bytes_max=10**6).fill(100)
    finding = found(rewritten(log, seq), [log.signed(size) for size in range(1, len(log.lines) + 1)])

    assert (finding.fits_until, finding.first_bad_seq) == (seq - 1, seq)
    assert finding.message.endswith(f"first bad seq: record {seq}")


def test_a_rewritten_chain_betrays_itself_at_the_next_segment() -> None:
    """The compact range there is of the lines that were."""
    finding = found(rewritten(LOG, 20), [LOG.signed(10)])

    assert (finding.result, finding.first_bad_seq) == ("edited", min(seq for seq in LOG.begins() if seq > 20))


# ---------------------------------------------------------------- cuts and torn tails


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_cut_tail_is_shorter_than_the_checkpoint(cut: int) -> None:
    """A bare chain would never show it."""
    finding = found(LINES[:-cut])

    assert (finding.result, finding.records) == ("shorter", len(LINES) - cut)
    assert found([], NOTES).result == "shorter"


def test_a_held_checkpoint_shows_a_cut_that_the_owner_hid() -> None:
    """The record and its own checkpoint were both cut back; the one kept elsewhere was not."""
    finding = found(LINES[:100], [LOG.signed(100), LOG.signed(150, source="held")])

    assert finding.result == "shorter"
    assert "held has a checkpoint over 150" in finding.message


def test_a_torn_tail_after_the_last_checkpoint_is_a_crash() -> None:
    """Checkpoints cover synced lines only, so a crash never looks like a cut."""
    torn = [*LINES[:-1], LINES[-1][:-20]]

    assert found(torn, [LOG.signed(len(LINES) - 1)]).result == "torn"
    assert found(torn).result == "shorter"


# ---------------------------------------------------------------- whom to believe


def test_a_checkpoint_of_another_key_counts_for_nothing() -> None:
    """Neither against the record nor for it."""
    wrong = Log().fill(5)

    assert found(LINES, [*NOTES, wrong.signed(by=(FOREIGN,))]).result == "ok"
    assert found(LINES, [LOG.signed(by=(FOREIGN,))]).result == "cannot_verify"
    assert found(LINES, []).result == "cannot_verify"


def test_a_held_checkpoint_of_another_key_cannot_be_compared() -> None:
    """Saying ok would say too much."""
    finding = found(LINES, [*NOTES, LOG.signed(by=(FOREIGN,), source="held.txt")])

    assert finding.result == "cannot_verify"
    assert "held.txt" in finding.message


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("\n" + str(len(LINES)) + "\n", "\n7\n"),
        lambda note: note[:-9] + "AAAAAAA=\n",
        str.lower,
    ],
)
def test_a_checkpoint_that_was_tampered_with_is_no_verdict(spoil: Callable[[str], str]) -> None:
    """Somebody changed the evidence: that is said, and nothing else."""
    note = LOG.signed()

    assert found(LINES, [KeptNote(spoil(note.note), "here")]).result == "cannot_verify"


def test_an_edit_is_told_also_without_a_key() -> None:
    """The chain needs none."""
    assert found([LINES[0], *LINES[2:]], []).result == "edited"


def test_a_key_signs_for_its_own_log_only() -> None:
    """A checkpoint that names another origin is about something else."""
    other = Signer("guard.test/2", OWN.private)

    assert found(LINES, [LOG.signed(by=(other,))], [other.verifier]).result == "ok"
    assert found(LINES, [LOG.signed(by=(other, OWN))]).result == "cannot_verify"


# ---------------------------------------------------------------- successive keys


def test_a_key_that_follows_is_trusted_through_the_record() -> None:
    """With the old key the new one's checkpoints count, and the other way round."""
    log = Log().fill(10)
    log.add("vkey", introduction(NEXT, OWN))
    log.fill(10)
    notes = [log.signed(5), log.signed(by=(NEXT,))]

    assert found(log.lines, notes, [OWN.verifier]).result == "ok"
    assert found(log.lines, notes, [NEXT.verifier]).result == "ok"
    assert found(log.lines, [log.signed(by=(NEXT,))], [FOREIGN.verifier]).result == "cannot_verify"


def test_a_key_that_only_vouches_for_itself_is_not_trusted() -> None:
    """A first introduction ties it to nobody; a forged one is signed by one key only."""
    log = Log().fill(3)
    forged = introduction(NEXT, FOREIGN)
    log.add("vkey", introduction(NEXT))
    log.add("vkey", {"vkey": forged.vkey, "previous": OWN.verifier.vkey, "note": forged.note})

    assert found(log.lines, [log.signed(by=(NEXT,))], [OWN.verifier]).result == "cannot_verify"
    assert related(forged) == {NEXT.verifier, FOREIGN.verifier}


def test_what_is_no_succession_relates_nobody() -> None:
    """Another text, another name, a note that is none."""
    good = introduction(NEXT, OWN)
    other = Signer("elsewhere", NEXT.private)
    for record in (
        introduction(other, OWN),
        type(good)(good.vkey, None, good.note),
        type(good)(good.vkey, good.previous, "no note"),
        type(good)("no key", good.previous, good.note),
    ):
        assert related(record) == frozenset()
    with pytest.raises(NoteError):
        Verifier.read("no key")


# ---------------------------------------------------------------- a pruned prefix


def pruned(log: Log, first_seq: int, *, root: str | None = None) -> Log:
    """The log goes on and tells that what was before `first_seq` is gone."""
    before = log.tree(first_seq - 1)
    note = log.signed(first_seq - 1).note
    log.add("prune", Prune(first_seq, root or before.root().hex(), note, (1,), "2026-11-22T00:00:00.000000Z"))
    return log.fill(10)


def test_a_pruned_prefix_verifies_with_a_note() -> None:
    """The compact range of the first segment that is kept stands for it."""
    log = Log().fill(60)
    begin = log.begins()[2]
    pruned(log, begin)
    finding = found(log.lines[begin - 1 :], [log.signed(5), log.signed()])

    assert (finding.result, finding.first_seq, finding.records) == ("ok", begin, len(log.lines))
    assert found(log.lines[begin - 1 :], [log.signed(5)]).result == "cannot_verify"


def test_a_prefix_that_no_record_tells_of_is_missing() -> None:
    """More is gone than was pruned, or nothing was."""
    log = Log().fill(90)
    first, second, third = log.begins()[1:4]
    assert found(log.lines[first - 1 :], [log.signed()]).result == "edited"

    pruned(log, second)
    assert found(log.lines[second - 1 :], [log.signed()]).result == "ok"
    assert found(log.lines[first - 1 :], [log.signed()]).result == "ok", "a crash came before the deletion"
    finding = found(log.lines[third - 1 :], [log.signed()])
    assert (finding.result, finding.first_bad_seq) == ("edited", 1)


def test_a_prune_record_must_name_the_root_of_what_is_gone() -> None:
    """It is the only word on it that a human reads."""
    log = Log().fill(60)
    begin = log.begins()[2]
    pruned(log, begin, root="00" * 32)

    assert found(log.lines[begin - 1 :], [log.signed()]).result == "edited"


def test_a_forged_compact_range_is_found_by_the_next_checkpoint() -> None:
    """Whoever makes up a beginning must make up the signature too."""
    log = Log().fill(60)
    begin = log.begins()[2]
    pruned(log, begin)
    first = decode(log.lines[begin - 1][:-1])
    told = first.typed()
    assert isinstance(told, Segment)
    forged = Segment(told.segment, told.first_seq, told.tree_size, tuple("ab" * 32 for _ in told.compact))
    line = encode(forged, seq=begin, ts_us=START_US, type_="segment", prev=first.prev) + b"\n"
    again = rewritten_from(line, log.lines[begin:])

    assert found(again, [log.signed()]).result == "edited"


def rewritten_from(first: bytes, rest: list[bytes]) -> list[bytes]:
    """The chain computed anew behind a first line."""
    lines, head = [first], digest(first[:-1])
    for raw in rest:
        line = decode(raw[:-1])
        members = {n: v for n, v in line.members().items() if n not in {"seq", "ts", "type", "prev"}}
        again = encode(members, seq=line.seq, ts_us=START_US, type_=line.type, prev=head)
        lines.append(again + b"\n")
        head = digest(again)
    return lines
