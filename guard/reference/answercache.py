"""What is kept of one kind of reference data: the latest answer by key, and briefly what the daemon had no answer for.

Plain data without I/O, bounded: the key that was answered longest ago goes first.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Struct, Generic[V], frozen=True):
    """A value, when it was asked for, and when the daemon answered: its age counts from the answer (µs of `t`)."""

    value: V
    asked_us: int
    answered_us: int


class NoAnswer(Struct, frozen=True):
    """The daemon answered, and has nothing for this key. `is_unknown`: it does not know it at all.

    `is_transient`: it only will not tell now, because it is asked too often or is in trouble.
    """

    message: str
    is_unknown: bool
    until_us: int
    is_transient: bool = False


class AnswerCache(Generic[K, V]):
    """The latest of every key; at most `kept_max` answers, `denied_max` refusals."""

    def __init__(self, *, kept_max: int, denied_max: int) -> None:
        self._kept_max = kept_max
        self._denied_max = denied_max
        self._kept: dict[K, Kept[V]] = {}
        self._denied: dict[K, NoAnswer] = {}

    def get(self, key: K) -> Kept[V] | None:
        """The latest answer, however old."""
        return self._kept.get(key)

    def denied(self, key: K, now_us: int) -> NoAnswer | None:
        """Why there is none; None where it is time to ask again."""
        found = self._denied.get(key)
        return found if found is not None and now_us < found.until_us else None

    def was_denied(self, key: K) -> bool:
        """The last answer about the key was no: it goes alone, so that it spoils nobody else's question."""
        return key in self._denied

    def put(self, key: K, kept: Kept[V]) -> None:
        """A new answer; one that was asked for before the one we have is not newer."""
        old = self._kept.pop(key, None)
        self._kept[key] = kept if old is None or old.asked_us <= kept.asked_us else old
        self._denied.pop(key, None)
        if len(self._kept) > self._kept_max:
            del self._kept[next(iter(self._kept))]

    def deny(self, key: K, denied: NoAnswer) -> None:
        """No answer. What was known before stays, with its age, unless the daemon does not know the key at all."""
        if denied.is_unknown:
            self._kept.pop(key, None)
        self._denied.pop(key, None)
        self._denied[key] = denied
        if len(self._denied) > self._denied_max:
            del self._denied[next(iter(self._denied))]
