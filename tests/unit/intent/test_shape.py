"""Names and shapes: known, once, in one of two shapes."""

import json

import pytest

from guard.intent.names import NAMES
from guard.intent.shape import Body, shape
from guard.terms import Refusal
from tests.support.bodies import ACCOUNT, HEADER, ORDER, codes, read_as, why

ORDER_PROTO = {"header": HEADER, "code": "00700", "trd_side": 1, "qty": 100, "price": 300}


def test_both_shapes_say_the_same() -> None:
    """Flat and proto bodies of the same order are the same intent."""
    assert read_as("/api/order", {"c2s": ORDER_PROTO}) == read_as("/api/order", ORDER)


@pytest.mark.parametrize("path", ["/api/order", "/api/funds", "/api/quote", "/api/unlock-trade"])
def test_a_body_is_flat_or_in_c2s_never_both(path: str) -> None:
    """A known name beside c2s is `conflicting_fields`, an unknown one `unknown_field`."""
    name = next(iter(NAMES[path].flat))

    assert codes(path, {"c2s": {}, name: 1}) == ["conflicting_fields"]
    assert codes(path, {"c2s": {}, "bogus": 1}) == ["unknown_field"]


@pytest.mark.parametrize("path", ["/api/order", "/api/funds", "/api/quote"])
def test_a_null_c2s_beside_fields_is_told_how_to_be_mended(path: str) -> None:
    """The daemon takes a body for flat only where there is no c2s: it would see nothing of what stands beside it."""
    body = {"c2s": None, next(iter(NAMES[path].flat)): 1}

    assert codes(path, body) == ["conflicting_fields"]
    assert "leave out the c2s that is null" in why(path, body)
    assert "null" not in why(path, body | {"c2s": {}})


@pytest.mark.parametrize("wrapped", [None, [], "x", 1])
def test_c2s_is_an_object(wrapped: object) -> None:
    """A wrapper without an object in it is refused."""
    assert codes("/api/quote", {"c2s": wrapped}) == ["bad_value"]


@pytest.mark.parametrize(
    ("path", "name", "hint"),
    [
        ("/api/order", "accID", "write acc_id"),
        ("/api/order", "trdEnv", "write trd_env"),
        ("/api/order", "TrdEnv", "write trd_env"),
        ("/api/order", "TRD_ENV", "write trd_env"),
        ("/api/order", "ACC_ID", "write acc_id"),
        ("/api/order", "timeInForce", "write time_in_force"),
        ("/api/order", "fillOutsideRTH", "write fill_outside_rth"),
        ("/api/modify-order", "orderIDEx", "write order_id_ex"),
        ("/api/unlock-trade", "pwdMD5", "write pwd_md5"),
        ("/api/unlock-trade", "pwdMd5", "write pwd_md5"),
        ("/api/order", "quantty", "did you mean quantity?"),
        ("/api/order", "header", "header belongs in c2s"),
        ("/api/order", "C2S", "write c2s"),
        ("/api/quote", "C2s", "write c2s"),
        ("/api/kline", "symbols", "did you mean symbol?"),
        ("/api/order", "expire_time", "unknown field 'expire_time'"),
        ("/api/ipo-list", "zzz", "unknown field 'zzz': there are market"),
        ("/api/rehab", "zzz", "there are security, symbol, code"),
        ("/api/admin/reload", "zzz", "there are no fields here"),
    ],
)
def test_b12_b13_a_name_that_is_not_exactly_known_is_refused_with_the_one_that_is(
    path: str, name: str, hint: str
) -> None:
    """camelCase, PascalCase and capitals get their snake_case form, slips their nearest name."""
    assert codes(path, {name: 1}) == ["unknown_field"]
    assert hint in why(path, {name: 1})


def test_a_header_field_in_c2s_is_told_where_it_belongs() -> None:
    """`acc_id` directly in c2s is unknown there."""
    body = {"c2s": {"acc_id": 1}}

    assert codes("/api/funds", body) == ["unknown_field"]
    assert "in c2s it is written header.acc_id" in why("/api/funds", body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/order", ORDER | {"symbol": "HK.00700"}),
        ("/api/order", ORDER | {"quantity": 100}),
        ("/api/order", ORDER | {"trd_side": 1}),
        ("/api/order", ORDER | {"trd_env": 0}),
        ("/api/order", ORDER | {"trd_market": 1}),
        ("/api/order", {"c2s": ORDER_PROTO | {"symbol": "00700"}}),
        ("/api/order", {"c2s": ORDER_PROTO | {"header": HEADER | {"env": 0}}}),
        ("/api/funds", ACCOUNT | {"trd_market": 1}),
        ("/api/funds", {"c2s": {"header": HEADER | {"market": 1}}}),
        ("/api/quote", {"symbol": "HK.00700", "symbols": ["HK.00700"]}),
        ("/api/kline", {"symbol": "HK.00700", "security": {"market": 1, "code": "00700"}}),
        ("/api/orders", ACCOUNT | {"begin": "x", "filter_conditions": {"begin_time": "y"}}),
        ("/api/orders", {"c2s": {"header": HEADER, "filter_conditions": {"begin": "x", "start": "y"}}}),
        ("/api/code-change", {"time_filter_list": [{"type": 1}, {"begin": "x", "begin_time": "y"}]}),
    ],
)
def test_w11_two_spellings_of_one_field_are_refused(path: str, body: dict[str, object]) -> None:
    """At any depth, in both shapes, reads too."""
    assert codes(path, body)[0] == "conflicting_fields"


