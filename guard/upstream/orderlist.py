"""The daemon's order lists, today's and history: bytes in, rows out. Pure and total; nothing raises.

A list also says what is *not* there, and money is released on that. So it is read whole or not at all: a row that
cannot be read, another account's header or two differing rows of one order make the whole list void. Numbers are exact.
Source: Trd_GetOrderList, Trd_GetHistoryOrderList, Trd_Common.Order; GetGlobalState.
"""

import re
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

import jiter
from msgspec import Struct

from guard.markets import CURRENCIES, PREFIX_OF_SEC, split_symbol
from guard.terms import Account, Answer, Failure, Side, told_in_seconds

ROWS_MAX: Final = 100_000
REMARK_CHARS_MAX: Final = 256
_OK: Final = 200
_DIGITS_MAX, _EXPONENT_MIN, _MAGNITUDE_MAX = 20, -20, 18
_CODE: Final = re.compile(r"[!-~]{1,32}")
_ID: Final = re.compile(r"[!-~]{1,64}")
_SMALL_END: Final = 1_000
_SIDES: Final = frozenset({1, 2, 3, 4})


class Status(IntEnum):
    """Trd_Common.OrderStatus; a number that is none of these counts as unknown, which is not an end."""

    UNKNOWN = -1
    UNSUBMITTED = 0
    WAITING = 1
    SUBMITTING = 2
    SUBMIT_FAILED = 3
    TIME_OUT = 4
    SUBMITTED = 5
    FILLED_PART = 10
    FILLED_ALL = 11
    CANCELLING_PART = 12
    CANCELLING_ALL = 13
    CANCELLED_PART = 14
    CANCELLED_ALL = 15
    FAILED = 21
    DISABLED = 22
    DELETED = 23
    FILL_CANCELLED = 24

    @property
    def word(self) -> str:
        """The word that records use."""
        return self.name.lower()

    @property
    def is_over(self) -> bool:
        """Nothing more can be filled. A disabled order is not over: whoever enables it asks nobody."""
        return self in _OVER


_OVER: Final = frozenset(
    {
        Status.SUBMIT_FAILED,
        Status.FILLED_ALL,
        Status.CANCELLED_PART,
        Status.CANCELLED_ALL,
        Status.FAILED,
        Status.DELETED,
        Status.FILL_CANCELLED,
    }
)
_STATUSES: Final = {int(status): status for status in Status}


class OrderRow(Struct, frozen=True):
    """One order as the daemon lists it. Ids as text, None where the daemon writes 0 or nothing.

    `symbol` None: the code is of a market that is not known. `price` and `fill_average` None where there is none.
    `side` as the daemon writes it, which tells short sales and their ends apart; an order is placed as BUY or SELL.
    """

    order_id: str | None
    order_id_ex: str | None
    code: str
    symbol: str | None
    side: int
    qty: Decimal
    status: Status
    price: Decimal | None = None
    filled: Decimal = Decimal(0)
    fill_average: Decimal | None = None
    aux_price: Decimal | None = None
    trail_value: Decimal | None = None
    remark: str | None = None
    created: datetime | None = None
    updated: datetime | None = None
    currency: str | None = None
    order_type: int | None = None
    time_in_force: int | None = None
    trail_type: int | None = None
    trail_spread: Decimal | None = None
    fill_outside_rth: bool | None = None
    session: int | None = None

    @property
    def direction(self) -> Side:
        """What the order was placed as."""
        return Side.BUY if self.side in {Side.BUY, Side.BUY_BACK} else Side.SELL


class _Odd(ValueError):
    """Something that cannot be in an order list."""


def read_orders(result: Answer | Failure, *, account: Account) -> tuple[OrderRow, ...] | None:
    """Every order of the answer; None where it is no whole list of this account's orders."""
    if isinstance(result, Failure) or result.status != _OK:
        return None
    try:
        s2c = _opened(result.body)
        listed = s2c.get("order_list")
        if not _is_of(s2c, account) or not isinstance(listed, list | None) or len(listed or ()) > ROWS_MAX:
            return None
        rows = tuple(_row(raw) for raw in listed or ())
    except ValueError:
        return None
    return _agreed(rows)


def is_logged_out(result: Answer | Failure) -> bool:
    """GetGlobalState says that the daemon is not logged in for trading: then it may list less than there is."""
    if isinstance(result, Failure) or result.status != _OK:
        return False
    try:
        return _opened(result.body).get("trd_logined") is False
    except ValueError:
        return False


