"""Orders that are being cancelled one by one: who asked for it, and what has become of each."""

import asyncio
from typing import Final

from msgspec import Struct, field

from guard.limits import Holder
from guard.terms import Account, Principal

PENDING: Final = "pending"
ENDED: Final = "ended"


class Requester(Struct, frozen=True):
    """Who asked for cancels: the decision (or batch) they are parts of, the key, its address, and why."""

    batch: str
    principal: Principal | None
    peer: str = ""
    why: str = ""


class Target(Struct):
    """One order that is being cancelled. `outcome` is a verdict, "pending", or "ended" (it had ended by itself).

    `requesters`: by key everybody who asked for it, in the order in which they came; for each key the latest.
    """

    of: str
    account: Account
    done: asyncio.Event = field(default_factory=asyncio.Event)
    order_id: str | None = None
    order_id_ex: str | None = None
    decision: str | None = None
    outcome: str = PENDING
    message: str = ""
    requesters: dict[str, Requester] = field(default_factory=dict)

    def add_requester(self, requester: Requester) -> None:
        """Adds one more; a key that asked before is renewed."""
        self.requesters[requester.principal.name if requester.principal is not None else ""] = requester

    def told(self) -> dict[str, object]:
        """Its entry in an answer."""
        number = self.order_id if self.order_id is None or not self.order_id.isdigit() else int(self.order_id)
        return {
            "order_id": number,
            "order_id_ex": self.order_id_ex,
            "decision": self.decision,
            "outcome": self.outcome,
            "message": self.message or None,
        }

    def name(self, holder: Holder) -> bool:
        """Takes over the names by which the daemon knows the order; False: there are none yet."""
        self.order_id, self.order_id_ex = holder.order_id, holder.order_id_ex
        return not holder.is_nameless

    def end(self, outcome: str, message: str = "") -> None:
        """Notes what became of it, and wakes whoever waits for that."""
        self.outcome, self.message = outcome, message
        self.done.set()
