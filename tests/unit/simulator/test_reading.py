"""Bodies as the daemon reads them."""

import json
from decimal import Decimal
from typing import Any

import pytest

from guard.simulator.reading import flag, number, parse, read, required, text, whole
from guard.simulator.refusals import BadBody

HEAD = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
ORDER = {"header": HEAD, "trd_side": 1, "code": "00700", "qty": 100, "price": Decimal("300.0")}


def _read(path: str, body: object) -> Any:
    return read(path, body if isinstance(body, bytes) else json.dumps(body).encode())


DETAIL = {"code": "00700", "qty": 100, "price": 300.0}
NAMED = {"trdEnv": "SIMULATE", "accID": 123456, "trdMarket": "hk"}


@pytest.mark.parametrize(
    "body",
    [
        {"market": "HK", "acc_id": 123456, "env": "simulate", "side": "BUY"} | DETAIL,
        {"trdMarket": 1, "accID": "123456", "TrdEnv": 0, "trdSide": "buy", "symbol": "00700", "quantity": 100}
        | {"price": 300.0},
        {"c2s": {"header": HEAD, "trd_side": 1} | DETAIL},
        {"c2s": {"trd_env": 0, "acc_id": 123456, "market": "HK", "side": 1} | DETAIL},
        {"c2s": {"header": NAMED, "trdSide": 1} | DETAIL},
    ],
)
def test_every_shape_of_an_order_means_the_same(body: dict[str, Any]) -> None:
    """Flat or wrapped, any case, aliases, enums by name: one order."""
    assert _read("/api/order", body) == ORDER


def test_numbers_are_exact() -> None:
    """Accounts keep 64 bits, prices their digits."""
    body = b'{"acc_id":18446744073709551615,"env":1,"market":1,"price":0.1}'
    c2s = _read("/api/order", body)

    assert c2s["header"]["acc_id"] == 2**64 - 1
    assert number(c2s, "price") == Decimal("0.1")


@pytest.mark.parametrize(
    ("body", "acc_id"),
    [
        (b'{"acc_id":1,"accID":2,"env":0}', 2),
        (b'{"accID":2,"acc_id":1,"env":0}', 1),
        (b'{"acc_id":1,"acc_id":2,"env":0}', 2),
        (b'{"acc_id":1,"env":0,"c2s":{"acc_id":2}}', 2),
    ],
)
def test_w11_of_two_spellings_one_wins(body: bytes, acc_id: int) -> None:
    """The simulated daemon is as lenient as the real one, so that the guard's refusal means something."""
    assert _read("/api/funds", body)["header"]["acc_id"] == acc_id


def test_unknown_names_are_refused() -> None:
    """On every endpoint, by name, in the header and in the filter too."""
    for body, word in (
        ({"bogus": 1}, "bogus"),
        ({"c2s": {"header": HEAD | {"nobody": 1}}}, "header.nobody"),
        ({"c2s": {"filter_conditions": {"odd": 1}}}, "filter_conditions.odd"),
    ):
        with pytest.raises(BadBody, match=rf"unknown field\(s\): {word}"):
            _read("/api/orders", body)


@pytest.mark.parametrize(
    "body",
    [
        {"symbols": ["HK.00700"]},
        {"symbol": "HK.00700"},
        {"code_list": ["HK.00700"]},
        {"security_list": [{"market": 1, "code": "00700"}]},
        {"stocks": [{"market": "HK", "code": "00700"}]},
    ],
)
def test_symbols_become_securities(body: dict[str, Any]) -> None:
    """Strings and objects, one or a list."""
    assert _read("/api/snapshot", body) == {"security_list": [{"market": 1, "code": "00700"}]}


def test_flat_filters_go_into_their_message() -> None:
    """Times beside the account are filter conditions."""
    c2s = _read("/api/history-orders", HEAD | {"begin": "2026-01-01", "end": "2026-02-01"})

    assert c2s["filter_conditions"] == {"begin_time": "2026-01-01", "end_time": "2026-02-01"}


def test_a_trd_market_beside_a_header_is_the_filter_of_a_cancel_all() -> None:
    """W12: the two markets may differ, and the daemon does not mind."""
    c2s = _read("/api/cancel-all-order", {"c2s": {"header": HEAD, "trd_market": 2}})

    assert (c2s["header"]["trd_market"], c2s["trd_market"]) == (1, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"{",
        b"\xff",
        b'{"price":NaN}',
        b'{"remark":"\\ud800"}',
        b'{"c2s":1}',
        b'{"c2s":{"header":1}}',
        b'{"symbol":"' + b"[" * 10 + b'"',
        b"[" * 100_000,
        b'{"a":' * 80 + b"1" + b"}" * 80,
        b'{"acc_id":-1}',
        b'{"acc_id":true}',
        b'{"trd_market":999}',
        b'{"remark":1}',
        b'{"packet_id":1}',
    ],
)
def test_malformed_bodies_are_bad_bodies(body: bytes) -> None:
    """Whatever the bytes are, the answer is a value or BadBody."""
    with pytest.raises(BadBody):
        read("/api/order", body)


@pytest.mark.parametrize(
    "body", [{"symbols": ["00700"]}, {"symbols": [1]}, {"symbols": ["HK.00700"] * 101}, {"symbols": [{}]}]
)
def test_odd_symbols_are_refused(body: dict[str, Any]) -> None:
    """A symbol has a market and a code, and there are at most a hundred."""
    with pytest.raises(BadBody):
        _read("/api/quote", body)


def test_an_absent_body_is_an_empty_one_and_null_is_absent() -> None:
    """As the daemon's decoder has it."""
    assert parse(None) == {}
    assert _read("/api/quote", {"symbols": None}) == {}
    assert _read("/api/orders", {"filter_conditions": None, "acc_id": 1}) == {"header": {"acc_id": 1}}


def test_typed_members_say_what_they_expect() -> None:
    """A string is no number, a number no text, an absent member may be missing."""
    assert [number({}, "qty"), text({}, "remark"), flag({}, "unlock")] == [None, None, None]
    assert whole("order_id", "987") == 987
    for read_member in (
        lambda: number({"qty": "100"}, "qty"),
        lambda: number({"qty": Decimal("1E+999999")}, "qty"),
        lambda: text({"remark": 1}, "remark"),
        lambda: flag({"unlock": 1}, "unlock"),
        lambda: required({}, "code"),
        lambda: whole("order_id", "x"),
    ):
        with pytest.raises(BadBody):
            read_member()


def test_market_filters_must_be_objects() -> None:
    """A filter that is a list is malformed."""
    with pytest.raises(BadBody, match="filter_conditions"):
        _read("/api/orders", {"filter_conditions": []})
