"""The reference's 68 endpoints, row by row: what its table says is what the guard does."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from guard.catalogue import BY_PATH, ENDPOINTS, GROUPS, find
from guard.codes import Code
from guard.intent import parse
from guard.terms import Effect, Endpoint, Intent, Read, Refusal

ROWS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parent / "endpoints.json").read_text())
POSTS: Final = [row for row in ROWS if row["method"] == "POST"]
GETS: Final = [row for row in ROWS if row["method"] == "GET"]

# Two examples of the reference cannot be meant: what they lack is said instead.
LACKING: Final = {"/api/reconfirm-order": Code.MISSING_FIELD, "/api/unlock-trade": Code.BAD_VALUE}

HEAD: Final[dict[str, object]] = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
FLAT_ORDER: Final[dict[str, object]] = {
    **HEAD,
    "code": "00700",
    "trd_side": 1,
    "order_type": 1,
    "qty": 100,
    "price": 300,
}
FLAT_CHANGE: Final[dict[str, object]] = {**HEAD, "order_id": 987, "modify_order_op": 1, "qty": 100, "price": 300}
SUBSCRIPTION: Final[dict[str, object]] = {"security_list": ["HK.00700"], "sub_type_list": [1], "is_sub_or_un_sub": True}
DIGEST: Final = "0123456789abcdef0123456789abcdef"
SPAN: Final[dict[str, object]] = {"begin_time": "2026-01-01", "end_time": "2026-02-01"}

# Path, a body in the daemon's own names, and for each of them the documented other spellings.
ALIASES: Final[list[tuple[str, dict[str, object], dict[str, tuple[str, ...]]]]] = [
    ("/api/order", FLAT_ORDER, {"trd_env": ("env",), "trd_market": ("market",), "trd_side": ("side",)}),
    ("/api/order", FLAT_ORDER, {"code": ("symbol",), "qty": ("quantity",)}),
    ("/api/modify-order", FLAT_CHANGE, {"modify_order_op": ("op",), "qty": ("quantity",), "trd_market": ("market",)}),
    ("/api/cancel-all-order", HEAD, {"trd_env": ("env",), "trd_market": ("market",)}),
    ("/api/subscribe", SUBSCRIPTION, {"security_list": ("symbols", "stocks", "code_list", "symbol_list")}),
    ("/api/subscribe", SUBSCRIPTION, {"sub_type_list": ("sub_types",), "is_sub_or_un_sub": ("is_sub",)}),
    ("/api/unlock-trade", {"unlock": True, "pwd_md5": DIGEST, "sec_otp": "123456"}, {"sec_otp": ("otp", "token")}),
    ("/api/unlock-trade", {"unlock": False, "sec_otp": "123456"}, {"sec_otp": ("one_time_password",)}),
    ("/api/sub-acc-push", {"acc_id_list": [123456]}, {"acc_id_list": ("acc_ids",)}),
    ("/api/funds", HEAD, {"trd_env": ("env",), "trd_market": ("market",)}),
    ("/api/history-orders", {**HEAD, **SPAN}, {"begin_time": ("begin", "start"), "end_time": ("end",)}),
    (
        "/api/history-kline",
        {"security": "HK.00700", **SPAN},
        {"security": ("symbol",), "begin_time": ("begin", "start")},
    ),
    ("/api/history-kline", {"max_ack_kl_num": 9}, {"max_ack_kl_num": ("req_count", "max_count", "count")}),
    ("/api/kline", {"req_num": 9}, {"req_num": ("count",)}),
    ("/api/orderbook", {"num": 9}, {"num": ("depth",)}),
    ("/api/ticker", {"max_ret_num": 9}, {"max_ret_num": ("count",)}),
    ("/api/quote", {"security_list": ["HK.00700"]}, {"security_list": ("symbols", "stocks", "code_list", "symbol")}),
    ("/api/option-chain", {"owner": "HK.00700"}, {"owner": ("symbol",)}),
    ("/api/set-price-reminder", {"type": 1}, {"type": ("reminder_type",)}),
]


def _name(row: dict[str, Any]) -> str:
    return f"{row['method']} {row['path']}"


def _endpoint(row: dict[str, Any]) -> Endpoint:
    found = find(row["method"], row["path"])
    assert isinstance(found, Endpoint)
    return found


def _parsed(path: str, body: dict[str, object]) -> Intent | Refusal:
    return parse(BY_PATH[path][-1], json.dumps(body).encode())


def test_the_reference_has_68_rows_in_nine_groups_and_so_has_the_catalogue() -> None:
    """Groups of 6, 5, 13, 8, 11, 2, 14, 6 and 3, in the reference's order, each call once."""
    assert len(ROWS) == len(ENDPOINTS) == 68
    assert list(Counter(row["group"] for row in ROWS).values()) == [6, 5, 13, 8, 11, 2, 14, 6, 3]
    assert list(Counter(e.group for e in ENDPOINTS).values()) == [6, 5, 13, 8, 11, 2, 14, 6, 3]
    assert list(GROUPS) == list(dict.fromkeys(row["group"] for row in ROWS))
    assert len({_name(row) for row in ROWS}) == 68


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_each_row_of_the_catalogue_is_the_references(row: dict[str, Any]) -> None:
    """Group, proto id, both scopes, effect and broker limit are the reference's."""
    endpoint = _endpoint(row)

    assert (endpoint.group, endpoint.proto_id) == (row["group"], row["proto_id"])
    assert set(endpoint.documented) == set(row["documented_scope_any_of"])
    assert set(endpoint.runtime) == set(row["runtime_scope_any_of"])
    assert endpoint.effect is Effect(row["effect"])
    limit = row["broker_limit"]
    if limit is None:
        assert endpoint.bucket is None
    else:
        assert endpoint.bucket is not None
        assert f"{endpoint.bucket.count}/{endpoint.bucket.window_s}s" == limit["rate"]
        assert endpoint.bucket.per == limit["counted_per"]


