"""Rows of the rule table: what is counted over time, whose orders a key may touch, and what numbers are believed."""

from typing import Final

from guard.policy.rows import NO_CANCEL, RuleRow

_COUNTS: Final = "decides how the limits of its table count"
_HOLDS: Final = (
    "the order holds its new value in place of the old one; a change that does not raise it passes above a cap, too"
)
_GIVES_BACK: Final = "never asked; when the order ends, what it held and was not filled is released"

BUDGETS: Final = (
    RuleRow(
        path="budgets.per",
        says="Whose counter: each key's, each account's, or one for all that the policy selects.",
        order="mixed",
        example='per = "key"',
        unset="key",
        modify=_COUNTS,
        cancel=NO_CANCEL,
        mixed_why="other orders are added up together",
    ),
    RuleRow(
        path="budgets.daily_value",
        says="The most that the orders of a budget day may be worth, buys and sells added up, real and simulated"
        " separately. An order that only reduces a freshly read position is counted, but not refused: while no fresh"
        " price is known, at an older one, else at the price that the position is shown at, else at what that cost,"
        " else at its limit.",
        order="caps",
        example='daily_value = ["500000 HKD", "64000 USD"]',
        unit="money, at most 4 decimals",
        bound="inclusive",
        modify=_HOLDS,
        cancel=_GIVES_BACK,
        codes=("daily_value", "price_unavailable", "fx_unavailable", "reference_unavailable", "unsupported_instrument"),
        claims=True,
    ),
    RuleRow(
        path="budgets.resets",
        says="When a budget day begins, for daily_value and orders.per_day.",
        order="mixed",
        example='resets = "08:30 Asia/Hong_Kong"',
        unit="HH:MM zone",
        unset="each market's orders at the market's own reset",
        modify=_COUNTS,
        cancel=NO_CANCEL,
        mixed_why="the day ends at another time",
    ),
    RuleRow(
        path="budgets.open_orders",
        says="The most orders that may be open at the same time.",
        order="cap",
        example="open_orders = 20",
        unit="orders",
        bound="inclusive",
        modify="the order is counted already: it holds one, not two",
        cancel=_GIVES_BACK,
        codes=("open_orders",),
        claims=True,
    ),
    RuleRow(
        path="budgets.open_value",
        says="The most that the open parts of orders may be worth, buys and sells added up.",
        order="caps",
        example='open_value = "300000 HKD"',
        unit="money, at most 4 decimals",
        bound="inclusive",
        modify=_HOLDS,
        cancel=_GIVES_BACK,
        codes=("open_value", "price_unavailable", "fx_unavailable", "reference_unavailable", "unsupported_instrument"),
        claims=True,
    ),
)

RATES: Final = (
    RuleRow(
        path="rates.per",
        says="Whose window: each key's, each account's, or one for all that the policy selects.",
        order="mixed",
        example='per = "key"',
        unset="key",
        modify=_COUNTS,
        cancel=_COUNTS,
        mixed_why="other requests are counted together",
    ),
    RuleRow(
        path="rates.new_orders",
        says="The most new orders in any window (t-w, t]; a refused request uses nothing.",
        order="rates",
        example='new_orders = "15/30s"',
        unit="orders/seconds",
        bound="inclusive",
        modify="never asked: see rates.changes",
        codes=("rate",),
        claims=True,
    ),
    RuleRow(
        path="rates.changes",
        says="The most changes of orders in any window.",
        order="rates",
        example='changes = "20/30s"',
        unit="changes/seconds",
        bound="inclusive",
        modify="counts one",
        codes=("rate",),
        claims=True,
    ),
    RuleRow(
        path="rates.reads",
        says="The most reads (requests that change nothing) in any window.",
        order="rates",
        example='reads = "3000/60s"',
        unit="reads/seconds",
        bound="inclusive",
        modify="never asked",
        codes=("rate",),
        claims=True,
    ),
    RuleRow(
        path="rates.cancels",
        says="The most cancels in any window: the only policy limit that can refuse a cancel. Leave it out unless a"
        " loop of cancels would be worse than a cancel that does not go through.",
        order="rates",
        example='cancels = "100/60s"',
        unit="cancels/seconds",
        bound="inclusive",
        modify="never asked",
        cancel="counts one",
        codes=("rate",),
        claims=True,
    ),
)

