"""The table of names."""

import pytest

from guard.catalogue import ENDPOINTS
from guard.intent.names import NAMES


def test_every_endpoint_with_a_body_has_names_and_nothing_else_has() -> None:
    """58 POST endpoints, 58 entries."""
    assert set(NAMES) == {e.path for e in ENDPOINTS if e.method == "POST"}
    assert len(NAMES) == 58


@pytest.mark.parametrize("path", sorted(NAMES))
def test_every_name_is_snake_case_and_leads_somewhere(path: str) -> None:
    """No camelCase alias hides in the table; paths of objects' fields begin with the object."""
    names = NAMES[path]

    for spelling, target in {**names.flat, **names.proto}.items():
        assert spelling.isascii()
        assert spelling == spelling.lower()
        assert target.partition(".")[0] in set(names.proto.values())
    for own, members in names.inner.items():
        assert all(target.startswith(f"{own}.") for target in members.values())


def test_a_flat_body_has_the_header_at_top_level_and_the_proto_shape_has_it_inside() -> None:
    """`acc_id` is a flat name, `header` a name of the proto shape."""
    names = NAMES["/api/order"]

    assert names.flat["env"] == names.flat["trd_env"] == "header.trd_env"
    assert "header" not in names.flat
    assert "env" not in names.proto
    assert names.inner["header"]["env"] == "header.trd_env"


def test_a_flat_trd_market_is_the_headers() -> None:
    """cancel-all's own filter of that name exists in the proto shape only."""
    names = NAMES["/api/cancel-all-order"]

    assert names.flat["trd_market"] == "header.trd_market"
    assert names.proto["trd_market"] == "trd_market"
