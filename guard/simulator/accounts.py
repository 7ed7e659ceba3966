"""Accounts, what they hold and what cash they have.

123456 exists in both environments, so that every example of the reference runs; 281756478875559548 (real, with a card)
and 9032 (simulated) are a second pair for keys that may see some accounts only. Cash, cost and profit are `Decimal` in
the instrument's own currency.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guard.simulator.instruments import Instrument, Kind
from guard.terms import Account, AccountRow, Env

_EVERY_MARKET: Final = (1, 2, 3, 4, 5, 6, 8, 15, 111, 112, 113, 123)
_SIMULATED: Final = (10, 11, 12, 13)
FUTURE_MARKETS: Final = frozenset({5, *_SIMULATED})
ROWS: Final = (
    AccountRow(Account(Env.REAL, 123456), "1001100112345678", "1001100012345678", _EVERY_MARKET),
    AccountRow(Account(Env.SIMULATE, 123456), "", "", _EVERY_MARKET + _SIMULATED),
    AccountRow(Account(Env.REAL, 281756478875559548), "1001200130017680", "1001200030017680", (1, 2, 3, 4, 5, 6, 15)),
    AccountRow(Account(Env.SIMULATE, 9032), "", "", (1, 2, 10, 11)),
)
_CASH: Final = {"HKD": 100_000_000, "USD": 10_000_000, "CNH": 10_000_000, "JPY": 1_000_000_000, "SGD": 10_000_000}
_CASH_MORE: Final = {"AUD": 1_000_000, "CAD": 1_000_000, "MYR": 1_000_000}
_MARGIN: Final = Decimal("0.1")
_SUFFIX: Final = 4


class Holding(Struct):
    """What one account holds of one instrument: signed quantity, average cost, profit made, today's dealings."""

    instrument: Instrument
    qty: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    bought_qty: Decimal = Decimal(0)
    bought_value: Decimal = Decimal(0)
    sold_qty: Decimal = Decimal(0)
    sold_value: Decimal = Decimal(0)

    def take(self, qty: Decimal, price: Decimal) -> Decimal:
        """Book a fill of a signed quantity; the profit it realized."""
        value = abs(qty) * price * self.instrument.multiplier
        if qty > 0:
            self.bought_qty, self.bought_value = self.bought_qty + qty, self.bought_value + value
        else:
            self.sold_qty, self.sold_value = self.sold_qty - qty, self.sold_value + value
        if self.qty * qty >= 0:
            total = abs(self.qty) + abs(qty)
            self.cost = (self.cost * abs(self.qty) + price * abs(qty)) / total if total else self.cost
            self.qty += qty
            return Decimal(0)
        closed = min(abs(qty), abs(self.qty))
        sign = 1 if self.qty > 0 else -1
        made = (price - self.cost) * closed * sign * self.instrument.multiplier
        self.realized += made
        if abs(qty) > abs(self.qty):
            self.cost = price
        self.qty += qty
        return made


class Ledger:
    """Cash and holdings of every account; `rows` may be replaced to steer which accounts there are."""

    def __init__(self) -> None:
        self.rows: tuple[AccountRow, ...] = ROWS
        self.cash: dict[tuple[Account, str], Decimal] = {}
        self.holdings: dict[tuple[Account, str], Holding] = {}

    def row(self, account: Account) -> AccountRow | None:
        """The account as it is listed; None where there is no such pair."""
        return next((row for row in self.rows if row.account == account), None)

    def of_card(self, env: Env, card: str) -> Account | None:
        """The account of a card number or its last four digits; None where none or several match."""
        numbers = [(row.account, {row.card_num, row.uni_card_num} - {""}) for row in self.rows]
        is_suffix = len(card) == _SUFFIX
        found = {
            account
            for account, cards in numbers
            if account.env is env and any(number.endswith(card) if is_suffix else number == card for number in cards)
        }
        return found.pop() if len(found) == 1 else None

    def balance(self, account: Account, currency: str) -> Decimal:
        """Cash in one currency."""
        start = (_CASH | _CASH_MORE).get(currency, 0)
        return self.cash.get((account, currency), Decimal(start))

    def holding(self, account: Account, instrument: Instrument) -> Holding:
        """What the account holds of an instrument; an empty holding where it has none."""
        return self.holdings.get((account, instrument.symbol)) or Holding(instrument)

    def held_by(self, account: Account) -> list[Holding]:
        """Every holding of the account that was ever dealt in."""
        return [holding for (owner, _), holding in self.holdings.items() if owner == account]

    def book(self, account: Account, instrument: Instrument, *, qty: Decimal, price: Decimal) -> None:
        """A fill of a signed quantity moves the holding and the cash; futures move cash by profit only."""
        holding = self.holdings.setdefault((account, instrument.symbol), Holding(instrument))
        made = holding.take(qty, price)
        paid = made if instrument.kind is Kind.FUTURE else -qty * price * instrument.multiplier
        self.cash[account, instrument.currency] = self.balance(account, instrument.currency) + paid


def cost_of(instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """Buying power that an order takes: its value, for futures the margin."""
    value = qty * price * instrument.multiplier
    return value * _MARGIN if instrument.kind is Kind.FUTURE else value
