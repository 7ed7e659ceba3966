"""Why a request may not pass: one reason for each rule that says no, and the exception that ends a request."""

from http import HTTPStatus
from typing import Any, Final, NamedTuple

STATUS: Final = {
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "duplicate_order": HTTPStatus.CONFLICT,
    "idempotency_conflict": HTTPStatus.CONFLICT,
    "in_flight": HTTPStatus.CONFLICT,
    "halted": HTTPStatus.LOCKED,
    "rate": HTTPStatus.TOO_MANY_REQUESTS,
    "daemon_unreachable": HTTPStatus.BAD_GATEWAY,
    "price_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "reference_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "outcome_unknown": HTTPStatus.GATEWAY_TIMEOUT,
    "daemon_timeout": HTTPStatus.GATEWAY_TIMEOUT,
}
BAD_REQUEST: Final = frozenset(
    {"bad_json", "duplicate_key", "unknown_field", "missing_field", "bad_number", "bad_value"}
)
# Which reason gives status and code where there are several; the others follow as they were found.
PRECEDENCE: Final = {
    code: place
    for place, code in enumerate(
        (
            "market",
            "symbol",
            "side",
            "order_type",
            "time_in_force",
            "hours",
            "max_order_qty",
            "no_policy",
            "max_order_value",
            "duplicate_order",
            "orders_per_day",
            "daily_value",
            "rate",
        )
    )
}


class Reason(NamedTuple):
    """One rule's no: what was seen, what is allowed, and which policy says so."""

    code: str
    message: str
    policy: str | None = None
    rule: str | None = None
    observed: str | None = None
    limit: str | None = None
    unit: str | None = None


class Refused(Exception):
    """A request that may not pass; the first reason gives status and code."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(reasons[0].message)
        self.reasons = reasons

    @property
    def code(self) -> str:
        """The primary code."""
        return self.reasons[0].code

    @property
    def status(self) -> int:
        """The status that belongs to it."""
        if self.code in BAD_REQUEST:
            return HTTPStatus.BAD_REQUEST
        return STATUS.get(self.code, HTTPStatus.FORBIDDEN)

    def body(self, decision: str) -> dict[str, Any]:
        """The answer that every refusal gets."""
        return {
            "ret_type": -1,
            "ret_msg": str(self),
            "err_code": self.code,
            "s2c": None,
            "error": str(self),
            "guard": {
                "decision": decision,
                "code": self.code,
                "reasons": [reason._asdict() for reason in self.reasons],
            },
        }


def in_order(reasons: list[Reason]) -> list[Reason]:
    """The reasons of an order with the primary one first."""
    return sorted(reasons, key=lambda reason: PRECEDENCE[reason.code])


def refused(code: str, message: str) -> Refused:
    """A refusal for one reason that no policy gave."""
    return Refused(Reason(code, message))
