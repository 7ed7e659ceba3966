"""Drift: whether what lies on the disk is what is in force, for policies and keys; reloads by themselves, if wanted.

The files' marks are looked at every few seconds; only where one has changed are files read, beside the loop. Comments
and spaces are no drift. With `policies.watch` a change that has stood still for one look is reloaded as if by a signal.
"""

import asyncio
from typing import Final, NamedTuple
from weakref import ref

import structlog
from msgspec import Struct

from guard.access import Keyring, keyfile
from guard.activeconfig import ActiveConfig, compiled, pieces_of_keys
from guard.admin.change import Who
from guard.admin.policies import PolicyChanges
from guard.errors import SettingsFault
from guard.filemark import mark_of
from guard.loop.resting import Pieces, aside, let_go, uncollected
from guard.policy import PolicySet
from guard.policyfiles import marks_of, read_steadily
from guard.settings import Settings
from guard.walk.desk import Desk

EVERY_S: Final = 2.0
AGAIN_US: Final = 30_000_000
NEVER_US: Final = 2**63
KINDS: Final = ("policies", "keys")
_CURE: Final = {"policies": "guard policy check, then guard policy reload", "keys": "guard keys reload"}
_log = structlog.get_logger("guard.admin")


class Watch:
    """Over one desk: does the disk say something else than memory?"""

    def __init__(self, desk: Desk, policies: PolicyChanges) -> None:
        self._desk = desk
        self._policies = policies
        self._seen: dict[str, tuple[object, object]] = {}
        self._tried: object = None
        self._again_us = NEVER_US
        self._unread_us = dict.fromkeys(KINDS, NEVER_US)  # when what could not be read is read again
        self._turn = asyncio.Lock()
        self._differs = dict.fromkeys(KINDS, False)

    @property
    def drift(self) -> dict[str, bool]:
        """By kind, as of the last look; of what has changed since, a reload say, nothing is held against it."""
        baseline = _baseline(self._desk.config)
        return {kind: self._differs[kind] and self._seen[kind][1] == _in_force(baseline, kind) for kind in KINDS}

    def concerns(self) -> tuple[str, ...]:
        """Drift in words."""
        drift = self.drift
        return tuple(f"{kind}: those on disk are not those in force: {_CURE[kind]}" for kind in KINDS if drift[kind])

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """One look at both, after any that is under way."""
        async with self._turn:
            await self._look()

    async def _look(self) -> None:
        baseline = _baseline(self._desk.config)
        settings = baseline.settings
        policies, keys = settings.path(settings.policies.dir), settings.path(settings.keys.file)
        marks = await aside(lambda: {"policies": marks_of(policies), "keys": mark_of(keys)})
        now_us = self._desk.clock.mono_us()
        for kind, mark in marks.items():
            now = (mark, _in_force(baseline, kind))
            if self._seen.get(kind) == now and now_us < self._unread_us[kind]:
                if kind == "policies":
                    await self._follow(mark)
                continue
            differs = _policies_differ if kind == "policies" else _keys_differ
            with uncollected():
                found = await aside(differs, baseline, self._desk)
                self._differs[kind], self._seen[kind] = found.differs, now
                self._note_unread(kind, is_read=found.is_read)
                await let_go(found.left_over)

    def _note_unread(self, kind: str, *, is_read: bool) -> None:
        """A disk may fail once, and no mark tells when it reads again; what could not be reloaded is tried then."""
        if is_read and self._unread_us[kind] < NEVER_US:
            self._tried = None
        self._unread_us[kind] = NEVER_US if is_read else self._desk.clock.mono_us() + AGAIN_US

    async def _follow(self, mark: object) -> None:
        """The files have stood still since the last look: where that is wanted they are reloaded, once."""
        if not (self._desk.config.settings.policies.watch and self.drift["policies"]):
            return
        now_us = self._desk.clock.mono_us()
        if mark == self._tried and now_us < self._again_us:
            return
        self._tried = mark
        change = await self._policies.reload(Who(reason="the files changed"))
        # What gave way to another change, or could not be recorded, is not the files' fault, and is tried again.
        self._again_us = now_us + AGAIN_US if change.result == "unrecorded" else NEVER_US
        _log.info("watched", result=change.result, sha256=change.sha256)


class Look(NamedTuple):
    """Whether the disk says something else, whether it could be read at all, and what is left over of looking."""

    differs: bool
    is_read: bool
    left_over: Pieces


class Baseline(Struct, frozen=True):
    """What the disk is held against, without the policies themselves: a reload lets go of them meanwhile."""

    settings: Settings
    keyring: Keyring
    hashes: tuple[str, str] | None


def _baseline(config: ActiveConfig) -> Baseline:
    policies = config.policies
    return Baseline(config.settings, config.keyring, None if policies is None else policies.hashes)


def _in_force(baseline: Baseline, kind: str) -> object:
    """The same for one kind, told without holding on to it."""
    return ref(baseline.keyring) if kind == "keys" else baseline.hashes


def _policies_differ(baseline: Baseline, desk: Desk) -> Look:
    settings = baseline.settings
    files = read_steadily(settings.path(settings.policies.dir))
    built = compiled(settings, baseline.keyring, files.texts, now=desk.clock.wall())
    if files.errors or not isinstance(built, PolicySet):
        return Look(differs=True, is_read=not files.errors, left_over=[])
    return Look(built.hashes != baseline.hashes, is_read=True, left_over=built.pieces())


def _keys_differ(baseline: Baseline, _: Desk) -> Look:
    try:
        found = keyfile.load(baseline.settings.path(baseline.settings.keys.file))
    except SettingsFault:
        return Look(differs=True, is_read=False, left_over=[])
    differs = dict(found.by_grant) != dict(baseline.keyring.by_grant)
    return Look(differs, is_read=True, left_over=pieces_of_keys(found))
