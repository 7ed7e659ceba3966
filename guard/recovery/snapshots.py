"""The state at the end of a closed segment, as a run of small parts: a start need not read further back than that.

Run as a program (`python -m guard.recovery.snapshots STATE SEGMENT`) it folds the closed segments up to that one in a
process of its own, and prints the parts, one per line. The guard appends them to its record. A start reads the last
complete run and folds the records after it, through the same functions. Without a segment the program prints which run
that is: nothing after it may ever be deleted.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Policy, replay_typed
from guard.journal.runs import Run, behind, runs
from guard.journal.segments import first_line, head_of, segment_numbers
from guard.limits import Graft, Part, restore, snapshot
from guard.policychange import PolicyChangeState
from guard.recovery.readback import Recovered, fold_all, recover
from guard.walk.recent import RecentDecision

RECENT_KEPT_MAX: Final = 2_000  # decisions that callers may still ask for after a start; the record has them all
_RECENT_IN_A_PART: Final = 50
NOT_KNOWN: Final = (
    "records 1 to {} are gone, and no snapshot of them that is kept can be read by this version: put back a copy of "
    "the segments, or ask the version that wrote them"
)


class Basics(Struct, frozen=True, tag="basics"):
    """What a start must know beside the ledger."""

    t_us: int
    policy_sha256: str | None
    vkey: str | None
    is_crashed: bool
    pending: Policy | None = None
    temporary: Policy | None = None
    expired: str | None = None
    config_sha256: str | None = None
    is_lost: bool = False


class Recents(Struct, frozen=True, tag="recents"):
    """Decisions that callers may still ask about, oldest first."""

    known: tuple[RecentDecision, ...]


class PendingPart(Struct, frozen=True, tag="counted"):
    """One part of a change that was not yet in force."""

    batch: str
    part: Graft


_Any = Part | Basics | Recents | PendingPart
_DECODER: Final = msgspec.json.Decoder(_Any)


def parts(found: Recovered) -> Iterator[bytes]:
    """The parts as JSON, each fit for a record of its own."""
    encode = msgspec.json.encode
    policy_change = found.policy_change
    told = (policy_change.pending, policy_change.temporary, policy_change.expired)
    counted = found.config_sha256, found.is_lost
    yield encode(Basics(found.t_us, found.policy_sha256, found.vkey, found.is_crashed, *told, *counted))
    known = iter(found.recent.latest(RECENT_KEPT_MAX))
    while some := tuple(islice(known, _RECENT_IN_A_PART)):
        yield encode(Recents(some))
    for begun in found.begun.parts:
        yield encode(PendingPart(found.begun.batch, begun))
    for part in snapshot(found.state):
        yield encode(part)


def put_together(bodies: Iterable[bytes]) -> Recovered:
    """The state from its parts; ValueError if this guard cannot read one."""
    found, ledger = Recovered(), list[Part]()
    for body in bodies:
        match _DECODER.decode(body):
            case Basics() as basics:
                found.t_us, found.is_crashed = basics.t_us, basics.is_crashed
                found.policy_sha256, found.vkey = basics.policy_sha256, basics.vkey
                found.config_sha256, found.is_lost = basics.config_sha256, basics.is_lost
                found.policy_change = PolicyChangeState(basics.pending, basics.temporary, basics.expired)
            case Recents() as recents:
                for known in recents.known:
                    found.recent.put(known)
            case PendingPart() as counted:
                found.begun.put(counted.batch, counted.part)
            case part:
                ledger.append(part)
    found.state = restore(ledger)
    return found


def readable(directory: Path, *, last: int | None = None) -> Iterator[tuple[Recovered, Run]]:
    """The whole runs that this guard can put together, the latest state first; each without its bodies.

    One of another version, or damaged, is left out: an older run or the whole record will do.
    """
    for run in runs(directory, last=last):
        with suppress(ValueError, OverflowError):
            yield put_together(run.bodies), run._replace(bodies=())  # a hundred megabytes with 100,000 live orders


def resume(directory: Path, *, last: int | None = None) -> tuple[Recovered, Run | None]:
    """What the record tells up to the segment `last`: the last whole run that can be read, and all that came after it.

    The run comes without its bodies. Without one the whole record is folded. Raises JournalFault where its chain is
    broken, or begins too late.
    """
    numbers = [number for number in segment_numbers(directory) if last is None or number <= last]
    for found, run in readable(directory, last=last):
        goes = behind(directory, run.at_seq)
        fold_all(found, replay_typed(directory, first=goes.segment, last=numbers[-1], head=goes.head))
        return found, run
    if pruned := head_of(directory, numbers[0]).seq:
        raise JournalFault(NOT_KNOWN.format(pruned))
    return recover(directory, last=numbers[-1]), None


def main(state: Path, segment: int) -> None:
    """Prints the seq of the segment's last record, then the parts."""
    following = first_line(state, segment + 1)
    if not following:
        raise JournalFault(f"segment {segment} is not closed")
    found, _ = resume(state, last=segment)
    out = sys.stdout.buffer
    out.write(b"%d\n" % (msgspec.json.decode(following)["seq"] - 1))
    for body in parts(found):
        out.write(body + b"\n")
    out.flush()


def tell_last_run(state: Path) -> None:
    """Prints behind which record the last run stands that can be put together; 0 where there is none."""
    sys.stdout.write(f"{next((run.at_seq for _, run in readable(state)), 0)}\n")


if __name__ == "__main__":
    state, *segment = sys.argv[1:]
    if segment:
        main(Path(state), int(segment[0]))
    else:
        tell_last_run(Path(state))
