"""What policies cost: a decision, a reload and the pause it makes, a replay; with 1, 50 and 1,000 policies.

    python bench/policies.py [--report docs/performance-policies.md]

One process, no sockets: a guard over a simulated daemon in memory, its record on this disk. Every policy binds every
order. `alike`: policies that differ only in how tight they are, as most do; `apart`: each with counters of its own,
which is the worst there is. The pause of a request is how much longer than without a reload the slowest one took.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import structlog
from machine import described, real_disk
from tables import shown, spread, table

from guard.admin.change import Who
from guard.clock import SystemClock
from guard.lifecycle import Guard
from guard.policy import PolicyDoc, PolicySet, compile_set, judge, parse_policy
from guard.replay import Options, replayed
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.terms import Account, Call, Effect, Env, Header, KeyLimits, OrderType, PlaceOrder, Principal, Side

COUNTS: Final = (1, 50, 1_000)
AT_ONCE: Final = 50  # lives of orders that are recorded side by side
KEY: Final = "gk_" + "0" * 64
ALIKE: Final = """
[instruments]
markets = ["HK", "US"]
[orders]
max_value = ["{value} HKD", "{value} USD"]
max_qty = {value}
per_day = 1000000
[budgets]
daily_value = ["9000000000 HKD", "9000000000 USD"]
[rates]
new_orders = "100000/30s"
"""
ORDER: Final = {"side": "BUY", "code": "00700"}
APART: Final = """
[orders]
max_value = ["{value} HKD"]
[budgets]
per = "policy"
daily_value = "9000000000 HKD"
"""


def texts(count: int, pattern: str, *, more: int = 0) -> dict[str, str]:
    """So many policies, each a little different; `more` makes all of them differ from another time."""
    return {f"p{number:04}.toml": pattern.format(value=1_000_000 + number + more) for number in range(count)}


# ---------------------------------------------------------------- a decision


def compiled(files: dict[str, str]) -> PolicySet:
    """The set of these files."""
    docs = [doc for name, text in files.items() if isinstance(doc := parse_policy(text, file=name), PolicyDoc)]
    found = compile_set(
        docs,
        keys={"bot": KeyLimits()},
        flags=None,
        tz="UTC",
        require_cover=True,
        now=datetime(2026, 11, 20, tzinfo=UTC),
    )
    if not isinstance(found, PolicySet):
        raise SystemExit(found)
    return found


def decision_us(policies: PolicySet, *, qty: int, rounds: int) -> float:
    """The median of judging one order: every rule, every claim; the ledger's look is not in it."""
    account, wall = Account(Env.SIMULATE, 1), datetime(2026, 11, 20, 3, tzinfo=UTC)
    principal = Principal("bot", "bot", frozenset({"trade:simulate"}))
    order = PlaceOrder(
        header=Header(Env.SIMULATE, 1, None, 1),
        market="HK",
        symbol="HK.00700",
        code="00700",
        side=Side.BUY,
        order_type=OrderType.NORMAL,
        qty=Decimal(qty),
        price=Decimal(200),
    )
    took = []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        plan = policies.on(principal, account, wall=wall)
        judge(plan, order, effect=Effect.ORDER_NEW, account=account, wall=wall, mark="", world=None, exits=Decimal(0))
        took.append(time.perf_counter_ns() - begun)
    return statistics.median(took) / 1000


# ---------------------------------------------------------------- a reload


