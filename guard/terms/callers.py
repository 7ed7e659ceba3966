"""Callers and accounts: who is asking, with which limits, for which account."""

from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final

from msgspec import Struct


class KeyLimits(Struct, frozen=True, omit_defaults=True):
    """Limits that a key (or the start-up flags) brings along; they act as one more policy. None: no such limit.

    Money per currency of the order, each by itself. `hours_window` is "HH:MM-HH:MM", it may cross midnight.
    """

    allowed_markets: tuple[str, ...] | None = None
    allowed_symbols: tuple[str, ...] | None = None
    allowed_trd_sides: tuple[str, ...] | None = None
    max_order_value: Decimal | None = None
    max_daily_value: Decimal | None = None
    max_orders_per_minute: int | None = None
    hours_window: str | None = None


class Principal(Struct, frozen=True):
    """Who is asking. `name` is the id before '@': records alike share one set of counters.

    `acc_ids` None and `card_nums` None: every account. `until` is when the credential ends. `grant` identifies the
    key record that was looked at with its rights, so that "is it still the same key?" is one comparison; `credential`
    the record's secret alone. `jti` and `signer`: the token that speaks for the key, and which issuer's key signed it.
    """

    id: str
    name: str
    scopes: frozenset[str]
    acc_ids: frozenset[int] | None = None
    card_nums: frozenset[str] | None = None
    limits: KeyLimits = KeyLimits()
    owner: str | None = None
    until: datetime | None = None
    grant: bytes = b""
    credential: bytes = b""
    jti: str | None = None
    signer: bytes | None = None

    @property
    def is_restricted(self) -> bool:
        """The key may see some accounts only."""
        return self.acc_ids is not None or self.card_nums is not None


class Env(IntEnum):
    """Trading environment, numbered as on the wire (Trd_Common.TrdEnv)."""

    SIMULATE = 0
    REAL = 1

    @property
    def word(self) -> str:
        """The word that scopes, policies and records use."""
        return _WORDS[self]


_WORDS: Final = ("simulate", "real")
ENV_OF: Final = {env.word: env for env in Env}  # as scopes, policies and records write it


class Account(Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """An account is the pair (environment, acc_id) of the daemon's account list."""

    env: Env
    acc_id: int


class AccountRow(Struct, frozen=True):
    """One account as the daemon lists it."""

    account: Account
    card_num: str = ""
    uni_card_num: str = ""
    markets: tuple[int, ...] = ()
