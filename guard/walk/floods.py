"""What is summed up instead of recorded one by one, so that no caller can fill the disk with repetition.

These are market-data reads that passed, like refusals beyond ten a second, and passed requests without a key beyond
ten a second. The refusal of a trade is always recorded in full where the key may trade at all: somebody wanted that
order.
"""

from typing import Final, NamedTuple

import structlog
from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Access, Denied, Journal, timestamp
from guard.terms import Refusal
from guard.walk.tally import Tally
from guard.walk.visit import Visit

DENIED_PER_SECOND: Final = 10
GROUPS_MAX: Final = 4096
SOURCES_MAX: Final = 16  # strangers' addresses a second; one caller may have any number of them
READ_GROUPS_MAX: Final = 16_384
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
_TRADING: Final = frozenset({"trade:simulate", "trade:real"})

_log = structlog.get_logger("guard")


class RefusalGroup(NamedTuple):
    """What makes refusals alike: the source, where no key was verified; otherwise key and code."""

    source: str = ""
    key: str | None = None
    code: str | None = None


ReadGroup = tuple[str, str]
"""A key ("" without one), and the endpoint that it reads."""


class Floods:
    """Keeps count, and writes `denied` for each second and `access` for each minute that is over.

    Attributes:
        reads: market-data reads that passed.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._refusals = Tally(SECOND_US, groups_max=GROUPS_MAX, other=RefusalGroup("other"), tell=self._denied)
        self._strangers = Tally(SECOND_US, groups_max=SOURCES_MAX, other=RefusalGroup("other"), tell=self._denied)
        self._visits = Tally(SECOND_US, groups_max=SOURCES_MAX, other=RefusalGroup("other"), tell=lambda *_: None)
        self.reads: Tally[ReadGroup] = Tally(
            MINUTE_US, groups_max=READ_GROUPS_MAX, other=("other", "other"), tell=self._accessed
        )

    def is_below(self, visit: Visit, refusal: Refusal) -> bool:
        """Whether this refusal gets a record of its own."""
        group = _alike(visit, refusal)
        if group is None:
            return True
        tally = self._strangers if group.key is None else self._refusals
        return tally.add(group, wall_us=visit.wall_us) <= DENIED_PER_SECOND

    def is_visit_below(self, visit: Visit) -> bool:
        """Whether a request without a key that passed gets a record of its own; otherwise it is counted as a read."""
        return self._visits.add(RefusalGroup(visit.call.peer), wall_us=visit.wall_us) <= DENIED_PER_SECOND

    def sum_up(self, wall_us: int | None = None) -> None:
        """Writes the sums of all periods that are over at `wall_us`; None: of all periods."""
        self._refusals.close(wall_us)
        self._strangers.close(wall_us)
        self._visits.close(wall_us)
        self.reads.close(wall_us)

    def _denied(self, group: RefusalGroup, began_us: int, count: int) -> None:
        extra = count - DENIED_PER_SECOND
        if extra > 0:
            self._write("denied", Denied(second=timestamp(began_us), count=extra, **group._asdict()))

    def _accessed(self, group: ReadGroup, began_us: int, count: int) -> None:
        key, endpoint = group
        self._write("access", Access(minute=timestamp(began_us), count=count, key=key, endpoint=endpoint))

    def _write(self, type_: str, record: Struct) -> None:
        try:
            self._journal.append(type_, record, lazy=True)
        except JournalFault as fault:
            _log.error("sum_not_recorded", type=type_, record=repr(record), why=str(fault))


def is_never_summed(visit: Visit) -> bool:
    """Each refusal of this request is recorded by itself."""
    principal, endpoint = visit.principal, visit.endpoint
    if principal is None or endpoint is None or not endpoint.is_trade:
        return False
    return not principal.scopes.isdisjoint(_TRADING)


def _alike(visit: Visit, refusal: Refusal) -> RefusalGroup | None:
    """The refusals that this one is counted with; None: it is never summed up."""
    if is_never_summed(visit):
        return None
    principal = visit.principal
    return (
        RefusalGroup(visit.call.peer) if principal is None else RefusalGroup(key=principal.id, code=refusal.code.value)
    )
