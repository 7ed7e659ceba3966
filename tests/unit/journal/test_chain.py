"""The chain of hashes: what it proves, and what not."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from guard.journal.chain import ZEROS, BrokenChain, ChainHead, digest, lines_of, walk, walk_as, walk_blocks
from guard.journal.record import encode, folded, folded_all
from tests.support.journal import verify


def chain(records: int, *, first: ChainHead | None = None) -> list[bytes]:
    """Lines that are in order, newline included."""
    head, lines = first or ChainHead(), []
    for _ in range(records):
        line = encode({"n": head.seq}, seq=head.seq + 1, ts_us=head.seq, type_="x", prev=head.hash)
        lines.append(line + b"\n")
        head = ChainHead(head.seq + 1, digest(line))
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
    assert verify(lines) == (ChainHead(4, digest(lines[3][:-1])), None)


def test_no_lines_are_a_whole_chain() -> None:
    """An empty file has nothing that could be wrong."""
    assert verify([]) == (ChainHead(), None)


def test_a_walk_can_go_on_from_a_head() -> None:
    """What was verified yesterday need not be read again."""
    lines = chain(4)
    middle = ChainHead(2, digest(lines[1][:-1]))

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
        pytest.param(lambda x: [*x[:2], *chain(3, first=ChainHead(2, "0" * 64))], 2, id="tail of another chain"),
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
    rewritten, head = [], ChainHead(1, digest(lines[0][:-1]))
    for n in (2, 3):
        line = encode({"n": 99}, seq=n, ts_us=0, type_="x", prev=head.hash)
        rewritten.append(line + b"\n")
        head = ChainHead(n, digest(line))

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
        list(walk(chain(1, first=ChainHead(0, "1" * 64))))


# ---------------------------------------------------------------- blocks of lines


def stop(seq: int, prev: bytes, **more: object) -> bytes:
    """The line of a record that a start knows, without its newline; `prev` is the line before."""
    last = digest(prev) if prev else ZEROS
    return encode({"t": seq, "reason": "", **more}, seq=seq, ts_us=seq, type_="stop", prev=last)


def stops(records: int) -> list[bytes]:
    """Lines that are in order, newline included."""
    lines = [b""]
    for seq in range(1, records + 1):
        lines.append(stop(seq, lines[-1], more=[{"n": {}}, {}]))
    return [line + b"\n" for line in lines[1:]]


def spread(between: bytes) -> list[bytes]:
    """Three lines with three records, of which the second goes over two lines that part here: `between`."""
    first = stop(1, b"")
    second = stop(2, first, more=[{"n": {}}, {}])
    begun, found, rest = second.partition(between)
    at = len(begun) + len(found)
    begun, rest = second[:at], second[at:]
    return [first + b"\n", begun + b"\n", rest + stop(3, begun) + b"\n"]


def both_ways(changed: list[bytes], size: int) -> tuple[list[object], list[object]]:
    """What comes out line by line, and of blocks of so many lines: the records, and at last the fault."""
    lines = list(lines_of([b"".join(changed)]))
    whole = [line for line in lines if line.endswith(b"\n")]
    blocks = [b"".join(whole[at : at + size]) for at in range(0, len(whole), size)] + lines[len(whole) :]
    found: list[list[object]] = [[], []]
    for out, walked in zip(found, (([one] for one in walk_as(folded, lines)), walk_blocks(blocks)), strict=True):
        try:
            for some in walked:
                out.extend(some)
        except BrokenChain as fault:
            out.append((str(fault), fault.seq, fault.is_torn))
    return found[0], found[1]


@pytest.mark.parametrize("size", [1, 2, 3, 9])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x, id="whole"),
        pytest.param(lambda x: [x[0].replace(b'"t":1', b'"t":2'), *x[1:]], id="first edited"),
        pytest.param(lambda x: [*x[:4], x[4].replace(b'"t":5', b'"t":6'), *x[5:]], id="middle edited"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"t":3', b'"t":"3"'), *x[3:]], id="a member of another type"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"stop"', b'"soon"'), *x[3:]], id="a type that is not known"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b'"seq"', b'"req"'), *x[3:]], id="no longer a record"),
        pytest.param(lambda x: [*x[:2], x[2][:-1], *x[3:]], id="newline gone"),
        pytest.param(lambda x: [*x[:2], x[2].replace(b"{}", b"{\n}"), *x[3:]], id="newline more"),
        pytest.param(lambda x: [*x[:2], b" " + x[2], *x[3:]], id="blank before"),
        pytest.param(lambda x: [*x[:3], b"\n", *x[3:]], id="empty line"),
        pytest.param(lambda x: [*x[:3], b"\n", x[3][:-1] + x[4], *x[5:]], id="empty line and two in one"),
        pytest.param(lambda x: [*x[:3], *x[4:]], id="middle removed"),
        pytest.param(lambda x: [*x[:6], x[6][:-9]], id="torn"),
        pytest.param(lambda _: spread(b'{"n":{}'), id="two in one, behind a closing brace"),
        pytest.param(lambda _: spread(b'"more":['), id="two in one, before an opening brace"),
        pytest.param(lambda _: spread(b'"more":[{"n":{}},'), id="two in one, behind a comma"),
    ],
)
def test_blocks_of_lines_are_walked_as_line_by_line(change: Callable[[list[bytes]], list[bytes]], size: int) -> None:
    """The same records, and the same fault, whatever is wrong and wherever a block ends."""
    one_by_one, in_blocks = both_ways(change(stops(7)), size)

    assert in_blocks == one_by_one


def test_a_line_of_a_block_that_holds_two_records_is_none() -> None:
    """Even where as many records as lines are decoded, in order, and each names the hash of the line before."""
    first = stop(1, b"")
    second, third = stop(2, first), encode({"t": 3, "reason": ""}, seq=3, ts_us=3, type_="stop", prev=digest(b""))
    block = first + b"\n\n" + second + third + b"\n"
    assert [entry.seq for entry in folded_all(block)] == [1, 2, 3]

    with pytest.raises(BrokenChain, match="record 2: its line is not a whole record"):
        list(walk_blocks([block]))


@pytest.mark.parametrize("place", [b'"reason":"', b'"more":[{"', b'"more":[{"n":"', b'"sto'])
def test_a_newline_within_a_text_is_no_record(place: bytes) -> None:
    """Read or skipped, a member or its name: else a line could begin within one, and look like a record."""
    line = stop(1, b"", more=[{"n": "text"}])
    assert place in line
    assert folded_all(line)

    assert folded_all(line.replace(place, place + b"\n")) == []
