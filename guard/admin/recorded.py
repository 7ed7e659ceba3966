"""What a change of policies leaves in the record, whatever came of it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from guard.activeconfig import ActiveConfig
from guard.admin.change import Who
from guard.admin.control import Compared, carried, summary
from guard.journal import Policy, reason_given
from guard.policy import PolicyError, PolicySet


class ProposedChange(Struct, frozen=True):
    """A change that may be applied: from what, to what, and how it was come to."""

    was: ActiveConfig
    built: PolicySet
    found: Compared
    who: Who
    until: datetime | None = None
    asked: Policy | None = None


def allowed(
    asked: ProposedChange, result: Literal["applied", "pending"], shown: Mapping[str, object], *, t_us: int
) -> Policy:
    """It is in force now, or waits for a second person, who was `shown` what it would have done."""
    who, first, in_force = asked.who, asked.asked, asked.was.policy_sha256
    return Policy(
        t=t_us,
        result=result,
        sha256=asked.built.sha256,
        from_sha256=in_force,
        by=who.by,
        reason=_reason(who),
        kind=asked.found.kind,
        changes=asked.found.words,
        until=asked.until,
        back=in_force if asked.until is not None else None,
        key=who.key_id,
        asked_by=None if first is None else first.by,
        asked_key=None if first is None else first.key,
        asked_reason=None if first is None else first.reason,
        replay={} if first is None else summary(shown),
        carried=carried(asked.was.policies, asked.built) if result == "applied" else (),
    )


def refused(was: ActiveConfig, who: Who, errors: Sequence[PolicyError], *, t_us: int) -> Policy:
    """What the directory says is wrong: what is in force stays."""
    told, sha256 = tuple(str(error) for error in errors), was.policy_sha256
    return Policy(
        t=t_us,
        result="refused",
        sha256=sha256,
        from_sha256=sha256,
        by=who.by,
        key=who.key_id,
        reason=_reason(who),
        errors=told,
    )


def withdrawn(pending: Policy, was: ActiveConfig, who: Who, *, t_us: int) -> Policy:
    """What waited is asked for no more."""
    return Policy(
        t=t_us,
        result="withdrawn",
        sha256=pending.sha256,
        from_sha256=was.policy_sha256,
        by=who.by,
        key=who.key_id,
        reason=_reason(who),
    )


def reverted(over: Policy, config: ActiveConfig, found: Compared, *, t_us: int) -> Policy:
    """What was in force for a time has ended, and gave way to this."""
    return Policy(
        t=t_us,
        result="reverted",
        sha256=config.policy_sha256,
        from_sha256=over.sha256,
        by="expiry",
        reason=f"until {over.until:%Y-%m-%dT%H:%M:%SZ}" if over.until else None,
        kind=found.kind,
        changes=found.words,
    )


def _reason(who: Who) -> str | None:
    return reason_given(who.reason) if who.reason else None
