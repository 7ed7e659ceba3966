"""What came of a change, and who asked for it: the words that all changes of what is in force share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct, structs

from guard.access import signing_keys_moved, still_valid
from guard.activeconfig import ActiveConfig
from guard.errors import JournalFault
from guard.journal import Journal, plain
from guard.terms import Principal

Result = Literal["applied", "unchanged", "pending", "refused", "stale", "ended", "unrecorded"]


class ChangeResult(Struct, frozen=True):
    """`result`: applied, unchanged, pending (a second person has to approve), or not made, with every error.

    Not made: refused, stale, ended (the key that asked for it), or unrecorded, which may be made all the same: `errors`
    say so. `kind`: what all changes of policies come to together. `until`: when this goes back by itself. `counters`:
    those that go on from what a shadow's stood at, and those that were made from the record. `warnings`: what is done
    all the same, and probably not meant. `replay`: what the second person was shown.
    """

    result: Result
    sha256: str
    kind: str = ""
    changes: tuple[object, ...] = ()
    errors: tuple[object, ...] = ()
    until: datetime | None = None
    counters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    replay: Mapping[str, object] | None = None

    @property
    def is_made(self) -> bool:
        """Nothing stands against it: it is in force, was so before, or waits for a second person."""
        return self.result in {"applied", "unchanged", "pending"}


class Who(Struct, frozen=True):
    """Who asked for a change, and why; both None for a signal. `key`: with which key, where it was with one."""

    by: str | None = None
    reason: str | None = None
    key: Principal | None = None

    @property
    def key_id(self) -> str | None:
        """For the record."""
        return None if self.key is None else self.key.id

    def ended(self, config: ActiveConfig, *, now: datetime, sha256: str) -> ChangeResult | None:
        """That the key was revoked or has ended while the change waited for its turn; None where it stands."""
        if self.key is None or still_valid(config.keyring, self.key, now=now, issuers=config.issuers):
            return None
        return ChangeResult(
            "ended", sha256, errors=(f"key {self.key.id} was revoked or has ended; nothing has changed",)
        )


class ConfigMove(Struct, frozen=True):
    """The records of keys.json in which two versions differ, by id, and in words what changed of the issuers' keys."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    issuers: tuple[str, ...] = ()

    @classmethod
    def between(cls, old: ActiveConfig, new: ActiveConfig) -> "ConfigMove":
        """From one keys file, and the issuers' key sets, to the next."""
        was, now = old.keyring.by_id, new.keyring.by_id
        return cls(
            added=tuple(sorted(now.keys() - was.keys())),
            removed=tuple(sorted(was.keys() - now.keys())),
            changed=tuple(sorted(name for name in now.keys() & was.keys() if now[name] != was[name])),
            issuers=tuple(plain(words) for words in signing_keys_moved(old.issuers, new.issuers)),
        )

    def words(self) -> tuple[str, ...]:
        """For the answer."""
        named = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return (
            *(f"key {name} {what}" for what, names in named for name in names),
            *(f"issuer {words}" for words in self.issuers),
        )


NOTHING_MOVED: Final = ConfigMove((), (), ())


async def on_record(journal: Journal, change: ChangeResult) -> ChangeResult:
    """The change, once its record is on the disk; where it cannot be, the change is in force and says so."""
    if change.result not in {"applied", "pending"}:
        return change
    try:
        await journal.durable(journal.last_seq)
    except JournalFault as fault:
        why = f"{fault}; the change is made, and may not be on record: a restart reads the files anew"
        return structs.replace(change, result="unrecorded", errors=(why,))
    return change
