"""Who may approve what waits for a second person."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from msgspec.structs import replace

from guard.admin.change import Who
from guard.admin.control import may_approve
from guard.journal import Policy
from guard.terms import Principal

ASKED: Final = Policy(t=1, result="pending", sha256="new", from_sha256="old", by="anna", reason="larger lots")
DESK: Final = Principal("desk", "desk", frozenset({"guard:policy"}), owner="ben")
WITH_DESK: Final = replace(ASKED, key="desk")
NOW: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_another_owner_approves_with_a_reason_what_still_builds_on_what_is_in_force() -> None:
    """Then nothing stands against it, as long as it is not over."""
    assert may_approve(ASKED, "new", Who("ben", "agreed"), in_force="old", wall=NOW) is None
    for_a_while = replace(ASKED, until=NOW + timedelta(seconds=1))
    assert may_approve(for_a_while, "new", Who("ben", "agreed"), in_force="old", wall=NOW) is None
    assert may_approve(ASKED, "new", Who("ben", "agreed", DESK), in_force="old", wall=NOW) is None  # of before


@pytest.mark.parametrize(
    ("waits", "sha256", "who", "in_force", "why"),
    [
        (None, "new", Who("ben", "agreed"), "old", "no such change waits"),
        (ASKED, "other", Who("ben", "agreed"), "old", "no such change waits"),
        (ASKED, "new", Who("ben", "agreed"), "newer", "what is in force has changed"),
        (replace(ASKED, until=NOW), "new", Who("ben", "agreed"), "old", "until 2026-11-28T12:00:00Z, which has passed"),
        (ASKED, "new", Who("anna", "agreed"), "old", "anna asked for it"),
        (ASKED, "new", Who("", "agreed"), "old", "another owner"),
        (ASKED, "new", Who(None, "agreed"), "old", "another owner"),
        (WITH_DESK, "new", Who("ben", "agreed", DESK), "old", "key desk asked for it"),
        (WITH_DESK, "new", Who("ben", "agreed", replace(DESK, id="desk@2")), "old", "with another key"),
        (ASKED, "new", Who("ben", None), "old", "say why"),
        (ASKED, "new", Who("ben", " "), "old", "say why"),
    ],
)
def test_each_of_these_stands_against_an_approval(
    waits: Policy | None, sha256: str, who: Who, in_force: str, why: str
) -> None:
    """Nothing waits, it builds on something else or is over, the same person, key or nobody, no reason."""
    assert why in (may_approve(waits, sha256, who, in_force=in_force, wall=NOW) or "")
