"""Tests of policies, as their files say them: TOML text to cases, or everything that is wrong with it at once.

A `*_test.toml` beside the policies freezes what the rules look at (`[given]`, `[reference]`, `[market]`, `[keys]`) and
lists cases: an order, the usage before it, what is expected. A case that lists nothing is expected to be refused, and
of a matrix every combination that is not listed under `allow` is.
"""

import re
import tomllib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from guard.policy.document import FILE_CHARS_MAX, PolicyError, did_you_mean
from guard.terms import KeyLimits
from guard.terms.world import InstrumentKind, SessionState

CASES_MAX: Final = 10_000  # in one file, combinations of matrices included
Texts = str | tuple[str, ...]
Age = str  # seconds as they are written, or so many requests at once: "14 x 1.5"
NUMBER_MAX: Final = 10**15
DIGITS_MAX: Final = 20
Count = Annotated[int, Meta(ge=0, le=10**9)]
Environment = Literal["real", "simulate"]
Action = Literal["new", "change", "cancel", "read"]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """No key that means nothing."""


class Order(_Strict, frozen=True):
    """An order, or (action change) the whole order as it is to be. `market` only where the prefix does not say it."""

    symbol: str
    side: str = "BUY"
    qty: Decimal = Decimal(1)
    price: Decimal | None = None
    type: str = "NORMAL"
    time_in_force: str = "DAY"
    market: str | None = None
    aux_price: Decimal | None = None
    trail_type: Literal["RATIO", "AMOUNT"] | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_side_and_limit: Decimal | None = None
    remark: str | None = None


class Used(_Strict, frozen=True):
    """What was used before, under the names of the limits. Of windows, how many seconds ago each request was."""

    daily_value: Texts = ()
    open_value: Texts = ()
    per_day: Count = 0
    open_orders: Count = 0
    new_orders_s_ago: tuple[Age, ...] = ()
    changes_s_ago: tuple[Age, ...] = ()
    cancels_s_ago: tuple[Age, ...] = ()
    reads_s_ago: tuple[Age, ...] = ()
    same_order_s_ago: tuple[Age, ...] = ()


class Given(_Strict, frozen=True):
    """What holds for every case that does not say otherwise."""

    now: datetime
    key: str = "bot"
    environment: Environment = "real"
    account: int = 1


class Case(_Strict, frozen=True):
    """One request and what is expected of it. `codes`: exactly these, the primary one first; left out, any will do."""

    name: str = ""
    order: Order | None = None
    action: Action = "new"
    expect: Literal["allow", "refuse"] | None = None
    codes: tuple[str, ...] = ()
    policies: tuple[str, ...] | None = None
    largest_qty: Decimal | None = None
    usage: Used = Used()
    now: datetime | None = None
    key: str | None = None
    environment: Environment | None = None
    account: int | None = None


class Matrix(_Strict, frozen=True):
    """Keys x environments x symbols x sides x types: what `allow` does not list is expected to be refused."""

    name: str = ""
    order: Order = Order("")
    keys: tuple[str, ...] = ()
    environments: tuple[Environment, ...] = ()
    symbols: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    allow: tuple[dict[str, str | tuple[str, ...]], ...] = ()
    now: datetime | None = None


class KnownInstrument(_Strict, frozen=True):
    """Reference data of one symbol: what it is, its prices, what is held of it. What is left out is not known."""

    kind: InstrumentKind | None = None
    currency: str | None = None
    multiplier: Decimal = Decimal(1)
    lot_size: Count | None = None
    strike: Decimal | None = None
    underlying: str | None = None
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    prev_close: Decimal | None = None
    age_s: Decimal = Decimal(0)
    session: SessionState = "continuous"
    suspended: bool = False
    position: Decimal | None = None


class MarketDay(_Strict, frozen=True):
    """A market's day. What is left out is not known; then Monday to Friday are trading days."""

    state: SessionState = "unknown"
    trading_day: bool | None = None
    half_day: bool = False
    afternoon_only: bool = False
    was_trading_day: bool | None = None


class CaseFile(_Strict, frozen=True):
    """One file of tests. `keys`: the limits that keys bring along; those of keys.json are not looked at."""

    given: Given
    case: tuple[Case, ...] = ()
    matrix: tuple[Matrix, ...] = ()
    reference: dict[str, KnownInstrument] = {}
    market: dict[str, MarketDay] = {}
    keys: dict[str, KeyLimits] = {}


