"""A day in the life of two bots, the same for every guard that is told the same seed."""

from random import Random  # noqa: TID251 - seeded
from typing import Any, Final

from guard.simulator.faults import Fault, HttpError, Reset, Unreachable
from guard.terms import Reply
from tests.support.guards import record, said
from tests.support.stage import CANCEL_ALL, ORDER, Stage, account

PEOPLE: Final = (
    record("bot", max_order_value=90_000),
    record("other", max_orders_per_minute=20),
    record("desk", owner="a person"),
)
BOTS: Final = ("bot", "other")
OK: Final = 200
DESK: Final = """
[instruments]
markets = ["HK", "US"]
blocked_symbols = ["HK.00388"]
[orders]
sides = ["BUY", "SELL"]
max_value = ["60000 HKD", "8000 USD"]
max_qty = 2000
per_day = 60
price_collar_percent = { stock = 60 }
duplicate_window_s = 5
[budgets]
daily_value = "900000 HKD"
open_orders = 12
[fx]
USDHKD = "7.80"
as_of = 2026-11-20
max_age_days = 3650
[rates]
new_orders = "15/30s"
changes = "20/30s"
cancels = "30/60s"
[rights]
touch = "own"
"""
MARKET: Final = account(side="BUY", code="00700", qty=100, order_type="MARKET")
FAULTS: Final[tuple[Fault, ...]] = (Reset(acts=True), HttpError(400), Unreachable())
WIDE: Final = '[orders]\nmax_value = ["60000 HKD", "9000 USD"]\n'
ROOMY: Final = """
[policy]
mode = "{mode}"
[orders]
per_day = 100000
[budgets]
per = "account"
daily_value = ["900000000 HKD", "900000000 USD"]
open_orders = 100000
open_value = ["900000000 HKD", "900000000 USD"]
[rates]
per = "account"
new_orders = "100000/60s"
changes = "100000/60s"
"""


async def live(scene: Stage, *, turns: int, seed: int) -> list[Reply]:
    """What was answered: orders of all kinds, changes, cancels, reads, faults, repeats."""
    dice, ids, told = Random(seed), list[tuple[str, str]](), list[Reply]()
    for turn in range(turns):
        reply = await _one(scene, dice, ids, turn=turn)
        told.append(reply)
        if reply.status == OK and "order_id_ex" in (said(reply).get("s2c") or {}):
            ids.append((dice.choice(BOTS), said(reply)["s2c"]["order_id_ex"]))
        scene.clock.advance(us=dice.choice([0, 300_000, 4_000_000, 40_000_000]))
        if turn % 15 == 0:
            await scene.guard.reconciler.turn()
    await scene.written()
    return told


async def _one(scene: Stage, dice: Random, ids: list[tuple[str, str]], *, turn: int) -> Reply:
    who, terms = dice.choice(BOTS), dict[str, Any]()
    match dice.randrange(13):
        case 0 if ids:
            return await scene.cancel(dice.choice(ids)[1], who=who)
        case 1 | 2 if ids:
            owner, name = dice.choice(ids)
            terms = {"qty": dice.choice([100, 200]), "price": dice.choice([190, 210])}
            return await scene.modify(name, who=dice.choice([owner, who]), **terms)
        case 3:
            return await scene.place(who=who, side="SELL", price=dice.choice([200, 400, 290]))
        case 4:
            return await scene.ask(ORDER, MARKET, who=who)
        case 5:
            return await scene.place(who=who, key=f"key-{turn % 4}", price=200)
        case 6:
            scene.daemon.faults.add(dice.choice(FAULTS), path=ORDER)
            return await scene.place(who=who, price=200 + turn / 100)
        case 7:
            return await scene.place(who=who, market="US", code="AAPL", price=dice.choice([20, 90]))
        case 8:
            return await scene.place(who=who, code="00388", price=200)
        case 9 if turn % 3 == 0 and _are_named(scene):
            return await scene.ask(CANCEL_ALL, account(), who=who)
        case 9:
            return await scene.ask("/api/orders", account(), who=who)
        case _:
            terms = {"qty": dice.choice([100, 200, 300, 2100]), "price": dice.choice([200, 210, 220])}
            return await scene.place(who=who, time_in_force=dice.choice(["DAY", "GTC"]), **terms)


def _are_named(scene: Stage) -> bool:
    """No order waits for its name: a cancel of all would wait for it beside the story, in real time."""
    return all(holder.order_id for holder in scene.guard.desk.state.holders.values())


def plain(scene: Stage) -> dict[str, Any]:
    """The ledger without shadows: sums, what is spent, windows, and what each order holds."""
    found = scene.ledger()
    held = [
        sorted((cell, *part) for cell, part in holder["holds"].items() if "/shadow:" not in cell)
        for holder in found["holders"].values()
    ]
    cells = {name: {c: v for c, v in found[name].items() if "/shadow:" not in c} for name in ("sums", "spent", "logs")}
    return cells | {"holders": sorted(held)}
