"""Refusals: a "no" is a value with a stable code and every reason."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import force_setattr, replace

from guard.codes import MEANING, PRECEDENCE, Code
from guard.terms.masking import SECRET_CHARS_MIN, masked

_NONE_AT_0: Final = frozenset({Code.RATE, Code.JOURNAL_UNAVAILABLE})


class Reason(Struct, frozen=True, omit_defaults=False):
    """One rule that says no. `observed` is what the counter would have become, `limit` the cap, both as text.

    `until`: when a temporary policy ends, and the rule with it; left out where it does not end by itself. What of a
    caller's words looks like a secret is not repeated in the message, whoever wrote it.
    """

    code: Code
    message: str
    policy: str = ""
    rule: str = ""
    observed: str | None = None
    limit: str | None = None
    unit: str | None = None
    until: str | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Masks the message."""
        if len(self.message) >= SECRET_CHARS_MIN:
            force_setattr(self, "message", masked(self.message))


class Refusal(Struct, frozen=True):
    """No, and why: all reasons, the first one primary. `retry_after_s` only where the time is known.

    `note` is for the record alone, never for the caller (which check of a credential failed, say).
    """

    reasons: tuple[Reason, ...]
    retry_after_s: float | None = None
    largest_qty: str | None = None
    note: str = ""

    @property
    def code(self) -> Code:
        """The primary code."""
        return self.reasons[0].code


def is_retryable(code: Code, reasons: Iterable[Reason]) -> bool:
    """Whether the same request, sent again soon, may pass, by its primary code.

    A rate of 0 lets none pass, ever, and a journal that is closed takes nothing until a restart: its limit is 0 too.
    """
    return MEANING[code].retryable and not any(reason.limit == "0" and reason.code in _NONE_AT_0 for reason in reasons)


def dated(refusal: Refusal, ends: Mapping[str, str]) -> Refusal:
    """With the end of each temporary policy among its reasons. `ends`: by policy."""
    if not ends or not any(reason.policy in ends for reason in refusal.reasons):
        return refusal
    reasons = tuple(replace(reason, until=ends.get(reason.policy, UNSET)) for reason in refusal.reasons)
    return replace(refusal, reasons=reasons)


def refuse(code: Code, message: str, **fields: str | None) -> Refusal:
    """A refusal with a single reason."""
    return Refusal((Reason(code, message, **fields),))  # type: ignore[arg-type] # those of text


def in_order(reasons: list[Reason]) -> tuple[Reason, ...]:
    """The reasons with the contract's primary one first; equal codes keep their order."""
    if len(reasons) == 1:
        return (reasons[0],)
    return tuple(sorted(reasons, key=lambda reason: PRECEDENCE[reason.code]))
