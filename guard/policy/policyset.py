"""The policies that bind, ready to judge: which of them bind whom, and the plan of what is asked of a key's requests.

The set is frozen but for bounded caches: which policies match a key in an environment is asked once, not with every
order. Its hash covers the content of the policy files alone, in any order of files, whatever their comments and
spacing are.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guard.pauses import with_pauses
from guard.policy.assemble import Bound, bound_of
from guard.policy.document import PolicyDoc
from guard.policy.keylimits import KeyRules, rules_of_limits
from guard.policy.needs import wants_of
from guard.policy.plan import Plan, Validity, joined, plan_of, validity_of, within_days
from guard.policy.selection import SHARED_MAX, Answers, Selection
from guard.terms import Account, Env, KeyLimits, Principal

MATCHES_MAX: Final = 32_768  # keys, environments and accounts whose plan is at hand


class _Match(Struct, frozen=True):
    """What binds a key: the policies' `files` that `answers` choose, and what is its `own`."""

    limits: KeyLimits
    answers: Answers
    files: tuple[Bound, ...]
    own: tuple[Bound, ...]

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """All of it."""
        return (*self.files, *self.own)


class _Shared(Struct, frozen=True):
    """What keys that are chosen alike have in common, between two expiries."""

    validity: Validity
    plan: Plan


class Binding(Struct, frozen=True):
    """What was found for a key with these limits, and for how long that holds."""

    limits: KeyLimits
    validity: Validity

    def binds(self, limits: KeyLimits, wall: datetime) -> bool:
        """It was made for these limits of the key, and for this time."""
        known = self.limits
        return (known is limits or known == limits) and self.validity.holds(wall)


class _Planned(Binding, frozen=True):
    plan: Plan


