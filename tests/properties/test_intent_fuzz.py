"""Any bytes at any endpoint: an intent or a refusal; and what is sent is what was judged."""

import json
from decimal import Decimal
from itertools import product
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.catalogue import ENDPOINTS
from guard.codes import MEANING, Code
from guard.intent import digest, encode, order_of, parse
from guard.intent.canonical import PREFIXED
from guard.intent.instrument import SEC_MARKETS, TradedInstrument, instrument
from guard.intent.names import NAMES
from guard.markets import PREFIXES, TRD_MARKETS, kind_of
from guard.simulator.contracts import traded
from guard.simulator.instruments import LISTED, Kind
from guard.terms import Env, Intent, OrderType, PlaceOrder, Read, Refusal
from tests.support.bodies import HEADER, ORDER, endpoint, order, read_as

CODES = {
    Code.BODY_TOO_LARGE,
    Code.BAD_JSON,
    Code.DUPLICATE_KEY,
    Code.UNKNOWN_FIELD,
    Code.CONFLICTING_FIELDS,
    Code.MISSING_FIELD,
    Code.BAD_NUMBER,
    Code.BAD_VALUE,
}
ROWS = st.sampled_from(ENDPOINTS)
POSTS = st.sampled_from([e for e in ENDPOINTS if e.method == "POST"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["HK", "US.AAPL", "00700", "real", "BUY", "MARKET", "CANCEL", "1", "HSI2606", "\ud800", "\x00"])
    | st.sampled_from([0, 1, 2, 5, 999, 2**63, 2**64, 10**15, 1e15, 1e-9])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NUMBER_TEXT = st.sampled_from(["1e999999", "-1e-999999", "1" * 4400, "0." + "1" * 9000, "-0", "1E5", "00", "1e", "NaN"])


OUTCOMES = (*get_args(Intent), Refusal)


def _judge(row: Any, body: bytes) -> object:
    """What comes out. A refusal is within its bounds, and what is sent can be read by anyone."""
    result = parse(row, body)
    if isinstance(result, Refusal):
        assert result.code in CODES
        assert 400 <= MEANING[result.code].status < 500
        assert len(result.reasons) <= 8
        assert all(len(reason.message) < 400 for reason in result.reasons)
        return result
    sent = encode(result, env=None, acc_id=None, serial=1, remark="g:x")
    assert len(digest(result, env=Env.REAL, acc_id=1)) == 64
    if sent and not (isinstance(result, Read) and result.header is None):
        json.loads(sent)
    return result


@settings(max_examples=200, deadline=None)
@given(ROWS, st.binary(max_size=200))
def test_any_bytes_are_an_intent_or_a_refusal(row: Any, body: bytes) -> None:
    """Nothing raises on noise."""
    assert isinstance(_judge(row, body), OUTCOMES)


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[Any, bytes]:
    row = draw(POSTS)
    names = NAMES[row.path]
    known = st.sampled_from(sorted({*names.flat, *names.proto, "c2s", "bogus"}))
    inner = st.sampled_from(sorted({n for members in names.inner.values() for n in members} | {"x"}))
    values = VALUES | st.dictionaries(inner, VALUES, max_size=5)
    body = draw(st.dictionaries(known, values, max_size=8))
    if draw(st.booleans()):
        body = {"c2s": body}
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        text = text.replace("999", draw(NUMBER_TEXT), 1)
    return row, text.encode(errors="surrogatepass")


@settings(max_examples=200, deadline=None)
@given(_bodies())
def test_any_value_under_any_known_name_is_an_intent_or_a_refusal(call: tuple[Any, bytes]) -> None:
    """Nothing raises on the right names with the wrong values, at any depth."""
    assert isinstance(_judge(*call), OUTCOMES)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(NAMES["/api/order"].flat)), VALUES, max_size=4))
def test_an_order_with_any_field_replaced(changes: dict[str, Any]) -> None:
    """Nothing raises one step away from a good order."""
    assert isinstance(_judge(endpoint("/api/order"), json.dumps(ORDER | changes).encode()), PlaceOrder | Refusal)


PRICES = st.decimals(min_value="0.001", max_value="999999999", places=3)
QUANTITIES = st.integers(1, 10**9) | st.decimals(min_value="0.001", max_value="99999", places=3)


@st.composite
def _orders(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(OrderType))
    future = draw(st.booleans())
    price = draw(PRICES)
    body: dict[str, Any] = {
        "market": "FUTURES" if future else "HK",
        "code": "US.CL2606" if future else draw(st.sampled_from(["00700", "HK.80700", "TCH260129C300000"])),
        "acc_id": draw(st.integers(1, 2**64 - 1)),
        "env": draw(st.sampled_from(["real", "simulate"])),
        "side": draw(st.sampled_from(["BUY", "SELL"])),
        "qty": draw(QUANTITIES),
        "price": -price if future and draw(st.booleans()) else price,
        "order_type": kind.value,
        "time_in_force": draw(st.sampled_from(["DAY", "GTC"])),
    }
    if kind in {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED}:
        body["aux_price"] = draw(PRICES)
    if kind in {OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT}:
        body |= {"trail_type": draw(st.sampled_from([1, 2])), "trail_value": draw(st.integers(1, 100))}
    if kind is OrderType.TRAILING_STOP_LIMIT:
        body["trail_spread"] = draw(st.integers(0, 9))
    optional: dict[str, Any] = {
        "remark": draw(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=16)),
        "fill_outside_rth": draw(st.booleans()),
        "session": draw(st.integers(0, 4)),
        "position_id": draw(st.integers(1, 2**64 - 1)),
        "adjust_price": True,
        "adjust_side_and_limit": draw(st.decimals(min_value="-0.9", max_value="0.9", places=4)),
    }
    return body | {k: v for k, v in optional.items() if draw(st.booleans())}


