"""Limits moved by one step, to see whether a test notices: what no test notices is held by nothing.

The steps come from the rule table. A limit that a second policy says as well is not noticed either when only one of
them moves; that is told like any other.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from guard.policy import notation
from guard.policy.cases import Prepared, run_prepared
from guard.policy.compared import moneys
from guard.policy.diff import told, value_of
from guard.policy.document import PolicyDoc
from guard.policy.hours import ALWAYS
from guard.policy.notation import DAY_MIN, Bad, clock_text, plain
from guard.policy.policyset import PolicySet
from guard.policy.rows import STEPS, RuleRow
from guard.policy.schema import WORDS
from guard.policy.table import ROWS

_UNTESTED: Final = frozenset({"breaker", "rights"})  # no case of a test can meet these


class Mutant(Struct, frozen=True):
    """A policy with one limit moved by one step."""

    policy: str
    file: str
    rule: str
    before: str
    after: str
    doc: PolicyDoc

    def __str__(self) -> str:
        return f"{self.file}: {self.rule} {self.before} could be {self.after or 'left out'}, and no test would notice"


class Survey(Struct, frozen=True):
    """How many limits were moved, and those of which no test noticed it."""

    count: int
    unnoticed: tuple[Mutant, ...]


def survey(policies: PolicySet, cases: Prepared) -> Survey:
    """Every limit of every enforced policy moved by a step each way, each time with all tests run."""
    unnoticed: list[Mutant] = []
    count = 0
    for doc in policies.docs:
        others = tuple(other for other in policies.docs if other is not doc)
        for mutant in mutants(doc):
            count += 1
            if not run_prepared(policies.with_docs((*others, mutant.doc)), cases).failures:
                unnoticed.append(mutant)
    return Survey(count, tuple(unnoticed))


def mutants(doc: PolicyDoc) -> Iterator[Mutant]:
    """The document with each limit moved."""
    for row in ROWS:
        value = value_of(doc, row)
        if value is None or row.table in _UNTESTED:
            continue
        for moved in _moved(row, value):
            if moved != value:
                before, after = told(value), told(moved)
                yield Mutant(doc.id, doc.file, row.path, before, after, _with(doc, row, moved))


def _with(doc: PolicyDoc, row: RuleRow, value: Any) -> PolicyDoc:
    if not row.key:
        return replace(doc, **{row.table: value})
    return replace(doc, **{row.table: replace(getattr(doc, row.table), **{row.key: value})})


def _moved(row: RuleRow, value: Any) -> Iterator[Any]:
    """The values one step away, tighter and looser."""
    step = Decimal(row.step or STEPS.get(row.order, "0"))
    if row.order == "caps":
        yield from _caps(value, step)
    elif row.order in {"cap", "wait", "buffer"} or row.step:
        yield from _numbers(value, step)
    elif row.order == "percents":
        for name, percent in value.items():
            yield from (value | {name: moved} for moved in _numbers(percent, step))
    elif row.order == "rates":
        yield from _rates(value)
    elif row.order == "hours":
        yield from _hours(value)
    elif row.order in {"allow", "block", "reach", "unreach"}:
        yield from _lists(row, value)


def _lists(row: RuleRow, value: tuple[Any, ...]) -> Iterator[Any]:
    """Without the list, and without each of its entries; a list of every word says nothing."""
    if set(value) != set(WORDS.get((row.table, row.key), ())):
        yield None
    for entry in value if len(value) > 1 else ():
        yield tuple(other for other in value if other != entry)


def _numbers(value: Any, step: Decimal) -> Iterator[int | Decimal]:
    for moved in (Decimal(value) + step, Decimal(value) - step):
        if moved >= 0:
            yield _number(moved)


def _number(value: Decimal) -> int | Decimal:
    return int(value) if value == value.to_integral_value() else value


def _caps(texts: tuple[str, ...], step: Decimal) -> Iterator[tuple[str, ...]]:
    amounts = dict(moneys(texts))
    for currency, amount in amounts.items():
        for moved in (amount + step, amount - step):
            if moved >= 0:
                changed = amounts | {currency: moved}
                yield tuple(f"{plain(number)} {name}" for name, number in changed.items())
    for currency in amounts if len(amounts) > 1 else ():
        yield tuple(f"{plain(number)} {name}" for name, number in amounts.items() if name != currency)


def _rates(texts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    rates = notation.read_rates(texts)
    for place, rate in enumerate(() if isinstance(rates, Bad) else rates):
        for count, window_s in (
            (rate.count + 1, rate.window_ms // 1000),
            (rate.count - 1, rate.window_ms // 1000),
            (rate.count, rate.window_ms // 1000 + 1),
            (rate.count, rate.window_ms // 1000 - 1),
        ):
            if count >= 0 and window_s > 0 and count + rate.count > 0:
                yield (*texts[:place], f"{count}/{window_s}s", *texts[place + 1 :])


def _hours(value: dict[str, tuple[str, ...]]) -> Iterator[dict[str, tuple[str, ...]]]:
    """Every edge of every window a minute earlier and later."""
    for market, texts in value.items():
        for place, text in enumerate(texts if texts != (ALWAYS,) else ()):
            window = notation.read_window(text)
            if isinstance(window, Bad):
                continue
            for start, end in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                moved = f"{clock_text((window.start_min + start) % DAY_MIN)}-{clock_text(window.end_min + end)}"
                changed = (*texts[:place], moved, *texts[place + 1 :])
                if not isinstance(notation.read_windows(changed), Bad):
                    yield value | {market: changed}
