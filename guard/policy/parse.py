"""Policy files read: TOML text to a `PolicyDoc`, or every error in it at once.

Unknown tables and keys are refused with a suggestion: nothing is there that is not enforced.
An error names file, line (where the text shows it), key path, a stable code and what to write instead.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from guard.markets import MARKETS
from guard.policy import notation
from guard.policy.checks import CHECKS
from guard.policy.document import FILE_CHARS_MAX, RESERVED_IDS, PolicyDoc, PolicyError, did_you_mean
from guard.policy.fx import fx_of
from guard.policy.hours import ALWAYS
from guard.policy.locate import line_of
from guard.policy.notation import Bad
from guard.policy.schema import (
    FUTURES_WORD,
    FX,
    HOURS,
    TABLES,
    WORDS,
    FxTable,
    Percents,
    PolicyTable,
    Texts,
    expanded,
)

WRONG_PARTS_MAX: Final = 20  # of one key; a list may have 100,000 parts
_CALLED: Final = {"LIMIT": "NORMAL"}  # words of other brokers
_AT_LINE: Final = re.compile(r"at line ([0-9]+)")
_FORMS: Final = {
    dict: "write { stock = 10, option = 50 }",
    tuple: "write a list of whole numbers, without quotes",
    Decimal: "write a number, without quotes",
    int: "write a whole number, without quotes",
    str: "write a text in quotes",
}
_NUMBERS: Final = (int | Decimal | None, Percents | None)


def _is_text(value: Any) -> bool:
    return any(isinstance(inner, str) for inner in (value.values() if isinstance(value, dict) else (value,)))


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
            if name not in TABLES and name not in {HOURS, FX}:
                hint = self.where(name, (*TABLES, HOURS, FX))
                self.tell((name,), Bad("unknown_key", f"there is no table [{name}]", hint))
            elif not isinstance(value, dict):
                self.tell((name,), Bad("bad_type", f"[{name}] is a table, written once", f"begin it with [{name}]"))
            elif name == HOURS:
                found[name] = self.hours(value)
            elif name == FX:
                found[name] = self.fx(value)
            else:
                found[name] = self.table(name, value)
        return found

    def table(self, table: str, raw: Mapping[str, Any]) -> Struct:
        fields = _fields_of(table)
        values: dict[str, Any] = {}
        for name, value in raw.items():
            path = (table, name)
            if name not in fields:
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
        try:
            if type_ in _NUMBERS and _is_text(value):
                raise msgspec.ValidationError("Expected `number`, got `str`")  # noqa: TRY301 - msgspec reads "300" as 300
            value = msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            text = str(error).replace("`", "'").replace(" | null", "")
            is_type = ", got '" in text
            wrong = [
                Bad("bad_type" if is_type else "bad_value", text, _known(type_) or (_form(type_) if is_type else ""))
            ]
        else:
            wrong = _wrong(value, lambda part: _word(path, part) or (CHECKS[path](part) if path in CHECKS else None))
        for bad in wrong:
            self.tell(path, bad)
        return wrong[0] if wrong else value

    def hours(self, raw: Mapping[str, Any]) -> dict[str, Texts]:
        found: dict[str, Texts] = {}
        known = (*MARKETS, FUTURES_WORD)
        for name, value in raw.items():
            texts = (value,) if isinstance(value, str) else value
            wrong: list[Bad] = []
            if name not in known:
                wrong.append(Bad("unknown_market", f"{name} is not a market", did_you_mean(name, known)))
            elif not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                wrong.append(
                    Bad("bad_type", "hours are a text or a list of texts", 'write ["09:30-12:00"] or "always"')
                )
            elif texts != (ALWAYS,):
                wrong += _wrong(tuple(texts), _bad_windows)
            if not wrong and set(expanded((name,))) & set(found):
                wrong.append(Bad("bad_hours", f"{name} is given twice", "FUTURES stands for all four futures markets"))
            for bad in wrong:
                self.tell((HOURS, name), bad)
            if not wrong:
                found |= dict.fromkeys(expanded((name,)), tuple(texts))
        return found

    def fx(self, raw: Mapping[str, Any]) -> FxTable | None:
        """Pairs of currencies, and the keys that say how long and how exactly they are believed."""
        fields = {field.name: field.type for field in msgspec.structs.fields(FxTable) if field.name != "rates"}
        rates = {name: value for name, value in raw.items() if name not in fields}
        known = {
            name: self.value((FX, name), value, type_=fields[name]) for name, value in raw.items() if name in fields
        }
        are_wrong = False
        for name, value in rates.items():
            bad = _bad_rate(name, value, known=tuple(fields)) or _bad_pair({name: value})
            if bad is not None:
                self.tell((FX, name), bad)
                are_wrong = True
        if are_wrong:
            return None
        bad = _bad_pair(rates)
        if not rates:
            bad = Bad("bad_fx", "a table of exchange rates without a rate", 'write USDHKD = "7.80": HKD for one USD')
        elif "as_of" not in raw:
            bad = Bad("bad_fx", "exchange rates of no date", "write as_of = 2026-11-20: the day that the rates are of")
        if bad is not None:
            self.tell((FX,), bad)
        if bad is not None or any(isinstance(value, Bad) for value in known.values()):
            return None
        return FxTable(rates, **known)

    def where(self, name: str, known: Texts) -> str:
        """What the writer may have meant: a key of another table, or a near word."""
        homes = [table for table, cls in TABLES.items() if name in cls.__struct_fields__]
        return f"{name} belongs into [{homes[0]}]" if homes else did_you_mean(name, known)


def _wrong(value: Any, check: Callable[[Any], Bad | None]) -> list[Bad]:
    """What is wrong with a value: the first of its parts, each by itself, and what only the whole of it shows."""
    whole = check(value)
    if whole is None:
        return []
    parts: list[Any] = []
    if isinstance(value, tuple):
        parts = [(part,) for part in value]
    elif isinstance(value, dict):
        parts = [{name: part} for name, part in value.items()]
    bads = (bad for part in parts if (bad := check(part)) is not None)
    found = list(dict.fromkeys(islice(bads, WRONG_PARTS_MAX)))
    return found if whole in found else [*found, whole]


def _bad_windows(texts: Texts) -> Bad | None:
    windows = notation.read_windows(texts)
    return windows if isinstance(windows, Bad) else None


def _bad_rate(name: str, value: Any, *, known: Texts) -> Bad | None:
    """A pair is written in capitals; what is not was meant to be one of the other keys."""
    if not name.isupper():
        return Bad("unknown_key", f"[{FX}] has no key {name}", did_you_mean(name, (*known, "USDHKD")))
    return None if isinstance(value, str) else Bad("bad_type", "a rate is a text", 'write "7.80"')


def _bad_pair(rates: Mapping[str, str]) -> Bad | None:
    found = fx_of(rates, as_of=date.min)
    return found if isinstance(found, Bad) else None


def _known(type_: Any) -> str:
    """What may be written there, as a hint: the words that a Literal allows, the form of a list or a time."""
    if type_ == Texts | None:
        return "write a text in quotes, or a list of them"
    if datetime in get_args(type_):
        return "write 2026-12-01T00:00:00Z"
    words = [arg for inner in (type_, *get_args(type_)) if get_origin(inner) is Literal for arg in get_args(inner)]
    return f"known: {', '.join(words)}" if words else ""


def _form(type_: Any) -> str:
    """How a value of that type is written in TOML."""
    bare = {getattr(inner, "__origin__", inner) for inner in (type_, *get_args(type_))}
    for kind, form in _FORMS.items():
        if kind in bare:
            return form
    return ""


def _word(path: tuple[str, str], value: Any) -> Bad | None:
    known = WORDS.get(path, ())
    unknown = next((word for word in value if word not in known), None) if known else None
    if unknown is None:
        return None
    code = "unknown_market" if path[1] == "markets" else "bad_value"
    return Bad(code, f"{unknown!r} is not one of {path[1]}", did_you_mean(_CALLED.get(unknown, unknown), known))


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


@cache
def _fields_of(table: str) -> Mapping[str, Any]:
    """The keys of a table and their types."""
    return {field.name: field.type for field in msgspec.structs.fields(TABLES[table])}


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
