"""Which answers of the daemon tell of whose orders, and where in them: what `rights.see` and diagnostics are cut by.

`ORDER_ROWS`: path to the list in `s2c` whose rows are orders, fills or fees of single orders; each row names its order
(`order_id`, `order_id_ex`). Cash flows, funds and positions are the account's and name none. `DIAGNOSTICS`: path to the
members that are shown, all of them numbers and flags about the daemon itself; what else an answer holds may be about
other callers (B17). `SUBSCRIPTIONS`: paths that list what is subscribed, by everybody, for all share one connection
(W18). Source: messages.json.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ORDER_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/api/orders": "order_list",
        "/api/history-orders": "order_list",
        "/api/order-fills": "order_fill_list",
        "/api/history-order-fills": "order_fill_list",
        "/api/order-fee": "order_fee_list",
    }
)

DIAGNOSTICS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = MappingProxyType(
    {
        "/api/push-subscriber-info": {
            "push": frozenset(
                {
                    "push_stream_healthy",
                    "last_push_received_at_ms",
                    "consecutive_parse_errors",
                    "total_pushes_received",
                    "resubscribe_triggers",
                    "circuit_breaker_trips",
                }
            ),
            "qot_login": frozenset({"consecutive_failures", "total_observed_false", "current_backoff_ms"}),
        }
    }
)

SUBSCRIPTIONS: Final = frozenset({"/api/query-subscription", "/api/sub-info"})
