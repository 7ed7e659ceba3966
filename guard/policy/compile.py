"""Documents, keys and flags put together into a `PolicySet`, or everything that is wrong with them together."""

from collections.abc import Mapping
from datetime import datetime

from guard.pauses import with_pauses
from guard.policy.document import RESERVED_IDS, PolicyDoc, PolicyError
from guard.policy.keylimits import KeyRules, rules_of_limits
from guard.policy.loadwarnings import warnings_of
from guard.policy.notation import Bad, read_zone
from guard.policy.policyset import PolicySet
from guard.terms import KeyLimits


def compile_set(
    docs: list[PolicyDoc],
    *,
    keys: Mapping[str, KeyLimits],
    flags: KeyLimits | None,
    tz: str,
    require_cover: bool,
    now: datetime,
) -> PolicySet | list[PolicyError]:
    """The set of these documents, or every error that shows only when they are put together.

    `keys`: limits by principal name, checked here; when judging, those of the principal at hand bind. `tz`: the zone
    of their `hours_window`. `now` is for warnings alone: what has expired stays in the set and binds nobody.
    Without any keys nothing is said about selectors that choose none.
    """
    errors = _same_ids(docs)
    zone = read_zone(tz)
    if isinstance(zone, Bad):
        errors.append(PolicyError("guard.toml", None, "keys.tz", zone.code, zone.message, zone.hint))
        tz = "UTC"
    for name, limits in with_pauses(keys.items()):
        rules = rules_of_limits(limits, policy=f"key:{name}", tz=tz)
        errors += _told(rules, file="keys.json", path=f"keys.{name}")
    own = None if flags is None else rules_of_limits(flags, policy="flags", tz=tz)
    errors += _told(own, file="flags", path="flags") if own else []
    if errors:
        return errors
    ordered = tuple(sorted(docs, key=lambda doc: doc.id))
    enforced = tuple(doc for doc in ordered if doc.policy.mode == "enforce")
    shadows = tuple(
        PolicySet((doc,), flags=None, tz=tz, require_cover=False, is_shadow=True)
        for doc in with_pauses(ordered)
        if doc.policy.mode == "shadow"
    )
    policies = PolicySet(enforced, flags=own, tz=tz, require_cover=require_cover, shadows=shadows)
    policies.warnings = tuple(warnings_of(ordered, keys=keys, now=now))
    return policies


def _told(rules: KeyRules, *, file: str, path: str) -> list[PolicyError]:
    return [PolicyError(file, None, f"{path}.{field}", bad.code, bad.message, bad.hint) for field, bad in rules.errors]


def _same_ids(docs: list[PolicyDoc]) -> list[PolicyError]:
    errors: list[PolicyError] = []
    first: dict[str, PolicyDoc] = {}
    for doc in docs:
        other = first.setdefault(doc.id, doc)
        if other is not doc:
            message = f"the id {doc.id!r} is also that of {other.file}"
            errors.append(
                PolicyError(doc.file, doc.id_line, "policy.id", "duplicate_id", message, "give each its own id")
            )
        if doc.id in RESERVED_IDS or doc.id.startswith(("key:", "flags:")):
            message = f"{doc.id!r} is the guard's own name"
            errors.append(PolicyError(doc.file, doc.id_line, "policy.id", "reserved_id", message, "choose another id"))
    return errors
