"""Rows of the rule table: what a policy is, whom it selects, what may be traded, and what one order may be."""

from typing import Final

from guard.policy.rows import NO_CANCEL, RuleRow

_NOT_ASKED: Final = "never asked: it says nothing about requests"
_SELECTS: Final = "selects changes as it selects new orders"
_SELECTS_CANCELS: Final = "selects the policies whose rates.cancels and rights a cancel meets"

HEAD: Final = (
    RuleRow(
        path="policy.id",
        says="The name that refusals, metrics and records show.",
        order="note",
        example='id = "desk"',
        unit="letters, digits, . _ -, at most 64",
        unset="the file's stem",
        modify=_NOT_ASKED,
        cancel=_NOT_ASKED,
    ),
    RuleRow(
        path="policy.owner",
        says="Who answers for these numbers.",
        order="note",
        example='owner = "risk desk"',
        unit="text",
        unset="nobody is named",
        modify=_NOT_ASKED,
        cancel=_NOT_ASKED,
    ),
    RuleRow(
        path="policy.rationale",
        says="Why the limits are what they are.",
        order="note",
        example='rationale = "board limit of 2026-11-02"',
        unit="text",
        unset="nothing is said",
        modify=_NOT_ASKED,
        cancel=_NOT_ASKED,
    ),
    RuleRow(
        path="policy.mode",
        says="Whether the policy binds (enforce), or is judged, counted and recorded only (shadow).",
        order="words",
        example='mode = "enforce"',
        unset="enforce",
        loosest_last=("enforce", "shadow"),
        modify="a shadow policy never changes an answer",
        cancel="a shadow policy never changes an answer",
    ),
    RuleRow(
        path="policy.revision",
        says="Your own revision number, shown beside the id.",
        order="note",
        example="revision = 4",
        unset="no number",
        modify=_NOT_ASKED,
        cancel=_NOT_ASKED,
    ),
    RuleRow(
        path="policy.expires_at",
        says="The instant from which the policy no longer binds.",
        order="until",
        example="expires_at = 2026-12-01T00:00:00Z",
        unit="time with zone",
        unset="it never ends",
        bound="exclusive",
        modify=_SELECTS,
        cancel=_SELECTS_CANCELS,
    ),
)

SELECTORS: Final = (
    RuleRow(
        path="applies_to.keys",
        says="Keys that the policy binds; `*` stands for any characters, `?` for one. `[]` is nobody.",
        order="reach",
        example='keys = ["bot-*"]',
        unit="key ids, as before `@`",
        unset="every key",
        modify=_SELECTS,
        cancel=_SELECTS_CANCELS,
    ),
    RuleRow(
        path="applies_to.except_keys",
        says="Keys that the policy does not bind although `keys` matches them.",
        order="unreach",
        example='except_keys = ["bot-lab"]',
        unit="key ids, as before `@`",
        unset="no exception",
        modify=_SELECTS,
        cancel=_SELECTS_CANCELS,
    ),
    RuleRow(
        path="applies_to.environments",
        says="Real money, simulated money, or both. Reads have no environment, so this does not select among them.",
        order="reach",
        example='environments = ["real"]',
        unset="both",
        modify=_SELECTS,
        cancel=_SELECTS_CANCELS,
    ),
    RuleRow(
        path="applies_to.accounts",
        says="Account ids. Reads are not selected by account.",
        order="reach",
        example="accounts = [281756478875559548]",
        unit="acc_id",
        unset="every account",
        modify=_SELECTS,
        cancel=_SELECTS_CANCELS,
    ),
)

INSTRUMENTS: Final = (
    RuleRow(
        path="instruments.markets",
        says="Markets that may be traded; FUTURES stands for all four futures markets.",
        order="allow",
        example='markets = ["HK", "US"]',
        unset="every market",
        codes=("market",),
    ),
    RuleRow(
        path="instruments.symbols",
        says="Symbols that may be traded: prefix, dot, code, with `*` and `?`; case does not matter.",
        order="allow",
        example='symbols = ["HK.*", "US.AAPL"]',
        unset="every symbol",
        codes=("symbol",),
    ),
    RuleRow(
        path="instruments.blocked_symbols",
        says="Symbols that may not be traded, nor may their options, warrants and counters in other currencies. Such a"
        " counter, written without `*` or `?`, also blocks its share and all other counters of it. Overrides any"
        " allow-list.",
        order="block",
        example='blocked_symbols = ["US.GME"]',
        unset="nothing is blocked",
        codes=("symbol", "reference_unavailable"),
    ),
)

