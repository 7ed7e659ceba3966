"""The edge: a request as it was read, and an answer before it is written."""

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from guard.terms.callers import Principal
from guard.terms.endpoints import Endpoint


def nothing() -> None:
    """What a reference to nothing leads to."""


class Presented(Struct, gc=False):
    """The credential that a head presents, and its digest, once the walk has looked for it: `is_read`.

    Heads with the same credential one after the other present the same, so it is worked out once for them and not for
    each request. `principal`: whose it was the last time. Whether it is still, and its key stands, is asked with each
    request of the keys that are in force then. `under` leads to what was in force, while that lives, when this
    principal was let through at `endpoint` without an end.
    """

    is_read: bool = False
    bearer: str | None = None
    digest: bytes = b""
    principal: Principal | None = None
    endpoint: Endpoint | None = None
    under: Callable[[], object] = nothing


class Call(Struct, gc=False):
    """One request as the edge read it; `head` has lower-case names of the headers that the walk looks at.

    `is_known`: the walk verified its key; `wait_s`: it was refused, as one of too many, and is told so only then. The
    edge asks for both once the request is answered.
    """

    method: str
    path: str
    head: Mapping[str, str]
    body: bytes
    peer: str
    token: str | None = None
    presented: Presented = field(default_factory=Presented)
    is_known: bool = False
    wait_s: float = 0.0


class Reply(Struct, gc=False):
    """One answer. `headers` without length, date and connection: the edge writes those."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    close: bool = False
