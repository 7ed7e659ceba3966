"""Unauthenticated refusals beyond ten per source and second are summed up: a flood cannot push history out."""

from typing import Final

import structlog
from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Denied, Journal, timestamp
from guard.walk.desk import Visit

DENIED_PER_SECOND: Final = 10
SOURCES_MAX: Final = 4096

_log = structlog.get_logger("guard")


class _Second(Struct):
    """Unauthenticated refusals of one source in the present second."""

    second: int
    count: int = 0
    endpoint: str = ""


class Floods:
    """Counts refusals of strangers by source; writes what went beyond into one `denied` record a source and second."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._sources: dict[str, _Second] = {}

    def is_below(self, visit: Visit) -> bool:
        """Whether this refusal of a stranger still gets a record of its own. Sources without a place share one."""
        second, peer = visit.wall_us // 1_000_000, visit.call.peer
        if peer not in self._sources and len(self._sources) >= SOURCES_MAX:
            peer = "other"
        source = self._sources.get(peer)
        if source is None or source.second != second:
            self.sum_up(second)
            source = self._sources[peer] = _Second(second)
        source.count += 1
        source.endpoint = visit.endpoint.path if visit.endpoint else "other"
        return source.count <= DENIED_PER_SECOND

    def sum_up(self, second: int) -> None:
        """Closes every second but this one."""
        over = [peer for peer, seen in self._sources.items() if seen.second != second]
        for peer in over:
            seen = self._sources.pop(peer)
            extra = seen.count - DENIED_PER_SECOND
            if extra <= 0:
                continue
            record = Denied(source=peer, count=extra, second=timestamp(seen.second * 1_000_000), endpoint=seen.endpoint)
            try:
                self._journal.append("denied", record, lazy=True)
            except JournalFault as fault:
                _log.error("denied_not_recorded", source=peer, count=extra, why=str(fault))
