"""What is kept beside the record held against the hashes that name it there: settings, keys and policies that decided.

The record itself says nothing of these files, and stands without them: a text that is gone or was edited cannot be told
from its hash, but shows by it.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from guard.replay.kept import Get, read, set_of, told

TOLD_MAX: Final = 20
_CONFIG: Final = re.compile(rb'"config_sha256":"([0-9a-f]{64})"')  # in no text: its quotes are escaped there
_POLICY: Final = re.compile(rb'"policy_sha256":"([0-9a-f]{64})"')


class _Settings(Struct):
    keys: str


class NamedHashes(Struct):
    """The hashes that decisions and starts name."""

    configs: set[bytes] = field(default_factory=set)
    policies: set[bytes] = field(default_factory=set)

    def in_passing(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The same lines, while their names are noted."""
        for line in lines:
            self.configs.update(_CONFIG.findall(line))
            self.policies.update(_POLICY.findall(line))
            yield line

    def wrong(self, get: Get, *, now: datetime) -> tuple[str, ...]:
        """In words, each kept text that is not what its name says, or is not there: at most so many."""
        found: dict[str, str] = {}
        keys = set()
        for sha256 in _texts(self.configs):
            settings = read(get, sha256, _Settings)
            if isinstance(settings, str):
                found[sha256] = told(sha256, settings)
            else:
                keys.add(settings.keys)
        for sha256 in sorted(keys):
            known = read(get, sha256, list[object])
            if isinstance(known, str):
                found[sha256] = told(sha256, known)
        for sha256 in _texts(self.policies):
            policies = set_of(get, sha256, now=now)
            if isinstance(policies, str):
                found[sha256] = told(sha256, policies)
        words = list(found.values())
        more = len(words) - TOLD_MAX
        return (*words[:TOLD_MAX], *([f"and {more} more"] if more > 0 else []))


def _texts(hashes: set[bytes]) -> list[str]:
    return sorted(sha256.decode() for sha256 in hashes)