_VALUE: Final = "at the full new value of the order, not at the difference"

ORDERS: Final = (
    RuleRow(
        path="orders.sides",
        says="Sides that an order may have.",
        order="allow",
        example='sides = ["BUY", "SELL"]',
        unset="every side",
        codes=("side",),
    ),
    RuleRow(
        path="orders.types",
        says="Order types by the daemon's names; NORMAL is a limit order.",
        order="allow",
        example='types = ["NORMAL", "MARKET"]',
        unset="every type",
        codes=("order_type",),
    ),
    RuleRow(
        path="orders.time_in_force",
        says="How long an order may work: for the day, or until it is cancelled.",
        order="allow",
        example='time_in_force = ["DAY", "GTC"]',
        unset="both",
        codes=("time_in_force",),
    ),
    RuleRow(
        path="orders.max_value",
        says="The most that one order may be worth, by the amount in the order's own currency; [fx] is used only if"
        " there is none. Gives cover: a trade that no such limit covers is refused no_policy.",
        order="caps",
        example='max_value = ["100000 HKD", "12500 USD"]',
        unit="money, at most 4 decimals",
        bound="inclusive",
        modify=_VALUE,
        codes=(
            "max_order_value",
            "price_unavailable",
            "fx_unavailable",
            "reference_unavailable",
            "unsupported_instrument",
        ),
    ),
    RuleRow(
        path="orders.max_premium",
        says="Options: the highest premium of one order.",
        order="caps",
        example='max_premium = "20000 HKD"',
        unit="money, at most 4 decimals",
        bound="inclusive",
        modify=_VALUE,
        codes=("max_order_value",),
    ),
    RuleRow(
        path="orders.max_underlying_value",
        says="Options: the most that the underlying shares of one order may be worth: contracts x multiplier x the"
        " larger of strike and price.",
        order="caps",
        example='max_underlying_value = "500000 HKD"',
        unit="money, at most 4 decimals",
        bound="inclusive",
        modify=_VALUE,
        codes=("max_order_value", "price_unavailable", "reference_unavailable", "unsupported_instrument"),
    ),
    RuleRow(
        path="orders.max_qty",
        says="The most shares or contracts in one order.",
        order="cap",
        example="max_qty = 10000",
        unit="shares or contracts",
        bound="inclusive",
        codes=("max_order_qty",),
    ),
    RuleRow(
        path="orders.per_day",
        says="The most new orders of one key in a budget day, whatever `budgets.per` says.",
        order="cap",
        example="per_day = 200",
        unit="orders",
        bound="inclusive",
        modify="never asked: a change is not another order",
        codes=("orders_per_day",),
        claims=True,
    ),
    RuleRow(
        path="orders.price_collar_percent",
        says="How far an order's price may be beyond the reference price on the aggressive side (above it for a buy,"
        " below it for a sell), by class of instrument: stock, option, future.",
        order="percents",
        example="price_collar_percent = { stock = 10, option = 50, future = 5 }",
        unit="percent of the reference price",
        bound="inclusive",
        codes=("price_collar", "price_unavailable", "unsupported_instrument"),
    ),
    RuleRow(
        path="orders.market_buffer_percent",
        says="Added to the reference price of an order without a limit price. Of all binding policies the largest"
        " applies.",
        order="buffer",
        example="market_buffer_percent = 5",
        unit="percent",
        unset="5",
        bound="exact",
    ),
    RuleRow(
        path="orders.duplicate_window_s",
        says="A repeat of the same order by the same key within this time is refused, unless its Idempotency-Key or"
        " remark differs (to have none differs from having one); 0 is off.",
        order="wait",
        example="duplicate_window_s = 5",
        unit="seconds",
        unset="0",
        bound="exclusive",
        modify="never asked: a change is no repeat",
        codes=("duplicate_order",),
        claims=True,
    ),
)

HOURS_ROWS: Final = (
    RuleRow(
        path="hours",
        says='Windows by market, in the market\'s own zone, on its trading days; "always" is every minute of every day.'
        " The table must name every market that the policy allows. A holiday, half-day or closed session of the"
        " exchange overrides a window.",
        order="hours",
        example='HK = ["09:30-12:00", "13:00-16:00"]',
        unit="HH:MM-HH:MM, [start, end)",
        unset="always",
        bound="exclusive",
        cancel=NO_CANCEL,
        codes=("hours", "reference_unavailable"),
    ),
)
