"""The edge: a request as it was read, and an answer before it is written."""

from collections.abc import Mapping

from msgspec import Struct


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
    is_known: bool = False
    wait_s: float = 0.0


class Reply(Struct, gc=False):
    """One answer. `headers` without length, date and connection: the edge writes those."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    close: bool = False
