"""After a soak: the record, the ledger against the simulator's truth, and what the process holds."""

from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from guard.limits import State
from guard.recovery import recover
from guard.simulator import Simulator
from guard.terms import LEDGER_UNIT
from tests.soak.callers import Told
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
    stamps = [(one.remark or "").removeprefix("g:") for one in book.values()]
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
    return [*wrongs, *_ledger(state, simulator, frozenset(stamps))]


def _ledger(state: State, simulator: Simulator, stamps: frozenset[str]) -> list[str]:
    """Every order is over: the ledger holds what was paid, and what may yet turn out to have been sent."""
    lost = {name for name, step in state.steps.items() if step.holder == name and name not in stamps}
    wrongs = [f"step {name} is in doubt although its order is known" for name in state.steps if name not in lost]
    wrongs += [f"holder {name} lives although its order has ended" for name in state.holders if name not in lost]
    held: dict[str, int] = {}
    for cell, amount in state.sums.items():
        word = cell.partition("/")[0]
        held[word] = held.get(word, 0) + amount
    in_doubt = dict.fromkeys(held, 0)
    for name in lost & state.holders.keys():
        for cell, amount in zip(state.holders[name].holds.cells, state.holders[name].holds.amounts, strict=True):
            in_doubt[cell.partition("/")[0]] += amount
    spent = sum((one.fill_value for one in simulator.orders.values()), Decimal(0)) * LEDGER_UNIT
    truth = {"daily_value": int(spent), "open_value": 0, "open_orders": 0, "exits": 0}
    return wrongs + [
        f"{word}: the ledger holds {held.get(word, 0) - in_doubt.get(word, 0)}, the truth is {amount}"
        for word, amount in truth.items()
        if not 0 <= held.get(word, 0) - in_doubt.get(word, 0) - amount <= _rounding(word, simulator)
    ]


def _rounding(word: str, simulator: Simulator) -> int:
    """Money is rounded up, once for each fill that was learned of."""
    return len(simulator.world.book.fills) if word == "daily_value" else 0
