"""Rules on what is traded: markets, symbols allowed, symbols blocked. None of them makes a claim."""

import re
from functools import lru_cache
from operator import attrgetter
from typing import ClassVar, Final, Self

from guard.codes import Code
from guard.markets import currency_of, kind_of, local_code
from guard.policy.notation import matches
from guard.policy.rule import OrderRule, Proposal
from guard.terms import Instrument, InstrumentKind, PlaceOrder, Reason, World

SHOWN_MAX: Final = 8  # how many entries of a list a refusal names

# A US option's code begins with the code of what it is an option on: AAPL260116C200000, or padded as OCC writes it.
_US_OPTION: Final = re.compile(r"([A-Z.]+?) *[0-9]{6}[CP][0-9]+")
# New York and Toronto write a company's warrants behind its own code: GME.WS, GME.WS.A, and ABC.WT.
_WARRANT: Final = re.compile(r"([A-Z][A-Z0-9]*(?:[.-][A-Z])?)[.-]W[ST](?:[.-]?[A-Z])?")
# HKEX's stock code allocation: derivative warrants, inline warrants, bull/bear contracts, and warrants in renminbi.
_HK_STRUCTURED: Final = (range(10_000, 30_000), range(47_000, 49_000), range(49_500, 70_000), range(89_000, 90_000))
_HK_CODE_CHARS: Final = 5
_DERIVED: Final[frozenset[InstrumentKind]] = frozenset({"option", "warrant"})


def shown(words: tuple[str, ...]) -> str:
    """A list for people, cut where it is long; "nothing" where it is empty."""
    if not words:
        return "nothing"
    rest = len(words) - SHOWN_MAX
    return ", ".join(words[:SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")


@lru_cache(maxsize=8192)
def matches_symbol(symbol: str, patterns: tuple[str, ...]) -> bool:
    """One of the patterns stands for the symbol; upper and lower case are one."""
    return matches(symbol.upper(), tuple(pattern.upper() for pattern in patterns))


class AllowList(OrderRule, frozen=True):
    """Only what is listed, of what `reads` names in an order; `told` says that something is not."""

    is_of_shape: ClassVar[bool] = True
    code: ClassVar[Code]
    reads: ClassVar[str]
    told: ClassVar[str]
    allowed: tuple[str, ...]

    def implies(self, other: Self) -> bool:
        """A shorter list of what is allowed."""
        return set(self.allowed) <= set(other.allowed)

    def lists(self, word: str) -> bool:
        """It is among what is allowed."""
        return word in self.allowed

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses everything else."""
        word: str = attrgetter(self.reads)(proposal.order)
        if self.lists(word):
            return None
        allowed = shown(self.allowed)
        return self.reason(self.code, f"{self.told.format(word)}; allowed: {allowed}", observed=word, limit=allowed)


class Markets(AllowList, frozen=True):
    """Only these markets."""

    name: ClassVar[str] = "instruments.markets"
    code: ClassVar[Code] = Code.MARKET
    reads: ClassVar[str] = "market"
    told: ClassVar[str] = "market {} is not allowed"


class Symbols(AllowList, frozen=True):
    """Only symbols that one of the patterns stands for."""

    name: ClassVar[str] = "instruments.symbols"
    code: ClassVar[Code] = Code.SYMBOL
    reads: ClassVar[str] = "symbol"
    told: ClassVar[str] = "{} is not an allowed symbol"

    def lists(self, word: str) -> bool:
        """One of the patterns stands for it."""
        return matches_symbol(word, self.allowed)


class BlockedSymbols(OrderRule, frozen=True):
    """None of these symbols, nor their options, warrants and counters in other currencies.

    A counter in another currency blocks its share as well (`notation.blocking`), and so every other counter of it.
    Beats every allow-list: all must pass.
    Where neither the code nor the daemon tells what a derivative is on (options and warrants of Hong Kong), and the
    list names anything in that market, the derivative is refused: a blocked name has no back door.
    """

    name: ClassVar[str] = "instruments.blocked_symbols"
    is_of_shape: ClassVar[bool] = True
    blocked: tuple[str, ...]

    def implies(self, other: Self) -> bool:
        """A longer list of what is blocked."""
        return set(self.blocked) >= set(other.blocked)

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a blocked symbol and what is derived from one."""
        order = proposal.order
        if matches_symbol(order.symbol, self.blocked):
            return self.reason(Code.SYMBOL, f"{order.symbol} is blocked", observed=order.symbol)
        share = _share(order)
        if share is not None and matches_symbol(share, self.blocked):
            currency = currency_of(order.market, order.code)
            message = f"{order.symbol} is the {currency} counter of {share}, which is blocked"
            return self.reason(Code.SYMBOL, message, observed=order.symbol, limit=share)
        prefix = order.symbol.split(".", 1)[0].upper()
        known = _known(proposal.world)
        owners = _roots(order)
        if known is not None and known.underlying is not None:
            owners.append(known.underlying)
        blocked = next((owner for owner in owners if matches_symbol(owner, self.blocked)), None)
        if blocked is not None:
            message = f"{order.symbol} is derived from {blocked}, which is blocked"
            return self.reason(Code.SYMBOL, message, observed=order.symbol, limit=blocked)
        is_derived = is_derivative(order) if known is None else known.kind in _DERIVED
        if not owners and is_derived and self._names(prefix):
            message = f"what {order.symbol} is derived from is not known, and symbols of {prefix} are blocked"
            return self.reason(Code.REFERENCE_UNAVAILABLE, message, observed=order.symbol)
        return None

    def _names(self, prefix: str) -> bool:
        return any(matches_symbol(prefix, (text.split(".", 1)[0],)) for text in self.blocked)


def is_derivative(order: PlaceOrder) -> bool:
    """By its code, the instrument is an option or a structured product."""
    if kind_of(order.market, order.code) == "option":
        return True
    code = order.code
    is_hk_code = order.market == "HK" and len(code) == _HK_CODE_CHARS and code.isascii() and code.isdecimal()
    return is_hk_code and any(int(code) in span for span in _HK_STRUCTURED)


def _share(order: PlaceOrder) -> str | None:
    """The share or fund whose counter in another currency the order is for: 80700 is 00700."""
    code = local_code(order.market, order.code)
    return None if code is None else f"{order.symbol.split('.', 1)[0].upper()}.{code}"


def _roots(order: PlaceOrder) -> list[str]:
    """What a US option, or a warrant of a North American company, is on by its code. Options drop the dot of BRK.B."""
    prefix, code = order.symbol.split(".", 1)[0].upper(), order.code.upper()
    option = _US_OPTION.fullmatch(code) if prefix == "US" else None
    if option is not None:
        return [f"US.{option[1]}", f"US.{option[1][:-1]}.{option[1][-1]}"]
    warrant = _WARRANT.fullmatch(code) if prefix in {"US", "CA"} else None
    return [] if warrant is None else [f"{prefix}.{warrant[1]}"]


def _known(world: World | None) -> Instrument | None:
    return world.instrument if world is not None and isinstance(world.instrument, Instrument) else None