def test_fields_of_different_list_items_do_not_conflict() -> None:
    """Each object of a list stands for itself."""
    assert codes("/api/code-change", {"time_filter_list": [{"begin": "x"}, {"begin_time": "y"}]}) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/order", {"c2s": ORDER_PROTO | {"header": HEADER | {"accID": 1}}}),
        ("/api/quote", {"security_list": [{"market": 1, "code": "00700", "bogus": 1}]}),
        ("/api/quote", {"security_list": {"market": 1, "bogus": 1}}),
        ("/api/quote", {"security_list": [[{"bogus": 1}]]}),
        ("/api/kline", {"kl_type": {"x": 1}}),
        ("/api/kline", {"kl_type": [{"x": 1}]}),
        ("/api/orders", ACCOUNT | {"filter_conditions": {"code_list": [{"x": 1}]}}),
        ("/api/orders", {"c2s": {"header": HEADER | {"acc_id": {"x": 1}}}}),
        ("/api/admin/reload", {"force": True}),
        ("/api/order", ORDER | {"Qty": None}),
    ],
)
def test_names_are_checked_at_every_depth(path: str, body: dict[str, object]) -> None:
    """An unknown name is found wherever it sits, even with a null."""
    assert codes(path, body)[0] == "unknown_field"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/funds", {"c2s": {"header": [HEADER]}}),
        ("/api/funds", {"c2s": {"header": 1}}),
        ("/api/order", ORDER | {"packet_id": 7}),
        ("/api/orders", ACCOUNT | {"filter_conditions": []}),
    ],
)
def test_an_object_that_names_an_account_cannot_hide_in_a_list(path: str, body: dict[str, object]) -> None:
    """A header, packet id or filter is an object."""
    assert codes(path, body) == ["bad_value"]


def test_null_equals_absent() -> None:
    """A null neither counts as a value nor as a second spelling."""
    assert read_as("/api/order", ORDER | {"symbol": None, "remark": None, "card_num": None}) == read_as(
        "/api/order", ORDER
    )
    assert codes("/api/order", ORDER | {"qty": None}) == ["missing_field"]
    assert read_as("/api/order", {"c2s": ORDER_PROTO | {"header": HEADER | {"jp_acc_type": None}}}) == read_as(
        "/api/order", ORDER
    )


def test_many_unknown_names_are_answered_with_a_few() -> None:
    """A body full of nonsense does not come back at full length."""
    result = shape(NAMES["/api/order"], {f"x{n}" * 50: 1 for n in range(500)})

    assert isinstance(result, Refusal)
    assert len(result.reasons) == 8
    assert all(len(reason.message) < 100 for reason in result.reasons)


@pytest.mark.parametrize(
    "body",
    [
        {"bogus": 1} | {f"x{n}": 1 for n in range(500)},
        {"filter_conditions": {f"x{n}": 1 for n in range(500)}},
        {"filter_status_list": [{f"x{n}": 1} for n in range(500)]},
        {"refresh_cache": {f"x{n}": 1 for n in range(500)}},
        {"c2s": {}} | {f"x{n}": 1 for n in range(500)},
    ],
)
def test_likeness_is_looked_for_a_few_times_only(body: dict[str, object]) -> None:
    """Eight reasons, then reading stops: at the top, in an object, in a list, beside c2s."""
    assert codes("/api/orders", body) == ["unknown_field"] * 8


def test_only_the_first_two_faults_are_searched_for_what_was_meant() -> None:
    """A search costs most of a millisecond, and a body may hold thousands of names."""
    result = shape(NAMES["/api/order"], {f"quantty{n}": 1 for n in range(8)})

    assert isinstance(result, Refusal)
    assert ["did you mean" in reason.message for reason in result.reasons] == [True] * 2 + [False] * 6


def test_values_are_found_by_path() -> None:
    """The body's values, without nulls, by the daemon's own names."""
    body = shape(NAMES["/api/funds"], json.loads('{"env": 1, "currency": null}'))

    assert isinstance(body, Body)
    assert body.values == {"header.trd_env": 1}
    assert body.is_flat
