"""Orders that the daemon refuses, and orders of which nobody knows what became."""

from guard.simulator.faults import HttpError, RetType
from guard.terms import Reply
from tests.support.stage import ORDER, Stage


async def lost(scene: Stage, *, who: str = "bot") -> Reply:
    """An order of which nobody knows what became, a second after the one before."""
    scene.clock.advance(s=1)
    scene.daemon.faults.add(HttpError(500), path=ORDER)
    return await scene.place(who=who, price=100 + len(scene.daemon.requests))


async def declined(scene: Stage) -> Reply:
    """An order that the daemon refuses, a second after the one before."""
    scene.clock.advance(s=1)
    scene.daemon.faults.add(RetType(-1), path=ORDER)
    return await scene.place()
