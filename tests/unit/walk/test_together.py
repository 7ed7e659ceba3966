"""Reads of one turn of the loop take each step together."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from guard.supervisor import Supervisor
from guard.terms import Effect
from guard.walk.desk import Desk, Visit
from guard.walk.together import together


class Walks:
    """Walks of two steps, and in which order they were taken."""

    def __init__(self) -> None:
        self.supervisor, self.log = Supervisor(), list[str]()
        self.desk = cast("Desk", SimpleNamespace(supervisor=self.supervisor))

    def begin(self, name: str, effect: Effect = Effect.READ) -> asyncio.Task[Any]:
        """One more."""
        visit = cast("Visit", SimpleNamespace(effect=effect))
        return self.supervisor.start(self._walk(name, visit), name)

    async def _walk(self, name: str, visit: Visit) -> None:
        self.log.append(f"{name}1")
        await together(self.desk, visit)
        self.log.append(f"{name}2")


async def test_those_of_one_turn_take_each_step_together() -> None:
    """In the order in which they came."""
    walks = Walks()
    await asyncio.gather(*(walks.begin(name) for name in "abc"))

    assert walks.log == ["a1", "b1", "c1", "a2", "b2", "c2"]


async def test_who_is_alone_goes_on_at_once() -> None:
    """It would only wait."""
    walks = Walks()
    _ = walks.begin("a")
    await asyncio.sleep(0)

    assert walks.log == ["a1", "a2"]


async def test_what_changes_something_goes_on_at_once() -> None:
    """Nothing comes between what stood when it was admitted and its sending."""
    walks = Walks()
    await asyncio.gather(*(walks.begin(name, Effect.UNLOCK) for name in "ab"))

    assert walks.log == ["a1", "a2", "b1", "b2"]
