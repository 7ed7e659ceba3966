"""Exchange rates of a policy: what an amount comes to in another currency, exactly, rounded up to the ledger's unit.

A table is the policy's own: it is met only where a limit has no amount in the order's currency (W08), and only while
it is fresh. A pair is written once and read both ways; two currencies without a rate meet over a third, at the worst
such rate. The buffer is added once. All arithmetic is on whole numbers, so nothing is rounded but the result, and that
upwards: an amount fits a cap exactly when the unrounded one does, since caps are whole ledger units.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.policy.notation import CURRENCIES, Bad, from_units, plain
from guard.terms import LEDGER_UNIT, Conversion, Missing, Money

MAX_AGE_DAYS: Final = 5  # where the table does not say
_PAIR: Final = re.compile(r"([A-Z]{3})([A-Z]{3})")
_RATE: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?")
_HUNDRED: Final = 100


class Leg(Struct, frozen=True):
    """How one currency becomes another: units of the target for one of the source, and the rates that say so."""

    factor: Fraction
    rates: str


class Fx(Struct, frozen=True):
    """The rates of one policy, every pair of currencies that they join, and until when they are believed."""

    legs: Mapping[tuple[str, str], Leg]
    as_of: date
    max_age_days: int = MAX_AGE_DAYS
    buffer_percent: Decimal = Decimal(0)

    def convert(
        self, money: Money, currency: str, *, wall: datetime, at_any_age: bool = False
    ) -> Conversion | Missing | None:
        """The amount in `currency`, or why the table is not to be believed; None where it does not join the two.

        `at_any_age`: the last rates that were given are believed, as for an order that only reduces a position.
        """
        leg = self.legs.get((money.currency, currency))
        if leg is None:
            return None
        why = "" if at_any_age else disbelieved(self.as_of, self.max_age_days, wall=wall)
        if why:
            message = (
                f"the exchange rates of {self.as_of} are {why}; at most {self.max_age_days} days (fx.max_age_days): "
                f"the policy needs current rates in [fx], or an amount in {money.currency}"
            )
            return Missing(Code.FX_UNAVAILABLE, message)
        units = _ceiling(Fraction(money.amount) * self.factor(leg) * LEDGER_UNIT)
        return Conversion(Money(from_units(units), currency), leg.rates, self.as_of, self.buffer_percent)

    def factor(self, leg: Leg) -> Fraction:
        """What one unit of the source comes to, buffer included."""
        return leg.factor * (_HUNDRED + Fraction(self.buffer_percent)) / _HUNDRED


def disbelieved(as_of: date, max_age_days: int, *, wall: datetime) -> str:
    """Why rates of that day are not believed now; empty: they are."""
    # A date is one of the writer's own zone: it may already be tomorrow there.
    age_days = (wall.astimezone(UTC).date() - as_of).days
    if -1 <= age_days <= max_age_days:
        return ""
    return f"{age_days} days old" if age_days >= 0 else "of a day that has not come"


def fx_of(
    rates: Mapping[str, str], *, as_of: date, max_age_days: int = MAX_AGE_DAYS, buffer_percent: Decimal = Decimal(0)
) -> Fx | Bad:
    """A table from pairs like `USDHKD = "7.80"`: HKD for one USD."""
    legs: dict[tuple[str, str], Leg] = {}
    for pair, text in rates.items():
        bad = _wrong(pair, text)
        if bad is not None:
            return bad
        source, target, rate = pair[:3], pair[3:], Fraction(text)
        if (source, target) in legs:
            return Bad("bad_fx", f"{source} and {target} are given twice", "one rate serves both ways")
        legs[source, target] = Leg(rate, f"{pair} {plain(Decimal(text))}")
        legs[target, source] = Leg(1 / rate, f"{pair} {plain(Decimal(text))}")
    return Fx(legs | _crosses(legs), as_of, max_age_days, buffer_percent)


def _wrong(pair: str, text: str) -> Bad | None:
    match = _PAIR.fullmatch(pair)
    if match is None or match[1] == match[2] or not {match[1], match[2]} <= set(CURRENCIES):
        hint = f"two of {', '.join(CURRENCIES)} written together: USDHKD is HKD for one USD"
        return Bad("bad_fx", f"{pair} is not a pair of currencies", hint)
    if not _RATE.fullmatch(text) or Decimal(text) == 0:
        return Bad("bad_fx", f"{text!r} is not a rate", 'write a number above zero, at most nine decimals: "7.80"')
    return None


def _crosses(legs: Mapping[tuple[str, str], Leg]) -> dict[tuple[str, str], Leg]:
    """Pairs that meet over one third currency; of several ways the one that makes an amount largest."""
    found: dict[tuple[str, str], Leg] = {}
    for (source, middle), first in legs.items():
        for (other, target), second in legs.items():
            if other != middle or target == source or (source, target) in legs:
                continue
            factor = first.factor * second.factor
            known = found.get((source, target))
            if known is None or factor > known.factor:
                found[source, target] = Leg(factor, f"{first.rates}, {second.rates}")
    return found


def _ceiling(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)
