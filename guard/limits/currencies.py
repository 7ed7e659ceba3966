"""Symbols that the daemon shows in another currency than their market's: known from then on, also after a restart."""

from typing import Final

from guard.limits.state import State, advance

CURRENCIES_MAX: Final = 10_000


def note_currency(state: State, symbol: str, currency: str, *, t_us: int) -> None:
    """The symbol was shown in this currency; the one that was noted first goes where there are too many."""
    advance(state, t_us=t_us)
    state.currencies.pop(symbol, None)
    if len(state.currencies) >= CURRENCIES_MAX:
        del state.currencies[next(iter(state.currencies))]
    state.currencies[symbol] = currency
