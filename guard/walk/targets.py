"""Orders that are being cancelled one by one: who asked for it, and what has become of each."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct, field

from guard.limits import Holder
from guard.terms import Account, Principal

PENDING: Final = "pending"
ENDED: Final = "ended"
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


Credential = tuple[bytes, bytes | None]  # of a principal: the key's own, and who signed a token for it


class Requester(Struct, frozen=True):
    """Who asked for cancels: the decision (or batch) they are parts of, the key, its address, and why."""

    batch: str
    principal: Principal | None
    peer: str = ""
    why: str = ""


class Target(Struct):
    """One order that is being cancelled. `outcome` is a verdict, "pending", or "ended" (it had ended by itself).

    `requesters`: by credential everybody who asked for it, in the order in which they came. Tokens of a key that one
    signer signed are one credential, for which the token that lasts longest stands.
    """

    of: str
    account: Account
    done: asyncio.Event = field(default_factory=asyncio.Event)
    order_id: str | None = None
    order_id_ex: str | None = None
    decision: str | None = None
    outcome: str = PENDING
    message: str = ""
    requesters: dict[Credential | None, Requester] = field(default_factory=dict)

    def add_requester(self, requester: Requester) -> None:
        """Adds one more; whoever asked before with the same credential and lasts longer stays."""
        who = requester.principal
        credential = None if who is None else (who.credential, who.signer)
        before = self.requesters.get(credential)
        if before is None or _until(before.principal) <= _until(who):
            self.requesters[credential] = requester

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


def _until(principal: Principal | None) -> datetime:
    """When a credential ends, as far as can be told beforehand."""
    return _NEVER if principal is None or principal.until is None else principal.until