RIGHTS: Final = (
    RuleRow(
        path="rights.see",
        says="Whose orders, fills and pushes a key is shown: all of its accounts', or its own.",
        order="words",
        example='see = "account"',
        unset="account",
        loosest_last=("own", "account"),
        modify="never asked",
        cancel="never asked",
    ),
    RuleRow(
        path="rights.touch",
        says="Whose orders a key may change: its own, or all of its accounts'. Under own it can never cancel another"
        " key's order, but can cancel one without an owner.",
        order="words",
        example='touch = "own"',
        unset="own, unless every policy that says something says account",
        loosest_last=("own", "", "account"),
        modify="refuses a change of an order that is not the key's",
        cancel="refuses a cancel of another key's order",
        codes=("not_your_order",),
    ),
    RuleRow(
        path="rights.cancel_all",
        says="What cancel-all cancels: the key's own orders, one by one, or everybody's on the account at once.",
        order="words",
        example='cancel_all = "own"',
        unset="own, unless every policy that says something says account",
        loosest_last=("own", "", "account"),
        modify="never asked",
        cancel="decides which orders a cancel-all cancels",
    ),
)

BREAKER: Final = (
    RuleRow(
        path="breaker.unknowns",
        says="This many unknown outcomes in a window stop the key until a person sets it active.",
        order="rates",
        example='unknowns = "3/300s"',
        unit="outcomes/seconds",
        unset="off",
        bound="exact",
        modify="its outcome counts like that of a new order",
        cancel="never stopped",
        codes=("halted",),
    ),
    RuleRow(
        path="breaker.daemon_refusals",
        says="This many refusals by the daemon in a window stop the key until a person sets it active.",
        order="rates",
        example='daemon_refusals = "20/60s"',
        unit="refusals/seconds",
        unset="off",
        bound="exact",
        modify="its outcome counts like that of a new order",
        cancel="never stopped",
        codes=("halted",),
    ),
)

REFERENCE: Final = (
    RuleRow(
        path="reference.price_age_max_s",
        says="How old a price may be. Of all binding policies the smallest applies.",
        order="mixed",
        example="price_age_max_s = 5",
        unit="seconds",
        unset="5",
        bound="inclusive",
        codes=("price_unavailable",),
        step="1",
        mixed_why="an order that needs a price is refused sooner or later; an exit is then counted at the old one",
    ),
    RuleRow(
        path="reference.price_collar_missing",
        says="What the price collar does if there is no fresh price.",
        order="words",
        example='price_collar_missing = "refuse"',
        unset="refuse",
        loosest_last=("refuse", "skip"),
    ),
)

FX_ROWS: Final = (
    RuleRow(
        path="fx.rates",
        says="Exchange rates by pair: USDHKD is HKD for one USD. Used only for orders in a currency in which a limit"
        " has no amount.",
        order="mixed",
        example='USDHKD = "7.80"',
        unit="units for one",
        unset="an order in another currency is refused",
        codes=("fx_unavailable",),
        mixed_why="converted values rise or fall",
    ),
    RuleRow(
        path="fx.as_of",
        says="The date of the rates.",
        order="mixed",
        example="as_of = 2026-11-20",
        unit="date",
        unset="required in [fx]",
        codes=("fx_unavailable",),
        mixed_why="the rates may be used from and until another day",
    ),
    RuleRow(
        path="fx.max_age_days",
        says="For how many days after `as_of` the rates may be used. An order that only reduces a position is converted"
        " at older ones, too.",
        order="cap",
        example="max_age_days = 5",
        unit="days",
        unset="5",
        bound="inclusive",
        codes=("fx_unavailable",),
    ),
    RuleRow(
        path="fx.buffer_percent",
        says="Added to every converted value.",
        order="buffer",
        example="buffer_percent = 1",
        unit="percent",
        unset="0",
        bound="exact",
    ),
)
