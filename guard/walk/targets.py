"""Orders that are to be cancelled one by one: who wants it, and what each has come to."""

import asyncio
from typing import Final

from msgspec import Struct, field

from guard.limits import Holder
from guard.terms import Account, Principal

PENDING: Final = "pending"
ENDED: Final = "ended"


class Asked(Struct, frozen=True):
    """Who wants orders cancelled: the decision (or batch) that they are a part of, the key, where from, and why."""

    batch: str
    principal: Principal | None
    peer: str = ""
    why: str = ""


class Target(Struct):
    """One order that is to be cancelled, and what has become of that: `outcome` is a verdict, "pending" or "ended".

    `askers`: everybody who wants it, by key, in the order in which they came; of one key the latest.
    """

    of: str
    account: Account
    done: asyncio.Event = field(default_factory=asyncio.Event)
    order_id: str | None = None
    order_id_ex: str | None = None
    decision: str | None = None
    outcome: str = PENDING
    message: str = ""
    askers: dict[str, Asked] = field(default_factory=dict)

    def wanted_by(self, asked: Asked) -> None:
        """One more who wants it."""
        self.askers[asked.principal.name if asked.principal is not None else ""] = asked

    def told(self) -> dict[str, object]:
        """As an answer has it."""
        number = self.order_id if self.order_id is None or not self.order_id.isdigit() else int(self.order_id)
        return {
            "order_id": number,
            "order_id_ex": self.order_id_ex,
            "decision": self.decision,
            "outcome": self.outcome,
            "message": self.message or None,
        }

    def name(self, holder: Holder) -> bool:
        """The daemon's names of it, as far as they are known; False: none is."""
        self.order_id, self.order_id_ex = holder.order_id, holder.order_id_ex
        return not holder.is_nameless

    def end(self, outcome: str, message: str = "") -> None:
        """That is what became of it."""
        self.outcome, self.message = outcome, message
        self.done.set()
