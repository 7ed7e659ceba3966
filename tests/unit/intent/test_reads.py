"""Reads go on as they came, but for the account."""

import json

import pytest

from guard.intent.parse import KEPT_BYTES_MAX, KEPT_MAX, _known
from guard.terms import Env, Header, Read
from tests.support.bodies import ACCOUNT, HEADER, codes, read_as

HEAD = Header(Env.SIMULATE, 123456, None, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/kline", b' {"symbol" : "HK.00700","kl_type":"day", "count": 1e2}\n'),
        ("/api/quote", b'{"symbols":["nowhere"]}'),
        ("/api/kline", b'{"kl_type":"no such type","count":-7,"rehab_type":1e999999}'),
        ("/api/set-price-reminder", b'{"symbol":"HK.00700","op":"SetAdd","value":300.0}'),
        ("/api/funds", b"{ }"),
        ("/api/funds", b'{"currency":"HKD"}'),
        ("/api/orders", b'{"c2s":{"header":{}}}'),
        ("/api/admin/reload", b"{}"),
    ],
)
def test_a_read_without_an_account_goes_on_byte_for_byte(path: str, body: bytes) -> None:
    """Neither required fields nor enum values are looked at."""
    assert read_as(path, body) == Read(body)


@pytest.mark.parametrize(
    ("body", "forwarded"),
    [
        (ACCOUNT, {"trd_env": 0, "acc_id": 123456, "trd_market": 1}),
        (ACCOUNT | {"acc_id": "123456"}, {"trd_env": 0, "acc_id": 123456, "trd_market": 1}),
        (ACCOUNT | {"currency": "HKD"}, {"trd_env": 0, "acc_id": 123456, "trd_market": 1, "currency": "HKD"}),
        ({"acc_id": 123456}, {"acc_id": 123456}),
        ({"card_num": "7680", "jp_acc_type": "JP_GENERAL"}, {"card_num": "7680", "jp_acc_type": 1}),
        ({"c2s": {"header": HEADER}}, {"c2s": {"header": {"trd_env": 0, "acc_id": 123456, "trd_market": 1}}}),
        (
            {"c2s": {"refresh_cache": True, "header": {"env": "REAL", "acc_id": "9"}}},
            {"c2s": {"header": {"trd_env": 1, "acc_id": 9}, "refresh_cache": True}},
        ),
    ],
)
def test_b15_the_account_of_a_read_is_written_anew(body: dict[str, object], forwarded: dict[str, object]) -> None:
    """Numbers for words, integers for ids, the daemon's own names, the caller's shape."""
    read = read_as("/api/funds", body)

    assert isinstance(read, Read)
    assert read.body is not None
    assert json.loads(read.body) == forwarded


def test_the_header_of_a_read_is_told() -> None:
    """What the body names, and no more."""
    named = read_as("/api/funds", ACCOUNT)
    partly = read_as("/api/funds", {"acc_id": 7})

    assert isinstance(named, Read)
    assert isinstance(partly, Read)
    assert named.header == HEAD
    assert partly.header == Header(None, 7, None, 0)


def test_the_rest_of_an_account_read_keeps_its_values() -> None:
    """Ids beyond 2^53, decimals, text and nulls are what they were."""
    body = (
        '{"market":"HK","acc_id":123456,"filter_conditions":{"id_list":[18446744073709551615],"begin_time":"é\\"\\n"},'
        '"filter_pl_ratio_min":0.10,"filter_pl_ratio_max":1e-7,"refresh_cache":false,"asset_category":null}'
    )
    read = read_as("/api/positions", body)

    assert isinstance(read, Read)
    assert read.body is not None
    assert b"18446744073709551615" in read.body
    assert b"0.10" in read.body
    assert b"0.0000001" in read.body
    assert json.loads(read.body)["filter_conditions"]["begin_time"] == 'é"\n'
    assert json.loads(read.body)["asset_category"] is None


@pytest.mark.parametrize("number", ["1e999999", "-1e-999999", "1" * 30, "-" + "1" * 4000])
@pytest.mark.parametrize("place", ['"filter_pl_ratio_min":%s', '"filter_conditions":{"id_list":[%s]}'])
def test_a_number_that_no_field_could_take_is_refused_where_a_body_is_written_anew(number: str, place: str) -> None:
    """It would grow to a megabyte, or be another number to the daemon."""
    assert codes("/api/positions", '{"acc_id":1,' + place % number + "}") == ["bad_number"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"acc_id": [123456]}, ["bad_number"]),
        ({"acc_id": 0}, ["bad_value"]),
        ({"env": "both"}, ["bad_value"]),
        ({"accID": 1}, ["unknown_field"]),
        ({"acc_id": 1, "card_num": "7680"}, ["conflicting_fields"]),
    ],
)
def test_b08_the_account_of_a_read_is_checked(body: dict[str, object], expected: list[str]) -> None:
    """Whose account is read must be plain."""
    assert codes("/api/orders", body) == expected


def test_the_quotas_account_is_a_header_without_a_proto() -> None:
    """history-kl-quota's example names an account in a flat body."""
    read = read_as("/api/history-kl-quota", ACCOUNT | {"begin_time": "2026-01-01"})

    assert isinstance(read, Read)
    assert read.header == HEAD


def test_a_body_that_was_in_order_is_so_again_for_the_same_path_alone() -> None:
    """What was read is known by path and body; a refusal, a long body and one with an account are read each time."""
    quote = b'{"symbol":"HK.00700"}'
    found = read_as("/api/quote", quote)
    assert read_as("/api/quote", bytes(bytearray(quote))) is found == Read(quote)
    assert ("/api/kline", quote) not in _known

    for path, body in (
        ("/api/quote", b'{"nonsense":1}'),
        ("/api/quote", quote + b" " * KEPT_BYTES_MAX),
        ("/api/funds", b'{"currency":"HKD"}'),
        ("/api/unlock-trade", b'{"unlock":true,"pwd_md5":"0123456789abcdef0123456789abcdef"}'),
    ):
        assert read_as(path, body) == read_as(path, body)
        assert (path, body) not in _known


def test_no_more_bodies_are_known_than_may_be() -> None:
    """However many different ones are asked for."""
    for number in range(2 * KEPT_MAX + 3):
        assert isinstance(read_as("/api/quote", b'{"symbol":"HK.%05d"}' % number), Read)
        assert len(_known) <= KEPT_MAX
