"""The pure reader: one answer for the same bytes, however they were cut."""

import timeit
from collections.abc import Iterable, Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.codes import Code
from guard.server.bounds import EdgeBounds
from guard.server.reader import HEAD_KEPT_BYTES_MAX, HEADS_MAX, HttpRequest, Phase, Reader, ReadProgress
from guard.terms import Refusal
from tests.support.edge_attacks import CORPUS
from tests.support.edge_corpus import HOST, JSON, ORDER, WS, Case, get, head, post

Outcome = HttpRequest | Refusal | ReadProgress

JUDGED_WITHIN_S: Final = 0.001
BY_NAME: Final = pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)


def read(chunks: Iterable[bytes], *, bounds: EdgeBounds | None = None) -> Outcome:
    """What a fresh reader makes of the chunks: its first request or refusal."""
    reader = Reader(bounds or EdgeBounds(), peer="192.0.2.7")
    outcome: Outcome = ReadProgress.MORE
    for chunk in chunks:
        outcome = reader.feed(chunk)
        if not isinstance(outcome, ReadProgress):
            return outcome
    return outcome


def bytewise(raw: bytes) -> Iterator[bytes]:
    """The bytes one by one."""
    return (raw[i : i + 1] for i in range(len(raw)))


def cuts(raw: bytes) -> Iterable[int]:
    """Every place to cut a request in two; of a long one its first and last, and some between."""
    if len(raw) < 1000:
        return range(1, len(raw))
    return [*range(1, 300), *range(300, len(raw) - 300, 997), *range(len(raw) - 300, len(raw))]


def check(case: Case, outcome: Outcome) -> None:
    """The outcome is the one that the table expects."""
    if case.code is not None:
        assert isinstance(outcome, Refusal)
        assert outcome.code is case.code
        return
    assert isinstance(outcome, HttpRequest)
    call = outcome.call
    assert (call.method, call.path, call.token, call.body) == (case.method, case.path, case.token, case.body)
    assert call.peer == "192.0.2.7"
    if case.head is not None:
        assert dict(call.head) == case.head


def test_the_corpus_is_large_and_its_names_differ() -> None:
    """At least 500 raw requests, each with a name of its own."""
    assert len(CORPUS) >= 500
    assert len({case.name for case in CORPUS}) == len(CORPUS)


@BY_NAME
def test_a_request_that_arrives_whole(case: Case) -> None:
    """Every raw request is accepted as exactly this call, or refused with this code."""
    check(case, read([case.raw]))


@BY_NAME
def test_a_request_that_arrives_byte_by_byte(case: Case) -> None:
    """Bytes one by one have the answer of the whole; what arrives after a request's end belongs to the next."""
    outcome = read(bytewise(case.raw))
    if case.is_together:
        assert isinstance(outcome, HttpRequest)
    else:
        check(case, outcome)


@BY_NAME
def test_a_request_that_arrives_in_two_parts(case: Case) -> None:
    """A cut anywhere changes nothing, unless it falls on the end of a request that others follow."""
    for at in cuts(case.raw):
        outcome = read([case.raw[:at], case.raw[at:]])
        if case.is_together and isinstance(outcome, HttpRequest):
            assert isinstance(read([case.raw[:at]]), HttpRequest)
        else:
            check(case, outcome)


