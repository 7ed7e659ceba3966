"""Policy files read: TOML text to a `PolicyDoc`, or every error in it at once.

Unknown tables and keys are refused with a suggestion; what this version cannot enforce is refused as `not_supported`.
An error names file, line (where the text shows it), key path, a stable code and what to write instead.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from guard.markets import MARKETS, PREFIXES
from guard.policy import notation
from guard.policy.hours import ALWAYS
from guard.policy.locate import line_of
from guard.policy.notation import Bad
from guard.policy.schema import (
    FUTURES_WORD,
    HOURS,
    NOT_SUPPORTED,
    TABLES,
    WORDS,
    AppliesTo,
    Budgets,
    Instruments,
    Orders,
    PolicyTable,
    Rates,
    Rights,
    Texts,
    expanded,
)

FILE_CHARS_MAX: Final = 262_144
RESERVED_IDS: Final = frozenset({"flags"})
_AT_LINE: Final = re.compile(r"at line ([0-9]+)")


class PolicyError(Struct, frozen=True):
    """One thing wrong with a policy, with the place and the cure."""

    file: str
    line: int | None
    path: str
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{path} {self.message} [{self.code}]{hint}"


class PolicyDoc(Struct, frozen=True):
    """One policy as its file says it, checked. `hours` by market, FUTURES written out; None: no [hours] table.

    `file` and `id_line` say where it is written and are no part of its content.
    """

    id: str
    file: str
    id_line: int | None = None
    policy: PolicyTable = PolicyTable()
    applies_to: AppliesTo = AppliesTo()
    instruments: Instruments = Instruments()
    orders: Orders = Orders()
    hours: dict[str, Texts] | None = None
    budgets: Budgets = Budgets()
    rates: Rates = Rates()
    rights: Rights = Rights()


Check = Callable[[Any], Bad | None]


def _bad(read: Callable[[Any], object]) -> Check:
    def check(value: Any) -> Bad | None:
        found = read(value)
        return found if isinstance(found, Bad) else None

    return check


def _each(check: Callable[[str], Bad | None]) -> Check:
    return lambda texts: next((found for found in map(check, texts) if found), None)


def _symbol(text: str) -> Bad | None:
    return notation.check_symbol_pattern(text, frozenset(PREFIXES))


def _mode(value: str) -> Bad | None:
    if value == "enforce":
        return None
    return Bad("not_supported", "shadow policies are not evaluated by this version", 'write mode = "enforce"')


def _see(value: str) -> Bad | None:
    if value == "account":
        return None
    return Bad("not_supported", "this version shows a key all orders of its accounts", 'write see = "account"')


def _aware(value: Any) -> Bad | None:
    if value.tzinfo is not None:
        return None
    return Bad("bad_value", "a time without a zone", "write 2026-12-01T00:00:00Z")


def _quantity(value: int | Decimal) -> Bad | None:
    if Decimal(value).is_finite() and 0 <= value <= 10**15:
        return None
    return Bad("bad_value", f"{value} is not a quantity", "zero or a positive number, at most 10**15")


CHECKS: Final[dict[tuple[str, str], Check]] = {
    ("policy", "mode"): _mode,
    ("policy", "expires_at"): _aware,
    ("applies_to", "keys"): _each(notation.check_key_pattern),
    ("applies_to", "except_keys"): _each(notation.check_key_pattern),
    ("instruments", "symbols"): _each(_symbol),
    ("instruments", "blocked_symbols"): _each(_symbol),
    ("orders", "max_value"): _bad(notation.read_moneys),
    ("orders", "max_qty"): _quantity,
    ("budgets", "daily_value"): _bad(notation.read_moneys),
    ("budgets", "resets"): _bad(notation.read_reset),
    ("rates", "new_orders"): _bad(notation.read_rates),
    ("rates", "changes"): _bad(notation.read_rates),
    ("rates", "reads"): _bad(notation.read_rates),
    ("rates", "cancels"): _bad(notation.read_rates),
    ("rights", "see"): _see,
}


def did_you_mean(name: str, known: Texts) -> str:
    """The nearest known word, else all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


