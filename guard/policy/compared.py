"""Which of two values of one key lets more through, by the key's own order. None stands for a key left out.

Every comparison is on the safe side: where tighter or looser cannot be shown, the answer is mixed.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

from guard.policy import notation
from guard.policy.hours import ALWAYS
from guard.policy.notation import Bad, Rate, Window
from guard.policy.rows import Order, RuleRow

Kind = Literal["looser", "tighter", "neutral", "mixed"]
_OPPOSITE: Final[Mapping[Kind, Kind]] = {"looser": "tighter", "tighter": "looser"}


def joined(kinds: Collection[Kind]) -> Kind:
    """What several changes come to together."""
    found = set(kinds) - {"neutral"}
    if not found:
        return "neutral"
    return found.pop() if len(found) == 1 else "mixed"


def opposite(kind: Kind) -> Kind:
    """The same change backwards."""
    return _OPPOSITE.get(kind, kind)


def compared(row: RuleRow, before: Any, after: Any) -> Kind:
    """What the change from one value to the other is."""
    return "neutral" if before == after else _BY_ORDER[row.order](row, before, after)


def covers(pattern: str, other: str) -> bool:
    """Everything that `other` stands for, `pattern` stands for too; False where that is not plain to see."""
    if pattern == other:
        return True
    # `*` swallows whatever stands in its place, wildcards of the other included; `?` must meet a real character.
    if "?" in pattern and set(other) & set("*?"):
        return False
    return notation.matches(other, (pattern,))


def within(inner: Collection[Any], outer: Collection[Any]) -> bool:
    """Everything that the patterns (or numbers) of `inner` stand for, those of `outer` stand for."""
    texts = [str(entry) for entry in outer]
    return all(any(covers(pattern, str(entry)) for pattern in texts) for entry in inner)


def _by_size(*, is_less: bool, is_more: bool) -> Kind:
    """`is_less`: what passes after passed before; `is_more`: what passed before passes after."""
    if is_less and is_more:
        return "neutral"
    if is_less:
        return "tighter"
    return "looser" if is_more else "mixed"


def _numbers(row: RuleRow, before: Any, after: Any, *, more: Kind) -> Kind:
    """Two numbers; `more`: what a larger one is. A key left out is its default, else endless."""
    default = Decimal(row.unset) if row.unset.isdecimal() else Decimal("Infinity")
    old = default if before is None else Decimal(before)
    new = default if after is None else Decimal(after)
    if old == new:
        return "neutral"
    return more if new > old else opposite(more)


def _cap(row: RuleRow, before: Any, after: Any) -> Kind:
    return _numbers(row, before, after, more="looser")


def _wait(row: RuleRow, before: Any, after: Any) -> Kind:
    return _numbers(row, before, after, more="tighter")


def _caps(row: RuleRow, before: Any, after: Any) -> Kind:  # noqa: ARG001 - the order of all money
    """Money without exchange rates: a currency that is not named is refused, like a cap of zero."""
    if before is None or after is None:
        return "tighter" if before is None else "looser"
    old, new = moneys(before), moneys(after)
    names = set(old) | set(new)
    zero = Decimal(0)
    return _by_size(
        is_less=all(new.get(name, zero) <= old.get(name, zero) for name in names),
        is_more=all(new.get(name, zero) >= old.get(name, zero) for name in names),
    )


def moneys(texts: tuple[str, ...]) -> Mapping[str, Decimal]:
    """The amounts of a checked document by currency."""
    found = notation.read_moneys(texts)
    return {} if isinstance(found, Bad) else found


def _percents(row: RuleRow, before: Any, after: Any) -> Kind:  # noqa: ARG001 - as above
    old, new = dict(before or {}), dict(after or {})
    endless = Decimal("Infinity")
    names = set(old) | set(new)
    return _by_size(
        is_less=all(new.get(name, endless) <= old.get(name, endless) for name in names),
        is_more=all(new.get(name, endless) >= old.get(name, endless) for name in names),
    )


def _allow(row: RuleRow, before: Any, after: Any) -> Kind:
    if before is None or after is None:
        return "tighter" if before is None else "looser"
    old, new = _upper(row, before), _upper(row, after)
    return _by_size(is_less=within(new, old), is_more=within(old, new))


def _block(row: RuleRow, before: Any, after: Any) -> Kind:
    """A counter in another currency blocks its share too, which a pattern that stands for it does not."""
    return opposite(_allow(row, notation.blocking(before or ()), notation.blocking(after or ())))


def _reach(row: RuleRow, before: Any, after: Any) -> Kind:
    """Whom a policy selects: more selected is tighter."""
    return opposite(_allow(row, before, after))


def _unreach(row: RuleRow, before: Any, after: Any) -> Kind:
    return _allow(row, before or (), after or ())


def _upper(row: RuleRow, texts: Collection[Any]) -> tuple[Any, ...]:
    """Symbols are the same in upper and lower case; key ids are not."""
    return tuple(text.upper() for text in texts) if row.path.endswith("symbols") else tuple(texts)


def _rates(row: RuleRow, before: Any, after: Any) -> Kind:
    least = 1 if row.table == "breaker" else 0
    old, new = _read_rates(before, least), _read_rates(after, least)
    return _by_size(
        is_less=all(any(_implies(rate, other) for rate in new) for other in old),
        is_more=all(any(_implies(other, rate) for other in old) for rate in new),
    )


def _read_rates(texts: tuple[str, ...] | None, least: int) -> tuple[Rate, ...]:
    found = notation.read_rates(texts) if texts else ()
    return () if isinstance(found, Bad) else tuple(Rate(max(least, rate.count), rate.window_ms) for rate in found)


def _implies(rate: Rate, other: Rate) -> bool:
    """Whatever the past, a request that passes `rate` passes `other`."""
    return rate.count == 0 or (rate.count <= other.count and rate.window_ms >= other.window_ms)


def _hours(row: RuleRow, before: Any, after: Any) -> Kind:  # noqa: ARG001 - as above
    """A table that is there opens the markets that it names; without one all are open always."""
    left_out: tuple[str, ...] = (ALWAYS,) if before is None or after is None else ()
    names = set(before or {}) | set(after or {})
    old = dict.fromkeys(names, left_out) if before is None else before
    new = dict.fromkeys(names, left_out) if after is None else after
    return joined([_market_hours(old.get(name, ()), new.get(name, ())) for name in names])


def _market_hours(before: tuple[str, ...], after: tuple[str, ...]) -> Kind:
    """Windows of one market. "always" is wider than the whole day: it asks neither calendar nor exchange."""
    if before == after or (ALWAYS,) in {before, after}:
        return "neutral" if before == after else _by_size(is_less=before == (ALWAYS,), is_more=after == (ALWAYS,))
    old, new = _windows(before), _windows(after)
    plainly = _by_size(is_less=new <= old, is_more=old <= new)
    if plainly != "mixed":
        return plainly
    if any(window.end_min <= window.start_min for window in old | new):
        return "mixed"  # what crosses midnight belongs to the day on which it begins: minutes alone do not tell
    was, now = _minutes(old), _minutes(new)
    return _by_size(is_less=now <= was, is_more=was <= now)


def _windows(texts: tuple[str, ...]) -> frozenset[Window]:
    found = notation.read_windows(texts)
    return frozenset() if isinstance(found, Bad) else frozenset(found)


def _minutes(windows: frozenset[Window]) -> frozenset[int]:
    return frozenset(minute for window in windows for span in window.minutes for minute in span)


def _words(row: RuleRow, before: Any, after: Any) -> Kind:
    ranks = {word: place for place, word in enumerate(row.loosest_last)}
    left_out = row.unset if row.unset in ranks else ""
    old, new = ranks[before or left_out], ranks[after or left_out]
    return _by_size(is_less=new <= old, is_more=new >= old)


def _until(row: RuleRow, before: datetime | None, after: datetime | None) -> Kind:  # noqa: ARG001 - as above
    if before is None or after is None:
        return "looser" if before is None else "tighter"
    return "tighter" if after > before else "looser"


_BY_ORDER: Final[Mapping[Order, Callable[[RuleRow, Any, Any], Kind]]] = MappingProxyType(
    {
        "caps": _caps,
        "cap": _cap,
        "allow": _allow,
        "block": _block,
        "reach": _reach,
        "unreach": _unreach,
        "rates": _rates,
        "percents": _percents,
        "wait": _wait,
        "buffer": _wait,
        "hours": _hours,
        "words": _words,
        "until": _until,
        "mixed": lambda _row, _before, _after: "mixed",
        "note": lambda _row, _before, _after: "neutral",
    }
)
