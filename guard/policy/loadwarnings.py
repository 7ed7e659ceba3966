"""Warnings of every load: policies that have ended, selectors that match no key, options limited by premium alone.

Cheap, so that each start and reload tells them too. `lint` looks for more, and only in `guard policy check`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from guard.pauses import with_pauses
from guard.policy.assemble import max_age_days
from guard.policy.document import PolicyDoc
from guard.policy.fx import disbelieved
from guard.policy.notation import matches
from guard.terms import KeyLimits

_WITH_OPTIONS: Final = ("HK", "US")
_SOLD_OPTIONS: Final = (
    "a sold option meets orders.max_value with its premium alone, whatever it obliges to; "
    "limit that with orders.max_underlying_value"
)

_OLD_RATES: Final = (
    "so orders that need one are refused fx_unavailable, but for those that only reduce a position: "
    "give [fx] current rates and their as_of"
)


def warnings_of(docs: tuple[PolicyDoc, ...], *, keys: Mapping[str, KeyLimits], now: datetime) -> list[str]:
    """One sentence each. Without any keys nothing is said about selectors that choose none."""
    found: list[str] = []
    for doc in with_pauses(docs):
        expires_at = doc.policy.expires_at
        if expires_at is not None and expires_at <= now:
            found.append(f"{doc.file}: policy {doc.id} expired at {expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
        if doc.fx is not None and (why := disbelieved(doc.fx.as_of, max_age_days(doc.fx), wall=now)):
            found.append(f"{doc.file}: the exchange rates of {doc.fx.as_of} are {why}, {_OLD_RATES}")
        for field in ("keys", "except_keys") if keys else ():
            patterns: tuple[str, ...] = getattr(doc.applies_to, field) or ()
            found += [
                f"{doc.file}: applies_to.{field}: no key matches {text!r}"
                for text in patterns
                if not any(matches(name, (text,)) for name in keys)
            ]
    found += [f"{doc.file}: {_SOLD_OPTIONS}" for doc in _sells_options(docs)]
    return found


def _sells_options(docs: tuple[PolicyDoc, ...]) -> list[PolicyDoc]:
    """The policies under which an option may be sold that no limit sees for more than its premium (W07, W19)."""
    if any(doc.orders.max_underlying_value is not None for doc in docs):
        return []
    return [
        doc
        for doc in with_pauses(docs)
        if doc.orders.max_value is not None
        and _may(doc.applies_to.environments, ("real",))
        and _may(doc.instruments.markets, _WITH_OPTIONS)
        and _may(doc.orders.sides, ("SELL",))
    ]


def _may(chosen: tuple[str, ...] | None, words: tuple[str, ...]) -> bool:
    return chosen is None or any(word in chosen for word in words)
