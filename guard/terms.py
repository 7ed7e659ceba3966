"""The words that every room shares: endpoints, callers, intents, refusals, claims, outcomes.

Plain frozen data without behaviour that needs a clock, a file or a socket. Pure rooms know nothing of each other; they
meet here. Money is `Decimal` with its currency beside it; ledger amounts are integers of 1/10,000 of the unit.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final, Literal, Protocol

from msgspec import Struct

from guard.codes import MEANING, PRECEDENCE, Code

LEDGER_UNIT: Final = 10_000  # ledger amounts count ten-thousandths of the currency's unit
LEDGER_MAX: Final = 2**53  # a cap above this is a load error: another store may hold it as a double


# ---------------------------------------------------------------- endpoints


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


class Endpoint(Struct, frozen=True):
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


# ---------------------------------------------------------------- refusals


class Reason(Struct, frozen=True, omit_defaults=False):
    """One rule that says no. `observed` is what the counter would have become, `limit` the cap, both as text."""

    code: Code
    message: str
    policy: str = ""
    rule: str = ""
    observed: str | None = None
    limit: str | None = None
    unit: str | None = None


class Refusal(Struct, frozen=True):
    """No, and why: all reasons, the first one primary. `retry_after_s` only where the time is known.

    `note` is for the record alone, never for the caller (which check of a credential failed, say).
    """

    reasons: tuple[Reason, ...]
    retry_after_s: float | None = None
    largest_qty: str | None = None
    note: str = ""

    @property
    def code(self) -> Code:
        """The primary code."""
        return self.reasons[0].code

    @property
    def status(self) -> int:
        """The HTTP status of the primary code."""
        return MEANING[self.code].status


def refuse(code: Code, message: str, **fields: str | None) -> Refusal:
    """A refusal with a single reason."""
    return Refusal((Reason(code, message, **fields),))  # type: ignore[arg-type]


def in_order(reasons: list[Reason]) -> tuple[Reason, ...]:
    """The reasons with the contract's primary one first; equal codes keep their order."""
    return tuple(sorted(reasons, key=lambda reason: PRECEDENCE[reason.code]))


# ---------------------------------------------------------------- callers


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
    key record that was looked at, so that "is it still the same key?" is one comparison.
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
    jti: str | None = None

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
        return self.name.lower()


class Account(Struct, frozen=True, order=True):
    """An account is the pair (environment, acc_id) of the daemon's account list."""

    env: Env
    acc_id: int


class AccountRow(Struct, frozen=True):
    """One account as the daemon lists it."""

    account: Account
    card_num: str = ""
    uni_card_num: str = ""
    markets: tuple[int, ...] = ()


# ---------------------------------------------------------------- intents


class Side(IntEnum):
    """Trd_Common.TrdSide."""

    BUY = 1
    SELL = 2
    SELL_SHORT = 3
    BUY_BACK = 4


class OrderType(IntEnum):
    """Trd_Common.OrderType."""

    NORMAL = 1
    MARKET = 2
    ABSOLUTE_LIMIT = 5
    AUCTION = 6
    AUCTION_LIMIT = 7
    SPECIAL_LIMIT = 8
    SPECIAL_LIMIT_ALL = 9
    STOP = 10
    STOP_LIMIT = 11
    MARKET_IF_TOUCHED = 12
    LIMIT_IF_TOUCHED = 13
    TRAILING_STOP = 14
    TRAILING_STOP_LIMIT = 15
    TWAP_MARKET = 16
    TWAP_LIMIT = 17
    VWAP_MARKET = 18
    VWAP_LIMIT = 19


class TimeInForce(IntEnum):
    """Trd_Common.TimeInForce."""

    DAY = 0
    GTC = 1


class Op(IntEnum):
    """Trd_Common.ModifyOrderOp."""

    NORMAL = 1
    CANCEL = 2
    DISABLE = 3
    ENABLE = 4
    DELETE = 5


class Header(Struct, frozen=True, omit_defaults=True):
    """The trade header as the body has it. `env` None: the body names none. One of `acc_id`, `card_num` may be None."""

    env: Env | None
    acc_id: int | None
    card_num: str | None
    trd_market: int
    jp_acc_type: int | None = None


class PlaceOrder(Struct, frozen=True, omit_defaults=True):
    """A new order, or what an order shall be after a change.

    `market` is the policy's word (HK, US, CN, HKCC, SG, JP, AU, MY, CA, HK_FUND, US_FUND, FUTURES_HK, …), `symbol`
    is prefix and code ("HK.00700"), `code` what the daemon is sent (no prefix). Prices in the instrument's currency;
    `trail_value` in percent units for ratios.
    """

    header: Header
    market: str
    symbol: str
    code: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    sec_market: int | None = None
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_price: bool | None = None
    adjust_side_and_limit: Decimal | None = None
    fill_outside_rth: bool | None = None
    session: int | None = None
    position_id: int | None = None
    remark: str | None = None


class ModifyOrder(Struct, frozen=True, omit_defaults=True):
    """A change of one order: NORMAL (new quantity and price) or ENABLE. `order_id` is text."""

    header: Header
    order_id: str | None
    order_id_ex: str | None
    op: Op
    qty: Decimal | None = None
    price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_price: bool | None = None
    adjust_side_and_limit: Decimal | None = None


class CancelOrder(Struct, frozen=True, omit_defaults=True):
    """CANCEL, DISABLE or DELETE of one order."""

    header: Header
    order_id: str | None
    order_id_ex: str | None
    op: Op = Op.CANCEL