_AT: Final = re.compile(r" - at `\$(?:\.(?P<path>[^`]*))?`")
_PLACE: Final = re.compile(r"(?P<list>case|matrix)\[(?P<index>[0-9]+)\]")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`")
_NAMES: Final = tuple(
    dict.fromkeys(
        name
        for cls in (CaseFile, Given, Case, Matrix, Order, Used, KnownInstrument, MarketDay, KeyLimits)
        for name in cls.__struct_fields__
    )
)


def parse_cases(text: str, *, file: str) -> CaseFile | PolicyError:
    """The cases of a file, or what is wrong with it."""
    if len(text) > FILE_CHARS_MAX:
        return PolicyError(file, None, "", "too_large", f"more than {FILE_CHARS_MAX} characters", "split the file")
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        at = re.search(r"at line ([0-9]+)", str(error))
        return PolicyError(file, int(at[1]) if at else None, "", "bad_toml", f"not TOML: {error}")
    odd = next(_odd_numbers(raw, ""), None)
    if odd is not None:
        return PolicyError(file, None, odd, "bad_number", "a number out of bounds", f"at most {NUMBER_MAX}, exact")
    try:
        found = msgspec.convert(_listed(raw), CaseFile)
    except msgspec.ValidationError as error:
        return _wrong(str(error), text, file=file)
    zoneless = next((place for place, moment in _moments(found) if moment.tzinfo is None), None)
    if zoneless is not None:
        return PolicyError(file, None, zoneless, "bad_value", "a time without a zone", "write 2026-11-20T10:00:00Z")
    if _size(found) > CASES_MAX:
        return PolicyError(file, None, "", "too_large", f"more than {CASES_MAX} cases", "split the file")
    return found


def line_of_case(text: str, name: str, index: int) -> int | None:
    """The line (from 1) of the `index`th `[[name]]`, or of the entry of `name = [` in its place."""
    header = re.compile(rf"\s*\[\[\s*{name}\s*\]\]")
    numbered = list(enumerate(text.splitlines(), start=1))
    lines = [number for number, line in numbered if header.match(line)]
    if not lines:
        begin = next((number for number, line in numbered if re.match(rf"\s*{name}\s*=\s*\[", line)), len(numbered))
        end = next((number for number, line in numbered[begin:] if line.startswith("]")), len(numbered))
        lines = [number for number, line in numbered[begin:end] if line.lstrip().startswith("{")]
    return lines[index] if index < len(lines) else None


def _listed(value: Any) -> Any:
    """Lists may be written as one text where they are lists in meaning."""
    if isinstance(value, dict):
        return {name: _entries(name, inner) for name, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, list) else value


def _entries(name: str, value: Any) -> Any:
    if name in {"codes", "policies"} and isinstance(value, str):
        return [value]
    if name.endswith("_s_ago") and isinstance(value, list):
        return [str(entry) if isinstance(entry, int | Decimal) else entry for entry in value]
    return _listed(value)


def _odd_numbers(value: Any, path: str) -> Iterator[str]:
    """Where numbers stand that no arithmetic should meet: not finite, too large, too many digits."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _odd_numbers(inner, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _odd_numbers(inner, f"{path}[{place}]")
    elif isinstance(value, Decimal | int) and not path.endswith("account") and not _is_bounded(Decimal(value)):
        yield path


def _is_bounded(number: Decimal) -> bool:
    if not number.is_finite() or len(number.as_tuple().digits) > DIGITS_MAX or abs(number.adjusted()) > DIGITS_MAX:
        return False
    return abs(number) <= NUMBER_MAX


def _moments(found: CaseFile) -> list[tuple[str, datetime]]:
    own = [(f"case[{place}].now", case.now) for place, case in enumerate(found.case)]
    own += [(f"matrix[{place}].now", matrix.now) for place, matrix in enumerate(found.matrix)]
    return [("given.now", found.given.now), *((place, moment) for place, moment in own if moment is not None)]


def _size(found: CaseFile) -> int:
    size = len(found.case)
    for matrix in found.matrix:
        count = 1
        for names in (matrix.keys, matrix.environments, matrix.symbols, matrix.sides, matrix.types):
            count *= max(1, len(names))
        size += count
    return size


def _wrong(message: str, text: str, *, file: str) -> PolicyError:
    """What msgspec says, with the line of the case and a suggestion."""
    at = _AT.search(message)
    path = (at["path"] or "") if at else ""
    place = _PLACE.search(path)
    line = line_of_case(text, place["list"], int(place["index"])) if place else None
    unknown = _UNKNOWN.search(message)
    plainly = _AT.sub("", message).replace("`", "'")
    if unknown is None:
        return PolicyError(file, line, path, "bad_value", plainly)
    return PolicyError(file, line, path, "unknown_key", plainly, did_you_mean(unknown["name"], _NAMES))
