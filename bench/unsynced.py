"""`guard serve` on a disk whose syncs are left out: what an order costs beside its durability. For the benchmark alone.

Records are written as always, and whoever waits for one is told as always, by the same thread. The command line is
handed on as `guard serve` does it, to a server that this program is itself.
"""

import sys

import msgspec

sys.modules["rich"] = None  # type: ignore[assignment]

from guard.journal.disk import Disk  # noqa: E402 - only now may structlog be imported
from guard.serving.handover import ServeRequest  # noqa: E402 - likewise
from guard.serving.process import serve  # noqa: E402 - likewise


def _skipped(_disk: Disk, _descriptor: int) -> None:
    """Nothing."""


if __name__ == "__main__":
    Disk.fdatasync = _skipped  # type: ignore[assignment,method-assign]
    Disk.fsync = _skipped  # type: ignore[assignment,method-assign]
    sys.exit(serve(msgspec.json.decode(sys.argv[1], type=ServeRequest)))
