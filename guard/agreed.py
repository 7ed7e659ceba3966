"""What the record says of policies beyond which are in force: what waits for a person, what ends by itself. Pure."""

from datetime import datetime

from msgspec import Struct

from guard.journal import Policy


class Agreed(Struct):
    """What the record says beyond which policies are in force: what waits, and what is in force only for a time.

    `expired`: the set that went back by itself; a directory that still says so is not taken for a new change.
    """

    pending: Policy | None = None
    temporary: Policy | None = None
    expired: str | None = None

    def fold(self, record: Policy) -> None:
        """One record of a reload."""
        match record.result:
            case "pending":
                self.pending = record
            case "withdrawn":
                self.pending = None
            case "applied":
                self.pending, self.expired = None, None
                self.temporary = record if record.until is not None else None
            case "reverted":
                self.temporary, self.expired = None, record.from_sha256
            case _:
                pass

    def is_due(self, wall: datetime) -> bool:
        """What is in force only for a time has come to its end."""
        return self.temporary is not None and self.temporary.until is not None and wall >= self.temporary.until

    def left_s(self, wall: datetime) -> float:
        """How long until that end, in seconds: 0 once it has come, without one endless."""
        over = self.temporary
        if over is None or over.until is None:
            return float("inf")
        return max((over.until - wall).total_seconds(), 0.0)

    def ended(self, wall: datetime) -> Policy | None:
        """What has come to its end while no guard ran: its record, folded as if it had gone back in time."""
        over = self.temporary
        if over is None or not self.is_due(wall):
            return None
        self.temporary, self.expired = None, over.sha256
        return over
