"""A record of some days as a reviewer finds it: every type of record, several keys, policies and currencies."""

import random  # noqa: TID251 - seeded, so that every run tells the same story
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Raw, Struct

from guard.codes import Code
from guard.journal import (
    Access,
    ClockStep,
    Denied,
    Gap,
    Journal,
    Keys,
    Order,
    Policy,
    Reconciled,
    Start,
    StateRecord,
    Stop,
)
from guard.terms import Claim, Money, Reason, Valuation, Verdict
from tests.support.clock import ManualClock
from tests.support.journal import SHA, decision, outcome

FIRST: Final = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
FIRST_SHA: Final = "366b1c2946418af5c7128266b1e2135cc90917d7b7e407c57561354b2a55dd8d"
OTHER_SHA: Final = "291c333f434be552b3cc32a914233bf7506a5f0d2c2000a438638dea28b8ba94"
SETS: Final = {  # by the hash of the set, the text of its one file
    FIRST_SHA: '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "500000 HKD"\n',
    OTHER_SHA: '[orders]\nmax_value = "120000 HKD"\n[budgets]\ndaily_value = "400000 HKD"\n',
}
UNIT: Final = 10_000
SPREADSHEET: Final = '=HYPERLINK("http://x","click")'
REFUSALS: Final = (
    (Code.MAX_ORDER_VALUE, "desk", "orders.max_value", "HKD", "100000"),
    (Code.RATE, "agents", "rates.new_orders", "", "15"),
    (Code.SYMBOL, "desk", "instruments.symbols", "", None),
    (Code.DAILY_VALUE, "desk", "budgets.daily_value", "HKD", "500000"),
    (Code.PRICE_COLLAR, "agents", "orders.price_collar_percent", "%", "10"),
    (Code.HOURS, "desk", "hours", "", None),
)
KEYS: Final = ("bot-momentum", "bot-pairs", "agent-research")
SYMBOLS: Final = (("HK.00700", "HK", "HKD", 300), ("HK.09988", "HK", "HKD", 80), ("US.AAPL", "US", "USD", 200))


def reviewed(state: Path, *, days: int = 3, orders: int = 40, seed: int = 4) -> Path:
    """Writes the record and closes it; the state directory."""
    clock = ManualClock(FIRST)
    journal = Journal.open(state, clock=clock)
    try:
        for at, type_, members in _story(days, orders, random.Random(seed)):
            clock.advance(us=max(0, at - clock.wall_us()))
            journal.append(type_, members)
            if journal.queue_records > 4000:
                journal.flush()
    finally:
        journal.shut()
    return state


def _story(days: int, orders: int, chance: random.Random) -> Iterator[tuple[int, str, Struct | dict[str, Any]]]:
    opened = int(FIRST.timestamp()) * 1_000_000
    day_us = 86_400_000_000
    yield (
        opened,
        "start",
        Start(t=opened, version="0.1.0", config_sha256=SHA, policy_sha256=SHA, weakened=("ops open",)),
    )
    serial = 0
    for day in range(days):
        used = dict.fromkeys(KEYS, 0)
        for n in range(orders):
            at = opened + day * day_us + int(6.5 * 3_600_000_000 * (n + chance.random()) / orders)
            serial += 1
            yield from _order(f"01M{serial:023d}", at, chance, used)
        yield from _events(day, opened + day * day_us + 7 * 3_600_000_000)
    yield opened + days * day_us, "stop", Stop(t=opened + days * day_us, reason="SIGTERM")


