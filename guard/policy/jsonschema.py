"""The JSON Schema of a policy file, made from the types and the rule table: editors complete and check the TOML by it.

It ships as `policies/policy.schema.json`, which the sample policies name in their first line (`#:schema`, as Taplo and
Even Better TOML read it). It is help while writing; what decides is `guard policy check`, which knows more.
"""

from typing import Any, Final, get_args

import msgspec

from guard.markets import MARKETS
from guard.policy.notation import CURRENCIES
from guard.policy.rows import RuleRow
from guard.policy.schema import COLLAR_CLASSES, FUTURES_WORD, FX, HOURS, PERCENT_MAX, TABLES, WORDS, FxTable, Texts
from guard.policy.table import BY_PATH

ID: Final = "policy.schema.json"
_CURRENCY: Final = "|".join(CURRENCIES)
_MONEY: Final = f"^[0-9]{{1,18}}(\\.[0-9]{{1,4}})? ({_CURRENCY})$"
_RATE: Final = "^[0-9]{1,9}/[0-9]{1,9}s$"
_WINDOW: Final = "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"
_PATTERN_OF: Final = {"caps": _MONEY, "rates": _RATE}
_PERCENT: Final = {"type": "number", "minimum": 0, "maximum": PERCENT_MAX}


def schema() -> dict[str, Any]:
    """The schema as plain data."""
    tables = {name: _table(name) for name in TABLES}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "A policy of opend-guard",
        "type": "object",
        "additionalProperties": False,
        "properties": tables | {HOURS: _hours(), FX: _fx()},
    }


def _table(name: str) -> dict[str, Any]:
    fields = {field.name: field for field in msgspec.structs.fields(TABLES[name])}
    doc = (TABLES[name].__doc__ or "").partition(": ")[2]
    return {
        "type": "object",
        "description": doc,
        "additionalProperties": False,
        "properties": {key: _key(BY_PATH[f"{name}.{key}"], field.type) for key, field in fields.items()},
    }


def _key(row: RuleRow, type_: Any) -> dict[str, Any]:
    return {"description": described(row), **_value(row, type_)}


def described(row: RuleRow) -> str:
    """What an editor shows of a key."""
    parts = [row.says]
    if row.unit:
        parts.append(f"Unit: {row.unit}." + (f" {row.bound.capitalize()}." if row.bound else ""))
    parts += [f"Left out: {row.unset}.", f"Example: {row.example}"]
    return " ".join(parts)


def _value(row: RuleRow, type_: Any) -> dict[str, Any]:
    if Texts in get_args(type_):
        item: dict[str, Any] = {"type": "string"}
        words = WORDS.get((row.table, row.key))
        if words:
            item["enum"] = list(words)
        if row.order in _PATTERN_OF:
            item["pattern"] = _PATTERN_OF[row.order]
        return {"anyOf": [item, {"type": "array", "items": item}]}
    if row.order == "percents":
        classes = dict.fromkeys(COLLAR_CLASSES, _PERCENT)
        return {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": classes}
    if _is_number(type_):
        return {"type": "number", "minimum": 0}
    return _plain(msgspec.json.schema(type_))


def _is_number(type_: Any) -> bool:
    return {"Decimal", "int"} <= {getattr(arg, "__name__", "") for arg in get_args(type_)}


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: what may be left out is left out."""
    choices = [choice for choice in found.get("anyOf", ()) if choice != {"type": "null"}]
    words = [word for word in found.get("enum", ()) if word is not None]
    lean = {name: value for name, value in found.items() if name not in {"anyOf", "enum", "default"}}
    if len(choices) == 1:
        lean |= _plain(choices[0])
    elif choices:
        lean["anyOf"] = choices
    return lean | ({"enum": words} if words else {})


def _hours() -> dict[str, Any]:
    window = {"type": "string", "pattern": _WINDOW}
    value = {"anyOf": [{"const": "always"}, window, {"type": "array", "items": window}]}
    markets = dict.fromkeys((*MARKETS, FUTURES_WORD), value)
    return {
        "type": "object",
        "description": described(BY_PATH[HOURS]),
        "additionalProperties": False,
        "properties": markets,
    }


def _fx() -> dict[str, Any]:
    fields = {field.name: field for field in msgspec.structs.fields(FxTable) if field.name != "rates"}
    return {
        "type": "object",
        "description": "Exchange rates for limits given in another currency only.",
        "required": ["as_of"],
        "properties": {key: _key(BY_PATH[f"{FX}.{key}"], field.type) for key, field in fields.items()},
        "patternProperties": {
            f"^({_CURRENCY})({_CURRENCY})$": {
                "type": "string",
                "pattern": r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?$",
                "description": described(BY_PATH["fx.rates"]),
            }
        },
        "additionalProperties": False,
    }
