"""Does an order cost more with many keys, policies, open orders or records? And how long does a start take?

Guards of several sizes are alive at once; windows are interleaved and their order turns with every round, so a ratio is
of one round. Everywhere 64 connections share `ASKING` keys, so that only what is named differs; where all of ten
thousand keys ask, every order shows the next one.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

import asks
import checks
import contestants
import machine
import msgspec
import past
from contestants import Caller, Server, Size
from field import Field, Plan
from load import Job
from starts import KEPT, KEPT_S, NEW, Start, again, started, until_quiet

CONNECTIONS: Final = 64
ASKING: Final = 10
MANY: Final = 10_000
SMALLEST: Final = Size(keys=ASKING)
KEYS: Final = "10 000 keys"
ALL: Final = "10 000 keys, all asking"
OPEN: Final = "open orders"
PAST: Final = "records of the past"
SHORT: Final = 1_000
SHORT_PAST: Final = f"{SHORT} {PAST}"
LIVE: Final = "its orders all live"
SIZES: Final = {
    "smallest": SMALLEST,
    KEYS: Size(keys=MANY),
    ALL: Size(keys=MANY),
    "200 policies": Size(keys=ASKING, policies=200),
    OPEN: SMALLEST,
}
FOLDERS: Final = {name: f"size-{place}" for place, name in enumerate(SIZES)} | {SHORT_PAST: "short", PAST: "long"}
WARM_S, MEASURE_S = 0.2, 0.5
TRIES: Final = 5


class Scale(msgspec.Struct):
    """CPU of an order in microseconds, one a round, by what the guard has to know.

    `orders` were open in the guard of that name, `records` were there before in the other. `live`: how many orders
    were open in each after its last window; none had ended. `loop_ms`: as that of a `field.Window`.
    """

    orders: int
    records: int
    cpu_us: dict[str, list[float]]
    starts: list[Start] = []
    live: dict[str, int] = {}
    loop_ms: dict[str, list[float]] = {}

    def ratios(self, name: str) -> list[float]:
        """Against the smallest of the same round."""
        if name not in self.cpu_us:
            return []
        return [mine / small for mine, small in zip(self.cpu_us[name], self.cpu_us["smallest"], strict=True)]

    def records_per_s(self) -> list[float]:
        """How fast a record is read back: what the longest start without a snapshot took longer than an empty one."""
        whole = sorted((start for start in self.starts if not start.how), key=lambda start: start.records)
        if len(whole) < 2:
            return []
        empty, full = whole[0], whole[-1]
        return [(full.records - empty.records) / max(1e-3, full.seconds - empty.seconds)]


class Check(Protocol):
    """Looks at the record of the guard of this name: it verifies, and holds what was sent and what was `laid` there."""

    def __call__(self, name: str, field: Field, state: Path, *, laid: int) -> None:
        """Raises `Unfit` where it does not."""
        ...


class Sizes:
    """The guards of several sizes, laid out in `folder`."""

    def __init__(self, folder: Path, daemon: Server, *, plan: Plan, say: Callable[[str], None]) -> None:
        self.folders = {name: folder / place for name, place in FOLDERS.items()}
        self.new, self.daemon, self.plan, self.say = folder / "new", daemon, plan, say
        self.found = Scale(plan.open_orders, plan.records, {name: [] for name in FOLDERS})
        self.laid = dict.fromkeys(FOLDERS, 0)

    def begin(self) -> None:
        """Starts without a record, with a short and with a long one, which are laid here."""
        self.say(f"scale: starts without a record, with {SHORT} and with {self.plan.records}")
        long, starts = self.folders[PAST], self.found.starts
        self._lay_out(self.new)
        starts.append(started(self.new))
        for name, records in ((SHORT_PAST, SHORT), (PAST, self.plan.records)):
            self._lay_out(self.folders[name])
            self.laid[name] = past.lay(self.folders[name] / "state", records=records)
        starts.append(started(self.folders[SHORT_PAST]))
        starts += [started(long, how=NEW), started(long), started(long, how=KEPT)]

    def _lay_out(self, folder: Path) -> None:
        data, daemon = contestants.free_port(), self.daemon.port
        _ = contestants.lay_out(folder, data=data, daemon=daemon, size=SMALLEST, bounds=contestants.BOUNDS)

    def race(self, caller: Caller) -> Field:
        """Every size in every round; orders are opened beforehand at one guard of the smallest size."""
        with ExitStack() as alive:
            servers = [alive.enter_context(again(self.folders[name], name)) for name in (SHORT_PAST, PAST)]
            for name, size in SIZES.items():
                self.say(f"scale: a guard with {name}")
                guard = contestants.guard(self.folders[name], self.daemon, name=name, size=size)
                servers.append(alive.enter_context(guard))
            field = Field(caller, [self.daemon, *servers], self.plan)
            checks.answers(field.servers)
            by_name = {server.name: server for server in servers}
            self.say(f"scale: {self.plan.open_orders} orders are opened")
            field.perform(by_name[OPEN], _job(OPEN, count=self.plan.open_orders))
            field.perform(by_name[ALL], _job(ALL, count=MANY))
            until_quiet(*(server.pid for server in servers), for_s=KEPT_S)
            for turn in range(self.plan.rounds):
                for name in FOLDERS if turn % 2 == 0 else reversed(FOLDERS):
                    loop_ms = machine.calibration_ms(contestants.CONTESTANT_CORE)
                    self.found.loop_ms.setdefault(name, []).append(loop_ms)
                    self.found.cpu_us[name].append(cpu_us(field, by_name[name]))
        self.found.live = {name: field.sent[name]["order"] for name in FOLDERS}
        return field

    def end(self) -> None:
        """Starts of those whose orders are all live."""
        for name in ("smallest", OPEN):
            self.say(f"scale: a start after {name}")
            self.found.starts.append(started(self.folders[name], how=LIVE))


def cpu_us(field: Field, server: Server) -> float:
    """CPU of an order in one window. One without any answer has no figure and is measured again. Raises `Unfit`."""
    for _ in range(TRIES):
        job = _job(server.name, warm_s=WARM_S, measure_s=MEASURE_S)
        job.shown = field.sent[server.name]["order"]
        result = field.perform(server, job)
        if result.answers:
            return result.cpu_us[server.pid] / result.answers
    raise machine.Unfit(f"the guard with {server.name} answered nothing in {TRIES} windows")


def _job(name: str, *, count: int = 0, warm_s: float = 0.0, measure_s: float = 0.0) -> Job:
    keys = [asks.plaintext(number) for number in range(MANY if name == ALL else ASKING)]
    return Job(0, ["order"], CONNECTIONS, bearers=keys, count=count, warm_s=warm_s, measure_s=measure_s)


def measure(
    folder: Path, daemon: Server, caller: Caller, *, plan: Plan, say: Callable[[str], None], check: Check
) -> tuple[Scale, Field]:
    """What each size costs, and what each was sent; every record is checked."""
    sizes = Sizes(folder, daemon, plan=plan, say=say)
    sizes.begin()
    field = sizes.race(caller)
    for name, place in sizes.folders.items():
        say(f"scale: the record of the guard with {name}")
        check(name, field, place / "state", laid=sizes.laid[name])
    sizes.end()
    return sizes.found, field