def lay_out(folder: Path) -> Path:
    """The files of a guard with one key."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    key = {"id": "bot", "hash": f"sha256:{digest}", "scopes": ["trade:simulate", "acc:read", "qot:read"]}
    (folder / "keys.json").write_text(json.dumps({"version": 1, "keys": [key]}))
    (folder / "keys.json").chmod(0o600)
    (folder / "policies").mkdir()
    config = folder / "guard.toml"
    config.write_text(
        '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n[trading]\nenabled = true\n'
        '[daemon]\nbroker_limits = "off"\n'
    )
    return config


def write(folder: Path, files: dict[str, str]) -> None:
    """The policies of the directory, and no others."""
    for path in (folder / "policies").iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / "policies" / name).write_text(text)


def rich() -> Simulator:
    """A daemon whose account can pay for every order."""
    found = Simulator()
    found.quirks.power_checked = False
    return found


async def ask(guard: Guard, path: str, **members: object) -> dict[str, Any]:
    """One request about the account, and its answer."""
    body = {"market": "HK", "acc_id": 123456, "env": "simulate"} | members
    head = {"authorization": f"Bearer {KEY}"}
    reply = await guard.pipeline.handle(Call("POST", path, head, json.dumps(body).encode(), "127.0.0.1"))
    told: dict[str, Any] = json.loads(reply.body)
    return told


def passed(told: dict[str, Any]) -> dict[str, Any]:
    """What the daemon says; the bench is wrong where it says no."""
    if told["ret_type"] != 0:
        raise SystemExit(told)
    return told


async def place(guard: Guard, number: int) -> float:
    """One order that passes; how long it took, in ms."""
    begun = time.perf_counter()
    passed(await ask(guard, "/api/order", **ORDER, qty=100, price=200 + number % 50))
    return (time.perf_counter() - begun) * 1000


async def slowest_ms(guard: Guard, *, while_: "asyncio.Future[Any]") -> float:
    """The longest that an order took from now until this is done; one order after the other."""
    slowest, number = 0.0, 0
    while not while_.done():
        slowest = max(slowest, await place(guard, number))
        number += 1
    return slowest


async def reloads(
    folder: Path, count: int, pattern: str, *, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds: of each reload, of the slowest order meanwhile, and of the slowest one in as long without."""
    config = lay_out(folder)
    write(folder, texts(count, pattern))
    guard = Guard(load(config, Overrides(), {"GUARD_DAEMON_KEY": "fc_bench"}), daemon=rich())
    await guard.start()
    took, busy, idle = [], [], []
    for turn in range(1, rounds + 1):
        write(folder, texts(count, pattern, more=turn * 10_000))
        begun = time.perf_counter()
        reloading = asyncio.ensure_future(guard.changes.policies.reload(Who(by="bench")))
        busy.append(await slowest_ms(guard, while_=reloading))
        took.append((time.perf_counter() - begun) * 1000)
        if reloading.result().result != "applied":
            raise SystemExit(reloading.result())
        idle.append(await slowest_ms(guard, while_=asyncio.ensure_future(asyncio.sleep(took[-1] / 1000))))
    await guard.stop("over")
    return took, busy, idle


# ---------------------------------------------------------------- a replay