def _json(body: dict[str, Any]) -> str:
    """Numbers as their digits, so that the test does not go by way of a double."""
    return (
        "{"
        + ",".join(f"{json.dumps(k)}:{v if isinstance(v, Decimal) else json.dumps(v)}" for k, v in body.items())
        + "}"
    )


@settings(max_examples=200, deadline=None)
@given(_orders(), st.integers(1, 2**32 - 1))
def test_what_is_sent_is_what_was_judged(body: dict[str, Any], serial: int) -> None:
    """An independent reader finds the judged order in the canonical body, number by number."""
    placed = read_as("/api/order", _json(body))
    assert isinstance(placed, PlaceOrder), placed
    raw = encode(placed, env=None, acc_id=None, serial=serial, remark=None)
    assert b"E" not in raw.replace(b"TCH260129C", b"").split(b'"remark"')[0]
    sent = json.loads(raw, parse_float=Decimal)["c2s"]

    assert sent["packet_id"] == {"conn_id": 0, "serial_no": serial}
    assert sent["header"]["acc_id"] == placed.header.acc_id == body["acc_id"]
    assert sent["header"]["trd_env"] == placed.header.env
    assert sent["header"]["trd_market"] == placed.header.trd_market
    assert (sent["trd_side"], sent["order_type"], sent["time_in_force"]) == (
        placed.side,
        placed.order_type,
        placed.time_in_force,
    )
    assert sent["code"].rpartition(".")[2] == placed.code
    assert sent["qty"] == placed.qty == body["qty"]
    assert sent["price"] == (0 if placed.price is None else body["price"])
    for name in (
        "aux_price",
        "trail_type",
        "trail_value",
        "trail_spread",
        "adjust_price",
        "adjust_side_and_limit",
        "fill_outside_rth",
        "session",
        "position_id",
        "remark",
        "sec_market",
    ):
        assert sent.get(name) == getattr(placed, name)


@settings(max_examples=200, deadline=None)
@given(_orders())
def test_a_canonical_body_is_read_back_as_the_same_order(body: dict[str, Any]) -> None:
    """order_of undoes encode, with a stamp where there was no remark."""
    placed = read_as("/api/order", _json(body))
    assert isinstance(placed, PlaceOrder)
    again = order_of(encode(placed, env=None, acc_id=None, serial=1, remark="g:x"))

    assert again == replace(placed, remark=placed.remark if placed.remark is not None else "g:x")
    assert digest(placed, env=None, acc_id=None) == digest(replace(again, remark=placed.remark), env=None, acc_id=None)


@settings(max_examples=100, deadline=None)
@given(PRICES, st.integers(0, 6), st.booleans())
def test_a_digest_does_not_depend_on_how_a_number_is_written(price: Decimal, zeros: int, is_scaled: bool) -> None:
    """Trailing zeros, exponents and shapes leave the digest alone."""
    written = f"{price:.3f}{'0' * zeros}" if not is_scaled else f"{int(price * 1000)}e-3"
    spelt = f'{{"c2s":{{"header":{json.dumps(HEADER)},"code":"HK.00700","trd_side":1,"qty":1e2,"price":{written}}}}}'
    one, other = read_as("/api/order", spelt), order(price=None, order_type="MARKET")
    assert isinstance(one, PlaceOrder), one
    plain = replace(other, order_type=OrderType.NORMAL, price=price.normalize())

    assert digest(one, env=None, acc_id=None) == digest(plain, env=None, acc_id=None)


CONTRACTS = {
    *("HK.HSI2612", "HK.MHI2701", "US.ES2612", "US.MNQ2703", "SG.CN2612", "SG.NK2612", "JP.NK2252612", "JP.NK225M2612"),
    *("US.AAPL270115C200000", "US.F270115C11000", "HK.TCH270128P300000", "HK.ALB270128C5000"),
}
KINDS = {Kind.OPTION: "option", Kind.FUTURE: "future"}


def test_w03_w07_whatever_passes_is_what_the_daemon_trades() -> None:
    """Every spelling of every instrument under every header and sec_market: one symbol here and there, of one kind."""
    passed = 0
    for symbol in sorted({*LISTED, *CONTRACTS}):
        bare = symbol.partition(".")[2]
        prefixed = (f"{prefix}.{bare}" for prefix in (*PREFIXES, "CN", "BJ"))
        spellings = dict.fromkeys((bare, bare.lstrip("0"), bare.zfill(6), *prefixed, f"{symbol[:3]}{symbol}"))
        for code, market, sec_market in product(
            spellings, TRD_MARKETS.values(), (None, *sorted(set(SEC_MARKETS.values())))
        ):
            found = instrument(code, trd_market=market, sec_market=sec_market)
            if not isinstance(found, TradedInstrument):
                continue
            sent = found.symbol if found.market in PREFIXED else found.code
            there = traded(sent, sec_market=found.sec_market, trd_market=market)
            if there is not None:
                passed += 1
                assert there.symbol == found.symbol, (code, market, sec_market)
                assert KINDS.get(there.kind, "stock") == kind_of(found.market, found.code), (code, market)

    assert passed > len(LISTED)
