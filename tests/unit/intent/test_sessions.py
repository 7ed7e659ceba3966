"""Unlocking, subscriptions, account pushes."""

import pytest

from guard.terms import AccPush, Subscribe, Unlock
from tests.support.bodies import codes, read_as, why

DIGEST = "0123456789abcdef0123456789abcdef"
UNLOCK = "/api/unlock-trade"
SUB = {"symbols": ["HK.00700"], "sub_types": [1]}


def test_b19_an_empty_unlock_body_is_not_taken_for_lock() -> None:
    """The flag must be said."""
    assert codes(UNLOCK, {}) == ["missing_field"]
    assert codes(UNLOCK, {"unlock": None, "pwd_md5": DIGEST}) == ["missing_field"]


def test_unlock_and_lock() -> None:
    """Unlocking takes the digest, locking needs none."""
    whole = {"unlock": True, "pwd_md5": DIGEST, "security_firm": "FutuSecurities", "otp": "123456", "acc_ids": [1, "2"]}

    assert read_as(UNLOCK, whole) == Unlock(True, DIGEST, 1, "123456", (1, 2))
    assert read_as(UNLOCK, {"unlock": False}) == Unlock(False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"unlock": True}, ["missing_field"]),
        ({"unlock": 1}, ["bad_value"]),
        ({"unlock": "true"}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST.upper()}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST[:-1]}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST + "\n"}, ["bad_value"]),
        ({"unlock": False, "pwd_md5": "secret"}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST, "security_firm": 8}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST, "sec_otp": 123456}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST, "sec_otp": "12 34"}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST, "acc_ids": []}, ["bad_value"]),
        ({"unlock": True, "pwd_md5": DIGEST, "acc_ids": [0]}, ["bad_number"]),
        ({"unlock": True, "pwd_md5": DIGEST, "acc_id": 1}, ["unknown_field"]),
    ],
)
def test_what_is_no_unlock_is_refused(body: dict[str, object], expected: list[str]) -> None:
    """Each fault with its code; an empty account list might mean all of them (B29)."""
    assert codes(UNLOCK, body) == expected


def test_a_refused_unlock_does_not_repeat_the_secret() -> None:
    """Neither digest nor code comes back in a message."""
    said = why(UNLOCK, {"unlock": True, "pwd_md5": "hunter2secret", "sec_otp": "778 899"})

    assert "hunter2" not in said
    assert "778" not in said


@pytest.mark.parametrize(("path", "is_subscribe"), [("/api/subscribe", True), ("/api/unsubscribe", False)])
def test_b20_the_path_says_whether_it_begins_or_ends(path: str, is_subscribe: bool) -> None:
    """The flag comes from the path; a body may repeat it, not contradict it."""
    expected = Subscribe(is_subscribe, ((1, "00700"),), (1,))

    assert read_as(path, SUB) == expected
    assert read_as(path, SUB | {"is_sub": is_subscribe, "is_unsub_all": False}) == expected
    assert codes(path, SUB | {"is_sub": not is_subscribe}) == ["bad_value"]


@pytest.mark.parametrize("path", ["/api/subscribe", "/api/unsubscribe"])
def test_b30_ending_everybodys_subscriptions_is_refused(path: str) -> None:
    """is_unsub_all acts on the whole login; it needs no lists, so it is what is told also without them."""
    assert codes(path, SUB | {"is_unsub_all": True}) == ["bad_value"]
    assert codes(path, {"is_unsub_all": True}) == ["bad_value"]


@pytest.mark.parametrize(
    ("security", "pair"),
    [
        ("HK.00700", (1, "00700")),
        ("HK.800000", (1, "800000")),
        ("HK.HSImain", (1, "HSImain")),
        ("US.BRK.B", (11, "BRK.B")),
        ("SH.600519", (21, "600519")),
        ("US.SH", (11, "SH")),
        ({"market": 1, "code": "00700"}, (1, "00700")),
        ({"market": 1, "code": "HK.00700"}, (1, "00700")),
        ({"market": "US", "code": "AAPL"}, (11, "AAPL")),
        ({"market": "HK_SECURITY", "code": "00700"}, (1, "00700")),
        ({"market": 2, "code": "HSI2606"}, (2, "HSI2606")),
    ],
)
def test_a_security_is_a_symbol_or_market_and_code(security: object, pair: tuple[int, str]) -> None:
    """Both forms, mixed as the caller likes."""
    subscribed = read_as("/api/subscribe", {"security_list": [security, "US.AAPL"], "sub_type_list": ["BASIC"]})

    assert subscribed == Subscribe(True, (pair, (11, "AAPL")), (1,))


@pytest.mark.parametrize(
    "security",
    [
        "00700",
        "XX.00700",
        "HK.",
        "HK.a b",
        7,
        None,
        ["HK.00700"],
        {"market": 1},
        {"code": "00700"},
        {"market": 3, "code": "x"},
        {"market": True, "code": "x"},
        {"market": 1, "code": 700},
        {"market": 1, "code": "US.AAPL"},
        "HK." + "x" * 40,
    ],
)
def test_what_is_no_security_is_refused(security: object) -> None:
    """A code needs its market, and not two of them."""
    assert codes("/api/subscribe", SUB | {"symbols": [security]}) == ["bad_value"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbols": None}, ["missing_field"]),
        ({"sub_types": None}, ["missing_field"]),
        ({"symbols": []}, ["bad_value"]),
        ({"sub_types": []}, ["bad_value"]),
        ({"sub_types": [3]}, ["bad_value"]),
        ({"sub_types": ["QUOTES"]}, ["bad_value"]),
        ({"sub_types": [True]}, ["bad_value"]),
        ({"sub_types": 1}, ["bad_value"]),
        ({"session": 9}, ["bad_value"]),
        ({"extended_time": 1}, ["bad_value"]),
        ({"reg_push_rehab_type_list": [4]}, ["bad_value"]),
    ],
)
def test_what_is_no_subscription_is_refused(changes: dict[str, object], expected: list[str]) -> None:
    """Each fault with its code."""
    body = {k: v for k, v in (SUB | changes).items() if v is not None}

    assert codes("/api/subscribe", body) == expected


def test_a_subscription_keeps_its_other_fields() -> None:
    """Typed, as numbers and booleans."""
    subscribed = read_as(
        "/api/subscribe",
        SUB
        | {"is_first_push": True, "session": "ALL", "reg_push_rehab_type_list": ["FORWARD"], "extended_time": False},
    )

    assert isinstance(subscribed, Subscribe)
    assert subscribed.extra == {
        "is_first_push": True,
        "session": 3,
        "reg_push_rehab_type_list": [1],
        "extended_time": False,
    }


def test_many_bad_securities_are_answered_with_a_few() -> None:
    """A long list of nonsense does not come back at full length."""
    assert len(codes("/api/subscribe", SUB | {"symbols": ["x"] * 4000})) == 8


@pytest.mark.parametrize(("path", "is_subscribe"), [("/api/sub-acc-push", True), ("/api/unsub-acc-push", False)])
def test_account_pushes(path: str, is_subscribe: bool) -> None:
    """A list of accounts, or none for every account that the key may see; an empty list is neither."""
    assert read_as(path, {}) == AccPush(is_subscribe)
    assert read_as(path, {"acc_id_list": ["1", 2]}) == AccPush(is_subscribe, (1, 2))
    assert codes(path, {"acc_id_list": []}) == ["bad_value"]
    assert codes(path, {"acc_id_list": [0]}) == ["bad_number"]