async def record(folder: Path, decisions: int) -> Path:
    """A record of so many decisions under one policy; its state directory."""
    config = lay_out(folder)
    write(folder, texts(1, ALIKE))
    guard = Guard(load(config, Overrides(), {"GUARD_DAEMON_KEY": "fc_bench"}), daemon=rich())
    await guard.start()
    for first in range(0, decisions // 5, AT_ONCE):
        await asyncio.gather(*(life(guard, number) for number in range(first, first + AT_ONCE)))
    await guard.stop("over")
    return folder / "state"


async def life(guard: Guard, number: int) -> None:
    """Five decisions: an order, a change of it, a read, an order that is refused, and the cancel."""
    told = passed(await ask(guard, "/api/order", **ORDER, qty=100, price=200 + number % 50))
    mine = {"order_id_ex": told["s2c"]["order_id_ex"]}
    passed(await ask(guard, "/api/modify-order", **mine, op="NORMAL", qty=100, price=190))
    passed(await ask(guard, "/api/funds"))
    if "guard" not in await ask(guard, "/api/order", **ORDER, qty=10_000_000, price=200):
        raise SystemExit("an order that was to be refused passed")
    passed(await ask(guard, "/api/modify-order", **mine, op="CANCEL"))


def replay_s(state: Path, other: dict[str, str] | None) -> tuple[float, int]:
    """Seconds of CPU that a replay takes, and how many decisions it made again."""
    docs = None
    if other is not None:
        docs = [doc for name, text in other.items() if isinstance(doc := parse_policy(text, file=name), PolicyDoc)]
    begun = time.process_time()
    found = replayed(state, Options("2020-01-01T00:00:00.000000Z", docs=docs), now=SystemClock().wall())
    if found.unlike:
        raise SystemExit(found.told())
    return time.process_time() - begun, found.replayed


# ---------------------------------------------------------------- the document


def head() -> Iterator[str]:
    """What is measured, and on what."""
    yield "# What policies cost"
    yield ""
    yield "Written by `python bench/policies.py --report docs/performance-policies.md`; each part from one run, the"
    yield "newest `measured` as told."
    yield ""
    yield from (__doc__ or "").split("\n\n", 2)[2].strip().splitlines()
    yield ""
    yield table(("machine", ""), list(described(str(real_disk(Path.cwd()))).items()))


def of_decisions(_: argparse.Namespace) -> Iterator[str]:
    """What judging one order takes."""
    yield "## A decision: every rule of every policy that binds, µs, median"
    yield ""
    rows = []
    for name, pattern in (("alike", ALIKE), ("apart", APART)):
        for count in COUNTS:
            policies = compiled(texts(count, pattern))
            times = 2_000 if count < COUNTS[-1] else 200
            passes = decision_us(policies, qty=100, rounds=times)
            refused = decision_us(policies, qty=10_000_000, rounds=times)
            rows.append((f"{count:,} {name}", shown(passes), shown(refused)))
    yield table(("policies", "passes", "is refused, with every reason"), rows)


def of_reloads(options: argparse.Namespace) -> Iterator[str]:
    """What a reload takes, and what the orders meanwhile feel of it."""
    yield "## A reload while orders come one after the other, ms, median (lowest-highest)"
    yield ""
    rows = []
    for name, pattern in (("alike", ALIKE), ("apart", APART)):
        for count in COUNTS:
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                took, busy, idle = asyncio.run(reloads(Path(folder), count, pattern, rounds=options.rounds))
            rows.append((f"{count:,} {name}", spread(took), spread(busy), spread(idle)))
    yield table(("policies", "reload", "slowest order meanwhile", "slowest order without"), rows)


def of_replays(options: argparse.Namespace) -> Iterator[str]:
    """What deciding the past again takes."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        state = asyncio.run(record(Path(folder), options.decisions))
        again, count = replay_s(state, None)
        with_others, _ = replay_s(state, texts(1, ALIKE, more=1))
    yield f"## A replay of {count:,} decisions and their outcomes"
    yield ""
    yield "Of orders, changes, reads, refusals and cancels one fifth each, through one process; seconds of CPU."
    yield ""
    rates = [
        (name, f"{seconds:.1f}", f"{count / seconds:,.0f}")
        for name, seconds in (("by the policies of the day", again), ("and by others", with_others))
    ]
    yield table(("", "s", "decisions/s"), rates)


PARTS: Final = {"decisions": of_decisions, "reloads": of_reloads, "replays": of_replays}


def document(options: argparse.Namespace, kept: list[str]) -> str:
    """The document; what is not measured now stays as it was in `kept`, the parts of an earlier one."""
    parts = ["\n".join(head())]
    for place, (name, part) in enumerate(PARTS.items(), start=1):
        is_measured = options.only in {None, name}
        parts.append("\n".join(part(options)) if is_measured else f"## {kept[place].rstrip()}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measures and prints; writes the document where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", type=Path, help="also write the document")
    parser.add_argument("--only", choices=tuple(PARTS), help="measure this part; the report's others stay")
    parser.add_argument("--decisions", type=int, default=100_000, help="that the replayed record holds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.only is not None and (options.report is None or not options.report.exists()):
        parser.error("--only needs the --report that it is a part of")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    kept = options.report.read_text().split("\n## ") if options.only is not None else []
    text = document(options, kept)
    print(text)
    if options.report is not None:
        options.report.write_text(text)


if __name__ == "__main__":
    main()
