"""Room 7, the journal: the durable, hash-linked truth.

In: records, as Structs or mappings. Out: their sequence numbers, the word that they are on the disk, and at start all
of them again, chain-checked. It must never call *durable* what is not, lose its place in the chain over a failed
append, or write again to a file whose write or fsync failed once. What a record means does not matter here.

Writing: `writer` is the open journal; `recordend` chains a record, `backlog` queues it (`wakeup` wakes the thread,
`waiting` tells who waits), `committer` writes, syncs and signs in the writer thread (`segmentfile`, `checkpointsigner`,
`checkpoints`, `space`, on `disk`). Records: `entries`, `record`, `seen`. Reading: `segments`, `tail` and `resume` at a
start, `search`, `seek`, `runs` (snapshots). Proving: `chain`, `tree`, `note`, `examine`, `proof`, `offline`; keys:
`signingkey`, `succession`. The state directory: `statedir`, `stateformat`, `configstore`, `gaps`, `retention`,
`leftover`.
"""

from guard.journal.chain import BrokenChain
from guard.journal.disk import Disk
from guard.journal.entries import (
    ABSENT,
    RECORDS,
    Access,
    ClockStep,
    Counters,
    Decision,
    Denied,
    Gap,
    Keys,
    Order,
    OutcomeRecord,
    Policy,
    Reconciled,
    Snapshot,
    Start,
    StateRecord,
    StateScope,
    Stop,
    Vkey,
    recorded,
)
from guard.journal.record import Entry, Line, decode, plain, reason_given, timestamp
from guard.journal.seen import SeenWorld, seen_of
from guard.journal.segments import read_lines, replay, replay_typed
from guard.journal.writer import Journal, JournalBounds

__all__ = [
    "ABSENT",
    "RECORDS",
    "Access",
    "BrokenChain",
    "ClockStep",
    "Counters",
    "Decision",
    "Denied",
    "Disk",
    "Entry",
    "Gap",
    "Journal",
    "JournalBounds",
    "Keys",
    "Line",
    "Order",
    "OutcomeRecord",
    "Policy",
    "Reconciled",
    "SeenWorld",
    "Snapshot",
    "Start",
    "StateRecord",
    "StateScope",
    "Stop",
    "Vkey",
    "decode",
    "plain",
    "read_lines",
    "reason_given",
    "recorded",
    "replay",
    "replay_typed",
    "seen_of",
    "timestamp",
]
