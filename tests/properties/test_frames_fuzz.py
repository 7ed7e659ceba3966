"""Frames of the daemon and bytes of callers, whatever they are."""

import json
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from guard.markets import MARKETS, market_words
from guard.stream.bounds import StreamBounds
from guard.stream.session import CallerView, classify, may_see, text_frame, view_of
from guard.terms import Account, AccountRow, Env, KeyLimits, Principal
from tests.support.stream import Peer, frame

IDS: Final = (1, 2, 3, 2**63 + 1)
TRD_MARKETS: Final = (0, 1, 2, 3, 4, 5, 6, 10, 11, 15, 113, 124, 999)
SCOPES: Final = ("qot:read", "acc:read", "trade:real", "admin")

principals = st.builds(
    Principal,
    id=st.just("bot"),
    name=st.just("bot"),
    scopes=st.frozensets(st.sampled_from(SCOPES)),
    acc_ids=st.none() | st.frozensets(st.sampled_from(IDS), min_size=1),
    limits=st.builds(
        KeyLimits,
        allowed_markets=st.none()
        | st.lists(st.sampled_from([*MARKETS, "FUTURES"]), min_size=1, unique=True).map(tuple),
    ),
)
lists = st.lists(st.sampled_from([Account(env, acc_id) for env in Env for acc_id in IDS]), unique=True)
members = st.fixed_dictionaries(
    {},
    optional={
        "acc_id": st.none() | st.sampled_from(IDS) | st.sampled_from(["1", True, 1.5, -1]),
        "trd_market": st.none() | st.sampled_from(TRD_MARKETS) | st.sampled_from(["1", False, [1]]),
        "sec_key": st.sampled_from(["1_00700", None, 7]),
        "body_b64": st.just(""),
    },
)
kinds = st.sampled_from(["quote", "trade", "notify", "order", "TRADE", None, 1])
proto_ids = st.sampled_from([1003, 2207, 2208, 2218, 3005, 3019, 1999, 2000, 2999, 3000, 0, -1, None, "2208", True])


def visible(principal: Principal, listed: list[Account]) -> frozenset[Account] | None:
    """The accounts that a key may see, said again in one line."""
    return None if principal.acc_ids is None else frozenset(a for a in listed if a.acc_id in principal.acc_ids)


def allowed(principal: Principal, listed: list[Account], said: dict[str, Any]) -> bool:
    """Whether a caller may be sent this frame: the contract said again, from the parsed JSON and the key alone."""
    kind, proto_id, acc_id, trd_market = (said.get(name) for name in ("type", "proto_id", "acc_id", "trd_market"))
    numbers = [each for each in (proto_id, acc_id, trd_market) if each is not None]
    if proto_id is None or any(type(each) is not int for each in numbers):
        return False
    if not isinstance(said.get("sec_key"), str | None):
        return False
    if (kind == "trade") != (2000 <= proto_id <= 2999):
        return False
    if kind in {"quote", "notify"}:
        return "qot:read" in principal.scopes
    if kind != "trade" or "acc:read" not in principal.scopes or acc_id is None:
        return False
    if principal.acc_ids is not None and (acc_id not in principal.acc_ids or acc_id not in {a.acc_id for a in listed}):
        return False
    words = principal.limits.allowed_markets
    if words is None:
        return True
    is_unclear = proto_id in {2208, 2218} and said.get("body_b64") != ""
    meant = () if trd_market is None or is_unclear else market_words(trd_market)
    return bool(meant) and all(word in words or (word.startswith("FUTURES_") and "FUTURES" in words) for word in meant)


