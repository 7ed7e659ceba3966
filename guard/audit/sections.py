"""The sections of the report that count: what came in, what was refused, limits against their use. Pure."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, TypeVar

from guard.audit.charts import Series, bar, columns, stacked, strip, track
from guard.audit.facts import IDLE_PERCENT, Facts, LimitUse, decimal
from guard.audit.markup import Content, Markup, el
from guard.audit.spread import Spread
from guard.audit.tables import more, number, table

K = TypeVar("K")
V = TypeVar("V")
Row = tuple[Content, ...]

ORDERS: Final = (
    Series("allow", "orders allowed", ("order_allow",)),
    Series("refuse", "orders refused", ("order_refuse",)),
)
OTHERS: Final = (
    Series("other", "other requests allowed", ("other_allow",)),
    Series("otherrefuse", "other requests refused", ("other_refuse",)),
)
ROWS_MAX: Final = 60
NOBODY: Final = "(nobody)"
TITLES: Final = {
    "daily_value": "Value in a day",
    "orders_per_day": "Orders in a day",
    "open_orders": "Open orders",
    "open_value": "Value of open orders",
    "new_orders": "Rate of new orders",
    "changes": "Rate of changes",
    "orders": "Rate of orders and changes",
}


def section(id_: str, title: str, *parts: Content) -> Markup:
    """One section under its heading."""
    return el("section", el("h2", title, id=f"h-{id_}"), *parts, id=id_, aria_labelledby=f"h-{id_}")


def came_in(facts: Facts) -> Markup:
    """Over time and by key."""
    drawings = []
    for title, series in (("Orders", ORDERS), ("Everything else on record", OTHERS)):
        found = columns(facts.hours, series, since=facts.first_ts, until=facts.last_ts) if facts.first_ts else []
        if any(sum(one.parts) for one in found):
            drawings += [el("h3", title), stacked(title, found, series)]
    largest = max((sum(one[n] for n in ("allow", "refuse")) for one in facts.keys.values()), default=1)
    rows = [
        (
            key or NOBODY,
            number(one["order_allow"]),
            number(one["order_refuse"]),
            number(one["allow"] - one["order_allow"]),
            number(one["refuse"] - one["order_refuse"]),
            bar((one["allow"] + one["refuse"]) / largest, "allow"),
        )
        for key, one in _largest(facts.keys.items(), lambda pair: pair[1]["allow"] + pair[1]["refuse"])
    ]
    heads = ("key", "orders allowed", "refused", "others allowed", "refused", "share")
    sums = [
        (name or NOBODY, number(count), "market-data reads that passed")
        for name, count in facts.reads.most_common(ROWS_MAX)
    ]
    sums += [
        (name, number(count), "refusals beyond ten a second") for name, count in facts.summed.most_common(ROWS_MAX)
    ]
    return section(
        "came-in",
        "What came in",
        *drawings,
        table("Requests by key: orders are new ones and changes", heads, rows, kinds="hnnnn"),
        more(len(facts.keys), len(rows)),
        table("What was counted, not recorded one by one", ("key or source", "count", "what"), sums, kinds="hn"),
    )


def refused(facts: Facts) -> Markup:
    """By code, by policy and rule, and who ran into it."""
    total = sum(facts.codes.values())
    codes = [
        (
            el("code", code),
            number(count),
            number(facts.order_codes[code]),
            f"{100 * count / total:.1f} %",
            bar(count / total, "refuse"),
        )
        for code, count in facts.codes.most_common(ROWS_MAX)
    ]
    rules = [
        (
            policy or "(the guard itself)",
            el("code", rule),
            number(found.count),
            f"{len(found.days)} of {len(facts.days)}",
            ", ".join(map(_grouped, sorted(found.limits)[:4])) or "-",
            ", ".join(f"{number(most)} {unit}".rstrip() for unit, most in sorted(found.highest.items())[:4]) or "-",
            ", ".join(f"{key or NOBODY} {count:,}" for key, count in found.keys.most_common(3)),
        )
        for (policy, rule), found in _largest(facts.rules.items(), lambda pair: pair[1].count)
    ]
    heads = ("policy", "rule", "times", "days", "limit", "highest asked", "most by")
    return section(
        "refused",
        "What was refused, and why",
        el(
            "p",
            "A refusal has one primary code and tells every rule that said no; the second table counts them all.",
            class_="note",
        ),
        table("Refusals by primary code", ("code", "all", "orders", "part", "share"), codes, kinds="hnnn"),
        table("Refusals by policy and rule", heads, rules, kinds="htnntnm"),
        more(len(facts.rules), len(rules)),
    )


def limits(facts: Facts) -> Markup:
    """Each counter with a limit: how much of it was used, on which days it refused."""
    days = sorted(facts.days)
    by_use = _largest(facts.uses.items(), lambda pair: (sum(pair[1].hits.values()), pair[1].peak))
    rows = [_limit(name, use, days) for name, use in by_use]
    return section(
        "limits",
        "Limits against their use",
        el(
            "p",
            "Use is what an order would have brought a counter to, in percent of its limit. A limit that never binds "
            "protects from little; one that refuses every day is wrong, or somebody ignores it.",
            class_="note",
        ),
        table(
            "Counters with a limit: shaded to the 95th percentile, a tick at the median, a dot at the peak",
            ("limit", "at", "use", "median · p95 · peak", "day by day", "reading"),
            rows,
            kinds="hnxnxt",
        ),
        more(len(facts.uses), len(rows)),
        table(
            "Value of orders that were allowed",
            ("currency", "orders", "median", "p95", "p99", "largest"),
            [_value(currency, spread) for currency, spread in sorted(facts.values.items())],
            kinds="hnnnnn",
        ),
    )


def _limit(name: tuple[str, str, str], use: LimitUse, days: list[str]) -> Row:
    word, subject, measure = name
    is_money = measure[:1].isalpha()
    cap = number(use.cap / 10_000 if is_money else use.cap)
    per = _measured(measure) if is_money else f"in {measure}" if measure else ""
    half, most, peak = use.percent.percentile(50), use.percent.percentile(95), use.peak
    return (
        [TITLES.get(word, word), el("span", _subject(subject), class_="sub2")],
        f"{cap} {per}".strip(),
        track(half, most, peak),
        f"{half:.0f} · {most:.0f} · {peak:.0f} %",
        strip(days, use.peaks, use.hits),
        _judged(len(use.hits), len(days), peak),
    )


def _measured(money: str) -> str:
    """The currency of a limit, and those whose orders count towards it as well."""
    currency, *converted = money.split("+")
    return f"{currency} with {', '.join(converted)}" if converted else currency


def _grouped(limit: str) -> str:
    """20000 HKD → 20,000 HKD, as the amounts beside it are written; a limit that is no number stays."""
    amount, _, unit = limit.partition(" ")
    size = decimal(amount)
    return limit if size is None else f"{number(size)} {unit}".rstrip()


def _value(currency: str, spread: Spread) -> Row:
    parts = (number(spread.percentile(part)) for part in (50, 95, 99))
    return (currency, number(spread.count), *parts, number(spread.largest))


def _subject(subject: str) -> str:
    """Whom a counter counts for, without the word "key" before a key."""
    return subject.removeprefix("key=").replace("account=", "account ").replace("policy=", "policy ").replace(";", ", ")


def _judged(hit: int, days: int, peak: Decimal) -> Markup:
    if hit and hit == days:
        return el("span", "hit every day", class_="tag bad")
    if hit:
        return el("span", f"hit on {hit} of {days} days", class_="tag good")
    return el("span", "never binds", class_="tag look") if peak < IDLE_PERCENT else el("span", "in use", class_="tag")


def _largest(pairs: Iterable[tuple[K, V]], size: Callable[[tuple[K, V]], Any]) -> list[tuple[K, V]]:
    return sorted(pairs, key=size, reverse=True)[:ROWS_MAX]