class _Reader:
    """One file being read: collects its errors."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.errors: list[PolicyError] = []

    def tell(self, path: tuple[str, ...], bad: Bad) -> None:
        line = line_of(self.text, path)
        self.errors.append(PolicyError(self.file, line, ".".join(path), bad.code, bad.message, bad.hint))

    def tables(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in raw.items():
            if (name,) in NOT_SUPPORTED:
                self.tell((name,), Bad("not_supported", f"not enforced by this version: {NOT_SUPPORTED[name,]}"))
            elif name not in TABLES and name != HOURS:
                self.tell(
                    (name,), Bad("unknown_key", f"there is no table [{name}]", self.where(name, (*TABLES, HOURS)))
                )
            elif not isinstance(value, dict):
                self.tell((name,), Bad("bad_type", f"[{name}] is a table, written once", f"begin it with [{name}]"))
            elif name == HOURS:
                found[name] = self.hours(value)
            else:
                found[name] = self.table(name, value)
        return found

    def table(self, table: str, raw: Mapping[str, Any]) -> Struct:
        fields = {field.name: field.type for field in msgspec.structs.fields(TABLES[table])}
        values: dict[str, Any] = {}
        for name, value in raw.items():
            path = (table, name)
            if path in NOT_SUPPORTED:
                self.tell(path, Bad("not_supported", f"not enforced by this version: {NOT_SUPPORTED[path]}"))
            elif name not in fields:
                hint = self.where(name, tuple(fields))
                self.tell(path, Bad("unknown_key", f"[{table}] has no key {name}", hint))
            else:
                typed = self.value(path, value, type_=fields[name])
                if not isinstance(typed, Bad):
                    values[name] = typed
        return TABLES[table](**values)

    def value(self, path: tuple[str, str], raw: Any, *, type_: Any) -> Any:
        is_list = type_ == Texts | None
        value = (raw,) if is_list and isinstance(raw, str) else raw
        bad = None
        try:
            if isinstance(value, str) and type_ == int | Decimal | None:
                raise msgspec.ValidationError("Expected `number`, got `str`")  # noqa: TRY301 - msgspec reads "300" as 300
            value = msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            text = str(error).replace("`", "'")
            bad = Bad("bad_type" if ", got '" in text else "bad_value", text, _known(type_))
        else:
            bad = _word(path, value) or (CHECKS[path](value) if path in CHECKS else None)
        if bad is not None:
            self.tell(path, bad)
            return bad
        return value

    def hours(self, raw: Mapping[str, Any]) -> dict[str, Texts]:
        found: dict[str, Texts] = {}
        known = (*MARKETS, FUTURES_WORD)
        for name, value in raw.items():
            texts = (value,) if isinstance(value, str) else value
            bad = None
            if name not in known:
                bad = Bad("unknown_market", f"{name} is not a market", did_you_mean(name, known))
            elif not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                bad = Bad("bad_type", "hours are a text or a list of texts", 'write ["09:30-12:00"] or "always"')
            elif texts != (ALWAYS,):
                windows = notation.read_windows(tuple(texts))
                bad = windows if isinstance(windows, Bad) else None
            if bad is None and set(expanded((name,))) & set(found):
                bad = Bad("bad_hours", f"{name} is given twice", "FUTURES stands for all four futures markets")
            if bad is not None:
                self.tell((HOURS, name), bad)
            else:
                found |= dict.fromkeys(expanded((name,)), tuple(texts))
        return found

    def where(self, name: str, known: Texts) -> str:
        """What the writer may have meant: a key of another table, or a near word."""
        homes = [table for table, cls in TABLES.items() if name in cls.__struct_fields__]
        return f"{name} belongs into [{homes[0]}]" if homes else did_you_mean(name, known)


def _known(type_: Any) -> str:
    """The words that a Literal allows, as a hint."""
    words = [arg for inner in (type_, *get_args(type_)) if get_origin(inner) is Literal for arg in get_args(inner)]
    return f"known: {', '.join(words)}" if words else ""


def _word(path: tuple[str, str], value: Any) -> Bad | None:
    known = WORDS.get(path, ())
    unknown = next((word for word in value if word not in known), None) if known else None
    if unknown is None:
        return None
    code = "unknown_market" if path[1] == "markets" else "bad_value"
    return Bad(code, f"{unknown!r} is not one of {path[1]}", did_you_mean(unknown, known))


def _across(doc: PolicyDoc) -> Iterator[tuple[tuple[str, ...], Bad]]:
    """What only two keys together show."""
    if doc.id in RESERVED_IDS:
        yield ("policy", "id"), Bad("reserved_id", f"{doc.id!r} is the guard's own name", "choose another id")
    if doc.hours is not None:
        allowed = MARKETS if doc.instruments.markets is None else expanded(doc.instruments.markets)
        missing = tuple(market for market in allowed if market not in doc.hours)
        if missing:
            hint = "name every market that [instruments] markets allows"
            yield (HOURS,), Bad("missing_hours", f"no hours for {', '.join(missing)}", hint)
    if doc.rates.per == "account" and doc.rates.reads is not None:
        hint = 'give reads a policy of their own with per = "key"'
        yield ("rates", "reads"), Bad("bad_value", "reads cannot be counted per account: most name none", hint)
    if doc.budgets.resets is not None and doc.budgets.daily_value is None and doc.orders.per_day is None:
        hint = "give daily_value or orders.per_day, or leave resets out"
        yield ("budgets", "resets"), Bad("bad_value", "a reset of a budget that is not there", hint)


def _loads(text: str) -> dict[str, Any] | Bad:
    if len(text) > FILE_CHARS_MAX:
        return Bad("too_large", f"more than {FILE_CHARS_MAX} characters", "split the file: all policies bind")
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        return Bad("bad_toml", "nested too deeply")
    except ValueError as error:
        return Bad("bad_toml", f"not TOML: {error}")


def parse_policy(text: str, *, file: str) -> PolicyDoc | list[PolicyError]:
    """One policy file. Its id is `policy.id`, else the file's stem."""
    raw = _loads(text)
    if isinstance(raw, Bad):
        match = _AT_LINE.search(raw.message)
        return [PolicyError(file, int(match[1]) if match else None, "", raw.code, raw.message, raw.hint)]
    reader = _Reader(text, file)
    tables = reader.tables(raw)
    head = tables.get("policy", PolicyTable())
    doc = PolicyDoc(head.id or stem(file), file, line_of(text, ("policy", "id")), **tables)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", doc.id):
        reader.tell(
            ("policy", "id"), Bad("bad_value", f"{doc.id!r} is not an id", "letters, digits, . _ -, at most 64")
        )
    # A table with an error in it was not read whole: what it seems to lack may well be there.
    broken = {error.path.split(".")[0] for error in reader.errors}
    for path, bad in _across(doc):
        if not broken & {*path[:1], "instruments"}:
            reader.tell(path, bad)
    return reader.errors or doc


def stem(file: str) -> str:
    """The file's name without folders and suffix."""
    return file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")
