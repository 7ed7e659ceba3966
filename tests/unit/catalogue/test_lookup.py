"""The catalogue: exact match, everything else does not exist."""

import pytest

from guard.catalogue import ENDPOINTS, GROUPS, find
from guard.codes import Code
from guard.terms import Endpoint, Refusal


def test_there_are_68_rows_in_nine_groups() -> None:
    """The catalogue has the reference's 68 rows, grouped as it groups them."""
    sizes = [sum(e.group == group for e in ENDPOINTS) for group in GROUPS]

    assert sizes == [6, 5, 13, 8, 11, 2, 14, 6, 3]
    assert len({(e.method, e.path) for e in ENDPOINTS}) == 68


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_row_is_found_by_its_own_name(endpoint: Endpoint) -> None:
    """Method and path find their row."""
    assert find(endpoint.method, endpoint.path) is endpoint


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/order", Code.METHOD),
        ("POST", "/ws", Code.METHOD),
        ("DELETE", "/api/order", Code.METHOD),
        ("POST", "/api/order/", Code.UNKNOWN_ENDPOINT),
        ("POST", "/API/order", Code.UNKNOWN_ENDPOINT),
        ("POST", "/api//order", Code.UNKNOWN_ENDPOINT),
        ("POST", "/api/cancel-order", Code.UNKNOWN_ENDPOINT),
        ("GET", "/", Code.UNKNOWN_ENDPOINT),
        ("GET", "/metrics", Code.UNKNOWN_ENDPOINT),
        ("GET", "/api/../api/ping", Code.UNKNOWN_ENDPOINT),
    ],
)
def test_b01_b25_what_is_not_in_the_table_does_not_exist(method: str, path: str, code: Code) -> None:
    """B01, B25: an unknown path is 404 and a wrong method 405; nothing falls through."""
    found = find(method, path)

    assert isinstance(found, Refusal)
    assert found.code is code


def test_b02_every_write_is_recorded_before_or_while_it_is_sent() -> None:
    """B02: no effect but a read may go unrecorded, and what adds risk is durable first."""
    for endpoint in ENDPOINTS:
        if endpoint.effect in {"order_new", "order_change"}:
            assert endpoint.record == "durable"
        elif endpoint.effect != "read":
            assert endpoint.record == "appended"
