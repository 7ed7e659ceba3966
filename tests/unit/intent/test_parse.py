"""From endpoint and bytes to an intent."""

import pytest

from guard.intent import parse
from guard.terms import CancelAll, CancelOrder, Intent, ModifyOrder, PlaceOrder, Read, Refusal
from tests.support.bodies import ACCOUNT, ORDER, codes, endpoint, read_as


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/api/order", ORDER, PlaceOrder),
        ("/api/modify-order", ACCOUNT | {"order_id": 1, "op": 2}, CancelOrder),
        ("/api/modify-order", ACCOUNT | {"order_id": 1, "op": 4}, ModifyOrder),
        ("/api/modify-order", ACCOUNT | {"for_all": True, "op": 2}, CancelAll),
        ("/api/cancel-all-order", ACCOUNT, CancelAll),
        ("/api/funds", ACCOUNT, Read),
        ("/api/quote", {"symbol": "HK.00700"}, Read),
    ],
)
def test_each_endpoint_has_its_type(path: str, body: dict[str, object], kind: type[Intent]) -> None:
    """One wire message may be several intents."""
    assert type(read_as(path, body)) is kind


@pytest.mark.parametrize("path", ["/api/order", "/api/quote", "/api/admin/shutdown", "/api/unlock-trade"])
def test_a_post_has_a_body(path: str) -> None:
    """An empty one is refused with what to send instead."""
    assert codes(path, b"") == ["bad_json"]


def test_a_get_has_none() -> None:
    """With a body it is refused, whatever the body says."""
    row = endpoint("/api/accounts", "GET")
    refused = parse(row, b"{}")

    assert parse(row, b"") == Read(None)
    assert isinstance(refused, Refusal)
    assert refused.code == "bad_value"


def test_strictness_comes_before_names() -> None:
    """A repeated name is a repeated name, known or not."""
    assert codes("/api/order", '{"bogus":1,"bogus":2}') == ["duplicate_key"]
    assert codes("/api/quote", '{"symbol":"HK.00700","symbol":"US.AAPL"}') == ["duplicate_key"]
