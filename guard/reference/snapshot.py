"""Snapshots: the prices of an instrument now, and what the same answer tells of the instrument itself. Pure.

Source: Qot_GetSecuritySnapshot. The exchange's time is read from the timestamp: `update_time` is local text without a
zone. What a row lacks is None; a row without a symbol is left out.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from guard.reference.envelope import by_symbol, inner, lot, moment, positive, price, rows_of, symbol_of
from guard.reference.options import multiplier_of
from guard.reference.static import Static, kind_of_type


class Shown(Struct, frozen=True):
    """One row of a snapshot. `pre`, `after` and `overnight` are prices of the sessions outside of regular hours.

    `multiplier` is an option's, None where the row has none.
    """

    static: Static
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    prev_close: Decimal | None = None
    pre: Decimal | None = None
    after: Decimal | None = None
    overnight: Decimal | None = None
    exchange_at: datetime | None = None
    is_suspended: bool = False
    multiplier: Decimal | None = None

    @property
    def has_price(self) -> bool:
        """There is any price to value an order at."""
        return any(found is not None for found in (self.last, self.bid, self.ask, self.prev_close))


def parse_snapshot(s2c: Mapping[str, Any]) -> dict[str, Shown] | None:
    """The rows of an answer by symbol; None where it is no answer to the question."""
    rows = rows_of(s2c, "snapshot_list")
    if rows is None:
        return None
    return by_symbol((symbol_of(inner(row, "basic").get("security")), _shown(row)) for row in rows)


def _shown(row: Mapping[str, Any]) -> Shown:
    basic, future = inner(row, "basic"), inner(row, "future_ex_data")
    option, warrant = inner(row, "option_ex_data"), inner(row, "warrant_ex_data")
    kind = kind_of_type(basic.get("type"))
    is_future = kind == "future"

    def read(value: object) -> Decimal | None:
        return price(value, may_be_negative=is_future)

    close = read(basic.get("last_close_price"))
    static = Static(
        kind=kind,
        lot_size=lot(basic.get("lot_size")),
        strike=positive(option.get("strike_price")) or positive(warrant.get("strike_price")),
        underlying=symbol_of(option.get("owner")) or symbol_of(warrant.get("owner")),
    )
    return Shown(
        static=static,
        last=read(basic.get("cur_price")),
        bid=read(basic.get("bid_price")),
        ask=read(basic.get("ask_price")),
        prev_close=close if close is not None else read(future.get("last_settle_price")),
        pre=read(inner(basic, "pre_market").get("price")),
        after=read(inner(basic, "after_market").get("price")),
        overnight=read(inner(basic, "overnight").get("price")),
        exchange_at=moment(basic.get("update_timestamp")),
        is_suspended=basic.get("is_suspend") is True,
        multiplier=multiplier_of(option),
    )
