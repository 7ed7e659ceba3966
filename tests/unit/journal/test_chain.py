"""The chain of hashes: what it proves, and what not."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from guard.journal.chain import ZEROS, BrokenChain, Head, digest, walk
from guard.journal.record import encode
from tests.support.journal import verify


def chain(records: int, *, first: Head | None = None) -> list[bytes]:
    """Lines that are in order, newline included."""
    head, lines = first or Head(), []
    for _ in range(records):
        line = encode({"n": head.seq}, seq=head.seq + 1, ts_us=head.seq, type_="x", prev=head.hash)
        lines.append(line + b"\n")
        head = Head(head.seq + 1, digest(line))
    return lines


def edited(line: bytes) -> bytes:
    """The line with another value in it."""
    return line.replace(b'"n":', b'"n":1')


def test_the_hash_is_sha256_of_the_line_without_its_newline() -> None:
    """The first line names 64 zeros, the second the first one's hash."""
    first, second = chain(2)

    assert ZEROS.encode() in first
    assert sha256(first[:-1]).hexdigest().encode() in second


def test_a_whole_chain_is_walked_to_its_end() -> None:
    """All lines come out, in order; the head is the last one's seq and hash."""
    lines = chain(4)

    assert [line.seq for line in walk(lines)] == [1, 2, 3, 4]
    assert verify(lines) == (Head(4, digest(lines[3][:-1])), None)


def test_no_lines_are_a_whole_chain() -> None:
    """An empty file has nothing that could be wrong."""
    assert verify([]) == (Head(), None)


def test_a_walk_can_go_on_from_a_head() -> None:
    """What was verified yesterday need not be read again."""
    lines = chain(4)
    middle = Head(2, digest(lines[1][:-1]))

    assert [line.seq for line in walk(lines[2:], head=middle)] == [3, 4]


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        pytest.param(lambda x: [edited(x[0]), *x[1:]], 1, id="first edited"),
        pytest.param(lambda x: [*x[:2], edited(x[2]), *x[3:]], 3, id="middle edited"),
        pytest.param(lambda x: [*x[:3], edited(x[3]), x[4]], 4, id="last but one edited"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"prev":"', b'"prev":"0'), *x[3:]], 3, id="prev edited"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"seq":3', b'"seq":4'), *x[3:]], 3, id="seq edited"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"seq"', b'"req"'), *x[3:]], 3, id="no longer a record"),
        pytest.param(lambda x: [*x[:2], x[2][:-1], *x[3:]], 3, id="newline gone"),
        pytest.param(lambda x: x[1:], 1, id="first removed"),
        pytest.param(lambda x: [*x[:2], *x[3:]], 3, id="middle removed"),
        pytest.param(lambda x: [x[0], x[2], x[1], *x[3:]], 2, id="swapped"),
        pytest.param(lambda x: [*x[:2], x[1], *x[2:]], 3, id="repeated"),
        pytest.param(lambda x: [*x[:4], x[4].replace(b'"seq":5', b'"seq":6')], 5, id="seq of the last"),
        pytest.param(lambda x: [*x[:2], *chain(3, first=Head(2, "0" * 64))], 2, id="tail of another chain"),
    ],
)
def test_a_change_is_found_with_the_first_bad_seq(change: Callable[[list[bytes]], list[bytes]], first_bad: int) -> None:
    """Edited, removed, swapped, added: the first record that the chain does not vouch for is named."""
    _, fault = verify(change(chain(5)))

    assert fault is not None
    assert (fault.seq, fault.is_torn) == (first_bad, False)


def test_a_rewritten_stretch_is_found_where_it_ends() -> None:
    """Hashes computed anew over an edit hold together; the first old record after them gives it away."""
    lines = chain(6)
    rewritten, head = [], Head(1, digest(lines[0][:-1]))
    for n in (2, 3):
        line = encode({"n": 99}, seq=n, ts_us=0, type_="x", prev=head.hash)
        rewritten.append(line + b"\n")
        head = Head(n, digest(line))

    _, fault = verify([lines[0], *rewritten, *lines[3:]])

    assert fault is not None
    assert fault.seq == 3


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_told_from_an_edit(cut: int) -> None:
    """A last line that ends too early, newline or more, is a crash."""
    lines = chain(3)
    head, fault = verify([*lines[:2], lines[2][:-cut]])

    assert fault is not None
    assert (fault.seq, fault.is_torn, head.seq) == (3, True, 2)


def test_a_last_line_that_ends_but_is_no_record_is_called_an_edit() -> None:
    """Two records that were made one by taking the newline between them must not pass for a crash."""
    lines = chain(4)
    merged = lines[2][:-1] + b" " + lines[3]

    for last in (merged, b"\x00" * 40 + b"\n"):
        _, fault = verify([*lines[:2], last])
        assert fault is not None
        assert (fault.seq, fault.is_torn) == (3, False)


def test_what_a_bare_chain_cannot_show() -> None:
    """An edit of the last record, and records cut off at the end: only a checkpoint held elsewhere shows these."""
    lines = chain(3)

    assert verify([*lines[:2], edited(lines[2])])[1] is None
    assert verify(lines[:2])[1] is None


def test_the_fault_says_which_record_and_why() -> None:
    """The message stands by itself."""
    lines = chain(3)

    with pytest.raises(BrokenChain, match="record 1: its bytes are not those whose hash record 2 names"):
        list(walk([edited(lines[0]), *lines[1:]]))
    with pytest.raises(BrokenChain, match="record 2: its place is taken by a record that says seq 3"):
        list(walk([lines[0], lines[2]]))
    with pytest.raises(BrokenChain, match="record 1: it names another hash"):
        list(walk(chain(1, first=Head(0, "1" * 64))))
