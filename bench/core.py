"""What the pure core costs: orders judged and counted without socket, disk or clock; and how a record is read back.

`python bench/core.py` prints a table; `--report FILE` writes it as a document. CPU time of this thread, so that what
others use of the machine does not count (their caches still do); each figure is the best of several rounds, with the
worst beside it.
"""

import argparse
import asyncio
import itertools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import machine
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guard import logs
from guard.catalogue import find
from guard.intent import parse
from guard.journal.chain import ZEROS, digest
from guard.journal.record import encode
from guard.journal.segments import replay, replay_typed
from guard.lifecycle import Guard
from guard.limits import Opening, State, Worth, check_claims, end_order, reserve, settle
from guard.loop.resting import come_to_rest
from guard.policy import PolicyDoc, PolicySet, compile_set, exits_claim, judge, parse_policy
from guard.recovery.readback import recover
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.terms import (
    Account,
    Call,
    Claim,
    Effect,
    Endpoint,
    Env,
    Exchange,
    Granted,
    Instrument,
    Outcome,
    PlaceOrder,
    Principal,
    Quote,
    Valuation,
    Verdict,
    World,
)

WALL: Final = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)  # a Wednesday, 11:00 in Hong Kong
ACCOUNT: Final = Account(Env.REAL, 281756478875559548)
KEY: Final = Principal("bot", "bot", frozenset({"trade:real"}))
VARIANTS: Final = 5_000  # orders that differ, so that none is a duplicate within its window
STEP_US: Final = 2_000  # one order in two milliseconds of the record's time
RULES: Final = (1, 20, 200)
OPEN: Final = (1_000, 100_000)
SAMPLED_EACH: Final = 3
SAMPLED: Final = 1_000  # of the orders in a long record: a day's prices and quantities of one share
BODY: Final = (
    b'{"market":"HK","acc_id":281756478875559548,"env":"real","side":"BUY","code":"00700","qty":100,"price":300}'
)
_ONE: Final = '[orders]\nmax_value = "1000000 HKD"\n'
_FULL: Final = """
[instruments]
markets = ["HK", "US"]
symbols = ["HK.*", "US.*"]
blocked_symbols = ["HK.00005", "US.GME"]
[orders]
sides = ["BUY", "SELL"]
types = ["NORMAL", "MARKET", "STOP"]
time_in_force = ["DAY", "GTC"]
max_value = ["{n}000000 HKD", "100000 USD"]
max_premium = "20000 HKD"
max_underlying_value = "500000 HKD"
max_qty = {n}0000
per_day = 100000{n}00
price_collar_percent = {{ stock = {n}0 }}
duplicate_window_s = 5
[budgets]
per = "policy"
daily_value = ["10000000000 HKD", "10000000000 USD"]
open_orders = 1000000
open_value = ["10000000000 HKD", "10000000000 USD"]
[rates]
per = "policy"
new_orders = ["100000/1s", "100000/10s"]
changes = "100000/30s"
"""


_SAMPLING: Final = """
[listen]
data = "127.0.0.1:0"
ops = "127.0.0.1:0"
[trading]
enabled = true
[daemon]
broker_limits = "off"
"""
_HOURS: Final = """
[hours]
HK = ["09:30-12:00", "13:00-16:00"]
US = "always"
"""


class Point(Struct):
    """One row: µs of CPU an order, best and worst of the rounds."""

    rules: int
    asked: int
    claims: int
    open: int
    judge_us: tuple[float, float]
    ledger_us: tuple[float, float]
    whole_us: tuple[float, float]


class Replayed(Struct):
    """How a record was read back."""

    records: int
    bytes: int
    chain_s: float
    whole_s: float
    rss_mib: float


# ---------------------------------------------------------------- orders


