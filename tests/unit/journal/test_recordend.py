"""Where the next record goes."""

import pytest

from guard.errors import JournalFault
from guard.journal.record import LINE_BYTES_MAX
from guard.journal.recordend import DAY_US, RecordEnd, appended, appended_all
from tests.support.journal import verify

NOWHERE = RecordEnd()


def settled(place: RecordEnd, text: str = "x", *, segment_bytes_max: int) -> tuple[list[bytes], RecordEnd]:
    """A record of some size: its line, and the one that opens its segment."""
    lines, after = appended(place, "note", {"text": text}, ts_us=0, segment_bytes_max=segment_bytes_max)
    return lines.split(b"\n"), after


def test_the_first_record_ever_opens_the_first_segment() -> None:
    """The `segment` record has seq 1, the record itself seq 2."""
    lines, place = settled(NOWHERE, segment_bytes_max=1000)

    assert [line.split(b",", 1)[0] for line in lines] == [b'{"seq":1', b'{"seq":2']
    assert b'"type":"segment","segment":1,"first_seq":1' in lines[0]
    assert (place.seq, place.segment, place.size) == (2, 1, sum(len(line) + 1 for line in lines))


def test_records_fill_a_segment_to_its_bound_and_the_chain_runs_on() -> None:
    """No file but one with a single record is larger than its bound, and each opens with its own number."""
    place, files = NOWHERE, dict[int, list[bytes]]()
    for _ in range(20):
        new, place = settled(place, "y" * 50, segment_bytes_max=800)
        files.setdefault(place.segment, []).extend(line + b"\n" for line in new)

    assert len(files) > 1
    assert max(sum(map(len, lines)) for lines in files.values()) <= 800
    assert verify([line for lines in files.values() for line in lines])[0].seq == sum(map(len, files.values()))
    assert all(b'"type":"segment","segment":%d,' % n in lines[0] for n, lines in files.items())


def test_a_record_larger_than_a_segment_has_one_of_its_own() -> None:
    """A bound on files never refuses a record."""
    _, place = settled(NOWHERE, segment_bytes_max=400)
    lines, place = settled(place, "z" * 1000, segment_bytes_max=400)

    assert (len(lines), place.segment) == (2, 2)
    assert settled(place, segment_bytes_max=400)[1].segment == 3


def test_what_cannot_be_a_line_is_a_fault_and_the_place_stays() -> None:
    """Neither text that JSON cannot hold nor a line beyond its bound."""
    with pytest.raises(JournalFault, match="a note record cannot be written"):
        settled(NOWHERE, "\ud800", segment_bytes_max=400)
    with pytest.raises(JournalFault, match="longer than"):
        settled(NOWHERE, "z" * LINE_BYTES_MAX, segment_bytes_max=400)


def test_a_line_may_fill_its_bound() -> None:
    """16 MiB, and not a byte more."""
    room = LINE_BYTES_MAX - len(settled(NOWHERE, "", segment_bytes_max=400)[0][-1])
    lines, _ = settled(NOWHERE, "z" * room, segment_bytes_max=400)

    assert len(lines[-1]) == LINE_BYTES_MAX
    with pytest.raises(JournalFault, match=f"of {LINE_BYTES_MAX + 1} bytes is longer than {LINE_BYTES_MAX}"):
        settled(NOWHERE, "z" * (room + 1), segment_bytes_max=400)


def test_several_at_once_are_the_lines_that_they_are_one_by_one() -> None:
    """Lines and place alike."""
    _, place = settled(NOWHERE, segment_bytes_max=1000)
    records = [({"text": text}, n) for n, text in enumerate("abcde")]
    lines, after = list[bytes](), place
    for members, ts_us in records:
        line, after = appended(after, "note", members, ts_us=ts_us, segment_bytes_max=10_000)
        lines.append(line)

    assert appended_all(place, "note", records, segment_bytes_max=10_000) == (lines, after)


@pytest.mark.parametrize(
    ("text", "ts_us"),
    [("\ud800", 0), ("z" * 1000, 0), ("z" * LINE_BYTES_MAX, 0), ("x", DAY_US)],
    ids=["no line", "a full file", "too long", "a new day"],
)
def test_several_at_once_end_before_what_begins_a_file_or_is_no_line(text: str, ts_us: int) -> None:
    """Those behind it are left out too: their order is the record's."""
    _, place = settled(NOWHERE, segment_bytes_max=1000)
    line, after = appended(place, "note", {"text": "a"}, ts_us=0, segment_bytes_max=1000)
    records = [({"text": "a"}, 0), ({"text": text}, ts_us), ({"text": "b"}, 0)]

    assert appended_all(place, "note", records, segment_bytes_max=1000) == ([line], after)
    assert appended_all(place, "note", records[1:], segment_bytes_max=1000) == ([], place)
