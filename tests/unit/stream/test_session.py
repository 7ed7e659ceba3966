"""What a push frame is, and who may see it."""

import json
from typing import Any

import pytest
from websockets.frames import Frame as BookFrame
from websockets.frames import Opcode

from guard.access import visible_accounts
from guard.stream.session import FRAME_BYTES_MAX, NOTHING, CallerView, classify, may_see, text_frame, view_of
from guard.terms import Env, KeyLimits
from tests.support.keys import caller, row
from tests.support.stream import frame, trade

ALL = CallerView(frozenset({"qot:read", "acc:read"}))
QUOTES = CallerView(frozenset({"qot:read"}))
TRADES = CallerView(frozenset({"acc:read"}))


def shown(view: CallerView, data: bytes) -> bool:
    """Whether the view is shown these bytes, which must be a frame."""
    found = classify(data)
    assert found is not None
    assert found.wire == text_frame(data)
    return may_see(view, found)


def markets(*words: str) -> CallerView:
    """The view of a key that may see trades of these markets."""
    limits = KeyLimits(allowed_markets=words)
    return view_of(caller("acc:read", limits=limits), None, ())


@pytest.mark.parametrize(
    ("view", "kinds"),
    [
        (ALL, {"quote", "notify", "trade"}),
        (QUOTES, {"quote", "notify"}),
        (TRADES, {"trade"}),
        (CallerView(frozenset({"trade:real", "admin"})), set()),
        (NOTHING, set()),
    ],
)
def test_b04_each_event_wants_its_own_scope(view: CallerView, kinds: set[str]) -> None:
    """Quotes and notifications want qot:read and trade events acc:read, event by event; nobody is shown nothing."""
    frames = {"quote": frame("quote"), "notify": frame("notify"), "trade": frame("trade", acc_id=1, trd_market=1)}

    assert {kind for kind, data in frames.items() if shown(view, data)} == kinds


def test_b31_a_restricted_key_sees_trades_of_its_accounts_only() -> None:
    """An event of an account that the key may not see is not shown to it, to the other key it is."""
    rows = (row(Env.REAL, 7), row(Env.REAL, 8))
    key = caller("qot:read", "acc:read", acc_ids=frozenset({7}))
    view = view_of(key, visible_accounts(key, rows), rows)

    assert shown(view, frame("trade", acc_id=7, trd_market=1))
    assert not shown(view, frame("trade", acc_id=8, trd_market=1))
    assert shown(ALL, frame("trade", acc_id=8, trd_market=1))
    assert shown(view, frame("quote"))


@pytest.mark.parametrize(
    ("words", "trd_market", "is_shown"),
    [
        (("HK",), 1, True),
        (("HK",), 2, False),
        (("HK", "US"), 2, True),
        (("HKCC",), 4, True),
        (("CN",), 4, False),
        (("HK_FUND",), 113, True),
        (("HK",), 113, False),
        (("FUTURES",), 5, True),
        (("FUTURES_HK",), 5, False),  # 5 may be any of four markets
        (("FUTURES_HK", "FUTURES_US", "FUTURES_SG", "FUTURES_JP"), 5, True),
        (("FUTURES_HK",), 10, True),
        (("FUTURES",), 11, True),
        (("FUTURES_HK",), 11, False),
        (("HK",), 0, False),
        (("HK",), -1, False),
        (("HK",), 999, False),
        (("HK",), 2**70, False),
    ],
)
def test_b31_a_market_bound_key_sees_trades_of_its_markets_only(
    words: tuple[str, ...], trd_market: int, is_shown: bool
) -> None:
    """Every market that the event may stand for must be the key's; a market without a word is nobody's who is bound."""
    assert shown(markets(*words), frame("trade", acc_id=1, trd_market=trd_market)) is is_shown
    assert shown(ALL, frame("trade", acc_id=1, trd_market=trd_market))


@pytest.mark.parametrize("members", [{}, {"trd_market": None}])
def test_w13_a_trade_without_a_market_is_not_shown_to_a_market_bound_key(members: dict[str, Any]) -> None:
    """The daemon delivers it; here the key that is bound to markets does not see it, a free key does."""
    data = frame("trade", acc_id=1, **members)

    assert not shown(markets("HK", "US"), data)
    assert shown(ALL, data)


