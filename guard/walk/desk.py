"""The desk, the one mutable world that requests share, and the visit that each request pays to it.

Everything that decides is in `config`, one frozen value that a reload swaps as a whole. `state` is the ledger that
the journal's records fold into; `traffic` counts reads and dry runs, and begins at zero with each start.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, Protocol

from msgspec import Struct

from guard.access import Tickets
from guard.activeconfig import ActiveConfig
from guard.clock import Clock
from guard.journal import Journal
from guard.limits import Holder, State
from guard.metrics import Metrics
from guard.policy import Judgement, Plan
from guard.policychange import PolicyChangeState
from guard.reference import Reference
from guard.supervisor import Supervisor
from guard.terms import (
    Account,
    AccountRow,
    Answer,
    Call,
    Claim,
    Daemon,
    Effect,
    Endpoint,
    Env,
    Failure,
    Intent,
    Missing,
    ModifyOrder,
    Needs,
    Op,
    Outbound,
    PlaceOrder,
    Principal,
    Read,
    Refusal,
    Valuation,
    World,
    utc,
)
from guard.upstream import Circuits
from guard.walk.cooldown import Cooldowns
from guard.walk.countedlock import CountedLock
from guard.walk.orderlists import NoOrderLists, OrderLists
from guard.walk.recent import Recent
from guard.walk.spacing import Spacing
from guard.walk.subscriptions import Subscriptions
from guard.walk.throttle import FailedLogins, InFlight, RefusalPacer

SERIAL_MAX: Final = 0xFFFF_FFFF


class Accounts(Protocol):
    """The daemon's account list, as `reference` keeps it."""

    @property
    def age_s(self) -> float | None:
        """How old the list is; None while there is none."""
        ...

    @property
    def known(self) -> tuple[AccountRow, ...]:
        """The last list, however old; empty while there is none."""
        ...

    def at_hand(self) -> tuple[AccountRow, ...] | None:
        """Every account of the login; None where the daemon has to be asked first."""
        ...

    def lists(self, account: Account) -> bool:
        """The pair is in the list that is at hand."""
        ...

    async def rows(self) -> tuple[AccountRow, ...] | Missing:
        """Every account of the login, or why they cannot be had."""
        ...

    async def find(self, env: Env, acc_id: int) -> AccountRow | Missing | None:
        """The row of a pair, asking the daemon again where it is not listed; Missing where nobody can say."""
        ...


class Upstream(Daemon, Protocol):
    """The daemon as the walk asks it."""

    def ask(self, request: Outbound, told: Callable[[Answer | Failure | None], None]) -> bool:
        """Sends a request in this turn of the loop, if that can be; False: nothing was done, and `send` has to send it.

        `told` hears of the answer or failure, in a later step; None: nothing was sent, and `send` has to send it.
        """
        ...


class Services(Struct, frozen=True):
    """The services that a desk brings together; `circuits` are those of `daemon`."""

    journal: Journal
    daemon: Upstream
    accounts: Accounts
    reference: Reference
    clock: Clock
    metrics: Metrics
    supervisor: Supervisor
    circuits: Circuits


class Desk:
    """The shared world. One event loop; whoever looks at it and then acts must not await in between."""

    def __init__(self, services: Services, *, config: ActiveConfig, state: State, directory: Path) -> None:
        self.config = config
        self.state = state
        self.traffic = State()
        self.spacing = Spacing()
        self.unlocks = Cooldowns()
        self.in_flight = InFlight()
        self.failed_logins = FailedLogins()
        self.refusal_pacer = RefusalPacer()
        self.subscriptions = Subscriptions()
        self.tickets = Tickets()
        self.subscribing = CountedLock()
        self.journal = services.journal
        self.daemon = services.daemon
        self.circuits = services.circuits
        self.accounts = services.accounts
        self.reference = services.reference
        self.clock = services.clock
        self.metrics = services.metrics
        self.supervisor = services.supervisor
        self.directory = directory
        self._halt = str(directory / "HALT")
        self._was_halted: bool | None = None  # within a turn of the loop
        self.policy_change = PolicyChangeState()
        self.recent = Recent()
        self.order_lists: OrderLists = NoOrderLists()
        self.unwritten = 0  # decisions that hold room in the ledger and are recorded later in this step
        self.is_open = False  # callers can come in
        self.listening: Mapping[str, str] = {}  # at which addresses, once they can
        self.is_draining = False
        self.is_daemon_up: bool | None = None
        self.weakened: tuple[str, ...] = ()  # controls that are off or loose, as they were found at the start
        # Asked when somebody reads `/status`: what other parts of the program find wrong with themselves.
        self.concerns: list[Callable[[], tuple[str, ...]]] = []
        # The daemon repeats an answer for a packet id that it has seen: one number must not come back after a restart.
        self.serial = services.clock.t_us() // 1000 % SERIAL_MAX

    def open_visit(self, call: Call) -> "Visit":
        """A request begins: its id, its one notion of now, and the configuration it is judged under."""
        clock = self.clock
        wall_us, t_us = clock.wall_us(), clock.t_us()
        return Visit(call, clock.new_id(), utc(wall_us), wall_us, t_us, t_us, self.config)

    def open_visits(self, calls: Iterable[Call]) -> "list[Visit]":
        """Requests of one turn of the loop begin: their notion of now is the same."""
        clock, config = self.clock, self.config
        wall_us, t_us = clock.wall_us(), clock.t_us()
        wall = utc(wall_us)
        return [Visit(call, clock.new_id(), wall, wall_us, t_us, t_us, config) for call in calls]

    def renew(self, visit: "Visit") -> None:
        """The visit had to wait: from now on it goes by the present time and configuration."""
        clock = self.clock
        visit.wall_us = clock.wall_us()
        visit.wall = utc(visit.wall_us)
        visit.t_us = clock.t_us()
        visit.config = self.config

    def next_serial(self) -> int:
        """The serial number of the guard's own packet ids: never reused while the process lives, fits uint32."""
        self.serial = self.serial % SERIAL_MAX + 1
        return self.serial

    def heard(self, result: Answer | Failure) -> None:
        """Notes whether the daemon answered; what never left the guard says nothing about that."""
        if not isinstance(result, Failure) or result.kind != "held":
            self.is_daemon_up = isinstance(result, Answer)

    @property
    def is_halted(self) -> bool:
        """There is a HALT file in the state directory: cancels only, for everyone. A dangling link counts too."""
        return os.access(self._halt, os.F_OK, follow_symlinks=False)  # says no without raising: half of lexists's cost

    @property
    def was_halted(self) -> bool:
        """The same, looked up once in a turn of the loop: a turn decides many orders, and each look is a system call.

        Good enough to decide by, since `is_halted` is asked again before anything is sent.
        """
        if self._was_halted is None:
            asyncio.get_running_loop().call_soon(self._turn_is_over)
            self._was_halted = self.is_halted
        return self._was_halted

    def _turn_is_over(self) -> None:
        self._was_halted = None


