"""What a PromQL expression names: its metrics, with the labels that it picks and the values that they may have."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from guard.metrics import FAMILIES
from guard.stream.ending import End

RECORDED: Final = re.compile(r"\bguard:[a-z0-9_:]+")
_SELECTOR: Final = re.compile(r"(?<![\w:])(guard_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_PARTS: Final = ("_bucket", "_sum", "_count")
TARGET_LABELS: Final = {"job", "instance"}
ENDINGS: Final = {end.value.word for end in End}


class Selector(NamedTuple):
    """One metric of the guard in an expression, and its matchers as (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> Iterator[Selector]:
    """Every selector of a metric of the guard's own; parts of a histogram under its name, recorded series left out."""
    for name, inside in _SELECTOR.findall(expression):
        matchers = tuple((label, operator, value) for label, operator, value in _MATCHER.findall(inside))
        yield Selector(family(name), matchers)


def family(name: str) -> str:
    """The family that a series belongs to."""
    for part in _PARTS:
        whole = name.removesuffix(part)
        if whole in FAMILIES and FAMILIES[whole].kind == "histogram":
            return whole
    return name


def recorded(expression: str) -> set[str]:
    """The names of recording rules in an expression."""
    return set(RECORDED.findall(expression))
