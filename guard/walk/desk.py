"""The desk, the one mutable world that requests share; each request pays it a visit.

Everything that decides is in `config`, one frozen value that a reload swaps as a whole. `state` is the ledger that
the journal's records fold into; `traffic` counts reads and dry runs, and begins at zero with each start.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from guard.access import Tickets
from guard.activeconfig import ActiveConfig
from guard.clock import Clock
from guard.journal import Journal
from guard.limits import State
from guard.metrics import Metrics
from guard.policychange import PolicyChangeState
from guard.reference import Reference
from guard.supervisor import Supervisor
from guard.terms import Account, AccountRow, Answer, Call, Daemon, Env, Failure, Missing, Outbound, utc
from guard.upstream import Circuits
from guard.walk.cooldown import Cooldowns
from guard.walk.countedlock import CountedLock
from guard.walk.orderlists import NoOrderLists, OrderLists
from guard.walk.recent import Recent
from guard.walk.spacing import Spacing
from guard.walk.subscriptions import Subscriptions
from guard.walk.throttle import FailedLogins, InFlight, RefusalPacer
from guard.walk.visit import Visit

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
        self.weakened: tuple[str, ...] = ()  # controls that are off or loose, as they were found at the start
        # Asked when somebody reads `/status`: what other parts of the program find wrong with themselves.
        self.concerns: list[Callable[[], tuple[str, ...]]] = []
        # The daemon repeats an answer for a packet id that it has seen: one number must not come back after a restart.
        self.serial = services.clock.t_us() // 1000 % SERIAL_MAX

    def open_visit(self, call: Call) -> Visit:
        """A request begins: its id, its one notion of now, and the configuration it is judged under."""
        clock = self.clock
        wall_us, t_us = clock.wall_us(), clock.t_us()
        return Visit(call, clock.new_id(), utc(wall_us), wall_us, t_us, t_us, self.config)

    def open_visits(self, calls: Iterable[Call]) -> list[Visit]:
        """Requests of one turn of the loop begin: their notion of now is the same."""
        clock, config = self.clock, self.config
        wall_us, t_us = clock.wall_us(), clock.t_us()
        wall = utc(wall_us)
        return [Visit(call, clock.new_id(), wall, wall_us, t_us, t_us, config) for call in calls]

    def renew(self, visit: Visit) -> None:
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
