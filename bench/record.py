"""What the record costs, and how fast it is read: `python bench/record.py --report docs/performance-record.md`.

Orders are walked in this process, before the simulated daemon in memory, once with the real disk and once with one
whose sync does nothing: what differs is the price of *durable*. Reading is measured on a signed record of a million
lines, each command in a process of its own. Figures are medians of the rounds; CPU time is what counts where other
programs share the machine.
"""

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import machine  # noqa: E402 - after the path
import structlog  # noqa: E402 - after the path
from msgspec import Raw, Struct  # noqa: E402 - after the path

from guard.clock import SystemClock  # noqa: E402 - likewise
from guard.codes import Code  # noqa: E402 - likewise
from guard.journal import Decision, Disk, Journal, JournalBounds, OutcomeRecord  # noqa: E402 - likewise
from guard.terms import Claim, Money, Reason, Valuation, Verdict  # noqa: E402 - likewise
from tests.support import guards  # noqa: E402 - the same files as the tests lay out

FOREIGN_PERCENT_MAX: Final = 15.0
CONCURRENT: Final = (1, 16, 64)
SHA: Final = "5f" * 32
BODY: Final = (
    b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":1},"header":{"trd_env":1,"acc_id":281756478875559548,'
    b'"trd_market":1},"trd_side":1,"order_type":1,"code":"00700","qty":100,"price":300.2,"sec_market":1,'
    b'"remark":"g:01M83XYZ000000000000000000","time_in_force":0}}'
)
COMMANDS: Final = (
    ("verify", ("verify",)),
    ("search by order id", ("search", "--order", "E777777")),
    ("search by key and code", ("search", "--key", "bot-1", "--code", "rate")),
    ("search by value", ("search", "--min-value", "30000 HKD")),
    ("search without DuckDB", ("search", "--order", "E777777")),
    ("export to Parquet", ("export", "out.parquet")),
    ("export to CSV", ("export", "out.csv")),
    ("report", ("report", "--out", "out.html")),
)


class Unsynced(Disk):
    """A disk whose syncs return at once."""

    def fsync(self, fd: int) -> None:
        """Nothing."""

    def fdatasync(self, fd: int) -> None:
        """Nothing."""


class Speed(Struct):
    """Orders at one concurrency on one disk."""

    per_s: float
    p50_us: float
    p99_us: float


class Cost(Struct):
    """One command on the large record."""

    wall_s: float
    cpu_s: float
    rss_mib: float


