"""A decision's id, a ULID (github.com/ulid/spec): how it is written, when it was made, and the mark that it leaves.

The mark is the remark of the order that the decision opened: by it the order is known again in the daemon's lists.
"""

from datetime import datetime, timedelta
from typing import Final

from guard.terms.moments import EPOCH

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DECISION_PATTERN: Final = f"[{CROCKFORD}]{{26}}"
STAMP: Final = "g:"  # before the id, in a remark
_TIME_CHARS: Final = 10  # of a ULID: milliseconds since 1970
_VALUE_OF: Final = {letter: number for number, letter in enumerate(CROCKFORD)}


def stamp_of(decision: str) -> str:
    """The remark that marks an order as this decision's."""
    return f"{STAMP}{decision}"


def made_at(decision: str) -> datetime:
    """When the id was made, to the millisecond."""
    number = 0
    for letter in decision[:_TIME_CHARS]:
        number = number * 32 + _VALUE_OF.get(letter, 0)
    return EPOCH + timedelta(milliseconds=number)
