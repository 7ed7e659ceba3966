"""RFC 6455 as a table of raw frames: every class of cases that applies to a server without compression.

The classes are those of the Autobahn suite: framing, pings and pongs, reserved bits, opcodes, fragmentation, UTF-8,
close handling, limits. Frames are made here byte by byte, not by the library that reads them. This stream takes no
messages, so where that suite expects an echo a message ends the socket with 1008.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import pytest
from websockets.frames import Opcode

from guard.stream.bounds import StreamBounds
from guard.stream.ending import End
from tests.support.stream import Peer

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK: Final = b"\x37\xfa\x21\x3d"
MAX: Final = StreamBounds().message_bytes_max


class Case(NamedTuple):
    """What a caller sends; the payloads of the pongs that it gets, and the close code (None: the socket stays open)."""

    id: str
    sent: bytes
    pongs: tuple[bytes, ...] = ()
    code: int | None = None
    word: str | None = None


def raw(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length: bytes | None = None,
) -> bytes:
    """One frame; `length` replaces the second byte and the extended length."""
    size = len(payload)
    if length is None:
        short = size if size < 126 else 126 if size < 1 << 16 else 127
        extended = b"" if size < 126 else size.to_bytes(2 if size < 1 << 16 else 8)
        length = bytes([short | (0x80 if mask else 0)]) + extended
    masked = payload if mask is None else bytes(b ^ mask[place % 4] for place, b in enumerate(payload))
    return bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + length + (mask or b"") + masked


def close(code: int | bytes = b"", reason: bytes = b"") -> bytes:
    """A close frame."""
    return raw(CLOSE, (code if isinstance(code, bytes) else code.to_bytes(2)) + reason)


def framing() -> Iterator[Case]:
    """Class 1: messages of every form of length, and masks."""
    for opcode in (TEXT, BINARY):
        for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536):
            yield Case(f"1 opcode {opcode} of {size}", raw(opcode, b"*" * size), code=1008)
        for length in (b"\xfe\x00\x05", b"\xff\x00\x00\x00\x00\x00\x00\x00\x05"):
            yield Case(
                f"1 opcode {opcode} with a length of {len(length)} for 5",
                raw(opcode, b"12345", length=length),
                code=1008,
            )
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG, CONT):
        yield Case(f"1 unmasked {opcode}", raw(opcode, b"", mask=None), code=1002)
    yield Case("1 a mask of zeros", raw(PING, b"x", mask=b"\0\0\0\0"), (b"x",))


def pings() -> Iterator[Case]:
    """Class 2: control frames while the socket is open."""
    for name, payload in {"empty": b"", "text": b"hello", "binary": b"\x00\xff\xfe", "125": b"\xfe" * 125}.items():
        yield Case(f"2 ping {name}", raw(PING, payload), (payload,))
        yield Case(f"2 pong {name}", raw(PONG, payload))
    for opcode in (PING, PONG, CLOSE):
        yield Case(f"2 control {opcode} of 126", raw(opcode, b"\x03\xe8" * 63), code=1002)
    ten = [f"payload-{number}".encode() for number in range(10)]
    yield Case("2 ten pings", b"".join(raw(PING, each) for each in ten), tuple(ten))
    yield Case("2 a pong nobody asked for, then a ping", raw(PONG, b"?") + raw(PING, b"!"), (b"!",))


def reserved_bits() -> Iterator[Case]:
    """Class 3: bits of extensions that were not agreed."""
    for rsv in range(1, 8):
        for opcode, payload in ((TEXT, b"x"), (PING, b"x"), (CLOSE, b"\x03\xe8")):
            yield Case(f"3 rsv {rsv} opcode {opcode}", raw(opcode, payload, rsv=rsv), code=1002)
        yield Case(f"3 a ping, then rsv {rsv}", raw(PING, b"x") + raw(PING, b"y", rsv=rsv), (b"x",), 1002)


def opcodes() -> Iterator[Case]:
    """Class 4: opcodes that mean nothing."""
    for opcode in (*range(3, 8), *range(11, 16)):
        for payload in (b"", b"reserved"):
            yield Case(f"4 opcode {opcode} of {len(payload)}", raw(opcode, payload), code=1002)
        yield Case(f"4 a ping, then opcode {opcode}", raw(PING, b"x") + raw(opcode), (b"x",), 1002)


def fragments() -> Iterator[Case]:
    """Class 5: control frames cannot be cut, a message is refused with its first part, nothing continues nothing."""
    for opcode in (PING, PONG, CLOSE):
        yield Case(f"5 first part of control {opcode}", raw(opcode, b"", fin=False), code=1002)
    for opcode in (TEXT, BINARY):
        for payload in (b"", b"part"):
            yield Case(f"5 first part of {opcode}, {len(payload)}", raw(opcode, payload, fin=False), code=1008)
    for is_last in (True, False):
        for payload in (b"", b"rest"):
            yield Case(f"5 continuation {is_last} {len(payload)}", raw(CONT, payload, fin=is_last), code=1002)
    yield Case("5 a ping, then a continuation", raw(PING, b"x") + raw(CONT, b"rest"), (b"x",), 1002)


def utf8() -> Iterator[Case]:
    """Class 6: text is refused unread, valid or not; the reason of a close is read and must be UTF-8."""
    words = {
        "valid": "κόσμε".encode(),
        "invalid": b"\xce\xba\xed\xa0\x80edited",
        "cut": b"\xce",
        "overlong": b"\xc0\xaf",
    }
    for name, payload in words.items():
        yield Case(f"6 text {name}", raw(TEXT, payload), code=1008)
        code = 1000 if name == "valid" else 1007
        yield Case(f"6 close reason {name}", close(1000, payload), code=code)
    yield Case("6 close reason surrogate", close(1000, b"\xed\xbf\xbf"), code=1007)
    yield Case("6 close reason beyond unicode", close(1000, b"\xf4\x90\x80\x80"), code=1007)


def closes() -> Iterator[Case]:
    """Class 7: every way to close, what may follow, and which codes there are."""
    yield Case("7 empty", close(), code=1005)
    yield Case("7 one byte", close(b"\x03"), code=1002)
    yield Case("7 longest reason", close(1000, b"*" * 123), code=1000)
    yield Case("7 reason too long", close(1000, b"*" * 124), code=1002)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield Case(f"7 code {code}", close(code), code=code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield Case(f"7 code {code}", close(code), code=1002)
    follow: dict[str, bytes] = {
        "a close": close(1001),
        "a ping": raw(PING, b"late"),
        "a message": raw(TEXT, b"late"),
        "nonsense": b"\xff" * 30,
        "an unmasked frame": raw(PING, b"late", mask=None),
    }
    for name, after in follow.items():
        yield Case(f"7 close, then {name}", close(1000) + after, code=1000)
    yield Case("7 a ping, then close", raw(PING, b"x") + close(1000), (b"x",), 1000)


def limits() -> Iterator[Case]:
    """Class 9: what a frame says it has is looked at before anything of it is kept."""
    for size in (MAX + 1, 1 << 20, 1 << 62):
        said = b"\xff" + size.to_bytes(8)
        yield Case(f"9 a message of {size}", raw(BINARY, length=said), code=1009)
    yield Case("9 the highest bit of a length", raw(BINARY, length=b"\xff" + b"\xff" * 8), code=1009)
    flood = b"".join(raw(PONG) for _ in range(StreamBounds().controls_max + 1))
    yield Case("9 too many control frames", flood, code=1008, word="flood")


CASES: Final = [
    case
    for cases in (framing(), pings(), reserved_bits(), opcodes(), fragments(), utf8(), closes(), limits())
    for case in cases
]
WORDS: Final = {1002: "protocol", 1007: "protocol", 1009: "protocol", 1008: "client_data"}


def cuts(data: bytes, how: str) -> Iterable[bytes]:
    """The bytes in one piece, octet by octet, or in odd pieces."""
    step = {"whole": max(1, len(data)), "octets": 1, "odd": 3}[how]
    return (data[at : at + step] for at in range(0, len(data), step))


# A long message ends with its header: the rest in pieces would say nothing new.
RUNS: Final = [
    pytest.param(case, how, id=f"{case.id}, {how}")
    for case in CASES
    for how in ("whole", "octets", "odd")
    if how == "whole" or len(case.sent) < 1 << 14
]


@pytest.mark.parametrize(("case", "how"), RUNS)
async def test_each_case_has_one_outcome_however_it_is_cut(case: Case, how: str) -> None:
    """Pongs with what their pings held, then the close code that the book names; nothing is sent after the close."""
    peer = Peer()
    peer.accept()
    for piece in cuts(case.sent, how):
        peer.socket.data_received(piece)

    seen = peer.seen()
    assert tuple(bytes(each.data) for each in seen if each.opcode is Opcode.PONG) == case.pongs
    closing = [place for place, each in enumerate(seen) if each.opcode is Opcode.CLOSE]
    if case.code is None:
        assert (closing, peer.ends, peer.socket.is_open) == ([], [], True)
        return
    assert closing == [len(seen) - 1]
    close_code: Any = peer.client.close_rcvd
    assert close_code.code == case.code
    assert [each.word for each in peer.ends] == [case.word or _word(case)]
    sent = peer.wire.sent
    peer.socket.data_received(raw(TEXT, b"late") + close(1001) + raw(BINARY, b"late"))
    assert peer.wire.sent == sent
    peer.socket.connection_lost(None)


def _word(case: Case) -> str:
    """How the end is counted: a close of the caller's own that the book allows is the caller's."""
    own = case.sent[:1] == b"\x88" or b"then close" in case.id.encode()
    is_echo = own and case.code not in {1002, 1007, 1009}
    if case.id in {f"7 code {code}" for code in (1002, 1007, 1008, 1009)}:
        is_echo = True
    return End.BY_CALLER.value.word if is_echo else WORDS[case.code or 0]


def test_the_table_is_whole() -> None:
    """Each class has its cases, and no two cases share a name."""
    assert {case.id[0] for case in CASES} == set("12345679")
    assert len({case.id for case in CASES}) == len(CASES)
