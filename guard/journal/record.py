"""How a line of the journal is written and read. Pure.

A line is one JSON object: `seq`, `ts`, `type`, the record's own members, and last `prev`, the SHA-256 of the line
before. The bytes as written are what is hashed, so nothing here depends on a canonical form of JSON.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol, Union

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields

from guard.journal.entries import ABSENT, RECORDS
from guard.terms import masked, utc

LINE_BYTES_MAX: Final = 16 * 1024 * 1024  # a reload that moves 100,000 live orders still fits


class Entry(Protocol):
    """A line that was read: its place in the chain, and its time."""

    @property
    def seq(self) -> int:
        """Its number, from 1 without gaps."""
        ...

    @property
    def ts(self) -> str:
        """When it was written."""
        ...

    @property
    def prev(self) -> str:
        """The hash of the line before."""
        ...


class Line(Struct, frozen=True, gc=False):
    """One line as it stands in the file: its head read, its bytes (without the newline) kept."""

    seq: int
    ts: str
    type: str
    prev: str
    raw: bytes

    def typed(self) -> Struct | None:
        """The record as its Struct; None for a type that this guard does not know. Unknown members are skipped.

        Raises `msgspec.ValidationError` (a `ValueError`) where a known type lacks what it must have.
        """
        decoder = _DECODERS.get(self.type)
        return None if decoder is None else decoder.decode(self.raw)

    def members(self) -> dict[str, object]:
        """All members as plain values, `seq`, `ts`, `type` and `prev` among them."""
        return _MEMBERS.decode(self.raw)


class _Head(Struct, frozen=True, gc=False):
    seq: int
    ts: str
    type: str
    prev: str


_LINE: Final = b'{"seq":%d,"ts":"%b.%06dZ","type":%b%b%b,"prev":"%b"}'
_HEAD_NAMES: Final = frozenset(_Head.__struct_fields__)
_ENCODER: Final = msgspec.json.Encoder()
_HEAD: Final = msgspec.json.Decoder(_Head)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, object])
_DECODERS: Final = {name: msgspec.json.Decoder(struct) for name, struct in RECORDS.items()}
_RAWS: Final[Mapping[type, tuple[str, ...]]] = {
    struct: tuple(field.name for field in fields(struct) if field.type is Raw)
    for struct in RECORDS.values()
    if _HEAD_NAMES.isdisjoint(struct.__struct_encode_fields__)
}
"""The raw members of our own records, which alone could break a line: the encoder escapes everything else."""


class _Amount(Struct, frozen=True, gc=False):
    amount: str


class _Valued(Struct, frozen=True, gc=False):
    """A valuation, as far as the ledger keeps it, with its decimals as they are written."""

    value: _Amount
    price: str
    multiplier: str = "1"


_READ: Final[Mapping[str, tuple[tuple[str, object, object], ...]]] = {
    "decision": (("valuation", _Valued | None, None), *((name, Raw, ABSENT) for name in ("world", "used", "shadow")))
}
"""Members that are decoded only in part, or not at all, when the record is folded: all of it is for reviewers only."""
_FOLDED: Final = msgspec.json.Decoder(
    Union[  # noqa: UP007 - made from a table
        tuple(
            msgspec.defstruct(
                struct.__name__,
                [("seq", int), ("ts", str), ("prev", str), *_READ.get(name, ())],
                bases=(struct,),
                tag_field="type",
                tag=name,
                kw_only=True,
                frozen=True,
                gc=False,
            )
            for name, struct in RECORDS.items()
        )
    ]
)
_ONE: Final = msgspec.json.Decoder(Raw)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def encode(members: Struct | Mapping[str, object], *, seq: int, ts_us: int, type_: str, prev: str) -> bytes:
    """One line without its newline, members in the contract's order: seq, ts, type, its own, prev.

    Raises `ValueError` for what JSON cannot hold, or what would be read back with another head: a lone surrogate, a raw
    member that is not exactly one JSON value, a member with the name of one of the head's.
    """
    raws = _RAWS.get(type(members))
    if raws is None:
        _check_names(members)
    try:
        own = _ENCODER.encode(members)[1:-1]
    except TypeError as error:
        raise ValueError(str(error)) from error
    second, us = divmod(ts_us, 1_000_000)
    line = _LINE % (seq, _second(second).encode(), us, _named(type_), b"," if own else b"", own, prev.encode())
    is_whole = b"\n" not in line
    if raws is None:
        head = _HEAD.decode(line)
        is_whole = is_whole and (head.seq, head.type, head.prev) == (seq, type_, prev)
    for name in raws or ():
        raw: Raw = getattr(members, name)
        if raw is not ABSENT and _ONE.decode(raw) != raw:
            is_whole = False
    if not is_whole:
        raise ValueError(f"a raw member of this {type_} record breaks out of its line")
    return line


@lru_cache(maxsize=64)
def _named(type_: str) -> bytes:
    return _ENCODER.encode(type_)


def _check_names(members: Struct | Mapping[str, object]) -> None:
    names = members.__struct_encode_fields__ if isinstance(members, Struct) else members
    if not _HEAD_NAMES.isdisjoint(names):
        raise ValueError(f"a record has no members of its own named {', '.join(sorted(_HEAD_NAMES))}")


def decode(line: bytes) -> Line:
    """The head of a line (without its newline); `ValueError` where it is not a record at all."""
    try:
        head = _HEAD.decode(line)
    except RecursionError:
        raise ValueError("nested too deep for a record") from None
    return Line(head.seq, head.ts, head.type, head.prev, line)


def folded(line: bytes) -> Entry:
    """A line (without its newline) decoded at once: its record, with `seq`, `ts` and `prev` as further members.

    Members for reviewers only stay undecoded. For an unknown type, or a record that lacks a member, it is a `Line`,
    whose `typed` says more. `ValueError`: it is no record at all.
    """
    try:
        found: Entry = _FOLDED.decode(line)
    except (msgspec.ValidationError, RecursionError):
        return decode(line)
    return found


def folded_all(block: bytes) -> list[Entry]:
    """The lines of a block (with their newlines) decoded in one go; empty where `folded` must look at each.

    As many as there are lines, each of which begins and ends with a brace, are what `folded` reads of each: a newline
    can stand between values only, in none of which an opening brace follows a closing one.
    """
    try:
        return _FOLDED.decode_lines(block)
    except (msgspec.DecodeError, RecursionError):
        return []


def timestamp(wall_us: int) -> str:
    """Microseconds since 1970 as RFC 3339, UTC, six digits: "2026-11-22T09:46:28.123456Z". Sorts as text."""
    second, us = divmod(wall_us, 1_000_000)
    return f"{_second(second)}.{us:06d}Z"


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return utc(second * 1_000_000).strftime("%Y-%m-%dT%H:%M:%S")


def reason_given(text: str) -> str:
    """A person's own words for the record: plain, and without what may be a key, a token or a digest."""
    return plain(masked(text))


def plain(text: str, *, chars_max: int = 200) -> str:
    """Foreign text made safe for a record and a terminal: no control or direction characters, and bounded.

    Terminal escape sequences do not survive it (CVE-2024-45808 was a log that kept them).
    """
    clean = _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= chars_max else clean[: chars_max - 1] + "…"