class CancelAll(Struct, frozen=True, omit_defaults=True):
    """Cancel all orders of an account; `modify-order` with `for_all` is the same thing (W12)."""

    header: Header
    trd_market: int | None = None


class Reconfirm(Struct, frozen=True, omit_defaults=True):
    """Confirm an order that the broker holds back."""

    header: Header
    order_id: str
    reason: int


class Unlock(Struct, frozen=True, omit_defaults=True):
    """Unlock (or lock) trading. `pwd_md5` is a credential: it is forwarded and never recorded."""

    unlock: bool
    pwd_md5: str | None = None
    security_firm: int | None = None
    sec_otp: str | None = None
    acc_ids: tuple[int, ...] | None = None


class Subscribe(Struct, frozen=True, omit_defaults=True):
    """Quote subscription or its end; `securities` are (QotMarket, code) pairs, `extra` the other fields as sent."""

    is_subscribe: bool
    securities: tuple[tuple[int, str], ...]
    sub_types: tuple[int, ...]
    extra: Mapping[str, object] = {}


class AccPush(Struct, frozen=True, omit_defaults=True):
    """Account push subscription; `acc_ids` None means every account that the key may see."""

    is_subscribe: bool
    acc_ids: tuple[int, ...] | None = None


class Read(Struct, frozen=True, omit_defaults=True):
    """A read (or user write): names were checked, the body goes on as it came.

    `header` where the body has a trade header, `acc_ids` where it lists accounts. `body` is None for GET; where it
    carries an account, those fields were re-encoded.
    """

    body: bytes | None
    header: Header | None = None
    acc_ids: tuple[int, ...] | None = None


TradeIntent = PlaceOrder | ModifyOrder | CancelOrder | CancelAll | Reconfirm
Intent = TradeIntent | Unlock | Subscribe | AccPush | Read


# ---------------------------------------------------------------- money and claims


class Money(Struct, frozen=True, order=True):
    """An amount and its currency (ISO-like: HKD, USD, CNH, JPY, SGD, AUD, CAD, MYR)."""

    amount: Decimal
    currency: str


class Valuation(Struct, frozen=True, omit_defaults=True):
    """What an order is worth for the limits, and how that was found; `arithmetic` is for people."""

    value: Money
    price: Decimal
    source: str
    multiplier: Decimal = Decimal(1)
    arithmetic: str = ""


class Missing(Struct, frozen=True):
    """A datum that could not be had: a value, not an exception. `code` is the refusal it leads to."""

    code: Code
    message: str


ClaimKind = Literal["spend", "working", "count", "rate", "once", "slot"]


class Claim(Struct, frozen=True, omit_defaults=True, gc=False):
    """What an order *shall hold* on a counter afterwards: a target, never a delta.

    `amount`: ledger units for money, 1 for counts and rates, 0 for slots. `cap` None: counted, never refused.
    `window_ms`: length of the sliding window (t-w, t], or a slot's lifetime. `also`: cells that count against the cap
    unchanged. `value`: a slot's digest.
    """

    kind: ClaimKind
    counter: str
    amount: int
    cap: int | None = None
    window_ms: int = 0
    also: tuple[str, ...] = ()
    value: str = ""


class Granted(Struct, frozen=True):
    """Every claim fits; `used` is each counter before this step, the holder's own part left out."""

    used: tuple[int, ...]


class Shortfall(Struct, frozen=True):
    """A claim that does not fit: its index, what is used without it, and when a window has room again (µs of `t`)."""

    index: int
    used: int
    free_at_us: int | None = None


class Full(Struct, frozen=True):
    """Some claims do not fit; nothing was changed."""

    used: tuple[int, ...]
    shortfalls: tuple[Shortfall, ...]


class Taken(Struct, frozen=True):
    """A slot is held by another step: `value` is its digest, `step` the decision that holds it."""

    index: int
    value: str
    step: str


# ---------------------------------------------------------------- the daemon


class Verdict(StrEnum):
    """What became of a trade."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


class Outbound(Struct, frozen=True):
    """One request to the daemon. `path` is the catalogue's constant. `lend` says which daemon key goes along."""

    method: Literal["GET", "POST"]
    path: str
    body: bytes | None
    timeout_s: float
    lend: Literal["guard", "public", "none"] = "guard"
    is_trade: bool = False
    idempotency_key: str | None = None
    traceparent: str | None = None


class Answer(Struct, frozen=True):
    """What the daemon said, whole and within bounds."""

    status: int
    content_type: str
    body: bytes
    duration_us: int = 0


class Failure(Struct, frozen=True):
    """No whole answer. `is_sent`: at least one byte of the request may have left, so nobody knows what happened."""

    kind: Literal["refused", "timeout", "reset", "bad_answer", "too_large"]
    message: str
    is_sent: bool
    duration_us: int = 0


class Daemon(Protocol):
    """The port to the daemon: implemented by the client and by the simulator. `send` never raises."""

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer, or what went wrong and whether a byte may have left."""
        ...


class Outcome(Struct, frozen=True, omit_defaults=True):
    """The verdict on a trade, with what the daemon said of it."""

    verdict: Verdict
    status: int | None = None
    ret_type: int | None = None
    order_id: str | None = None
    order_id_ex: str | None = None
    message: str = ""
    duration_us: int = 0


# ---------------------------------------------------------------- the edge


class Call(Struct):
    """One request as the edge read it; `head` has lower-case names of the headers that the walk looks at."""

    method: str
    path: str
    head: Mapping[str, str]
    body: bytes
    peer: str
    token: str | None = None


class Reply(Struct):
    """One answer. `headers` without length, date and connection: the edge writes those."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    close: bool = False