@settings(max_examples=200, deadline=None)
@given(principal=principals, listed=lists, kind=kinds, proto_id=proto_ids, more=members)
def test_what_is_shown_is_exactly_what_the_contract_allows(
    principal: Principal, listed: list[Account], kind: Any, proto_id: Any, more: dict[str, Any]
) -> None:
    """For any key, account list and frame the session agrees with the contract said again in other words."""
    said = {"type": kind, "proto_id": proto_id, "body_b64": "AA=="} | more
    rows = tuple(AccountRow(account) for account in listed)
    view = view_of(principal, visible(principal, listed), rows)
    found = classify(json.dumps(said).encode())

    assert (found is not None and may_see(view, found)) is allowed(principal, listed, said)


EVERYTHING: Final = CallerView(frozenset({"qot:read", "acc:read"}))
SPECIMENS: Final = [frame("quote"), frame("trade", acc_id=1, trd_market=1), frame("notify")]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A frame with a few bytes put in, taken out or written over."""
    data = bytearray(draw(st.sampled_from(SPECIMENS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b",", b'"type":"trade",', b"{", b"}", b"\\u0000", b"1e9"])
        )
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(data=mutants() | st.binary(max_size=200))
@example(data=b'{"type":"quote","proto_id":3005,"type":"quote"}')
def test_any_bytes_are_classified_or_not_and_never_raise(data: bytes) -> None:
    """What is classified is JSON that a strict reader reads the same, each member once; its bytes are untouched."""
    found = classify(data)
    if found is None:
        return

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    said = json.loads(data.decode(), object_pairs_hook=once)
    assert (found.kind, found.acc_id, found.wire) == (said["type"], said.get("acc_id"), text_frame(data))
    assert may_see(EVERYTHING, found) or (found.kind == "trade" and found.acc_id is None)


control = st.one_of(
    st.binary(max_size=125).map(lambda data: Frame(Opcode.PING, data)),
    st.binary(max_size=125).map(lambda data: Frame(Opcode.PONG, data)),
)
messages = st.builds(Frame, st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.binary(max_size=300))


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(control | messages, max_size=8), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=5))
async def test_only_control_frames_keep_a_socket_open(frames: list[Frame], cuts: list[int]) -> None:
    """However the caller's bytes are cut: open after control frames alone, every ping answered; else 1008, once."""
    peer = Peer()
    peer.accept()
    data = b"".join(each.serialize(mask=True, extensions=[]) for each in frames)
    while data:
        for cut in cuts:
            part, data = data[:cut], data[cut:]
            peer.socket.data_received(part)
    answers = peer.seen()

    has_message = any(each.opcode in {Opcode.TEXT, Opcode.BINARY} for each in frames)
    assert peer.socket.is_open is not has_message
    if has_message:
        assert peer.closed_with() is not None
        assert peer.client.close_rcvd is not None
        assert peer.client.close_rcvd.code == CloseCode.POLICY_VIOLATION
    else:
        pings = [bytes(each.data) for each in frames if each.opcode is Opcode.PING]
        assert [bytes(each.data) for each in answers if each.opcode is Opcode.PONG] == pings
    peer.socket.connection_lost(None)
    assert len(peer.ends) == 1


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.binary(min_size=1, max_size=60), max_size=8))
@example(parts=[b"\x88\x80\x00\x00\x00\x00", b"\x81\x80\x00\x00\x00\x00"])
@example(parts=[b"\x88\x82\x00\x00\x00\x00\x03\xe8" * 2, b"\x00" * 50])
async def test_any_bytes_of_a_caller_leave_a_sane_socket(parts: list[bytes]) -> None:
    """Nothing raises, a socket ends at most once, and the client's side of the protocol reads all that it wrote."""
    peer = Peer(StreamBounds(message_bytes_max=1024))
    peer.accept()
    for part in parts:
        peer.socket.data_received(part)
    peer.push(b"{}")
    sent = peer.wire.sent[peer._read :]
    client = ClientProtocol(parse_uri("ws://guard/ws"), state=State.OPEN)
    client.receive_data(sent)

    assert client.parser_exc is None
    assert len(peer.ends) == (0 if peer.socket.is_open else 1)
    peer.socket.connection_lost(None)
    assert len(peer.ends) == 1
