"""What a case of the matrix is: steps, and what must come of each.

Texts in bodies may hold `<1>`, `<2>` …: the external order id that the first, second … request of the case was
answered with; `<option>`, `<option code>`: a listed option; `<number>`: a fresh order id of nobody's.
A request that is refused must not have reached the daemon; that needs no saying. Callers are roles of the drill
(`guard.selftest.drill`); each case has keys of its own, so that no case uses up another's limits.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from guard.selftest.words import order
from guard.simulator.faults import Fault


class Ask(Struct, frozen=True, kw_only=True):
    """One request, by default the order that passes.

    `body` None: a GET. `code` "": it passes; else the refusal's primary code, with its `status`.
    `sends`: members of `c2s` that the daemon must have been sent, by dotted path. `hides`, `shows`: texts that must not
    or must stand in the answer. `same_as`: the number of an earlier request whose refusal must read the same. `fault`:
    what the daemon does to it. `times`: sent that often, every answer the same. `raw`: instead of path and body, the
    bytes as they go over the socket. `records`: the daemon must find the order's decision in the record. `meanwhile`:
    what is done while the guard waits for an answer of the daemon's.
    """

    path: str = "/api/order"
    body: Any = field(default_factory=order)
    who: str | None = "trader"
    status: int = 200
    code: str = ""
    head: Mapping[str, str] = {}
    sends: Mapping[str, object] = {}
    hides: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    same_as: int = 0
    fault: Fault | None = None
    times: int = 1
    raw: bytes = b""
    records: bool = False
    meanwhile: "Do | None" = None


class Hear(Struct, frozen=True, kw_only=True):
    """A socket on `/ws`: what the daemon pushes meanwhile, and which of it the caller hears, in order.

    A push is `kind acc_id market`; a dash leaves a member out. The order of a trade push is that of `order`. `ask` is
    sent while the socket is open. `status`: what the handshake is answered with.
    """

    who: str | None = "trader"
    pushes: tuple[str, ...] = ()
    order: str = "nobody's"
    hears: tuple[str, ...] = ()
    head: Mapping[str, str] = {}
    status: int = 101


class Do(Struct, frozen=True):
    """Something that an operator does: `tighten` leaves the key 1000 HKD an order."""

    what: Literal["revoke", "halt", "unhalt", "restart", "tighten"]
    who: str = "trader"


class Start(Struct, frozen=True):
    """A guard is started over files that are not what they should be; it must not start, and say `why`."""

    change: Literal["keys_are_garbage", "keys_are_readable", "unknown_setting", "no_record", "no_keys"]
    why: str


Step = Ask | Hear | Do | Start


class Case(Struct, frozen=True, kw_only=True):
    """One row of the matrix: a bug, a weakness or a promise, and the steps that show that it does not get through.

    `proves`: the hooks (`guard.walk.hooks`) and rules without which the case fails. `stage`: the settings that it runs
    under: `broker` has the broker's limits on, `off` no trading, `fresh` has asked the daemon for nothing yet.
    `anywhere`: its requests are refused under every configuration, so they are tried on the operator's own. `twin`: the
    plain form of such a request: it may only pass where this one passes too.
    """

    id: str
    sentence: str
    steps: tuple[Step, ...]
    proves: tuple[str, ...] = ()
    stage: Literal["plain", "broker", "off", "fresh"] = "plain"
    anywhere: bool = False
    twin: Ask | None = None

    @property
    def bugs(self) -> tuple[str, ...]:
        """The daemon's bugs and weaknesses, and the guard's own promises, that the case is about."""
        return tuple(self.id.split("-")[0].split("+"))


class CaseRow(Struct, frozen=True):
    """What became of a case. `key`: whose configuration it was tried on; "" on the drill's.

    `held`: nothing got through. `open`: the plain form passes as well, so no limit says otherwise. `failed`: it did.
    """

    case: str
    sentence: str
    result: Literal["held", "open", "failed"]
    key: str = ""
    told: str = ""
