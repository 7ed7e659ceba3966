"""Reads of one turn of the loop take each step together."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from guard.supervisor import Supervisor
from guard.terms import Effect
from guard.walk.desk import Desk, Visit
from guard.walk.together import TOGETHER_MAX, Together, together


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


class Steps:
    """A step that is taken together, and who was given to it at once."""

    def __init__(self) -> None:
        self.supervisor, self.taken = Supervisor(), list[list[int]]()
        self.step: Together[int] = Together(self.taken.append, self.supervisor)

    def begin(self, number: int) -> asyncio.Task[Any]:
        """One more comes to the step."""

        async def walk() -> None:
            await self.step.join(number)

        return self.supervisor.start(walk(), f"n{number}")


async def test_a_step_is_taken_for_all_of_a_turn_by_whoever_goes_on_first() -> None:
    """In the order in which they came, so many at a time; in the next turn for those of the next."""
    steps, most = Steps(), TOGETHER_MAX
    await asyncio.gather(*(steps.begin(number) for number in range(2 * most + 1)))
    await asyncio.gather(*(steps.begin(number) for number in range(2)))

    assert steps.taken == [[*range(most)], [*range(most, 2 * most)], [2 * most], [0, 1]]


async def test_who_is_alone_takes_the_step_at_once() -> None:
    """Nobody comes beside it."""
    steps = Steps()
    _ = steps.begin(1)
    await asyncio.sleep(0)

    assert steps.taken == [[1]]


async def test_who_is_cancelled_before_the_step_never_came() -> None:
    """The third takes it without them."""
    steps = Steps()
    tasks = [steps.begin(number) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[0].cancel()
    _ = await asyncio.gather(*tasks, return_exceptions=True)

    assert steps.taken == [[2]]


async def test_who_is_cancelled_within_the_step_was_taken() -> None:
    """And hears of both."""
    steps = Steps()
    first, second = steps.begin(1), steps.begin(2)
    await asyncio.sleep(0)
    second.cancel()
    await first

    assert steps.taken == [[1, 2]]
    assert second.cancelled() or second.cancelling()
