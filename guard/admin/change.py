"""What came of a change, and who asked for it: the words that all changes of what is in force share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

Result = Literal["applied", "unchanged", "pending", "refused", "stale", "unrecorded"]


class Change(Struct, frozen=True):
    """`result`: applied, unchanged, pending (a second person has to approve), refused or stale, with every error.

    `kind`: what all changes of policies come to together. `until`: when this goes back by itself. `counters`: those
    that go on from what a shadow's stood at. `warnings`: what is done all the same, and probably not meant. `replay`:
    what the second person was shown.
    """

    result: Result
    sha256: str
    kind: str = ""
    changes: tuple[object, ...] = ()
    errors: tuple[object, ...] = ()
    until: datetime | None = None
    counters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    replay: Mapping[str, object] | None = None


class Who(Struct, frozen=True):
    """Who asked for a change, and why; both None for a signal."""

    by: str | None = None
    reason: str | None = None
