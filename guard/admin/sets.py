"""Texts become a set of policies: those of the directory, and those that the store keeps by their hash.

Blocking, all of it, and long: for a thread. A set that comes back has the plans of its keys made.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from guard.activeconfig import ActiveConfig, compiled, kept_set, warmed
from guard.journal.configstore import ConfigStore
from guard.policy import PolicyError, PolicySet
from guard.policy.cases import run_tests
from guard.policyfiles import read_steadily


class Loaded(Struct):
    """What the directory says: its texts, and their set or everything that is wrong with them."""

    texts: Mapping[str, str]
    built: PolicySet | list[PolicyError]


def load(was: ActiveConfig, *, now: datetime) -> list[Loaded]:
    """The directory's, tested; the plans are made only where it is not the set in force.

    It comes in a list: a thread holds on to its answer for a moment, and would have to let go of the whole set then.
    """
    files = read_steadily(was.settings.path(was.settings.policies.dir))
    built = compiled(was.settings, was.keyring, files.texts, now=now)
    wrong = [*files.errors, *(built if isinstance(built, list) else run_tests(built, files.tests).failures)]
    if wrong or isinstance(built, list):
        return [Loaded(files.texts, wrong)]
    if was.policies is None or built.hashes != was.policies.hashes:
        built = warmed(built, was.keyring, now=now)
    return [Loaded(files.texts, built)]


def kept(store: ConfigStore, was: ActiveConfig, sha256: str, *, now: datetime) -> PolicySet | None:
    """The set of this hash; None where its texts are not kept, or do not make it under these settings and keys."""
    built = kept_set(was.settings, was.keyring, store, sha256=sha256, now=now)
    return None if built is None else warmed(built, was.keyring, now=now)
