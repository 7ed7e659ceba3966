"""After a soak: the record, the ledger against the simulator's truth, and what the process holds."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from guard.limits import State
from guard.recovery.readback import recover
from guard.recovery.snapshots import resume
from guard.simulator import Simulator
from guard.simulator.orders import Order as SimOrder
from guard.terms import LEDGER_UNIT
from tests.soak.callers import Told
from tests.soak.world import POOR, POOR_DAY
from tests.support.dump import dump
from tests.support.guards import of_type

PROC = Path("/proc")


class Vitals(Struct, frozen=True):
    """What a process holds: bytes of memory, open files, threads; and tasks of the guard's own."""

    rss_bytes: int
    files: int
    threads: int
    tasks: int = 0


def vitals(pid: int, *, tasks: int = 0) -> Vitals:
    """Of a process that runs."""
    status = (PROC / str(pid) / "status").read_text().splitlines()
    words = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in status) if rest.split()}
    files = len(list((PROC / str(pid) / "fd").iterdir()))
    return Vitals(int(words["VmRSS"]) * 1024, files, int(words["Threads"]), tasks)


def check_record(config: Path, simulator: Simulator, told: Told) -> list[str]:
    """What is wrong between the record, the daemon's book and what callers were told; empty where nothing is."""
    allowed = {one["id"] for one in of_type(config, "decision") if one["outcome"] == "allow" and "claims" in one}
    ended = {one["decision"] for one in of_type(config, "outcome")}
    ended |= {one["decision"] for one in of_type(config, "reconciled")}
    book = simulator.orders
    keys = {one["id"]: one["key"] for one in of_type(config, "decision")}
    stamps = [_stamp(one) for one in book.values()]
    state = recover(config.parent / "state").state
    wrongs = [f"an order reached the daemon without a decision: {name}" for name in stamps if name not in allowed]
    if len(stamps) != len(set(stamps)):
        wrongs.append("one decision placed two orders")
    wrongs += [f"a caller was told of an order that is not there: {name}" for name in told.placed if name not in book]
    wrongs += [
        f"order {name} is of decision {book[name].remark}, its caller was told {decision}"
        for name, decision in told.placed.items()
        if name in book and book[name].remark != f"g:{decision}"
    ]
    open_ended = allowed - ended - set(state.steps)
    wrongs += [f"decision {name} has no outcome and is not in doubt" for name in open_ended]
    placed = {name: keys[name] for name in stamps if name in keys}
    return [*wrongs, *_ledger(state, simulator, placed), *_limits(simulator, placed), *_starts(config.parent / "state")]


def check_shown(config: Path, simulator: Simulator, shown: Mapping[str, Decimal]) -> list[str]:
    """What each key is shown to have spent while nothing is in doubt, held against the daemon's book."""
    keys = {one["id"]: one["key"] for one in of_type(config, "decision")}
    spent = dict.fromkeys(shown, Decimal(0))
    for one in simulator.orders.values():
        spent[keys[_stamp(one)]] += one.fill_value
    most = Decimal(len(simulator.world.book.fills)) / LEDGER_UNIT
    return [
        f"{name} is shown {shown[name]} as spent, the truth is {truth}"
        for name, truth in spent.items()
        if not 0 <= shown[name] - truth <= most
    ]


def _ledger(state: State, simulator: Simulator, keys: Mapping[str, str]) -> list[str]:
    """Every order is over: the ledger holds what each key has paid, and what may yet turn out to have been sent."""
    lost = {name for name, step in state.steps.items() if step.holder == name and name not in keys}
    wrongs = [f"step {name} is in doubt although its order is known" for name in state.steps if name not in lost]
    wrongs += [f"holder {name} lives although its order has ended" for name in state.holders if name not in lost]
    held = Counter[str]()
    for cell, amount in state.sums.items():
        held[_counter(cell)] += amount
    for name in lost & state.holders.keys():
        holds = state.holders[name].holds
        for cell, amount in zip(holds.cells, holds.amounts, strict=True):
            held[_counter(cell)] -= amount
    truth = Counter[str]()
    for one in simulator.orders.values():
        truth[f"daily_value/key={keys.get(_stamp(one), '?')}"] += int(one.fill_value * LEDGER_UNIT)
    most = len(simulator.world.book.fills)  # money is rounded up, once for each fill that was learned of
    return wrongs + [
        f"{counter}: the ledger holds {held[counter]}, the truth is {truth[counter]}"
        for counter in sorted(held.keys() | truth.keys())
        if not 0 <= held[counter] - truth[counter] <= (most if counter.startswith("daily_value/") else 0)
    ]


def _counter(cell: str) -> str:
    """The kind and whose it is, of all currencies and days: `daily_value/key=bot-1`."""
    return cell.partition("|")[0].removesuffix(";simulate")


def _stamp(one: SimOrder) -> str:
    """The decision that the guard has stamped it with."""
    return (one.remark or "").removeprefix("g:")


def _limits(simulator: Simulator, keys: Mapping[str, str]) -> list[str]:
    """What the daemon's own book says of the one budget that is tight."""
    spent = sum((one.fill_value for one in simulator.orders.values() if keys.get(_stamp(one)) == POOR), Decimal(0))
    return [f"{POOR} has spent {spent}, its budget is {POOR_DAY}"] if spent > POOR_DAY else []


def _starts(state: Path) -> list[str]:
    """A start reads the last snapshot and what came after it: the same as the whole record."""
    whole, found = recover(state), resume(state)[0]
    if dump(whole.state) != dump(found.state):
        return ["a start from the last snapshot finds another ledger than the whole record tells"]
    return []
