"""Room 1, the catalogue: which endpoint is this?

In: method and path as the request line has them. Out: an `Endpoint`, or a `Refusal` (404, 405).
Exact match only: nothing is normalised, and an endpoint that is not in the table does not exist. Pure.
"""

from guard.catalogue.answers import DIAGNOSTICS, ORDER_ROWS, SUBSCRIPTIONS
from guard.catalogue.lookup import BY_PATH, ENDPOINTS, GROUPS, find

__all__ = ["BY_PATH", "DIAGNOSTICS", "ENDPOINTS", "GROUPS", "ORDER_ROWS", "SUBSCRIPTIONS", "find"]
