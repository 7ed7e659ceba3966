"""What was in force at a decision: policies, keys and settings as the hashes of a decision name them in the store.

An `InForce` is made once for each pair of hashes. What is not in the store any more, is another thing than its hash
names, or was written under other rules than today's, is told by a word: such decisions are counted, not guessed at.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

from guard.pauses import with_pauses
from guard.policy import RULES_VERSION, PolicyDoc, PolicySet, compile_set
from guard.policyfiles import parse_texts
from guard.replay.kept import Get, Lacking, read, texts_of, told
from guard.terms import KeyLimits, Principal

_HASHES_MAX: Final = 10_000


class _Deciding(Struct, frozen=True):
    """The part of `ActiveConfig.canonical` that the rules depend on."""

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


class InForce(Struct, frozen=True):
    """Whom and what a decision was made for and by. `policies` None: none were in force. `other`: the new ones.

    `reads`: which reads that passed are on record one by one, as in settings.
    """

    principals: dict[str, Principal]
    policies: PolicySet | None
    other: PolicySet | None
    reads: str = "account"


class History:
    """Over the store of a state directory. `docs`: the policies to decide by instead; None: those of the day alone.

    `lacking`: by hash, what is wrong with what lacks, and what to do.
    """

    def __init__(self, get: Get, *, docs: list[PolicyDoc] | None, now: datetime) -> None:
        self._get = get
        self._docs = docs
        self._now = now
        self._known: dict[tuple[str, str], InForce | Lacking] = {}
        self.lacking: dict[str, str] = {}

    def in_force(self, config_sha256: str, policy_sha256: str) -> InForce | Lacking:
        """What was in force under these hashes."""
        hashes = (config_sha256, policy_sha256)
        found = self._known.get(hashes)
        if found is None:
            if len(self._known) >= _HASHES_MAX:
                self._known.clear()
            found = self._known[hashes] = self._made(config_sha256, policy_sha256)
        return found

    def principals(self, config_sha256: str) -> dict[str, Principal]:
        """Whose keys there were, by id; nobody's where that is not kept."""
        deciding = read(self._get, config_sha256, _Deciding)
        if isinstance(deciding, str):
            self._lacks(config_sha256, deciding)
            return {}
        found = self._keys(deciding.keys)
        return {} if isinstance(found, str) else found

    def _keys(self, sha256: str) -> dict[str, Principal] | Lacking:
        keys = read(self._get, sha256, tuple[_Key, ...])
        if isinstance(keys, str):
            return self._lacks(sha256, keys)
        return {key.id: _principal(key) for key in with_pauses(keys)}

    def _made(self, config_sha256: str, policy_sha256: str) -> InForce | Lacking:
        deciding = read(self._get, config_sha256, _Deciding)
        if isinstance(deciding, str):
            return self._lacks(config_sha256, deciding)
        if deciding.rules != RULES_VERSION:
            return "engine changed"
        principals = self._keys(deciding.keys)
        if isinstance(principals, str):
            return principals
        policies = self._policies(policy_sha256, deciding, principals) if policy_sha256 else None
        if isinstance(policies, str):
            return policies
        other = None if self._docs is None else self._compiled(self._docs, deciding, principals)
        return InForce(principals, policies, other, deciding.reads)

    def _policies(self, sha256: str, deciding: _Deciding, principals: dict[str, Principal]) -> PolicySet | Lacking:
        texts = texts_of(self._get, sha256)
        if isinstance(texts, str):
            return self._lacks(sha256, texts)
        docs, errors = parse_texts(texts)
        compiled = None if errors else self._compiled(docs, deciding, principals)
        if compiled is None or compiled.sha256 != sha256:
            return self._lacks(sha256, "another set")
        return compiled

    def _lacks(self, sha256: str, word: Lacking) -> Lacking:
        self.lacking[sha256] = told(sha256, word)
        return word

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