def test_fifteen_rows_ask_for_another_scope_than_they_document() -> None:
    """The daemon's documented and real scopes differ on 15 rows."""
    assert sum(set(e.documented) != set(e.runtime) for e in ENDPOINTS) == 15


@pytest.mark.parametrize("row", POSTS, ids=_name)
def test_each_example_body_is_accepted_as_far_as_it_means_something(row: dict[str, Any]) -> None:
    """All 58 examples are intents, but for the two that lack what they are about."""
    result = parse(_endpoint(row), json.dumps(row["documented_example_body"]).encode())

    if row["path"] in LACKING:
        assert isinstance(result, Refusal)
        assert result.code is LACKING[row["path"]]
    else:
        assert not isinstance(result, Refusal), result


@pytest.mark.parametrize("row", POSTS, ids=_name)
def test_the_same_body_with_one_field_more_is_refused(row: dict[str, Any]) -> None:
    """A name that the endpoint does not have is `unknown_field`, also beside a whole body."""
    result = parse(_endpoint(row), json.dumps(row["documented_example_body"] | {"bogus": 1}).encode())

    assert isinstance(result, Refusal)
    assert result.code is Code.UNKNOWN_FIELD


@pytest.mark.parametrize("row", GETS, ids=_name)
def test_a_get_takes_no_body(row: dict[str, Any]) -> None:
    """A GET without a body is a read; with one it is refused."""
    assert parse(_endpoint(row), b"") == Read(None)
    with_body = parse(_endpoint(row), b"{}")
    assert isinstance(with_body, Refusal)
    assert with_body.code is Code.BAD_VALUE


@pytest.mark.parametrize(
    ("path", "body", "name", "alias"),
    [(path, body, name, alias) for path, body, names in ALIASES for name, others in names.items() for alias in others],
)
def test_each_documented_alias_means_the_same(path: str, body: dict[str, object], name: str, alias: str) -> None:
    """A documented spelling is accepted and gives the same intent; a market read goes on as it came."""
    own = _parsed(path, body)
    other = _parsed(path, {alias if key == name else key: value for key, value in body.items()})

    assert not isinstance(own, Refusal), own
    assert not isinstance(other, Refusal), other
    if isinstance(own, Read) and own.header is None:
        assert isinstance(other, Read)
    elif isinstance(own, Read):
        assert isinstance(other, Read)
        assert other.header == own.header
    else:
        assert other == own


@pytest.mark.parametrize(
    ("path", "body", "name", "alias"),
    [(path, body, name, alias) for path, body, names in ALIASES for name, others in names.items() for alias in others],
)
def test_w11_a_field_under_two_of_its_names_is_refused(
    path: str, body: dict[str, object], name: str, alias: str
) -> None:
    """Own name and alias together are `conflicting_fields`, though both say the same; reads too."""
    result = _parsed(path, body | {alias: body[name]})

    assert isinstance(result, Refusal)
    assert result.code is Code.CONFLICTING_FIELDS
