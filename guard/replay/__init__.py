"""The recorded past, decided again: by the policies of the day, or by others.

In: a state directory, which is only read, and policies. Out: whether the record's decisions come out as they did, and
what other policies would have refused or let through. The functions are those that run live: `judge`, `look`,
`reserve`, `settle`.
Never: a decision made from anything that is not on record.
"""

from guard.replay.past import Options, replayed
from guard.replay.report import Replay

__all__ = ["Options", "Replay", "replayed"]