class PolicySet:
    """Every policy that binds, ready to judge.

    Attributes:
        sha256: hash of `source()`.
        warnings: what is allowed but probably not meant, one sentence each.
        require_cover: a trade that no money limit covers is refused.
        shadows: the policies that are only watched, each one a set of its own, without keys' limits and flags.
        shadow_sha256: hash of those, empty without any.
        names_accounts: some policy binds some accounts only.
        readings: what `judge_read` found for the reads of each key.
    """

    def __init__(
        self,
        docs: tuple[PolicyDoc, ...],
        *,
        flags: KeyRules | None,
        tz: str,
        require_cover: bool,
        shadows: tuple["PolicySet", ...] = (),
        is_shadow: bool = False,
    ) -> None:
        self.docs = docs
        self.shadows = shadows
        self.shadow_sha256 = hashlib.sha256(canonical(self.shadow_docs)).hexdigest() if shadows else ""
        self._is_shadow = is_shadow
        self.require_cover = require_cover
        self.warnings: tuple[str, ...] = ()
        self._tz = tz
        self._bounds = tuple(bound_of(doc) for doc in with_pauses(docs))
        self._flags = () if flags is None else (Bound("flags", flags.rules, wants=wants_of(flags.rules)),)
        self._source = canonical(docs)
        self.sha256 = hashlib.sha256(self._source).hexdigest()
        self._matches = OrderedDict[tuple[str, Env | None], _Match]()
        self._plans = OrderedDict[tuple[str, Env | None, int], _Planned]()
        self._shared: dict[Answers, _Shared] = {}
        self.readings = OrderedDict[str, Any]()
        ends = {doc.id: doc.policy.expires_at for doc in self.all_docs}
        # Policies that end by themselves, and when; what has ended binds nobody and is told all the same.
        self.ends = {name: end.isoformat() for name, end in ends.items() if end is not None}
        self.names_accounts = any(bound.applies_to.accounts is not None for bound in self._bounds)

    @property
    def shadow_docs(self) -> tuple[PolicyDoc, ...]:
        """The documents of the policies that are only watched."""
        return tuple(doc for shadow in self.shadows for doc in shadow.docs)

    @property
    def all_docs(self) -> tuple[PolicyDoc, ...]:
        """Every document, enforced or only watched."""
        return (*self.docs, *self.shadow_docs)

    @property
    def hashes(self) -> tuple[str, str]:
        """What has to differ for a reload to change anything."""
        return self.sha256, self.shadow_sha256

    def pieces(self) -> list[list[Any] | dict[Any, Any]]:
        """What it is made of: for whoever lets go of it, and has to do so bit by bit.

        A request that is under way may use it meanwhile: what is costly to make again is not taken from it.
        """
        inner = [piece for shadow in self.shadows for piece in shadow.pieces()]
        # What uses a piece goes before it.
        return [list(self.docs), list(self._bounds), self._matches, self._plans, self.readings, *inner]

    def without_flags(self) -> "PolicySet":
        """The same files without what the start-up flags add."""
        if not self._flags:
            return self
        return self.with_docs(self.docs)

    def with_docs(self, docs: tuple[PolicyDoc, ...]) -> "PolicySet":
        """Other files under the same settings, without flags and shadows."""
        return PolicySet(docs, flags=None, tz=self._tz, require_cover=self.require_cover)

    def source(self) -> bytes:
        """The canonical content of the policy files: what is stored by hash beside the journal."""
        return self._source

    def binding(self, principal: Principal, env: Env | None, wall: datetime) -> list[Bound]:
        """What binds this key in this environment now. `env` None (a read): selectors other than keys say nothing."""
        bounds = self._match(principal, env).bounds
        return [bound for bound in bounds if bound.expires_at is None or wall < bound.expires_at]

    def keep_reading(self, name: str, reading: Binding) -> None:
        """What was found for the reads of this key."""
        if len(self.readings) >= MATCHES_MAX:
            _ = self.readings.popitem(last=False)
        self.readings[name] = reading

    def validity(self, wall: datetime) -> Validity:
        """For how long the policies that bind at `wall`, whomever they bind, go on binding."""
        return validity_of(self._bounds, wall)

    def on(self, principal: Principal, account: Account, *, wall: datetime) -> Plan:
        """What is asked of this key's trades on this account now."""
        return self.plan(principal, account.env, account, wall=wall)

    @property
    def breaker_windows(self) -> dict[str, int]:
        """The widest window of each kind of outcome that a breaker counts, in ms, by the word of its counters."""
        found: dict[str, int] = {}
        for limit in (limit for bound in self._bounds for limit in bound.breaker):
            found[limit.word] = max(found.get(limit.word, 0), limit.rate.window_ms)
        return found

    @property
    def read_windows(self) -> dict[str, int]:
        """The widest window of each rate of reads, in ms, by whom it counts."""
        found: dict[str, int] = {}
        for bound in self._bounds:
            for limit in bound.reads:
                scope = limit.scope if limit.scope.per == "policy" else replace(limit.scope, policy="")
                whom = repr((scope, bound.applies_to.keys, bound.applies_to.except_keys))
                found[whom] = max(found.get(whom, 0), limit.rate.window_ms)
        return found

    def plan(self, principal: Principal, env: Env | None, account: Account | None, *, wall: datetime) -> Plan:
        """What is asked of this key's requests now, on this account; `account` None: a read."""
        place = (principal.name, env, account.acc_id if account is not None and self.names_accounts else 0)
        known = self._plans.get(place)
        if known is not None and known.binds(principal.limits, wall):
            return known.plan
        match = self._match(principal, env)
        shared = self._shared_by(match, account, wall)
        plan = joined(shared.plan, match.own, key=principal.name, needs_cover=self.require_cover)
        if len(self._plans) >= MATCHES_MAX:
            _ = self._plans.popitem(last=False)  # of all at once the loop would be held up
        self._plans[place] = _Planned(match.limits, within_days(shared.validity, plan.resets, wall), plan)
        return plan

    def _shared_by(self, match: _Match, account: Account | None, wall: datetime) -> _Shared:
        """The plan of the policies' files; a key's own limits neither expire nor look at the account."""
        answers, files = match.answers, match.files
        if account is not None and self.names_accounts:
            answers = self._selection.reaching(answers, account)
            files = self._selection.chosen(answers)
        shared = self._shared.get(answers)
        if shared is None or not shared.validity.holds(wall):
            if len(self._shared) >= SHARED_MAX:
                self._shared.clear()
            bounds = [bound for bound in files if bound.expires_at is None or wall < bound.expires_at]
            shared = self._shared[answers] = _Shared(validity_of(files, wall), plan_of(bounds))
        return shared

    def _match(self, principal: Principal, env: Env | None) -> _Match:
        match = self._matches.get((principal.name, env))
        if match is None or (match.limits is not principal.limits and match.limits != principal.limits):
            match = self.matching(principal, env)
            if len(self._matches) >= MATCHES_MAX:
                _ = self._matches.popitem(last=False)
            self._matches[principal.name, env] = match
        return match

    def matching(self, principal: Principal, env: Env | None) -> _Match:
        """What the selectors choose, worked out afresh."""
        name = principal.name
        answers = self._selection.answers(name, env)
        files = self._selection.chosen(answers)
        if self._is_shadow:
            return _Match(principal.limits, answers, files, ())
        rules = rules_of_limits(principal.limits, policy=f"key:{name}", tz=self._tz).rules
        own = (Bound(f"key:{name}", rules, wants=wants_of(rules)), *self._flags)
        return _Match(principal.limits, answers, files, own)

    @cached_property
    def _selection(self) -> Selection:
        return Selection(self._bounds)


def canonical(docs: tuple[PolicyDoc, ...]) -> bytes:
    """The content of policies as JSON with sorted keys and lists, what was left out left out, by id."""
    # One by one: whoever encodes, or lets go of a thousand at once, keeps the interpreter to itself meanwhile.
    return b"[%b]" % b",".join(map(_canonical, with_pauses(sorted(docs, key=lambda doc: doc.id))))


def _canonical(doc: PolicyDoc) -> bytes:
    entry = _lean(msgspec.to_builtins(doc))
    del entry["file"]
    entry.pop("id_line", None)
    return msgspec.json.encode(entry, order="sorted")


def _lean(value: Any) -> Any:
    if isinstance(value, dict):
        lean = {key: _lean(inner) for key, inner in value.items() if inner is not None}
        return {key: inner for key, inner in lean.items() if inner != {}}
    if isinstance(value, list | tuple):
        return sorted(value)
    return value