@pytest.mark.parametrize("proto_id", [2208, 2218])
def test_w13_a_trade_of_another_market_than_its_frame_says_is_not_shown_to_a_market_bound_key(proto_id: int) -> None:
    """A frame that says US around an order of HK: neither market's keys can be sure that it is theirs."""
    whole = json.loads(trade(proto_id))  # HK, as its frame says
    lying = json.dumps(whole | {"trd_market": 2}).encode()

    assert shown(markets("HK"), json.dumps(whole).encode())
    assert not shown(markets("US"), lying)
    assert not shown(markets("HK", "US"), lying)
    assert shown(ALL, lying)


@pytest.mark.parametrize("proto_id", [2208, 2218])
@pytest.mark.parametrize("body", ["?", "IgA=", "!!!!"])
def test_w13_a_body_that_cannot_be_read_is_not_shown_to_a_market_bound_key(proto_id: int, body: str) -> None:
    """Nobody can tell whether it is of the market that its frame names; where there is no body the frame tells all."""
    data = frame("trade", proto_id, acc_id=7, trd_market=1, body_b64=body)

    assert not shown(markets("HK"), data)
    assert shown(ALL, data)
    assert shown(markets("HK"), frame("trade", proto_id, acc_id=7, trd_market=1, body_b64=""))


@pytest.mark.parametrize("members", [{}, {"acc_id": None}])
def test_w13_a_trade_without_an_account_is_nobodys(members: dict[str, Any]) -> None:
    """An event that does not say whose it is goes to nobody, not even to a key without restrictions."""
    assert not shown(ALL, frame("trade", trd_market=1, **members))


def test_quotes_are_not_bound_to_accounts_or_markets() -> None:
    """allowed_markets binds trades and trade pushes; a quote of another market is shown."""
    key = caller("qot:read", acc_ids=frozenset({7}), limits=KeyLimits(allowed_markets=("HK",)))

    assert shown(view_of(key, frozenset(), ()), frame("quote", sec_key="11_AAPL"))


def test_an_account_list_that_cannot_be_had_shows_a_restricted_key_no_trade() -> None:
    """Without rows nothing is visible to a restricted key; its quotes go on."""
    key = caller("qot:read", "acc:read", acc_ids=frozenset({7}))
    view = view_of(key, visible_accounts(key, ()), ())

    assert not shown(view, frame("trade", acc_id=7, trd_market=1))
    assert shown(view, frame("quote"))


def test_a_card_that_covers_one_environment_only_shows_no_trade_of_the_shared_id() -> None:
    """A push names no environment: an id that is visible in one and hidden in the other is not shown."""
    rows = (row(Env.REAL, 7, card_num="1001"), row(Env.SIMULATE, 7, card_num="2002"), row(Env.REAL, 8, card_num="3003"))
    mine = caller("acc:read", card_nums=frozenset({"1001", "3003"}))
    view = view_of(mine, visible_accounts(mine, rows), rows)

    assert not shown(view, frame("trade", acc_id=7, trd_market=1))
    assert shown(view, frame("trade", acc_id=8, trd_market=1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"null",
        b"[]",
        b'"quote"',
        b"{}",
        b'{"type":"quote"}',
        b'{"proto_id":3005}',
        frame("order"),
        frame("Trade", 2208),
        frame("quote", proto_id=True),
        b'{"type":"quote","proto_id":"3005"}',
        b'{"type":"quote","proto_id":3005.0}',
        b'{"type":"quote","proto_id":NaN}',
        b'{"type":["quote"],"proto_id":3005}',
        frame("trade", acc_id="7", trd_market=1),
        frame("trade", acc_id=7.5, trd_market=1),
        frame("trade", acc_id=True, trd_market=1),
        frame("trade", acc_id=7, trd_market="HK"),
        frame("quote") + b"{}",
        frame("quote")[:-1],
        b"\xef\xbb\xbf" + frame("quote"),
        frame("quote").decode().encode("utf-16"),
        b'{"type":"quote","proto_id":3005,"body_b64":"\xff"}',
        b'{"type":"quote","proto_id":3005,"body_b64":"\\ud800"}',
        b'{"type":"quote","proto_id":3005,"deep":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"type":"quote","proto_id":' + b"3" * 100_000 + b"}",
    ],
)
def test_what_is_no_frame_is_not_classified(data: bytes) -> None:
    """Anything that is not exactly a frame is None, whatever it is instead."""
    assert classify(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"trade","type":"quote","proto_id":2208,"acc_id":7}',
        b'{"type":"quote","proto_id":2208,"proto_id":3005}',
        b'{"type":"trade","proto_id":2208,"acc_id":8,"trd_market":1,"acc_id":7}',
        b'{"type":"trade","proto_id":2208,"acc_id":7,"trd_market":2,"trd_market":1}',
        b'{"type":"trade","proto_id":2208,"acc_id":8,"\\u0061cc_id":7}',
    ],
)
def test_a_member_that_stands_twice_is_not_classified(data: bytes) -> None:
    """The guard and the caller could read different ones, so nobody reads either."""
    assert classify(data) is None