async def _orders(folder: Path, concurrent: int, *, seconds: float, disk: Disk) -> Speed:
    """Durable orders, each caller one at a time."""
    config = guards.lay_out(folder)
    took: list[int] = []
    async with guards.running(config, disk=disk) as guard:
        started, ends = time.perf_counter(), time.perf_counter() + seconds

        async def caller(number: int) -> None:
            placed = 0
            while time.perf_counter() < ends:
                placed += 1
                before = time.perf_counter_ns()
                price = 100 + number + placed % 1000 / 1000
                reply = await guards.ask(guard, "/api/order", guards.order(price=price))
                assert reply.status == 200, reply.body
                took.append(time.perf_counter_ns() - before)

        await asyncio.gather(*(caller(number) for number in range(concurrent)))
        spent = time.perf_counter() - started
    took.sort()
    return Speed(len(took) / spent, took[len(took) // 2] / 1000, took[len(took) * 99 // 100] / 1000)


def price_of_durable(work: Path, rounds: int, seconds: float) -> list[tuple[str, ...]]:
    """Rows of the table: both disks in turn within each round, and what the real one adds."""
    rows = []
    for concurrent in CONCURRENT:
        found: dict[str, list[Speed]] = {"durable": [], "not synced": []}
        for _ in range(rounds):
            for name, disk in (("durable", Disk()), ("not synced", Unsynced())):
                folder = Path(tempfile.mkdtemp(dir=work))
                found[name].append(asyncio.run(_orders(folder, concurrent, seconds=seconds, disk=disk)))
                shutil.rmtree(folder)
        for name, all_ in found.items():
            figures = [statistics.median(getattr(one, field) for one in all_) for field in Speed.__struct_fields__]
            rows.append((str(concurrent), name, *(f"{figure:,.0f}".replace(",", " ") for figure in figures)))
        pairs = zip(found["durable"], found["not synced"], strict=True)
        more = [(a.p50_us - b.p50_us, a.p99_us - b.p99_us) for a, b in pairs]
        added = [f"{statistics.median(values):+,.0f}".replace(",", " ") for values in zip(*more, strict=True)]
        rows.append((str(concurrent), "**added by the sync**", "", *added))
        print(rows[-3:], flush=True)
    return rows


def _large(state: Path, records: int) -> None:
    """A signed record: half decisions, half outcomes, one in five decisions a refusal."""
    journal = Journal.open(state, clock=SystemClock(), bounds=JournalBounds(queue_records_max=100_000))
    worth = Valuation(Money(Decimal(30020), "HKD"), Decimal("300.2"), "limit price")
    claims = tuple(
        Claim("spend", f"{word}/key=bot;real|HKD|2026-11-02@08:30 Asia/Hong_Kong", 300_200_000, cap=2**40)
        for word in ("daily_value", "open_value", "orders_per_day")
    )
    why = Reason(Code.RATE, "16 new orders in 30 s are above 15", "desk", "rates.new_orders", "16", "15", "30s")
    for n in range(records // 2):
        is_refused = n % 5 == 0
        members: dict[str, Any] = {
            "id": f"01M{n:023d}", "t": n, "key": f"bot-{n % 7}", "endpoint": "/api/order", "policy_sha256": SHA,
            "config_sha256": SHA, "effect": "order_new", "environment": "real", "account": 281756478875559548,
            "market": "HK", "symbol": "HK.00700", "order": Raw(BODY), "valuation": worth, "claims": claims,
            "used": (1, 2, 3), "peer": "10.0.0.7", "user_agent": "bot/1",
            "outcome": "refuse" if is_refused else "allow", "code": "rate" if is_refused else None,
            "reasons": (why,) if is_refused else (),
        }  # fmt: skip
        journal.append("decision", Decision(**members), lazy=True)
        done = OutcomeRecord(
            decision=members["id"], t=n, verdict=Verdict.ACCEPTED, status=200, ret_type=0, order_id=str(n),
            order_id_ex=f"E{n}", duration_us=900,
        )  # fmt: skip
        journal.append("outcome", done, lazy=True)
        if n % 5000 == 0:
            journal.flush()
    journal.shut()


def _cost(words: tuple[str, ...], state: Path, folder: Path, *, is_plain: bool) -> Cost:
    block = "import sys; sys.modules['duckdb'] = None; " if is_plain else ""
    script = f"{block}from guard.cli.main import main; main()"
    command = [sys.executable, "-c", script, "audit", *words, "--state", str(state)]
    started, environment = time.perf_counter(), os.environ | {"PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=environment) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, words
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def read(work: Path, records: int) -> tuple[list[tuple[str, ...]], str]:
    """Rows of the table, and a sentence on the record that was read."""
    state = Path(tempfile.mkdtemp(dir=work)) / "state"
    started = time.perf_counter()
    _large(state, records)
    spent = time.perf_counter() - started
    size = sum(path.stat().st_size for path in (state / "journal").glob("*.jsonl"))
    rows: list[tuple[str, ...]] = []
    for name, words in COMMANDS:
        cost = _cost(words, state, state.parent, is_plain="without" in name)
        rows.append((name, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.rss_mib:.0f}"))
        print(rows[-1], flush=True)
    shutil.rmtree(state.parent)
    appended = f"{records / spent:,.0f}".replace(",", " ")
    what = (
        f"{records:,}".replace(",", " ")
        + f" records in {size / 2**20:.0f} MiB, written and signed at {appended} a second"
    )
    return rows, what


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def others(foreign_percent: float) -> str:
    """How much of the machine was not ours, and what that leaves of the figures."""
    said = f"Other programs used {foreign_percent:.0f} % of the machine meanwhile."
    if foreign_percent <= FOREIGN_PERCENT_MAX:
        return said
    return (
        f"{said} The tails of the first table and the seconds of the second are theirs as much as ours: the medians at "
        "one order at once, the CPU seconds and the memory are what to compare with. Measure again on a quiet machine "
        "before you lean on the rest."
    )


def document(orders: list[tuple[str, ...]], reading: list[tuple[str, ...]], *, what: str, noise: str) -> str:
    """The page."""
    heads = ("orders at once", "disk", "orders/s", "p50 µs", "p99 µs")
    about = (__doc__ or "").partition("\n\n")[2].strip()
    python, system = platform.python_version(), platform.release()
    where = f"CPython {python}, {os.cpu_count()} cores, Linux {system}, {machine.moment()}."
    return f"""# Performance of the record

Written by `bench/record.py --report docs/performance-record.md`, beside [performance](performance.md),
which measures the guard over sockets. {about}

{where} {noise}

## What *durable* costs an order

{_table(heads, orders)}

## Reading a large record

{what}.

{_table(("command", "seconds", "CPU seconds", "memory MiB"), reading)}
"""


def main() -> None:
    """Measure and print; with --report also write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of orders")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each window of orders is")
    parser.add_argument("--records", type=int, default=1_000_000, help="lines of the record that is read")
    parser.add_argument("--work", type=Path, default=HERE / "records", help="where records are written: on a real disk")
    parser.add_argument("--report", type=Path, help="write the document here")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    structlog.configure(processors=[_silent])
    before, spent = machine.usage(), os.times()
    orders = price_of_durable(given.work, given.rounds, given.seconds)
    reading, what = read(given.work, given.records)
    own_s = sum(now - was for now, was in zip(os.times()[:4], spent[:4], strict=True))
    foreign = machine.foreign_percent(before, machine.usage(), own_us=own_s * 1e6)
    text = document(orders, reading, what=what, noise=others(foreign))
    print(text)
    if given.report:
        given.report.write_text(text, encoding="utf-8")


def _silent(*_: object) -> dict[str, object]:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
