"""The record of a stage, replayed."""

from typing import Any, Final

from guard.policy import PolicyDoc, parse_policy
from guard.replay import Options, Replay, replayed
from tests.support.stage import Stage

PAST: Final = "2000-01-01T00:00:00.000000Z"


def docs(text: str) -> list[PolicyDoc]:
    """A policy that is called desk."""
    found = parse_policy(text, file="desk.toml")
    assert isinstance(found, PolicyDoc), found
    return [found]


async def past(scene: Stage, other: str | None = None, **options: Any) -> Replay:
    """The stage's record, replayed."""
    await scene.written()
    wanted = Options(options.pop("since", PAST), docs=None if other is None else docs(other), **options)
    return replayed(scene.config.parent / "state", wanted, now=scene.clock.wall())
