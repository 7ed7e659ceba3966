"""The counters of a set that was not in force, from the record on disk: `counted` in this process, or one of its own.

`python -m guard.replay.counted STATE CONFIG POLICIES UNTIL NOW` prints how many trades could not be counted, then the
parts of the ledger, one a line, an empty line, and the parts of what is no trade. It begins two days back, or where the
oldest order was placed that lived then: so every budget day, window and live order of the present is whole.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from guard.activeconfig import ActiveConfig
from guard.errors import JournalFault
from guard.journal.configstore import ConfigStore
from guard.journal.segments import segment_numbers
from guard.limits import Part, State, restore, snapshot
from guard.limits.snapshot import Holders, Spent, Stamps, Steps, Time
from guard.pauses import with_pauses
from guard.policy import PolicySet
from guard.replay.counting import Counting, Principals, SoFar
from guard.replay.inforce import History, InForce
from guard.replay.span import WARM_UP, begins, lines_since, span_from, whole
from guard.terms import Principal, made_at

_SLACK: Final = timedelta(minutes=1)  # between the time in an id and that of its record
_COUNTS: Final = (Time, Holders, Steps, Spent, Stamps)
_DECODER: Final = msgspec.json.Decoder(Part)


def principals_of(history: History, config_sha256: str) -> Principals:
    """Whose keys there were under a configuration; keys of today as they are today."""
    today = history.principals(config_sha256)
    known: dict[str, Mapping[str, Principal]] = {}

    def principals(config: str) -> Mapping[str, Principal]:
        if config not in known:
            known[config] = {**history.principals(config), **today}
        return known[config]

    return principals


def counted(state: Path, policies: PolicySet, principals: Principals, *, until: int, now: datetime) -> Counting:
    """The ledger behind the record `until`. Raises JournalFault where the record cannot be read so far.

    Orders that live on from before what is kept of the record are `left_out`, each one.
    """
    since = _text(now - WARM_UP)
    span = span_from(state, since)
    born = [made_at(holder.id) for holder in span.found.state.holders.values() if holder.key]
    counting, seq = Counting(policies, principals), 0
    if span.pruned:
        kept = begins(state, segment_numbers(state)[0])
        counting.left_out = sum(_text(birth) < kept for birth in born)
    begun = min([since, *(_text(birth - _SLACK) for birth in born)])
    for line in whole(lines_since(state, begun)):
        seq = line.seq
        if seq > until:
            break
        try:
            counting.fold(line.typed(), wall=datetime.fromisoformat(line.ts))
        except (ValueError, AssertionError) as error:
            raise JournalFault(f"record {line.seq}: {error}") from error
    if seq < until:
        raise JournalFault(f"the record on disk ends at {seq}, before {until}")
    return counting


def at_start(state: Path, config: ActiveConfig, *, before: str | None, until: int, now: datetime) -> Counting | None:
    """The counters of what a start brings into force; None where the last run had the same, or nothing is on record."""
    if config.policies is None or config.config_sha256 == before or until == 0:
        return None
    history = History(ConfigStore(state / "config").get, docs=None, now=now)
    return counted(state, config.policies, principals_of(history, config.config_sha256), until=until, now=now)


def put_together(lines: list[bytes]) -> SoFar:
    """What the process printed. Raises ValueError where it is not whole.

    The lines are taken out of the list: many megabytes let go of at once would stop a loop for milliseconds.
    """
    lines.reverse()
    parts = iter(lambda: lines.pop() if lines else None, None)
    left_out = int(next(parts, b""))
    return SoFar(_restored(parts), _restored(parts), left_out)


def _restored(lines: Iterator[bytes]) -> State:
    """The ledger of these lines up to an empty one."""
    parts = with_pauses(iter(lambda: next(lines, b""), b"\n"))
    return restore(_DECODER.decode(line) for line in parts)  # b"" is no part


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def main(state: Path, config: str, sha256: str, *, until: int, now: datetime) -> None:
    """Prints what `put_together` reads."""
    history = History(ConfigStore(state / "config").get, docs=None, now=now)
    in_force = history.in_force(config, sha256)
    if not isinstance(in_force, InForce) or in_force.policies is None:
        why = in_force if isinstance(in_force, str) else "no policies"
        raise JournalFault("; ".join(history.lacking.values()) or f"{sha256}: {why}")
    counting = counted(state, in_force.policies, principals_of(history, config), until=until, now=now)
    out = sys.stdout.buffer
    out.write(b"%d\n" % counting.left_out)
    for ledger in (counting.state, counting.traffic):
        for part in snapshot(ledger):
            if isinstance(part, _COUNTS):
                out.write(msgspec.json.encode(part) + b"\n")
        out.write(b"\n")
    out.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], until=int(sys.argv[4]), now=datetime.fromisoformat(sys.argv[5]))
