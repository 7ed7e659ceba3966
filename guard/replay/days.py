"""What decided on the day: policies, keys and settings as the hashes of a decision name them on the shelf.

A `Day` is made once for each `config_sha256`. What is not on the shelf any more, or was written under other rules than
today's, is told by a word: such decisions are counted, not guessed at.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct

from guard.policy import RULES, PolicyDoc, PolicySet, compile_set
from guard.standing import parse_texts
from guard.terms import KeyLimits, Principal

Lacking = Literal["engine changed", "not kept"]
Get = Callable[[str], bytes | None]
_HASHES_MAX: Final = 10_000


class _Deciding(Struct, frozen=True):
    """The part of `Standing.config` that the rules depend on."""

    keys: str
    policies: str | None = None
    rules: int = 0
    require_cover: bool = True
    keys_tz: str = "UTC"
    flags: KeyLimits | None = None
    reads: str = "account"


class _Key(KeyLimits, frozen=True):
    """A key record as `Keyring.source` keeps it."""

    id: str = ""
    scopes: tuple[str, ...] = ()
    allowed_acc_ids: tuple[int, ...] | None = None
    allowed_card_nums: tuple[str, ...] | None = None


class Day(Struct, frozen=True):
    """Whom and what a decision was made for and by. `policies` None: none were in force. `other`: the new ones.

    `reads`: which reads that passed are on record one by one, as in settings.
    """

    principals: dict[str, Principal]
    policies: PolicySet | None
    other: PolicySet | None
    reads: str = "account"


class Days:
    """Over the shelf of a state directory. `docs`: the policies to decide by instead; None: those of the day alone."""

    def __init__(self, get: Get, *, docs: list[PolicyDoc] | None, now: datetime) -> None:
        self._get = get
        self._docs = docs
        self._now = now
        self._known: dict[tuple[str, str], Day | Lacking] = {}

    def day(self, config_sha256: str, policy_sha256: str) -> Day | Lacking:
        """What decided under these hashes."""
        place = (config_sha256, policy_sha256)
        found = self._known.get(place)
        if found is None:
            if len(self._known) >= _HASHES_MAX:
                self._known.clear()
            found = self._known[place] = self._made(config_sha256, policy_sha256)
        return found

    def principals(self, config_sha256: str) -> dict[str, Principal]:
        """Whose keys there were, by id; nobody's where that is not kept."""
        raw = self._get(config_sha256)
        keys = None if raw is None else self._get(msgspec.json.decode(raw, type=_Deciding).keys)
        if keys is None:
            return {}
        return {key.id: _principal(key) for key in msgspec.json.decode(keys, type=tuple[_Key, ...])}

    def _made(self, config_sha256: str, policy_sha256: str) -> Day | Lacking:
        raw = self._get(config_sha256)
        if raw is None:
            return "not kept"
        deciding = msgspec.json.decode(raw, type=_Deciding)
        if deciding.rules != RULES:
            return "engine changed"
        principals = self.principals(config_sha256)
        if not principals and self._get(deciding.keys) is None:
            return "not kept"
        policies = None
        if policy_sha256:
            texts = self._get(policy_sha256)
            if texts is None:
                return "not kept"
            docs, errors = parse_texts(msgspec.json.decode(texts, type=dict[str, str]))
            compiled = None if errors else self._compiled(docs, deciding, principals)
            if compiled is None or compiled.sha256 != policy_sha256:
                return "engine changed"  # the same text means something else today
            policies = compiled
        other = None if self._docs is None else self._compiled(self._docs, deciding, principals)
        return Day(principals, policies, other, deciding.reads)

    def _compiled(
        self, docs: list[PolicyDoc], deciding: _Deciding, principals: dict[str, Principal]
    ) -> PolicySet | None:
        found = compile_set(
            docs,
            keys={principal.name: principal.limits for principal in principals.values()},
            flags=deciding.flags,
            tz=deciding.keys_tz,
            require_cover=deciding.require_cover,
            now=self._now,
        )
        return found if isinstance(found, PolicySet) else None


def _principal(key: _Key) -> Principal:
    cards = key.allowed_card_nums
    return Principal(
        id=key.id,
        name=key.id.partition("@")[0],
        scopes=frozenset(key.scopes),
        acc_ids=None if key.allowed_acc_ids is None else frozenset(key.allowed_acc_ids),
        card_nums=None if cards is None else frozenset(cards),
        limits=KeyLimits(**{name: getattr(key, name) for name in KeyLimits.__struct_fields__}),
    )
