"""How numbers are spread, in bounded memory: percentiles that are right to three digits. Pure."""

from collections import Counter
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

_THREE: Final = Context(prec=3, rounding=ROUND_CEILING, Emin=-30, Emax=60)


class Spread:
    """Counts numbers by their first three digits, rounded up: a few thousand places at most, whatever comes."""

    def __init__(self) -> None:
        self.count = 0
        self.largest = Decimal(0)
        self._places: Counter[Decimal] = Counter()

    def add(self, number: Decimal) -> None:
        """One more; a negative one counts as 0."""
        number = max(number, Decimal(0))
        self.count += 1
        self.largest = max(self.largest, number)
        self._places[_THREE.plus(number)] += 1

    def percentile(self, percent: int) -> Decimal:
        """The smallest number that so many percent are not above (nearest rank); 0 where nothing was counted."""
        rank, seen = -(-self.count * percent // 100), 0
        for number in sorted(self._places):
            seen += self._places[number]
            if seen >= max(rank, 1):
                return min(number, self.largest)
        return Decimal(0)
