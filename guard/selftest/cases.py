"""The matrix: every case, in the order of the names that they are known by."""

from typing import Final

from guard.selftest.answers import ANSWERS
from guard.selftest.bodies import BODIES
from guard.selftest.callers import CALLERS
from guard.selftest.case import Case
from guard.selftest.limits import LIMITS
from guard.selftest.others import OTHERS
from guard.selftest.worth import WORTH


def _place(case: Case) -> tuple[str, int, str]:
    first = case.bugs[0]
    return first[0], int(first[1:]), case.id


CASES: Final = tuple(sorted((*BODIES, *CALLERS, *OTHERS, *WORTH, *LIMITS, *ANSWERS), key=_place))