def _opened(body: bytes) -> dict[str, Any]:
    envelope = jiter.from_json(body, catch_duplicate_keys=True, float_mode="decimal", allow_inf_nan=False)
    if not isinstance(envelope, dict) or _whole(envelope.get("ret_type")) != 0:
        raise _Odd
    s2c = envelope.get("s2c")
    if not isinstance(s2c, dict):
        raise _Odd
    return s2c


def _is_of(s2c: dict[str, Any], account: Account) -> bool:
    """The answer's own header does not name another account; ids may be digits in a text."""
    header = s2c.get("header")
    if not isinstance(header, dict):
        return header is None
    acc_id, env = header.get("acc_id"), header.get("trd_env")
    is_same_id = acc_id is None or acc_id == account.acc_id or acc_id == str(account.acc_id)
    return is_same_id and (env is None or env == int(account.env))


def _agreed(rows: tuple[OrderRow, ...]) -> tuple[OrderRow, ...] | None:
    """One row for each order; None where two rows of one order differ."""
    found: dict[str, OrderRow] = {}
    for row in rows:
        name = row.order_id_ex or row.order_id or ""
        if found.setdefault(name, row) != row:
            return None
    return tuple(found.values())


def _row(raw: object) -> OrderRow:
    if not isinstance(raw, dict):
        raise _Odd
    order_id, order_id_ex = _identifier(raw.get("order_id")), _identifier(raw.get("order_id_ex"))
    code, side = raw.get("code"), _whole(raw.get("trd_side"))
    qty, filled = _number(raw.get("qty")), _number(raw.get("fill_qty"))
    if (order_id is None and order_id_ex is None) or not isinstance(code, str) or not _CODE.fullmatch(code):
        raise _Odd
    if side not in _SIDES or qty is None or qty < 0 or (filled or 0) < 0:
        raise _Odd
    average = _number(raw.get("fill_avg_price"))
    return OrderRow(
        order_id=order_id,
        order_id_ex=order_id_ex,
        code=split_symbol(code)[1],
        symbol=_symbol(code, raw.get("sec_market")),
        side=side,
        qty=qty,
        status=_status(raw.get("order_status")),
        price=_number(raw.get("price")),
        filled=filled or Decimal(0),
        fill_average=average or None,
        aux_price=_number(raw.get("aux_price")),
        trail_value=_number(raw.get("trail_value")),
        remark=_remark(raw.get("remark")),
        created=_moment(raw.get("create_timestamp")),
        updated=_moment(raw.get("update_timestamp")),
        currency=CURRENCIES.get(_whole(raw.get("currency")) or 0),
        order_type=_small(raw.get("order_type")),
        time_in_force=_small(raw.get("time_in_force")),
        trail_type=_small(raw.get("trail_type")),
        trail_spread=_number(raw.get("trail_spread")),
        fill_outside_rth=raw["fill_outside_rth"] if isinstance(raw.get("fill_outside_rth"), bool) else None,
        session=_small(raw.get("session")),
    )


def _status(value: object) -> Status:
    number = _whole(value)
    if number is None:
        raise _Odd
    return _STATUSES.get(number, Status.UNKNOWN)


def _symbol(code: str, sec_market: object) -> str | None:
    if split_symbol(code)[0] not in {"", "CN"}:
        return code
    prefix = PREFIX_OF_SEC.get(_whole(sec_market) or 0)
    return f"{prefix}.{split_symbol(code)[1]}" if prefix else None


def _remark(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > REMARK_CHARS_MAX:
        raise _Odd
    return value.strip() or None


def _identifier(value: object) -> str | None:
    """An id as text; 0 and "" are how the daemon leaves one out."""
    if value is None:
        return None
    text = str(_whole(value)) if isinstance(value, int) else value
    if not isinstance(text, str) or (text and not _ID.fullmatch(text)):
        raise _Odd
    return text if text.strip("0") else None


def _small(value: object) -> int | None:
    """A number of a closed set that only imports use: an unexpected value counts as absent."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _SMALL_END else None


def _whole(value: object) -> int | None:
    """A 64-bit integer, None if absent. Raises for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise _Odd
    return value


def _number(value: object) -> Decimal | None:
    """A finite number of ordinary size, None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Odd
    found = Decimal(value)
    _, digits, exponent = found.as_tuple()
    if not isinstance(exponent, int) or len(digits) > _DIGITS_MAX or exponent < _EXPONENT_MIN:
        raise _Odd
    if found and found.adjusted() >= _MAGNITUDE_MAX:
        raise _Odd
    return found


def _moment(value: object) -> datetime | None:
    """Seconds since 1970 as an aware time; 0 is no time."""
    return told_in_seconds(_number(value))
