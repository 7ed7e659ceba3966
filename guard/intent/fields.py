"""One body's values, read one by one into types; every fault is noted, so that all come back at once.

A reader answers None for an absent field and for one that is wrong; `refusal` tells the two apart. Numbers are JSON
numbers: a string, a boolean or a number that a double could not carry exactly (more than 15 significant digits) is
`bad_number`. Bounds come before arithmetic: `1E+999999` costs nothing here.
"""

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final, TypeVar

from guard.codes import Code
from guard.intent.names import ALIASES
from guard.intent.strict import is_array
from guard.terms import Reason, Refusal, in_order

DIGITS_MAX: Final = 15
DECIMALS_MAX: Final = 9
UINT64_MAX: Final = 2**64 - 1
NUMBERS_MAX: Final = 4096  # with a point, that are known to be exact
_INTEGER_END: Final = 10**DIGITS_MAX
_ID_CHARACTERS_MAX: Final = 20
_SHOWN_CHARACTERS_MAX: Final = 40
_REASONS_MAX: Final = 8
_EXACT: Final = Context(prec=DIGITS_MAX, traps=[Inexact, InvalidOperation, Overflow])
_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)
_known: Final[dict[Decimal, tuple[Decimal, int]]] = {}
"""Numbers in their shortest form, and how many decimals each has: equal ones are found however they are written."""

T = TypeVar("T", bound=int)
Choices = Mapping[int | str, T]


def choices(words: Mapping[str, T]) -> Choices[T]:
    """A closed set of values that may be written as their number or as one of their words, in capitals or without."""
    by_number: dict[int | str, T] = {int(value): value for value in words.values()}
    return by_number | dict(words) | {word.lower(): value for word, value in words.items()}


class Fields:
    """The values of one body by path, and what is wrong with them so far."""

    __slots__ = ("_reasons", "_values")

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._reasons: list[Reason] = []

    @property
    def is_good(self) -> bool:
        """Nothing was found wrong so far."""
        return not self._reasons

    @property
    def faults(self) -> int:
        """How many things were found wrong so far."""
        return len(self._reasons)

    def has(self, path: str) -> bool:
        """The body has the field, right or wrong."""
        return path in self._values

    def has_none(self, paths: frozenset[str]) -> bool:
        """The body has none of these fields."""
        return paths.isdisjoint(self._values)

    def refusal(self) -> Refusal:
        """Everything that is wrong. To be asked only where something is."""
        if not self._reasons:
            raise AssertionError("a body without faults was to be refused")
        return Refusal(in_order(self._reasons))

    def note(self, code: Code, message: str) -> None:
        """Something is wrong with the body; the first eight faults are kept."""
        if len(self._reasons) < _REASONS_MAX:
            self._reasons.append(Reason(code, message))

    def require(self, *paths: str) -> None:
        """The fields must be there; `missing_field` otherwise."""
        for path in paths:
            if path not in self._values:
                also = f" (or {ALIASES[path]})" if path in ALIASES else ""
                self.note(Code.MISSING_FIELD, f"{_short(path)}{also} is missing")

    def number(self, path: str, *, decimals: int = DECIMALS_MAX) -> Decimal | None:
        """A JSON number below 10¹⁵ with at most 15 significant digits and `decimals` decimals, in its shortest form."""
        value = self._values.get(path)
        if value is None:
            return None
        if type(value) is int and -_INTEGER_END < value < _INTEGER_END:
            return Decimal(value)
        found = _known.get(value) or _exact(value) if type(value) is Decimal and value.is_finite() else None
        if found is None:
            self.note(Code.BAD_NUMBER, f"{_short(path)} is a JSON number below 10^15 of at most {DIGITS_MAX} digits")
            return None
        number, places = found
        if places > decimals:
            self.note(Code.BAD_NUMBER, f"{_short(path)} has at most {decimals} decimals")
            return None
        return number

    def identifier(self, path: str) -> int | None:
        """A uint64, as a JSON integer or as its digits in a string; zero is the daemon's way of naming nothing."""
        value = self._values.get(path)
        if value is None:
            return None
        number = value if type(value) is int and 0 <= value <= UINT64_MAX else _uint64(value)
        if number is None:
            self.note(Code.BAD_NUMBER, f"{_short(path)} is an integer below 2^64, as a number or as digits in a string")
        return number

    def identifiers(self, path: str) -> tuple[int, ...] | None:
        """A list of non-zero uint64s. An empty one may mean nobody or everybody and is refused."""
        value = self._values.get(path)
        if value is None:
            return None
        if not is_array(value) or not value:
            self.note(Code.BAD_VALUE, f"{_short(path)} is a list of ids; leave it out rather than empty")
            return None
        numbers = [_uint64(item) for item in value]
        if not all(numbers):
            self.note(Code.BAD_NUMBER, f"{_short(path)} holds integers from 1 to 2^64-1")
        return tuple(number for number in numbers if number)

    def choice(self, path: str, allowed: Choices[T], *, is_secret: bool = False) -> T | None:
        """One of a closed set, by number or word in any ASCII case. `is_secret`: what it says is not repeated."""
        value = self._values.get(path)
        if value is None:
            return None
        found = allowed.get(value) if type(value) is str or type(value) is int else None
        if found is None:
            found = pick(value, allowed)
        if found is None:
            said = _short(path) if is_secret else f"{_short(path)} {shown(value)}"
            self.note(Code.BAD_VALUE, f"{said} is none of {words(allowed)}")
        return found

    def flag(self, path: str) -> bool | None:
        """True or false."""
        value = self._values.get(path)
        if value is None or value is True or value is False:
            return value
        self.note(Code.BAD_VALUE, f"{_short(path)} is true or false")
        return None

    def text(self, path: str) -> str | None:
        """A string."""
        value = self._values.get(path)
        if value is None or type(value) is str:
            return value
        self.note(Code.BAD_VALUE, f"{_short(path)} is a string")
        return None

    def array(self, path: str) -> list[object] | None:
        """A list, or one string where a list is meant."""
        value = self._values.get(path)
        if value is None or is_array(value):
            return value
        if type(value) is str:
            return [value]
        self.note(Code.BAD_VALUE, f"{_short(path)} is a list")
        return None