def _order(id_: str, at: int, chance: random.Random, used: dict[str, int]) -> Iterator[tuple[int, str, Any]]:
    key = chance.choices(KEYS, (6, 3, 2))[0]
    symbol, market, currency, price = chance.choice(SYMBOLS)
    qty = 100 * chance.randint(1, 3)
    amount = Decimal(qty * price)
    side = chance.choice((1, 2))
    common: dict[str, Any] = {
        "key": key, "effect": "order_new", "environment": "real", "account": 281756478875559548, "market": market,
        "symbol": symbol, "valuation": Valuation(Money(amount, currency), Decimal(price), "limit price"),
        "order": Raw(b'{"c2s":{"trd_side":%d,"order_type":1,"code":"%b","qty":%d,"price":%d,"time_in_force":0}}'
                     % (side, symbol.encode(), qty, price)),
        "peer": "10.0.0.7", "user_agent": "bot/1", "intent": chance.choice((None, "hedge of the gap", SPREADSHEET)),
        "t": at,
    }  # fmt: skip
    if chance.random() < 0.25:
        code, policy, rule, unit, limit = chance.choice(REFUSALS)
        reason = Reason(
            code,
            f"{rule} says no",
            policy=policy,
            rule=rule,
            observed=str(amount) if unit == "HKD" else None,
            limit=limit,
            unit=unit,
        )
        full = (Claim("spend", f"daily_value/key={key}|HKD|2026-11-02", int(amount) * UNIT, cap=500_000 * UNIT),)
        if code is Code.DAILY_VALUE and currency == "HKD":
            common |= {"claims": full, "used": (499_000 * UNIT,)}
        yield at, "decision", decision(id_, outcome="refuse", code=code.value, reasons=(reason,), **common)
        return
    spent = used[key]
    used[key] += int(amount) * UNIT
    claims = (
        Claim("spend", f"daily_value/key={key}|{currency}|2026-11-02", int(amount) * UNIT, cap=500_000 * UNIT),
        Claim("rate", f"new_orders/key={key}", 1, cap=1000, window_ms=30_000),
    )
    yield at, "decision", decision(id_, claims=claims, used=(spent % (400_000 * UNIT), chance.randint(0, 4)), **common)
    after = at + chance.randint(800, 40_000)
    if chance.random() < 0.03:
        yield after, "outcome", outcome(id_, Verdict.UNKNOWN, message="the connection was reset")
        yield (
            after + 9_000_000,
            "reconciled",
            Reconciled(
                decision=id_,
                t=after,
                verdict=Verdict.ACCEPTED,
                source="order list",
                order_id="7",
                order_id_ex=f"E{id_}",
            ),
        )
        return
    yield (
        after,
        "outcome",
        outcome(
            id_,
            Verdict.ACCEPTED,
            order_id=str(at),
            order_id_ex=f"E{id_}",
            status=200,
            ret_type=0,
            duration_us=after - at,
        ),
    )
    yield after + 3_000_000, "order", Order(
        decision=id_, t=after, status="filled", source="order list", filled_qty=str(qty), filled_value=str(amount),
        ended=True,
    )  # fmt: skip


def _events(day: int, at: int) -> Iterator[tuple[int, str, Any]]:
    """What else happens in a day."""
    ts = "2026-11-02T08:30:00.000000Z"
    yield at, "access", Access(key="agent-research", endpoint="/api/quote", minute=ts, count=900 + day)
    yield at, "denied", Denied(source="203.0.113.9", count=4000, second=ts)
    yield at, "denied", Denied(key="agent-research", code="scope", count=12, second=ts)
    if day == 0:
        yield (
            at + 1,
            "policy",
            Policy(
                t=at,
                result="applied",
                sha256=OTHER_SHA,
                from_sha256=FIRST_SHA,
                by="Ada Lovelace",
                reason="board limit <b>2</b>",
            ),
        )
        yield (
            at + 2,
            "state",
            StateRecord(t=at, state="cancel_only", reason="yearly drill", by="Ada Lovelace", drill=True),
        )
        yield at + 3, "state", StateRecord(t=at, state="active", reason="drill over", by="Ada Lovelace", drill=True)
    if day == 1:
        yield at + 1, "policy", Policy(t=at, result="refused", sha256=SHA, by="Grace Hopper", errors=("desk.toml: …",))
        yield at + 2, "keys", Keys(t=at, result="applied", sha256=SHA, by="Ada Lovelace", added=("bot-pairs",))
        yield at + 3, "gap", Gap(reason="disk full", cancels=2, since=ts, until=ts, decisions=("01X",))
        yield at + 4, "clock", ClockStep(at, -3_000_000)
    if day == 2:
        yield at + 1, "order", Order(
            decision="01G", t=at, status="working", source="orders", owner="manual", environment="real",
            account=281756478875559548, symbol="US.GME", order_id="55", order_id_ex="E55",
        )  # fmt: skip
        # What follows it has its name, and a symbol's currency is about no order.
        yield at + 1, "order", Order(decision="01G", t=at, status="filled", source="orders", filled_qty="1", ended=True)
        yield (
            at + 1,
            "order",
            Order(decision="", t=at, status="listed", source="orders", symbol="HK.80700", currency="CNH"),
        )
        yield at + 2, "state", StateRecord(t=at, state="locked", reason="odd fills", by="Grace Hopper")
        yield at + 3, "state", StateRecord(t=at, state="active", reason="explained", by="Grace Hopper")
        yield at + 4, "decision", decision("01U", t=at)
        yield at + 5, "outcome", outcome("01U", Verdict.UNKNOWN, message="no answer in 30 s")
