"""What a value of a policy file must be beyond its type: one check a key path, each answering None or what to write.

What this version cannot enforce is refused here too, so that nobody believes in a limit that is not there.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from guard.markets import PREFIXES
from guard.policy import notation
from guard.policy.notation import Bad
from guard.policy.schema import COLLAR_CLASSES, PERCENT_MAX

Check = Callable[[Any], Bad | None]
_AGE_MAX_S: Final = 86_400


def _bad(read: Callable[[Any], object]) -> Check:
    def check(value: Any) -> Bad | None:
        found = read(value)
        return found if isinstance(found, Bad) else None

    return check


def _each(check: Callable[[str], Bad | None]) -> Check:
    return lambda texts: next((found for found in map(check, texts) if found), None)


def _symbol(text: str) -> Bad | None:
    return notation.check_listed_symbol(text, frozenset(PREFIXES))


def _aware(value: Any) -> Bad | None:
    if value.tzinfo is not None:
        return None
    return Bad("bad_value", "a time without a zone", "write 2026-12-01T00:00:00Z")


def _quantity(value: int | Decimal) -> Bad | None:
    if Decimal(value).is_finite() and 0 <= value <= 10**15:
        return None
    return Bad("bad_value", f"{value} is not a quantity", "zero or a positive number, at most 10**15")


def _percent(value: int | Decimal) -> Bad | None:
    if Decimal(value).is_finite() and 0 <= value <= PERCENT_MAX and Decimal(value) == round(Decimal(value), 6):
        return None
    return Bad("bad_value", f"{value} is not a percentage", f"0 to {PERCENT_MAX}, at most six decimals")


def _percents(value: Mapping[str, int | Decimal]) -> Bad | None:
    if not value:
        return Bad("bad_value", "an empty price collar", "write { stock = 10 }, or leave the key out")
    unknown = next((name for name in value if name not in COLLAR_CLASSES), None)
    if unknown is not None:
        return Bad("unknown_key", f"{unknown!r} is no class of instruments", f"known: {', '.join(COLLAR_CLASSES)}")
    return next((bad for bad in map(_percent, value.values()) if bad), None)


def _age(value: int | Decimal) -> Bad | None:
    if Decimal(value).is_finite() and 0 <= value <= _AGE_MAX_S and Decimal(value) == round(Decimal(value), 3):
        return None
    return Bad("bad_value", f"{value} is not an age", f"0 to {_AGE_MAX_S} seconds, at most three decimals")


CHECKS: Final[Mapping[tuple[str, str], Check]] = MappingProxyType(
    {
        ("policy", "expires_at"): _aware,
        ("applies_to", "keys"): _each(notation.check_key_pattern),
        ("applies_to", "except_keys"): _each(notation.check_key_pattern),
        ("instruments", "symbols"): _each(_symbol),
        ("instruments", "blocked_symbols"): _each(_symbol),
        ("orders", "max_value"): _bad(notation.read_moneys),
        ("orders", "max_premium"): _bad(notation.read_moneys),
        ("orders", "max_underlying_value"): _bad(notation.read_moneys),
        ("orders", "max_qty"): _quantity,
        ("orders", "price_collar_percent"): _percents,
        ("orders", "market_buffer_percent"): _percent,
        ("budgets", "daily_value"): _bad(notation.read_moneys),
        ("budgets", "resets"): _bad(notation.read_reset),
        ("budgets", "open_value"): _bad(notation.read_moneys),
        ("rates", "new_orders"): _bad(notation.read_rates),
        ("rates", "changes"): _bad(notation.read_rates),
        ("rates", "reads"): _bad(notation.read_rates),
        ("rates", "cancels"): _bad(notation.read_rates),
        ("breaker", "unknowns"): _bad(notation.read_rates),
        ("breaker", "daemon_refusals"): _bad(notation.read_rates),
        ("reference", "price_age_max_s"): _age,
        ("fx", "buffer_percent"): _percent,
    }
)
