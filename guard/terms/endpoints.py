"""Endpoints: one row of the catalogue, and the closed words of its columns."""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct


class Effect(StrEnum):
    """What a call does to the world."""

    READ = "read"
    SUBSCRIBE = "subscribe"
    STREAM = "stream"
    USER_WRITE = "user_write"
    ORDER_NEW = "order_new"
    ORDER_CHANGE = "order_change"
    ORDER_CANCEL = "order_cancel"
    UNLOCK = "unlock"
    ADMIN = "admin"


TRADE_EFFECTS: Final = frozenset({Effect.ORDER_NEW, Effect.ORDER_CHANGE, Effect.ORDER_CANCEL})


class RecordMode(StrEnum):
    """How a call is recorded: `durable` before it is sent, `appended` without waiting, reads by `journal.reads`."""

    DURABLE = "durable"
    APPENDED = "appended"
    ACCOUNT = "account"
    MARKET = "market"


class AccountAt(StrEnum):
    """Where an endpoint carries accounts: nowhere, in the trade header, in a list, or in its answer."""

    NONE = "none"
    HEADER = "header"
    LIST = "list"
    ANSWER = "answer"


class Bucket(Struct, frozen=True):
    """A limit of the broker's: `count` requests in `window_s`, shared by everyone on the same `per`."""

    count: int
    window_s: int
    per: Literal["account", "user"]


class Endpoint(Struct, frozen=True, cache_hash=True):
    """One row of the catalogue. `documented` and `runtime` are scopes of which any one is enough; () is public."""

    group: str
    method: Literal["GET", "POST"]
    path: str
    proto_id: int | None
    documented: tuple[str, ...]
    runtime: tuple[str, ...]
    effect: Effect
    record: RecordMode
    bucket: Bucket | None
    account: AccountAt

    @property
    def is_trade(self) -> bool:
        """A *trade request* of the contract: a new order, a change or a cancel."""
        return self.effect in TRADE_EFFECTS
