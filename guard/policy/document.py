"""A policy as its file says it, checked; and what may be wrong with one, with the place and the cure."""

import difflib
from typing import Final

from msgspec import Struct

from guard.policy.schema import (
    AppliesTo,
    Breaker,
    Budgets,
    FxTable,
    Instruments,
    Orders,
    PolicyTable,
    Rates,
    ReferenceTable,
    Rights,
    Texts,
)

FILE_CHARS_MAX: Final = 262_144
RESERVED_IDS: Final = frozenset({"flags"})


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
    """One policy as its file says it, checked. `hours` by market, FUTURES written out; None: no such table.

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
    breaker: Breaker = Breaker()
    reference: ReferenceTable = ReferenceTable()
    fx: FxTable | None = None


def did_you_mean(name: str, known: Texts) -> str:
    """The nearest known word, else all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
