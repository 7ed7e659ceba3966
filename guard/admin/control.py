"""Change control: what has to be agreed on before policies become looser. Pure.

With `policies.two_person` a change that is tighter or neutral applies at once; one that is looser, or may be, waits for
another person. What applied only until a time goes back by itself to what was in force before.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from guard.access.fields import name_of
from guard.admin.change import Who
from guard.journal import Policy, plain
from guard.pauses import with_pauses
from guard.policy import PolicyDoc, PolicySet
from guard.policy.diff import RuleChange, compare, overall

WORDS_MAX: Final = 50  # changes that a record holds in words; the texts themselves are kept beside it
PERSON: Final = (
    "a change that is looser, or may be, is asked for by a person with a reason: guard policy reload --reason"
)
FIRST: Final = RuleChange(
    policy="",
    rule="",
    kind="looser",
    words="no policies were in force, so new orders were refused",
    before="none",
    after="these",
)


class Compared(Struct, frozen=True):
    """Two sets held against each other. Without policies new orders are refused: any are looser than none.

    `told` is for the answer: put together beside the loop, as the comparison is, for there may be thousands.
    """

    changes: tuple[RuleChange, ...] = ()
    kind: str = "neutral"
    told: tuple[dict[str, str], ...] = ()

    @property
    def is_safe(self) -> bool:
        """It lets nothing through that was refused."""
        return self.kind in {"tighter", "neutral"}

    @property
    def words(self) -> tuple[str, ...]:
        """For the record."""
        return tuple(plain(f"{c.policy} {c.words}".strip(), chars_max=300) for c in self.changes[:WORDS_MAX])


def held_against(before: PolicySet | None, after: PolicySet) -> Compared:
    """What the change from one set to the other is."""
    changes = (FIRST,) if before is None else compare(before, after)
    return Compared(changes, overall(changes), tuple(map(_told, with_pauses(changes))))


def _told(change: RuleChange) -> dict[str, str]:
    return {
        "policy": change.policy,
        "rule": change.rule,
        "kind": change.kind,
        "words": change.words,
        "before": change.before,
        "after": change.after,
    }


def carried(before: PolicySet | None, after: PolicySet) -> tuple[str, ...]:
    """The counters of policies that were watched and are enforced from now on."""
    watched = set() if before is None else {doc.id for doc in before.shadow_docs}
    return tuple(sorted({word for doc in after.docs if doc.id in watched for word in counters_of(doc)}))


def counters_of(doc: PolicyDoc) -> tuple[str, ...]:
    """What the names of a policy's counters begin with."""
    budgets, orders, rates = doc.budgets, doc.orders, doc.rates
    rows = (
        ("daily_value", budgets.daily_value),
        ("open_value", budgets.open_value),
        ("open_orders", budgets.open_orders),
        ("orders_per_day", orders.per_day),
        ("duplicate", orders.duplicate_window_s),
        ("new_orders", rates.new_orders),
        ("changes", rates.changes),
        ("cancels", rates.cancels),
        ("reads", rates.reads),
    )
    return tuple(word for word, limit in rows if limit is not None)


def may_approve(pending: Policy | None, sha256: str, who: Who, *, in_force: str, wall: datetime) -> str | None:
    """Why this person cannot approve this set; None where nothing stands against it."""
    if pending is None or pending.sha256 != sha256:
        return "no such change waits; GET /admin/policy shows what does"
    if pending.from_sha256 != in_force:
        return "what is in force has changed since this was asked for; reload again"
    if pending.until is not None and pending.until <= wall:
        return f"it was asked for until {pending.until:%Y-%m-%dT%H:%M:%SZ}, which has passed; reload again"
    if not who.by or _person(who.by) == _person(pending.by or ""):
        return f"{pending.by} asked for it; another owner has to approve"
    if who.key is not None and pending.key is not None and who.key.name == name_of(pending.key):
        return f"key {pending.key} asked for it, whoever owns it now; another owner has to approve, with another key"
    if not who.reason or not who.reason.strip():
        return "reason: say why, for the record"
    return None


def _person(owner: str) -> str:
    """One person, however two key records write the name: in capitals or not, with blanks, composed or not."""
    return " ".join(unicodedata.normalize("NFKC", owner).casefold().split())


def summary(report: Mapping[str, object]) -> dict[str, int]:
    """What the record holds of a replay."""
    names = ("decisions", "replayed", "not_reproduced", "newly_refused", "newly_allowed")
    return {name: value for name in names if isinstance(value := report.get(name), int)}
