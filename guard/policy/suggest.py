"""Limits from real use: what callers did, in percentiles, made into a policy that they would hardly have noticed.

For each measure the value is a quarter above the 99th percentile of what was used, rounded up to two digits: wide
enough for an ordinary day, narrow enough for a wrong zero. The percentiles stand beside each line. The policy is in
shadow: a week of watching costs nothing, and `guard policy promote` comes after it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

from msgspec import Struct

from guard.policy.notation import plain
from guard.policy.periods import RESET_OF, period_of
from guard.terms import Effect, Money

MARGIN: Final = Decimal("1.25")
DIGITS: Final = 2
WINDOW: Final = timedelta(seconds=60)
RATIONALE_CHARS_MAX: Final = 2_000  # as a policy takes it
_SHOWN: Final = (50, 95, 99)


class PastOrder(Struct, frozen=True):
    """One order or change that was let through: by whom, when, what, and what it was worth."""

    key: str
    environment: str
    effect: Effect
    wall: datetime
    market: str
    side: str
    order_type: str
    time_in_force: str
    qty: Decimal
    value: Money | None


class Measure(Struct, frozen=True):
    """One measure: its key path, the suggested number, the unit, and the percentiles that it comes from."""

    path: str
    unit: str
    value: Decimal
    percentiles: tuple[tuple[int, Decimal], ...]
    largest: Decimal
    count: int

    @property
    def rationale(self) -> str:
        """Where the number comes from."""
        parts = [f"p{rank} {plain(number)}" for rank, number in self.percentiles]
        return f"{', '.join(parts)}, largest {plain(self.largest)}, of {self.count}"


def measures(uses: Sequence[PastOrder]) -> tuple[Measure, ...]:
    """Every measure of these uses, by key path and unit."""
    found: list[Measure] = []
    new = [use for use in uses if use.effect is Effect.ORDER_NEW]
    values, days = defaultdict[str, list[Decimal]](list), defaultdict[str, dict[object, Decimal]](dict)
    for use in uses:
        if use.value is None:
            continue
        values[use.value.currency].append(use.value.amount)
        if use.effect is Effect.ORDER_NEW:
            day = (use.key, period_of(RESET_OF[use.market], use.wall))
            sums = days[use.value.currency]
            sums[day] = sums.get(day, Decimal(0)) + use.value.amount
    found += [_measure("orders.max_value", currency, amounts) for currency, amounts in sorted(values.items())]
    if uses:
        found.append(_measure("orders.max_qty", "units", [use.qty for use in uses]))
    if new:
        found.append(_measure("orders.per_day", "orders/day", list(_per_day(new).values())))
    found += [_measure("budgets.daily_value", currency, list(sums.values())) for currency, sums in sorted(days.items())]
    for path, effect in (("rates.new_orders", Effect.ORDER_NEW), ("rates.changes", Effect.ORDER_CHANGE)):
        counts = _in_windows(use for use in uses if use.effect is effect)
        if counts:
            found.append(_measure(path, "60s", counts))
    return tuple(found)


def _per_day(new: Iterable[PastOrder]) -> dict[object, Decimal]:
    counts: dict[object, Decimal] = {}
    for use in new:
        day = (use.key, period_of(RESET_OF[use.market], use.wall))
        counts[day] = counts.get(day, Decimal(0)) + 1
    return counts


def _in_windows(uses: Iterable[PastOrder]) -> list[Decimal]:
    """For each request, how many of its key there were in the minute that ends with it."""
    walls = defaultdict[str, list[datetime]](list)
    for use in uses:
        walls[use.key].append(use.wall)
    counts: list[Decimal] = []
    for times in walls.values():
        ordered, first = sorted(times), 0
        for place, wall in enumerate(ordered):
            while ordered[first] <= wall - WINDOW:
                first += 1
            counts.append(Decimal(place - first + 1))
    return counts


def _measure(path: str, unit: str, numbers: list[Decimal]) -> Measure:
    ordered = sorted(numbers)
    ranks = tuple((rank, percentile(ordered, rank)) for rank in _SHOWN)
    return Measure(path, unit, rounded_up(ranks[-1][1] * MARGIN), ranks, ordered[-1], len(ordered))


def percentile(ordered: Sequence[Decimal], rank: int) -> Decimal:
    """The smallest number that at least `rank` percent do not exceed (nearest rank)."""
    return ordered[max(0, -(-len(ordered) * rank // 100) - 1)]


def rounded_up(number: Decimal) -> Decimal:
    """Up to two significant digits, and to a whole number: 1234 becomes 1300."""
    if number <= 1:
        return Decimal(1)
    step = Decimal(1).scaleb(max(0, number.adjusted() - DIGITS + 1))
    return (number / step).to_integral_value(rounding=ROUND_CEILING) * step


def policy_text(uses: Sequence[PastOrder], *, environment: str, since: str, until: str) -> str:
    """A policy file for this environment, each line with the percentiles that it comes from."""
    found = measures(uses)
    keys = sorted({use.key for use in uses})
    lines = [
        f"# What {', '.join(keys)} did from {since} to {until}: {len(uses)} orders and changes. Each limit is",
        "# a quarter above the 99th percentile, rounded up. In shadow it only watches until guard policy promote.",
        "",
        "[policy]",
        f'id = "suggested-{environment}"',
        f'rationale = """{_rationale(found, since=since, until=until)}"""',
        'mode = "shadow"',
        "",
        "[applies_to]",
        f"keys = {_list(keys)}",
        f'environments = ["{environment}"]',
        "",
        "[instruments]",
        f"markets = {_list({use.market for use in uses})}",
        "",
        "[orders]",
        f"sides = {_list({use.side for use in uses})}",
        f"types = {_list({use.order_type for use in uses})}",
        f"time_in_force = {_list({use.time_in_force for use in uses})}",
    ]
    tables: Mapping[str, list[Measure]] = defaultdict(list)
    for measure in found:
        tables[measure.path.partition(".")[0]].append(measure)
    lines += _table(tables["orders"])
    for table in ("budgets", "rates"):
        if tables[table]:
            lines += ["", f"[{table}]", 'per = "key"', *_table(tables[table])]
    return "\n".join(lines) + "\n"


def _rationale(found: Iterable[Measure], *, since: str, until: str) -> str:
    """Where the numbers come from, as far as it fits: it stays with the policy, where remarks do not."""
    text = f"from the use of {since} to {until}"
    for measure in found:
        line = f"\n{measure.path} {measure.unit}: {measure.rationale}"
        if len(text) + len(line) > RATIONALE_CHARS_MAX:
            break
        text += line
    return text


def _table(found: list[Measure]) -> list[str]:
    lines: list[str] = []
    for path in dict.fromkeys(measure.path for measure in found):
        own = [measure for measure in found if measure.path == path]
        lines += [f"# {measure.unit}: {measure.rationale}" for measure in own]
        lines.append(f"{path.partition('.')[2]} = {_value(path, own)}")
    return lines


def _value(path: str, own: list[Measure]) -> str:
    if path.startswith("rates."):
        return f'"{plain(own[0].value)}/60s"'
    if path in {"orders.max_value", "budgets.daily_value"}:
        return _list(f"{plain(measure.value)} {measure.unit}" for measure in own)
    return plain(own[0].value)


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in sorted(words)) + "]"