class Visit(Struct, gc=False):
    """One request on its way: who asks what, and what will be counted and recorded of it.

    `wall` (in µs `wall_us`) and `t_us` are its one notion of now, by the wall and by the guard's own clock; a wait
    moves both, but not `started_us`, which is the `t_us` of its beginning. `is_decided`: its decision is on record.
    `under_way`: the name under which it counts as under way. `daemon_us`: the part of its time that was the daemon's.
    `more`: what was asked for beyond what the rules need, because it may change a refusal. A position that was read
    before `position_since_us` is not used. `exits_before`: what other working orders were taking off it when it was
    asked for; `filled_before`: how much of the changed order itself was filled then. `batch` and `why`: for a cancel
    that the guard makes itself, what it is a part of and on whose word.
    """

    call: Call
    id: str
    wall: datetime
    wall_us: int
    t_us: int
    started_us: int
    config: ActiveConfig
    endpoint: Endpoint | None = None
    effect: Effect | None = None
    principal: Principal | None = None
    outcome: Literal["allowed", "refused", "failed"] = "failed"
    is_decided: bool = False
    under_way: str | None = None
    daemon_us: int = 0
    more: Needs | None = None
    position_since_us: int = 0
    exits_before: int = 0
    filled_before: int = 0
    batch: str | None = None
    why: str = ""


class Ruling(Struct, frozen=True, gc=False):
    """What the rules said of a trade before the ledger was asked, and what would be sent (None: no account is known).

    `exits`: the claim for what the order takes off its position; `working`: what the rules were told that other orders
    take off it.
    """

    judgement: Judgement
    outbound: Outbound | None
    exits: Claim | None
    working: int


class Situation(Struct, gc=False):
    """What is known of the world for one request; a missing datum is a value here.

    `rows`: the account list. `acc_ids`: the accounts that the body names; None: it names none, empty: what it names is
    no account. `plan`: the rules that bind a trade of this key on this account; None where either is not known.
    `order`: the order as it shall be, new or after the change; `needs` is what its rules have to know, `world` what is
    known of that, `worth` what they valued it at. `holder`: the live order that is meant; `conflict`: why none can be
    meant, or none can be changed so. `reducible`: up to this quantity an order of this symbol and side only makes a
    fresh position smaller. `each`: the live orders that a cancel-all cancels one by one; None: it is sent as one
    request. `ruling`: what the rules said before the ledger was asked.
    """

    intent: Intent
    rows: tuple[AccountRow, ...] | Missing = ()
    env: Env | None = None
    acc_id: int | None = None
    account: Account | None = None
    acc_ids: tuple[int, ...] | None = None
    holder: Holder | None = None
    conflict: Refusal | None = None
    order: PlaceOrder | None = None
    plan: Plan | None = None
    worth: Valuation | Missing | None = None
    needs: Needs | None = None
    world: World | None = None
    reducible: Decimal = Decimal(0)
    each: tuple[Holder, ...] | None = None
    ruling: Ruling | None = None

    @property
    def is_reducing(self) -> bool:
        """By what its rules were told, the order only makes a fresh position smaller."""
        return self.order is not None and 0 < self.order.qty <= self.reducible

    def locate(self, env: Env | None, acc_id: int | None) -> None:
        """Sets the account on which the request counts; an unknown environment counts as real."""
        self.env, self.acc_id = env, acc_id
        self.account = None if acc_id is None else Account(Env.REAL if env is None else env, acc_id)

    @property
    def comes_back(self) -> bool:
        """A disabled order is to be enabled again: it is judged and counted like a new one (W05)."""
        return isinstance(self.intent, ModifyOrder) and self.intent.op is Op.ENABLE

    @property
    def market(self) -> str | None:
        """The policy's word for the market, where an order is known."""
        if self.order is not None:
            return self.order.market
        return None if self.holder is None else self.holder.market


NOTHING_KNOWN: Final = Situation(Read(None))
