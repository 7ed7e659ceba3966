"""Changes of policies that are not done yet: one that waits for approval, a set that ends by itself. Pure."""

from datetime import datetime

from msgspec import Struct

from guard.journal import Policy


class PolicyChangeState(Struct):
    """What the record says of policies beyond which set is in force.

    `pending`: the change that waits for a second person. `temporary`: the set that is in force only until a time.
    `expired`: the temporary set that ended last; a directory that still holds it is not taken for a new change.
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
        """The temporary set's time is over."""
        return self.temporary is not None and self.temporary.until is not None and wall >= self.temporary.until

    def left_s(self, wall: datetime) -> float:
        """Seconds until then: 0 once it is over, infinity without a temporary set."""
        temporary = self.temporary
        if temporary is None or temporary.until is None:
            return float("inf")
        return max((temporary.until - wall).total_seconds(), 0.0)

    def end_if_due(self, wall: datetime) -> Policy | None:
        """Ends the temporary set, and returns it, if its time passed while no guard ran: as if reverted in time."""
        temporary = self.temporary
        if temporary is None or not self.is_due(wall):
            return None
        self.temporary, self.expired = None, temporary.sha256
        return temporary
