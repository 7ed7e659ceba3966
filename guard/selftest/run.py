"""The matrix run: on the drill's configuration, where every case must hold, and on somebody's own."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from guard.access import keyfile
from guard.access.records import rights
from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.scratch import scratch
from guard.selftest.case import Ask, Case, CaseRow, Hear
from guard.selftest.cases import CASES
from guard.selftest.drill import key_record
from guard.selftest.play import Player
from guard.selftest.stage import Home, Stage, staged
from guard.selftest.words import lean
from guard.settings import DaemonSettings, Settings, Trading
from guard.stream import SEEING, Seeing
from guard.terms import Account, Env
from guard.walk.hooks import HOOKS, Hooks

_OF_CARD: Final = 880_001  # an account of the simulated daemon's, for keys that are bound to a card
_PLAIN: Final = Settings(trading=Trading(enabled=True), daemon=DaemonSettings(broker_limits="off"))
_STAGES: Final = {
    "plain": _PLAIN,
    "fresh": _PLAIN,
    "broker": msgspec.structs.replace(_PLAIN, daemon=DaemonSettings()),
    "off": msgspec.structs.replace(_PLAIN, trading=Trading()),
}


async def drill(*, cases: Iterable[Case] = CASES, hooks: Hooks = HOOKS, seeing: Seeing = SEEING) -> list[CaseRow]:
    """Every case on the drill's own configuration; the rows in the order of the cases."""
    chosen = tuple(cases)
    rows: dict[str, CaseRow] = {}
    for name, settings in _STAGES.items():
        some = [case for case in chosen if case.stage == name]
        if not some:
            continue
        async with _stage(settings, _keys(some), hooks=hooks, seeing=seeing) as stage:
            for case in some:
                rows[case.id] = await _drilled(stage, case)
    return [rows[case.id] for case in chosen]


async def against(settings: Settings, *, hooks: Hooks = HOOKS) -> list[CaseRow]:
    """What must be refused everywhere, tried with every key of these settings, as far as its policies reach.

    Keys keep their ids, scopes and limits and get a new secret; the daemon and the state directory are not theirs.
    Raises SettingsFault where the settings would not start, or the policies cannot be loaded.
    """
    keyring = keyfile.load(settings.path(settings.keys.file))
    keys = [{"id": record.id, **lean(rights(record))} for record in keyring.records if not record.is_disabled]
    policies = settings.path(settings.policies.dir)
    homes = [_home(key) for key in keys]
    async with _stage(settings, keys, policies=policies, hooks=hooks, homes=homes) as stage:
        if stage.guard.policy_errors:  # it would hold everything, for want of policies
            raise SettingsFault([f"{settings.policies.dir}/{error}" for error in stage.guard.policy_errors])
        tried = [(case, Player(stage, case, home=home)) for home in homes for case in CASES if case.anywhere]
        return [await _tried(case, player) for case, player in tried]


async def _drilled(stage: Stage, case: Case) -> CaseRow:
    told = await Player(stage, case).play(case.steps)
    return CaseRow(case.id, case.sentence, "failed" if told else "held", told=told or "")


def _home(key: dict[str, Any]) -> Home:
    """Where the key may trade: an account that the simulated daemon is made to list."""
    cards = key.get("allowed_card_nums") or ("",)
    acc_ids = key.get("allowed_acc_ids") or (_OF_CARD if cards[0] else 123456,)
    env = Env.SIMULATE if "trade:simulate" in key["scopes"] else Env.REAL
    return Home(str(key["id"]), Account(env, int(acc_ids[0])), str(cards[0]))


async def _tried(case: Case, player: Player) -> CaseRow:
    """The requests of a case with somebody's key: each is refused, by whatever stands first in its way."""
    codes: list[str] = []
    key = player.key
    for step in case.steps:
        if not isinstance(step, Ask):
            continue
        told = await player.is_refused(step)
        if told is None:
            codes.append(player.last)
        elif case.twin is not None and await player.is_refused(case.twin) is not None:
            return CaseRow(case.id, case.sentence, "open", key, "no limit says so: the plain order passes as well")
        else:
            return CaseRow(case.id, case.sentence, "failed", key, told)
    return CaseRow(case.id, case.sentence, "held", key, ", ".join(dict.fromkeys(codes)))


def _keys(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """A key for each role of each case."""
    now = SystemClock().wall()
    found = {}
    for case in cases:
        for step in case.steps:
            role = step.who if isinstance(step, Ask | Hear) else None
            if role is not None:
                found[role, case.id] = key_record(role, name_of(case), now=now)
    return list(found.values()) or [key_record("trader", "none", now=now)]


def name_of(case: Case) -> str:
    """The case's part of its keys' ids."""
    return case.id.replace("+", ".").lower()


@asynccontextmanager
async def _stage(settings: Settings, keys: Sequence[dict[str, Any]], **more: Any) -> AsyncIterator[Stage]:
    with scratch("selftest") as name:
        async with staged(settings, Path(name), keys, **more) as stage:
            yield stage
