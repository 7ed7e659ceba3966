"""Room 6, limits: is there room?

In: claims that rules made, outcomes, targets learned from the daemon, an operator's trading state; each with its time
`t` in µs. Out: granted, full (with every shortfall), or taken; and what counters, slots and live orders are. The state
is a pure fold over records: no read changes it, and it knows no rule.

`state` is the data. `look` asks whether there is room, `ledger` reserves and settles, `orders`, `outside` and `ended`
take in what is learned later. Below: `claims` (checked), `sums`, `days` and `rising` (amounts), `windows` and `rates`,
`slots`, `order_ids`, `currencies`, `trading`, `sweep` (forgets). `holder`, `shared` and `bodies` keep 100,000 live
orders small. `snapshot` writes the state down; `grafting`, `promoting` and `staging` bring in counters that a change
needs and nobody kept.
"""

from guard.limits.currencies import note_currency
from guard.limits.ended import fill_ended
from guard.limits.grafting import Graft, graft, merge_grafts, missing_counters, split_graft, split_long_logs
from guard.limits.holder import NONE_FILLED, About, Amounts, Fills, Holder, Worth
from guard.limits.ledger import post, put_body, reserve, settle
from guard.limits.look import check_claims, free_in_us, left_of, used, used_by_others
from guard.limits.order_ids import (
    NOBODY,
    find_order,
    has_order_ids,
    is_known_order,
    list_order_ids,
    note_order_ids,
    note_outside,
    owner_of,
    take_order_ids,
)
from guard.limits.orders import change_in_flight, end_order, give_up, holder_of, note_filled, set_targets, unknowns
from guard.limits.outside import adopt
from guard.limits.promoting import SHADOW, promote, shadow_of
from guard.limits.rates import RateClaims, ratelimit_fields, rates_of
from guard.limits.rising import rising
from guard.limits.shared import in_short
from guard.limits.slots import find_slot, slot_bound_reached
from guard.limits.snapshot import Part, restore, snapshot
from guard.limits.staging import Staging
from guard.limits.state import LOG_KINDS, Opening, State, Step, TradingRule, TradingState, advance
from guard.limits.trading import BREAKER, STRICTNESS, key_rule, set_trading, trading_for, trading_rule

__all__ = [
    "BREAKER",
    "LOG_KINDS",
    "NOBODY",
    "NONE_FILLED",
    "SHADOW",
    "STRICTNESS",
    "About",
    "Amounts",
    "Fills",
    "Graft",
    "Holder",
    "Opening",
    "Part",
    "RateClaims",
    "Staging",
    "State",
    "Step",
    "TradingRule",
    "TradingState",
    "Worth",
    "adopt",
    "advance",
    "change_in_flight",
    "check_claims",
    "end_order",
    "fill_ended",
    "find_order",
    "find_slot",
    "free_in_us",
    "give_up",
    "graft",
    "has_order_ids",
    "holder_of",
    "in_short",
    "is_known_order",
    "key_rule",
    "left_of",
    "list_order_ids",
    "merge_grafts",
    "missing_counters",
    "note_currency",
    "note_filled",
    "note_order_ids",
    "note_outside",
    "owner_of",
    "post",
    "promote",
    "put_body",
    "ratelimit_fields",
    "rates_of",
    "reserve",
    "restore",
    "rising",
    "set_targets",
    "set_trading",
    "settle",
    "shadow_of",
    "slot_bound_reached",
    "snapshot",
    "split_graft",
    "split_long_logs",
    "take_order_ids",
    "trading_for",
    "trading_rule",
    "unknowns",
    "used",
    "used_by_others",
]
