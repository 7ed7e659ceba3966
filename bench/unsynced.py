"""`guard serve` on a disk whose syncs are left out: what an order costs beside its durability. For the benchmark alone.

Records are written as always, and whoever waits for one is told as always, by the same thread.
"""

from guard.cli.main import main
from guard.journal.disk import Disk


def _skipped(_disk: Disk, _descriptor: int) -> None:
    """Nothing."""


if __name__ == "__main__":
    Disk.fdatasync = _skipped  # type: ignore[method-assign]
    Disk.fsync = _skipped  # type: ignore[method-assign]
    main()
