"""Requests that come in one turn of the loop, and what is done to the steps that they take together."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from guard.lifecycle import Guard
from guard.terms import Call, Reply
from guard.walk.hooks import HOOKS
from tests.support.guards import call

QUOTE: Final = "/api/quote"
TENCENT: Final = {"symbol": "HK.00700"}


def quotes(count: int, **head: str) -> list[Call]:
    """So many requests for a quote."""
    return [call(QUOTE, TENCENT, **head) for _ in range(count)]


def noting(guard: Guard, *steps: str) -> list[str]:
    """A log of these steps from now on."""
    log: list[str] = []

    def noted(step: str, hook: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **more: Any) -> Any:
            log.append(step)
            return hook(*args, **more)

        return called

    guard.pipeline.hooks = replace(HOOKS, **{step: noted(step, getattr(HOOKS, step)) for step in steps})
    return log


def break_second(guard: Guard, step: str) -> None:
    """The second request that comes to this step from now on meets a fault of ours there."""
    count = 0

    def second(*args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            raise RuntimeError
        return getattr(HOOKS, step)(*args, **more)

    guard.pipeline.hooks = replace(HOOKS, **{step: second})


def told(reply: Reply) -> tuple[int, Mapping[str, str], int]:
    """What two answers to the same request have in common."""
    return reply.status, {k: v for k, v in reply.headers if k not in {"Guard-Decision", "RateLimit"}}, len(reply.body)