@pytest.mark.parametrize(("kind", "proto_id"), [("quote", 2208), ("notify", 2218), ("trade", 3005), ("trade", 1003)])
def test_b04_a_trade_message_cannot_come_as_a_quote(kind: str, proto_id: int) -> None:
    """A frame whose type and proto id contradict each other is not classified."""
    assert classify(frame(kind, proto_id, acc_id=1, trd_market=1)) is None


@pytest.mark.parametrize("proto_id", [2208, 2218])
def test_b31_a_frame_whose_body_names_another_account_is_not_classified(proto_id: int) -> None:
    """Shown by the account beside it, it would tell a key that may see that one of another's order."""
    data = trade(proto_id, acc_id=8)
    assert classify(data) is not None
    assert classify(data.replace(b'"acc_id": 8', b'"acc_id": 7')) is None


def test_a_frame_has_a_largest_size() -> None:
    """A frame of exactly the bound passes, one byte more does not."""
    room = FRAME_BYTES_MAX - len(frame("quote", body_b64=""))

    assert classify(frame("quote", body_b64="A" * room)) is not None
    assert classify(frame("quote", body_b64="A" * (room + 1))) is None


def test_members_that_are_not_known_pass_untouched() -> None:
    """What the daemon adds one day is passed on; the bytes are its own, 64-bit ids included."""
    data = json.dumps({"type": "trade", "proto_id": 2218, "acc_id": 2**63 + 1, "trd_market": 1, "new": [1.0]}).encode()
    found = classify(data)

    assert found is not None
    assert (found.kind, found.acc_id, found.markets, found.wire) == ("trade", 2**63 + 1, ("HK",), text_frame(data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20])
def test_a_text_frame_is_written_as_the_book_says(size: int) -> None:
    """Every length in its shortest form, unmasked, as the library writes it."""
    data = b"x" * size

    assert text_frame(data) == BookFrame(Opcode.TEXT, data).serialize(mask=False, extensions=[])


@pytest.mark.parametrize(
    ("data", "slot"),
    [
        (frame("quote", sec_key="1_00700"), (3005, "1_00700", None, None)),
        (frame("quote", 3013, sec_key="1_00700", sub_type=2), (3013, "1_00700", 2, None)),
        (frame("quote", 3007, sec_key="1_00700", sub_type=6, rehab_type=1), (3007, "1_00700", 6, 1)),
        (frame("quote", 3009, sec_key="1_00700"), (3009, "1_00700", None, None)),
        (frame("quote", 3015, sec_key="1_00700"), (3015, "1_00700", None, None)),
        (frame("quote"), None),
        (frame("quote", 3011, sec_key="1_00700"), None),
        (frame("quote", 3019, sec_key="1_00700"), None),
        (frame("notify", 1003, sec_key="1_00700"), None),
        (frame("notify", 3005, sec_key="1_00700"), None),
        (frame("trade", acc_id=7, trd_market=1, sec_key="1_00700"), None),
    ],
    ids=[
        *("quote", "book", "candle", "time share", "broker queue", "no symbol", "ticks", "reminder", "notification"),
        *("notification of a quote's number", "trade"),
    ],
)
def test_only_snapshots_of_a_symbol_conflate(data: bytes, slot: object) -> None:
    """A newer quote, book or candle says all that the older one did; ticks, reminders and order events each count."""
    found = classify(data)

    assert found is not None
    assert found.slot == slot
