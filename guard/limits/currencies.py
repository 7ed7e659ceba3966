"""Symbols that the daemon has shown in another currency than their market's; remembered across restarts."""

from typing import Final

from guard.limits.state import State, advance

CURRENCIES_MAX: Final = 10_000


def note_currency(state: State, symbol: str, currency: str, *, t_us: int) -> None:
    """Notes the currency in which a symbol was shown; the oldest note goes once there are too many."""
    advance(state, t_us=t_us)
    state.currencies.pop(symbol, None)
    if len(state.currencies) >= CURRENCIES_MAX:
        del state.currencies[next(iter(state.currencies))]
    state.currencies[symbol] = currency
