"""JSON types by name."""

import pytest

from guard.simulator.refusals import BadBody
from guard.simulator.shapes import check_types


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("num", 10, "10"),
        ("num", 0, True),
        ("remark", "x", 1),
        ("for_all", True, 1),
        ("acc_id_list", [1, "2"], 1),
        ("id_list", [], [{}]),
        ("packet_id", {}, []),
        ("nobody_knows", object(), None),
    ],
)
def test_a_member_has_the_type_of_its_name(name: str, right: object, wrong: object) -> None:
    """The right type passes, null is absent, another type is 400; unlisted names pass."""
    check_types({name: right})
    check_types({name: None})
    if name == "nobody_knows":
        return
    with pytest.raises(BadBody, match=name):
        check_types({name: wrong})
