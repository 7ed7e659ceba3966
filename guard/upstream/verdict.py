"""The verdict on a trade: what the daemon's answer, or its absence, proves. Pure and total.

*refused*: 4xx but 408 and 409, or 2xx with `ret_type` -1 or -500. *not sent*: no byte of the request left.
*accepted*: 2xx with `ret_type` 0 and, for a new order, an order id that is not empty, not zero and not already known
(a repeated id is another order's answer, B33; an empty or zero one was never sent to the exchange, B34). Everything
else is *unknown*: only evidence releases money.
"""

import re
from collections.abc import Container, Mapping
from typing import Any, Final

import jiter

from guard.terms import REFUSING_RET_TYPES, Answer, Effect, Failure, Outcome, Verdict

BODY_BYTES_MAX: Final = 2**20  # a trade's answer is a few hundred bytes; a longer one is read by nobody
MESSAGE_CHARS_MAX: Final = 200
ID_CHARS_MAX: Final = 64
ERR_CODE_MAX: Final = 2**31  # an int32 in the daemon's messages
_LOOK_AHEAD: Final = 64  # what stands after the cut decides whether digits before it belong to a long number

# Looked up once: a member of an enumeration takes four times as long as a name of the module.
_NEW: Final = Effect.ORDER_NEW
_ACCEPTED, _REFUSED, _UNKNOWN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN
_UNDECIDED_4XX: Final = frozenset({408, 409})

_LONG_NUMBER: Final = re.compile(r"\d{8,}|\d{4}(?:[ -]\d{4})+")
_TRIES: Final = r"(?:attempt|tries|try\b|retr|chance|剩|次)"
_COUNT_OF_TRIES: Final = re.compile(rf"(?i:\d+(?=[^\d.;]{{0,16}}?{_TRIES}))|(?i:{_TRIES}[^\d.;]{{0,24}}\d+)")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def redact(text: str) -> str:
    """The daemon's words fit for the record: long numbers (accounts, cards, orders) and counts of tries masked.

    At most `MESSAGE_CHARS_MAX` characters, none of them a control character. Masks keep the length (B11, B31).
    """
    text = text[: MESSAGE_CHARS_MAX + _LOOK_AHEAD]
    text = _LONG_NUMBER.sub(lambda found: "*" * len(found.group()), text)
    text = _COUNT_OF_TRIES.sub(lambda found: re.sub(r"\d", "*", found.group()), text)
    return _UNPRINTABLE.sub(" ", text)[:MESSAGE_CHARS_MAX]


def _id(given: object) -> str | None:
    """An id as text; None: no order can have it."""
    if type(given) is int:
        return str(given) if 0 <= given < 2**64 else None
    if type(given) is str and len(given) <= ID_CHARS_MAX and given.isascii() and given.isprintable():
        return None if " " in given else given
    return None


def _names_a_new_order(order_id: str | None, order_id_ex: str | None, known_ids: Container[str]) -> bool:
    # Where both are given the external id is the order's own; the number may be a hash of it.
    own = order_id if order_id_ex is None else order_id_ex
    if own is None or not own.strip("0") or own in known_ids:
        return False
    return order_id is None or not order_id.strip("0") or order_id not in known_ids


def _read(body: bytes) -> Mapping[str, Any]:
    if len(body) > BODY_BYTES_MAX:
        return {}
    try:
        envelope = jiter.from_json(
            body, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True, float_mode="decimal"
        )
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _message(envelope: Mapping[str, Any]) -> str:
    said = envelope.get("ret_msg") or envelope.get("error")
    return redact(said) if isinstance(said, str) else ""


def _err_code(given: object) -> int | str | None:
    """The daemon's own code, a number at some endpoints and text at others; None if it gives none."""
    if type(given) is int:
        return given if abs(given) < ERR_CODE_MAX else None
    return redact(given)[:ID_CHARS_MAX] or None if isinstance(given, str) else None


def _doubt(status: int, ret_type: int | None) -> str:
    """Why the outcome is unknown, if the daemon gives no reason: whoever is paged must tell one from another."""
    if ret_type == 0 and 200 <= status <= 299:  # noqa: PLR2004 - the class of successes
        return f"it answered {status} with ret_type 0, but its order id is missing, 0, or another order's"
    return f"it answered {status} {'without a ret_type' if ret_type is None else f'with ret_type {ret_type}'}"


def _verdict(status: int, ret_type: int | None, *, is_named: bool) -> Verdict:
    if ret_type == 0 and 200 <= status <= 299:  # noqa: PLR2004 - the class of successes
        return _ACCEPTED if is_named else _UNKNOWN
    return _REFUSED if is_refusal(status, ret_type) else _UNKNOWN


def is_refusal(status: int, ret_type: int | None) -> bool:
    """By this answer the daemon has certainly not done what it was asked."""
    if 200 <= status <= 299:  # noqa: PLR2004 - the class of successes
        return ret_type in REFUSING_RET_TYPES
    return 400 <= status <= 499 and status not in _UNDECIDED_4XX  # noqa: PLR2004 - the class of client errors


def outcome_of(effect: Effect, result: Answer | Failure, *, known_ids: Container[str]) -> Outcome:
    """The outcome of a trade of this effect. `known_ids`: ids, as text, of orders that exist already."""
    if not isinstance(result, Answer):
        verdict = _UNKNOWN if result.is_sent else Verdict.NOT_SENT
        return Outcome(verdict, message=result.message, duration_us=result.duration_us)  # the guard's own words
    envelope, status = _read(result.body), result.status
    said, s2c = envelope.get("ret_type"), envelope.get("s2c")
    ret_type = said if type(said) is int else None
    order_id, order_id_ex, is_named = None, None, effect is not _NEW
    if isinstance(s2c, dict):
        given, given_ex = s2c.get("order_id"), s2c.get("order_id_ex")
        order_id, order_id_ex = _id(given), _id(given_ex)
        is_odd = (order_id is None and given is not None) or (order_id_ex is None and given_ex is not None)
        is_named = is_named or (not is_odd and _names_a_new_order(order_id, order_id_ex, known_ids))
    verdict = _verdict(status, ret_type, is_named=is_named)
    message, err_code = _message(envelope), _err_code(envelope.get("err_code"))
    if verdict is _UNKNOWN and not message:
        message = _doubt(status, ret_type)
    return Outcome(verdict, status, ret_type, order_id, order_id_ex, message, result.duration_us, err_code)