HOSTILE: Final = {
    "no end": b"G" * 16_384,
    "spaces": b"GET " + b" " * 16_376 + b"\r\n\r\n",
    "slashes": b"GET " + b"/" * 16_367 + b" HTTP/1.1\r\n\r\n",
    "segments": b"GET " + b"/a" * 8_183 + b" HTTP/1.1\r\n\r\n",
    "segments, then a percent": b"GET " + b"/a" * 8_182 + b"% HTTP/1.1\r\n\r\n",
    "dots": b"GET " + b"/.." * 5_450 + b" HTTP/1.1\r\n\r\n",
    "token": b"GET /ws?token=" + b"a" * 16_300 + b"% HTTP/1.1\r\n\r\n",
    "method": b"A" * 16_300 + b" / HTTP/1.1\r\n\r\n",
    "many fields": b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 4_091 + b"\r\n",
    "few fields, the last one bad": get(*(["X-Aaaaaaaa: bbbbbbbb"] * 98), "X_A: b"),
    "22 fields and a bad one": get(*(["a: b"] * 22), "a b"),
    "a long value, then a NUL": get("X-A: " + "a" * 16_300 + "\x00"),
    "a long blank value": get("X-A:" + " \t" * 8_150),
    "a long blank credential": get("Authorization:" + " " * 16_300 + "x" + " " * 10),
    "a long name": get("a" * 16_300),
    "a name of hyphens": get("-" * 16_300 + ":"),
    "colons": get(":" * 16_300),
    "bare LFs": b"GET / HTTP/1.1\r\nA:" + b"\nx" * 8_180,
    "bare CRs": b"GET / HTTP/1.1\r\nA:" + b"\r" * 16_300 + b"\r\n\r\n",
    "nearly empty lines": b"G" + b"\n\rx" * 5_459 + b"\r\n\r\n",
    "a long Connection": get("Connection: " + "close," * 2_700),
    "many Connections": get(*(["Connection:" + ",a" * 70] * 98)),
    "a long length": head("POST / HTTP/1.1", HOST, JSON, "Content-Length: " + "9" * 16_250),
    "a long media type": head("POST / HTTP/1.1", HOST, "Content-Length: 1", "Content-Type: application/json"
                              + " \t" * 8_100 + ";"),
    "a long Host": head("GET / HTTP/1.1", "Host: " + "a" * 16_300),
    "a Host of colons": head("GET / HTTP/1.1", "Host: [" + ":" * 16_300),
    "a long Idempotency-Key": get("Idempotency-Key: " + "k" * 16_300),
    "a long trace": get("traceparent: " + "0" * 16_300),
    "a long WebSocket key": get(*WS[:2], WS[3], "Sec-WebSocket-Key: " + "A" * 16_200, target="/ws"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_any_head_is_judged_in_under_a_millisecond(name: str) -> None:
    """The bound against hostile input: no head of up to 16 KiB takes longer, whatever stands in it (best of 20)."""
    raw = HOSTILE[name]
    assert len(raw) <= 16_384

    assert min(timeit.repeat(lambda: read([raw]), number=1, repeat=20)) < JUDGED_WITHIN_S


def test_requests_follow_each_other_on_one_connection() -> None:
    """A reader starts over after each request."""
    reader = Reader(EdgeBounds(), peer="unix")

    for raw in (get(), post(), post(body=b""), get(target="/api/user-info")):
        assert reader.phase is Phase.IDLE
        assert isinstance(reader.feed(raw), HttpRequest)


def test_what_heads_present_goes_with_their_credential_alone() -> None:
    """Requests of one credential share what the walk works out of it, until another one comes: it is never another's.

    Neither path nor length of a head matter, a token in the target is a credential of its own.
    """
    bearer = "Authorization: Bearer a"
    heads = (
        (post(), get(), post()),
        (post(bearer), post(bearer, body=b"{}"), get(bearer)),
        (get("Authorization: bearer a"),),
        (get("Authorization: Bearer b"),),
        (post().replace(b"/api/order", b"/ws?token=a"),),
        (post().replace(b"/api/order", b"/ws?token=b"),),
        (post(), post()),
    )
    reader, shared = Reader(EdgeBounds(), peer="unix"), []
    for alike in heads:
        requests = [reader.feed(raw) for raw in alike]
        found = {id(request.call.presented) for request in requests if isinstance(request, HttpRequest)}
        assert len(found) == 1
        shared += requests

    assert all(isinstance(request, HttpRequest) for request in shared)
    assert len({id(request.call.presented) for request in shared if isinstance(request, HttpRequest)}) == len(heads)


@given(st.lists(st.integers(0, 2 * HEADS_MAX), max_size=40))
def test_a_head_that_was_read_before_means_the_same_again(order: list[int]) -> None:
    """Whatever heads came in between, what is kept of them is bounded, and none of the large ones is."""
    raws = [post(f"X-Fill: {'x' * (n * 160)}", f"Authorization: Bearer {n % 3}") for n in range(2 * HEADS_MAX + 1)]
    reader = Reader(EdgeBounds(), peer="192.0.2.7")
    for n in order:
        request, alone = reader.feed(raws[n]), read([raws[n]])
        assert isinstance(request, HttpRequest)
        assert request == alone
        assert len(reader._heads) <= HEADS_MAX
        assert all(len(raw) <= HEAD_KEPT_BYTES_MAX for raw in reader._heads)


def test_the_phase_says_how_far_a_request_has_come() -> None:
    """Before the first byte idle, then in the head, then in the body."""
    reader = Reader(EdgeBounds(), peer="unix")
    raw = post()
    cut = len(raw) - len(ORDER)

    phases = []
    for part in (raw[:5], raw[5:cut], raw[cut:]):
        reader.feed(part)
        phases.append(reader.phase)

    assert phases == [Phase.HEAD, Phase.BODY, Phase.IDLE]


def test_continue_is_asked_for_once_and_only_for_a_body_that_is_missing() -> None:
    """`Expect: 100-continue` is worth one interim answer, at the end of a head whose body has not come along."""
    raw = post("Expect: 100-continue")
    cut = len(raw) - len(ORDER)
    reader = Reader(EdgeBounds(), peer="unix")

    assert reader.feed(raw[:cut]) is ReadProgress.CONTINUE
    assert reader.feed(raw[cut : cut + 3]) is ReadProgress.MORE
    assert isinstance(reader.feed(raw[cut + 3 :]), HttpRequest)
    assert isinstance(read([raw]), HttpRequest)


@pytest.mark.parametrize(
    ("raw", "is_kept_alive"),
    [
        (get(), True),
        (get("Connection: keep-alive"), True),
        (get("Connection: Close"), False),
        (get("Connection: keep-alive, close"), False),
        (get("Connection: keep-alive", "Connection: close"), False),
    ],
)
def test_the_caller_says_whether_the_connection_goes_on(raw: bytes, is_kept_alive: bool) -> None:
    """HTTP/1.1 goes on unless any Connection says close."""
    outcome = read([raw])

    assert isinstance(outcome, HttpRequest)
    assert outcome.is_kept_alive is is_kept_alive


def test_a_handshake_brings_its_raw_head_and_nothing_else_does() -> None:
    """The stream's protocol reads the handshake again for itself, from the very bytes."""
    raw = get(*WS, "Sec-WebSocket-Protocol: x", target="/ws?token=k1")
    outcome = read([raw])

    assert isinstance(outcome, HttpRequest)
    assert outcome.raw_head == raw
    assert outcome.call.head["sec-websocket-protocol"] == "x"
    plain = read([get(*WS)])
    assert isinstance(plain, HttpRequest)
    assert plain.raw_head is None


def test_bounds_are_the_ones_given() -> None:
    """Smaller bounds bind at their own number."""
    bounds = EdgeBounds(head_bytes_max=200, body_bytes_max=10, fields_max=3)

    codes = [
        outcome.code if isinstance(outcome := read([raw], bounds=bounds), Refusal) else None
        for raw in (get(), get("X: " + "a" * 200), get("A: b", "A: b", "A: b"), post(), post(body=b"x" * 10))
    ]

    assert codes == [None, Code.HEADERS_TOO_LARGE, Code.HEADERS_TOO_LARGE, Code.BODY_TOO_LARGE, None]


def test_no_refusal_repeats_what_was_sent() -> None:
    """A refusal's message holds nothing of the request, so it cannot carry a credential or markup back."""
    for case in CORPUS:
        outcome = read([case.raw.replace(b"127.0.0.1", b"canary")])
        if isinstance(outcome, Refusal):
            assert "canary" not in outcome.reasons[0].message
            assert outcome.note == ""


@BY_NAME
def test_what_came_before_changes_nothing(case: Case) -> None:
    """The same request again on one connection, also after another: each time what a fresh reader makes of it."""
    reader = Reader(EdgeBounds(), peer="192.0.2.7")
    check(case, fresh := read([case.raw]))
    if isinstance(fresh, HttpRequest):
        other = post()
        for raw, expected in ((case.raw, fresh), (other, read([other])), (case.raw, fresh), (case.raw, fresh)):
            assert reader.feed(raw) == expected
