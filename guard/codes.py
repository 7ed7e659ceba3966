"""Every refusal code: its HTTP status, its place in the contract's order, and whether trying again soon can help.

Where several rules refuse, the primary code is the one that stands first in `Code`.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Code(StrEnum):
    """The stable names that callers match on. Order of definition is the order of precedence."""

    # the request itself
    BAD_TARGET = "bad_target"
    BAD_HEADER = "bad_header"
    HTTP_VERSION = "http_version"
    HEADERS_TOO_LARGE = "headers_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    UNKNOWN_ENDPOINT = "unknown_endpoint"
    METHOD = "method"
    MEDIA_TYPE = "media_type"
    BODY_TOO_LARGE = "body_too_large"
    BAD_JSON = "bad_json"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_FIELD = "unknown_field"
    CONFLICTING_FIELDS = "conflicting_fields"
    MISSING_FIELD = "missing_field"
    BAD_NUMBER = "bad_number"
    BAD_VALUE = "bad_value"
    STALE = "stale"  # a change of what is no longer in force; the operator's listener only, as is the next
    INVALID = "invalid"
    # who is asking
    UNAUTHENTICATED = "unauthenticated"
    SCOPE = "scope"
    ENVIRONMENT = "environment"
    ACCOUNT = "account"
    # what stands in the way by itself: these answer alone
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    IN_FLIGHT = "in_flight"
    OUTCOME_UNKNOWN = "outcome_unknown"
    # the guard's own state
    DRAINING = "draining"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    POLICY_UNAVAILABLE = "policy_unavailable"
    OVERLOADED = "overloaded"
    BREAKER_OPEN = "breaker_open"
    TRADING_DISABLED = "trading_disabled"
    HALTED = "halted"
    REDUCE_ONLY = "reduce_only"
    # the order
    NOT_YOUR_ORDER = "not_your_order"
    UNKNOWN_ORDER = "unknown_order"
    UNSUPPORTED_INSTRUMENT = "unsupported_instrument"
    MARKET = "market"
    SYMBOL = "symbol"
    SIDE = "side"
    ORDER_TYPE = "order_type"
    TIME_IN_FORCE = "time_in_force"
    HOURS = "hours"
    MAX_ORDER_QTY = "max_order_qty"
    NO_POLICY = "no_policy"
    MAX_ORDER_VALUE = "max_order_value"
    PRICE_COLLAR = "price_collar"
    PRICE_UNAVAILABLE = "price_unavailable"
    FX_UNAVAILABLE = "fx_unavailable"
    REFERENCE_UNAVAILABLE = "reference_unavailable"
    RULE_ERROR = "rule_error"
    DUPLICATE_ORDER = "duplicate_order"
    ORDERS_PER_DAY = "orders_per_day"
    DAILY_VALUE = "daily_value"
    OPEN_ORDERS = "open_orders"
    OPEN_VALUE = "open_value"
    RATE = "rate"
    COOLDOWN = "cooldown"
    # the daemon
    DAEMON_UNREACHABLE = "daemon_unreachable"
    DAEMON_BAD_ANSWER = "daemon_bad_answer"
    DAEMON_TIMEOUT = "daemon_timeout"


class CodeMeaning(NamedTuple):
    """What a code says over HTTP: `status`, and `retryable` where the same request, sent again soon, may pass.

    Not so a used-up budget, trading hours or a halt: these end too, but not by trying.
    """

    status: int
    retryable: bool = False


def _table() -> dict[Code, CodeMeaning]:
    c = Code
    rows: dict[int, tuple[Code, ...]] = {
        400: (
            c.BAD_TARGET,
            c.BAD_HEADER,
            c.BAD_JSON,
            c.DUPLICATE_KEY,
            c.UNKNOWN_FIELD,
            c.CONFLICTING_FIELDS,
            c.MISSING_FIELD,
            c.BAD_NUMBER,
            c.BAD_VALUE,
        ),
        401: (c.UNAUTHENTICATED,),
        403: (
            c.SCOPE,
            c.ENVIRONMENT,
            c.ACCOUNT,
            c.TRADING_DISABLED,
            c.MARKET,
            c.SYMBOL,
            c.UNSUPPORTED_INSTRUMENT,
            c.SIDE,
            c.ORDER_TYPE,
            c.TIME_IN_FORCE,
            c.HOURS,
            c.MAX_ORDER_QTY,
            c.MAX_ORDER_VALUE,
            c.PRICE_COLLAR,
            c.ORDERS_PER_DAY,
            c.DAILY_VALUE,
            c.OPEN_ORDERS,
            c.OPEN_VALUE,
            c.REDUCE_ONLY,
            c.NO_POLICY,
            c.NOT_YOUR_ORDER,
            c.UNKNOWN_ORDER,
        ),
        404: (c.UNKNOWN_ENDPOINT,),
        405: (c.METHOD,),
        408: (c.REQUEST_TIMEOUT,),
        409: (c.DUPLICATE_ORDER, c.IDEMPOTENCY_CONFLICT, c.IN_FLIGHT, c.OUTCOME_UNKNOWN),
        412: (c.STALE,),
        413: (c.BODY_TOO_LARGE,),
        415: (c.MEDIA_TYPE,),
        422: (c.INVALID,),
        423: (c.HALTED,),
        429: (c.RATE, c.COOLDOWN),
        431: (c.HEADERS_TOO_LARGE,),
        502: (c.DAEMON_UNREACHABLE, c.DAEMON_BAD_ANSWER),
        503: (
            c.JOURNAL_UNAVAILABLE,
            c.POLICY_UNAVAILABLE,
            c.RULE_ERROR,
            c.PRICE_UNAVAILABLE,
            c.FX_UNAVAILABLE,
            c.REFERENCE_UNAVAILABLE,
            c.DRAINING,
            c.BREAKER_OPEN,
            c.OVERLOADED,
        ),
        504: (c.DAEMON_TIMEOUT,),
        505: (c.HTTP_VERSION,),
    }
    again = {c.REQUEST_TIMEOUT, c.DUPLICATE_ORDER, c.IN_FLIGHT, c.RATE, c.COOLDOWN, c.DAEMON_UNREACHABLE}
    # Rates and amounts of a currency are the policy's own: only the operator can add or renew them.
    retryable = again | {code for code in rows[503] if code not in {c.RULE_ERROR, c.FX_UNAVAILABLE}}
    return {code: CodeMeaning(status, code in retryable) for status, codes in rows.items() for code in codes}


MEANING: Final = MappingProxyType(_table())
PRECEDENCE: Final = MappingProxyType({code: place for place, code in enumerate(Code)})
