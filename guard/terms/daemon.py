"""The port to the daemon: what is asked, what comes back, and the verdict on a trade."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Literal, Protocol

from msgspec import Struct

from guard.terms.ids import STAMP

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""The one shape in which a caller's trace (W3C Trace Context) goes on to the daemon; any other is dropped."""


REFUSING_RET_TYPES: Final = frozenset({-1, -500})
"""`ret_type` of the answers by which the daemon says no: failed, invalid. Any other but 0 leaves open what was done."""


class Verdict(StrEnum):
    """What became of a trade."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


class Outbound(Struct, frozen=True):
    """One request to the daemon. `path` is the catalogue's constant. `lend` says which daemon key goes along.

    `is_cancel`: a trade that only takes risk away; it never waits for a connection behind orders or reads. `may_leave`
    is asked in the very step in which the first byte would leave, whether or not it waited for a connection.
    `owner`: the key for which it is sent, "" the guard itself; where requests wait, owners take turns.
    """

    method: Literal["GET", "POST"]
    path: str
    body: bytes | None
    timeout_s: float
    lend: Literal["guard", "public", "none"] = "guard"
    is_trade: bool = False
    idempotency_key: str | None = None
    traceparent: str | None = None
    is_cancel: bool = False
    owner: str = ""
    may_leave: Callable[[], bool] | None = None


class Answer(Struct, frozen=True, gc=False):
    """What the daemon said, whole and within bounds. `retry_after_s`: when to ask again, where it told seconds."""

    status: int
    content_type: str
    body: bytes
    duration_us: int = 0
    retry_after_s: int | None = None


FailureKind = Literal["refused", "timeout", "reset", "bad_answer", "too_large", "held", "open"]


class Failure(Struct, frozen=True, gc=False):
    """No whole answer. `is_sent`: at least one byte of the request may have left, so nobody knows what happened.

    `held` and `open` are the guard's own doing and say nothing about the daemon: no slot was free, the request was
    withdrawn, or the circuit is open.
    """

    kind: FailureKind
    message: str
    is_sent: bool
    duration_us: int = 0


class Daemon(Protocol):
    """The port to the daemon: implemented by the client and by the simulator. `send` never raises."""

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer, or what went wrong and whether a byte may have left."""
        ...


class Outcome(Struct, frozen=True, omit_defaults=True, gc=False):
    """The verdict on a trade, with what the daemon said of it; its `err_code` is a number or text."""

    verdict: Verdict
    status: int | None = None
    ret_type: int | None = None
    order_id: str | None = None
    order_id_ex: str | None = None
    message: str = ""
    duration_us: int = 0
    err_code: int | str | None = None


class OrderNames(Struct, frozen=True):
    """The names of an order in a row or a push of the daemon's: its two ids, and its remark."""

    order_id: str | None = None
    order_id_ex: str | None = None
    remark: str | None = None

    @property
    def decision(self) -> str | None:
        """The decision that the remark names, where the guard stamped it."""
        return self.remark.removeprefix(STAMP) if self.remark and self.remark.startswith(STAMP) else None
