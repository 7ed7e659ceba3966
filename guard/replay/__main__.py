"""`python -m guard.replay STATE SHA256 SINCE`: the past since then, decided by a set that is kept beside the record.

A process of its own, beside a guard's loop and not in it; prints one JSON value.
"""

import sys
from pathlib import Path
from typing import Final

import msgspec

from guard.clock import SystemClock
from guard.errors import JournalFault
from guard.journal.configstore import ConfigStore
from guard.replay.kept import docs_of, told
from guard.replay.past import Options, replayed

SHOWN_MAX: Final = 50


def main(state: Path, sha256: str, since: str) -> None:
    """Prints what `Replay.told` tells, with the first differences only."""
    now = SystemClock().wall()
    docs = docs_of(ConfigStore(state / "config").get, sha256, now=now)
    if isinstance(docs, str):
        raise JournalFault(told(sha256, docs))
    found = replayed(state, Options(since, docs=docs), now=now)
    del found.differences[SHOWN_MAX:]
    sys.stdout.buffer.write(msgspec.json.encode(found.told()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