def policies(rules: int) -> PolicySet:
    """Policies with about so many rules: one with a single rule, or so many whole ones."""
    texts = [_ONE] if rules == 1 else [_FULL.format(n=number + 1) + _HOURS for number in range(rules // 20)]
    docs: list[PolicyDoc] = []
    for number, text in enumerate(texts):
        doc = parse_policy(text, file=f"p{number}.toml")
        if not isinstance(doc, PolicyDoc):
            raise SystemExit(str(doc))
        docs.append(doc)
    found = compile_set(docs, keys={}, flags=None, tz="UTC", require_cover=True, now=WALL)
    if not isinstance(found, PolicySet):
        raise SystemExit(str(found))
    return found


def orders() -> list[PlaceOrder]:
    """Orders that differ in price."""
    endpoint = find("POST", "/api/order")
    order = parse(endpoint, BODY) if isinstance(endpoint, Endpoint) else None
    if not isinstance(order, PlaceOrder):
        raise SystemExit("the order of the benchmark is not understood")
    return [replace(order, price=Decimal(300) + Decimal(number) / 1000) for number in range(VARIANTS)]


def world() -> World:
    """Everything that is known of Tencent."""
    quote = Quote("HK.00700", *(Decimal(300),) * 4, exchange_at=WALL, is_current=True, session="continuous")
    exchange = Exchange("HK", "continuous", WALL.date(), is_trading_day=True, was_trading_day=True)
    return World(Instrument("HK.00700", "stock", "HKD", lot_size=100), quote, exchange)


class Core:
    """Judge, claims and ledger over one state, as the synchronous step of the walk asks them."""

    def __init__(self, rules: PolicySet, *, live: int) -> None:
        self.rules = rules
        self.state = State()
        self.world = world()
        self.orders = itertools.cycle(orders())
        self.t_us = 0
        self.serial = 0
        self.live: list[str] = []
        self.first = 0
        for _ in range(live):
            self.whole()

    def judged(self) -> tuple[tuple[Claim, ...], Valuation]:
        """What every rule says to the next order."""
        order = next(self.orders)
        plan = self.rules.on(KEY, ACCOUNT, wall=WALL)
        found = judge(
            plan,
            order,
            effect=Effect.ORDER_NEW,
            account=ACCOUNT,
            wall=WALL,
            mark="",
            world=self.world,
            exits=Decimal(0),
        )
        worth = found.worth
        if found.reasons or not isinstance(worth, Valuation):
            raise SystemExit(f"the order of the benchmark is refused: {found.reasons}")
        return (exits_claim(order, ACCOUNT), *found.claims), worth

    def counted(self, claims: tuple[Claim, ...], worth: Valuation) -> None:
        """Looked at, reserved, accepted."""
        self.t_us += STEP_US
        if not isinstance(check_claims(self.state, claims, t_us=self.t_us), Granted):
            raise SystemExit("the ledger of the benchmark is full")
        self.serial += 1
        step = f"{self.serial:026}"
        opening = Opening(
            step=step,
            claims=claims,
            holder=step,
            key="bot",
            account=ACCOUNT,
            market="HK",
            symbol="HK.00700",
            order=BODY,
            worth=Worth.of(worth.value.amount, worth.price, worth.multiplier),
        )
        reserve(self.state, opening, t_us=self.t_us)
        outcome = Outcome(Verdict.ACCEPTED, 200, 0, str(self.serial), f"X{self.serial}")
        settle(self.state, step, outcome, t_us=self.t_us)
        self.live.append(step)

    def ended(self) -> None:
        """The oldest order is over, so that as many stay open."""
        end_order(self.state, self.live[self.first], t_us=self.t_us)
        self.first += 1

    def whole(self) -> None:
        """One order through all of it."""
        self.counted(*self.judged())

    def whole_and_ended(self) -> None:
        """One order through all of it, and the oldest is over."""
        self.whole()
        self.ended()

    def count_next(self, judged: Iterator[tuple[tuple[Claim, ...], Valuation]]) -> None:
        """The next of these is counted, and the oldest is over."""
        self.counted(*next(judged))
        self.ended()


def measured(rules: int, lives: list[int], *, count: int, rounds: int) -> list[Point]:
    """The rows of so many rules; the numbers of open orders take turns, so that a neighbour's noise falls on all."""
    found = policies(rules)
    come_to_rest()
    cores = [Core(found, live=live) for live in lives]
    times: list[tuple[list[float], list[float], list[float]]] = [([], [], []) for _ in cores]
    for _ in range(rounds):
        for core, (judging, counting, whole) in zip(cores, times, strict=True):
            known = iter([core.judged() for _ in range(count)])
            judging.append(_each_us(core.judged, count))
            counting.append(_each_us(partial(core.count_next, known), count))
            whole.append(_each_us(core.whole_and_ended, count))
    plan = found.plan(KEY, ACCOUNT.env, ACCOUNT, wall=WALL)
    bound = len(plan.all_rules)
    return [
        Point(
            bound,
            len(plan.rules),
            len(core.judged()[0]),
            len(core.state.holders),
            *((min(spans), max(spans)) for spans in taken),
        )
        for core, taken in zip(cores, times, strict=True)
    ]


def _each_us(act: Callable[[], object], count: int) -> float:
    began = time.thread_time_ns()
    for _ in range(count):
        act()
    return (time.thread_time_ns() - began) / count / 1000


# ---------------------------------------------------------------- a record


async def sample(folder: Path, *, orders: int = SAMPLED) -> list[list[dict[str, Any]]]:
    """What a guard itself writes of orders that fill, each of another price or quantity.

    Of each its decision, its outcome, and what was learned of it.
    """
    (folder / "policies").mkdir()
    (folder / "policies" / "full.toml").write_text(_FULL.format(n=1))
    plain, keys = "gk_bench", folder / "keys.json"
    keys.touch(mode=0o600)
    row = {"id": "bot", "hash": f"sha256:{sha256(plain.encode()).hexdigest()}", "scopes": ["trade:simulate"]}
    keys.write_bytes(msgspec.json.encode({"version": 1, "keys": [row]}))
    (folder / "guard.toml").write_text(_SAMPLING)
    guard = Guard(load(folder / "guard.toml", Overrides(), {"GUARD_DAEMON_KEY": "x"}), daemon=Simulator())
    await guard.start()
    head = {"authorization": f"Bearer {plain}"}
    for number in range(orders):
        reply = await guard.pipeline.handle(Call("POST", "/api/order", head, _body(number), "127.0.0.1"))
        if reply.status != HTTPStatus.OK:
            raise SystemExit(reply.body.decode())
    while guard.desk.state.holders:  # noqa: ASYNC110 - until the reconciler has seen them filled
        await asyncio.sleep(0.1)
    await guard.stop("sample")
    found: dict[str, list[dict[str, Any]]] = {}
    for told in (line.members() for line in replay(folder / "state")):
        if told["type"] in {"decision", "outcome", "order"}:
            found.setdefault(str(told["id"] if told["type"] == "decision" else told["decision"]), []).append(told)
    if {len(each) for each in found.values()} != {SAMPLED_EACH}:
        raise SystemExit("an order of the sample did not fill")
    return list(found.values())


def _body(number: int) -> bytes:
    """An order of the simulated account: five quantities at each price."""
    body = BODY.replace(b"281756478875559548", b"123456").replace(b"real", b"simulate")
    lots, steps = 1 + number % 5, number // 5
    return body.replace(b'"qty":100', b'"qty":%d' % (lots * 100)).replace(
        b'"price":300', b'"price":%.1f' % (300 + steps / 10)
    )


def written(folder: Path, sampled: list[list[dict[str, Any]]], *, orders: int) -> int:
    """A record of so many orders in one segment, as the guard would have written it; its size in bytes."""
    journal = folder / "journal"
    journal.mkdir(mode=0o700, parents=True)
    prev, seq, size = ZEROS, 0, 0
    with (journal / "00000001.jsonl").open("wb") as file:
        for number in range(orders):
            for told in sampled[number % len(sampled)]:
                seq += 1
                line = encode(_renamed(told, number), seq=seq, ts_us=seq * 500, type_=told["type"], prev=prev)
                prev = digest(line)
                size += file.write(line + b"\n")
    return size


def _renamed(told: dict[str, Any], number: int) -> dict[str, Any]:
    """The same record of another order: its own id, time and names."""
    decision = f"01{number:024}"
    own = {
        "id": decision,
        "decision": decision,
        "t": number * 1500,
        "order_id": str(number),
        "order_id_ex": f"X{number}",
    }
    return {name: own.get(name, value) for name, value in told.items() if name not in {"seq", "ts", "type", "prev"}}


def read_back(folder: Path, *, records: int, size: int) -> Replayed:
    """The record as a start reads it, without a snapshot to begin with."""
    began = time.thread_time_ns()
    for _ in replay_typed(folder):
        pass
    chain_s = (time.thread_time_ns() - began) / 1e9
    began = time.thread_time_ns()
    found = recover(folder)
    whole_s = (time.thread_time_ns() - began) / 1e9
    if found.records != records or found.state.holders:
        raise SystemExit(f"{found.records} of {records} records were read, {len(found.state.holders)} orders are open")
    return Replayed(records, size, chain_s, whole_s, machine.rss_bytes(os.getpid()) / 2**20)


def replayed_of(records: int, work: Path | None) -> Replayed:
    """A record of about so many lines, written and read back."""
    with tempfile.TemporaryDirectory(prefix="guard-core-", dir=work) as name:
        sampled = asyncio.run(sample(Path(name)))
        orders = records // SAMPLED_EACH
        size = written(Path(name) / "long", sampled, orders=orders)
        return read_back(Path(name) / "long", records=orders * SAMPLED_EACH, size=size)


# ---------------------------------------------------------------- the report


def table(points: list[Point]) -> str:
    """The rows as a table of Markdown."""
    head = "| rules | asked | claims | open orders | judge µs | ledger µs | order µs | orders a second |"
    rows = [
        f"| {p.rules} | {p.asked} | {p.claims} | {_grouped(p.open)} | {_span(p.judge_us)} | {_span(p.ledger_us)} "
        f"| {_span(p.whole_us)} | {_grouped(1e6 / p.whole_us[0])} |"
        for p in points
    ]
    return "\n".join([head, "|" + " ---: |" * 8, *rows])


def _span(times: tuple[float, float]) -> str:
    return f"{times[0]:.1f} ({times[1]:.1f})"


def document(points: list[Point], replayed: Replayed | None, noise: str) -> str:
    """The page docs/performance-core.md."""
    return f"""# What the pure core costs

Written by `bench/core.py --report docs/performance-core.md`. What a request costs through sockets and a disk is in
[`performance.md`](performance.md).

An order is judged by every rule that binds it (*judge*), its claims are looked at, reserved and settled (*ledger*), and
as an old order ends for each new one, as many stay open. No socket, no disk, no clock; the garbage collector as `guard
serve` sets it. CPU time of the thread, best of the rounds and in brackets the worst. *rules* are those that bind the
key, *asked* those that no tighter one of their kind makes superfluous; *claims* are what the order holds on counters.
All budgets and rates count by policy, so that no two of them share a counter: many policies are meant to be as
expensive here as they can be.

{table(points)}

{_growth(points)}
{"" if replayed is None else _replay(replayed)}
## Machine

{noise}
"""


def _replay(r: Replayed) -> str:
    return f"""
## Reading a record back

A start without a snapshot, from the first record: {_grouped(r.records)} records ({_grouped(r.bytes / 2**20)} MiB; for
each order a decision, its outcome and what was learned of it, as the guard writes them) are read in {r.whole_s:.1f} s
of CPU, {_grouped(r.records / r.whole_s)} a second; {r.chain_s:.1f} s of it are reading the lines and checking the
chain. Afterwards the process holds {r.rss_mib:.0f} MiB. A start with snapshots reads what came after the last one only.
"""


def _grouped(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")


def _growth(points: list[Point]) -> str:
    """How the cost of an order moves with the number of open ones."""
    fewest, most = min(p.open for p in points), max(p.open for p in points)
    times = {(p.rules, p.open): p.whole_us[0] for p in points}
    rules = sorted({p.rules for p in points})
    moved = (f"{100 * (times[each, most] / times[each, fewest] - 1):+.0f} %" for each in rules)
    return (
        f"From {_grouped(fewest)} to {_grouped(most)} open orders an order's cost moves by {', '.join(moved)} (with "
        f"{', '.join(map(str, rules))} rules).\nNothing on its way goes through the open ones; larger tables miss the "
        "processor's caches more often."
    )


def _noise(before: machine.Usage, began_us: float) -> str:
    others = machine.foreign_percent(before, machine.usage(), own_us=machine.cpu_us(os.getpid()) - began_us)
    told = machine.described("ext4")
    load_now = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return (
        f"{told['cpu']}, {told['memory']}, {told['kernel']}, {platform.python_implementation()} "
        f"{platform.python_version()}, {told['measured']}. Meanwhile other programs used {others:.0f} % of the "
        f"machine; load average at the end {load_now}."
    )


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench/core.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    parser.add_argument("--count", type=int, default=2_500, help="orders in a round (default 2500, at most 5000)")
    parser.add_argument("--records", type=int, default=1_000_000, help="lines of the record to read back; 0: none")
    parser.add_argument("--open", type=int, nargs="*", default=list(OPEN), help="how many orders are open")
    parser.add_argument("--work", type=Path, help="where the record is written (default: the system's own place)")
    parser.add_argument("--report", type=Path, help="also write the document")
    given = parser.parse_args()
    logs.silence()
    before, began_us = machine.usage(), machine.cpu_us(os.getpid())
    points = []
    for rules in RULES:
        points += measured(rules, given.open, count=min(given.count, VARIANTS), rounds=given.rounds)
        print(f"{rules} rules: {points[-len(given.open) :]}", file=sys.stderr, flush=True)
    replayed = replayed_of(given.records, given.work) if given.records else None
    text = document(points, replayed, _noise(before, began_us))
    print(text)
    if given.report:
        given.report.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
