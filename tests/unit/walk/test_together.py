"""Requests of one turn of the loop take a step together."""

import asyncio
from typing import Any

from guard.supervisor import Supervisor
from guard.walk.together import TOGETHER_MAX, Together


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
