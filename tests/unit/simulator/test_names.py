"""Spellings that the daemon accepts."""

import pytest

from guard.catalogue import ENDPOINTS
from guard.simulator.names import SPELLINGS, snake


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("accID", "acc_id"),
        ("trdEnv", "trd_env"),
        ("TrdEnv", "trd_env"),
        ("TRD_ENV", "trd_env"),
        ("pwdMD5", "pwd_md5"),
        ("orderIDEx", "order_id_ex"),
        ("isSubOrUnSub", "is_sub_or_un_sub"),
        ("acc_id", "acc_id"),
    ],
)
def test_keys_become_snake_case(given: str, expected: str) -> None:
    """Camel, Pascal and upper case are the same key."""
    assert snake(given) == expected


def test_every_endpoint_has_its_names() -> None:
    """The 68 endpoints but the stream are in the table."""
    assert set(SPELLINGS) == {endpoint.path for endpoint in ENDPOINTS} - {"/ws"}


@pytest.mark.parametrize(
    ("path", "alias", "name"),
    [
        ("/api/order", "side", "trd_side"),
        ("/api/order", "symbol", "code"),
        ("/api/order", "market", "trd_market"),
        ("/api/modify-order", "op", "modify_order_op"),
        ("/api/quote", "symbols", "security_list"),
        ("/api/kline", "symbol", "security"),
        ("/api/kline", "count", "req_num"),
        ("/api/option-chain", "symbol", "owner"),
        ("/api/unlock-trade", "otp", "sec_otp"),
        ("/api/history-orders", "begin", "begin_time"),
    ],
)
def test_aliases_belong_to_their_endpoint(path: str, alias: str, name: str) -> None:
    """An alias is known where the field is."""
    assert SPELLINGS[path].aliases[alias] == name


def test_an_alias_never_hides_a_field() -> None:
    """`market` is the header's in a trade and a field of its own in static-info."""
    assert "market" not in SPELLINGS["/api/static-info"].aliases
    assert "market" in SPELLINGS["/api/static-info"].fields
    assert "code" not in SPELLINGS["/api/order"].aliases
