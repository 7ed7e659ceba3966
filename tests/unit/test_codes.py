"""The codes: statuses and order are the contract's own words, written out here and not taken from the table."""

from typing import Final

import pytest

from guard.codes import MEANING, PRECEDENCE, Code

STATUSES: Final = {
    400: "bad_target bad_header bad_json duplicate_key unknown_field conflicting_fields missing_field bad_number "
    "bad_value",
    401: "unauthenticated",
    403: "scope environment account trading_disabled market symbol unsupported_instrument side order_type "
    "time_in_force hours max_order_qty max_order_value price_collar orders_per_day daily_value open_orders open_value "
    "reduce_only no_policy not_your_order unknown_order",
    404: "unknown_endpoint",
    405: "method",
    408: "request_timeout",
    409: "duplicate_order idempotency_conflict in_flight outcome_unknown",
    412: "stale",  # the operators' listener alone, as the next
    413: "body_too_large",
    415: "media_type",
    422: "invalid",
    423: "halted",
    429: "rate cooldown",
    431: "headers_too_large",
    502: "daemon_unreachable daemon_bad_answer",
    503: "journal_unavailable policy_unavailable rule_error price_unavailable fx_unavailable reference_unavailable "
    "draining breaker_open overloaded",
    504: "daemon_timeout",
    505: "http_version",
}
ORDER: Final = (
    *("scope", "environment", "account", "trading_disabled", "halted", "reduce_only", "not_your_order", "market"),
    *("symbol", "side", "order_type", "time_in_force", "hours", "max_order_qty", "no_policy", "max_order_value"),
    *("price_collar", "price_unavailable", "duplicate_order", "orders_per_day", "daily_value", "open_orders"),
    *("open_value", "rate"),
)
BESIDE: Final = {
    "unknown_order": ("reduce_only", "market"),
    "unsupported_instrument": ("not_your_order", "side"),
    "fx_unavailable": ("price_collar", "duplicate_order"),
    "reference_unavailable": ("price_collar", "duplicate_order"),
}
RETRYABLE: Final = (
    "request_timeout duplicate_order in_flight rate cooldown daemon_unreachable journal_unavailable policy_unavailable "
    "price_unavailable reference_unavailable draining breaker_open overloaded"
)


def test_every_code_has_the_contracts_status() -> None:
    """All of them, and no other: callers branch on both."""
    assert {code.value: meaning.status for code, meaning in MEANING.items()} == {
        code: status for status, codes in STATUSES.items() for code in codes.split()
    }


def test_the_primary_code_is_the_contracts_first() -> None:
    """Whatever refuses at once: rights, the guard's state, the order, what is missing, budgets, and last the rate."""
    places = [PRECEDENCE[Code(code)] for code in ORDER]

    assert places == sorted(places)


@pytest.mark.parametrize("code", BESIDE)
def test_codes_of_one_kind_stand_together(code: str) -> None:
    """Ownership, instrument and missing data are several codes each."""
    before, after = BESIDE[code]

    assert PRECEDENCE[Code(before)] < PRECEDENCE[Code(code)] < PRECEDENCE[Code(after)]


def test_what_may_pass_if_sent_again_is_told_so() -> None:
    """Of 503 all but what only a person can mend, which then has no Retry-After."""
    assert {code.value for code, meaning in MEANING.items() if meaning.retryable} == set(RETRYABLE.split())