def pick(value: object, allowed: Choices[T]) -> T | None:
    """The member of a closed set that a number or word names. A boolean or a fraction is neither."""
    if type(value) is int:
        return allowed.get(value)
    if type(value) is str and value.isascii():
        return allowed.get(value.upper())
    return None


def shown(value: object) -> str:
    """A value for a message, as short ASCII JSON; for a list or an object only that it is one."""
    if type(value) is str or type(value) is int:
        text = ascii(value)
    elif type(value) is bool or type(value) is Decimal:
        text = str(value).lower()
    else:
        text = "a list" if is_array(value) else "an object"
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"


def words(allowed: Choices[T]) -> str:
    """The words of a closed set, for a message."""
    return ", ".join(str(word) for word in allowed if type(word) is str and word.isupper())


def _exact(value: Decimal) -> tuple[Decimal, int] | None:
    """A finite number in its shortest form, and its decimals (cached); None for anything else."""
    if value and not -DECIMALS_MAX <= value.adjusted() < DIGITS_MAX:
        return None
    whole = value.to_integral_value()
    try:
        number = value.normalize(_EXACT) if whole != value else whole.quantize(_ONE, None, _EXACT) if whole else _ZERO
    except Inexact:
        return None
    if len(_known) >= NUMBERS_MAX:
        _known.clear()
    found = _known[number] = number, _decimals(number)
    return found


def _decimals(number: Decimal) -> int:
    """Digits behind the point of a finite number."""
    said = str(number)  # faster than its tuple by far
    return len((format(number, "f") if "E" in said else said).partition(".")[2])


def _uint64(value: object) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _ID_CHARACTERS_MAX:
        value = int(value) if value == "0" or not value.startswith("0") else None
    return value if type(value) is int and 0 <= value <= UINT64_MAX else None


def _short(path: str) -> str:
    return path.rpartition(".")[2]
