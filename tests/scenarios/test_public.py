"""Public endpoints lend no privilege, and a 401 of the daemon's own is told apart from the guard's."""

from pathlib import Path

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import HttpError
from tests.support.guards import ask, lay_out, order, record, running


@pytest.mark.parametrize(("scopes", "lent"), [(["metrics:read"], "none"), (["qot:read"], "guard")])
async def test_a_key_without_what_the_daemon_asks_is_lent_nothing(tmp_path: Path, scopes: list[str], lent: str) -> None:
    """On a public row the guard's daemon key goes along only for a key that has the daemon's own scope."""
    simulator = Simulator()
    config = lay_out(tmp_path, record("bot", scopes=scopes))
    async with running(config, daemon=simulator) as guard:
        await ask(guard, "/api/user-info")

    assert simulator.requests[-1].lend == lent


async def test_a_401_of_the_daemons_says_whose_it_is(tmp_path: Path) -> None:
    """The daemon's status and body pass, and a field tells that the caller's key was not what failed."""
    simulator = Simulator()
    simulator.faults.add(HttpError(401, "missing bearer token", acts=False), path="/api/user-info")
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        reply = await ask(guard, "/api/user-info", who=None)

    assert reply.status == 401
    assert ("Guard-Note", "this 401 is the daemon's") in reply.headers


async def test_a_401_of_the_daemons_to_an_order_says_whose_it_is(tmp_path: Path) -> None:
    """The guard's own key is what the daemon does not know: a caller is not sent to mend its own; told again too."""
    simulator = Simulator()
    simulator.faults.add(HttpError(401, "missing bearer token"), path="/api/order")
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        replies = [await ask(guard, "/api/order", order(), idempotency_key="once") for _ in range(2)]

    assert [reply.status for reply in replies] == [401, 401]
    for reply in replies:
        assert ("Guard-Note", "this 401 is the daemon's") in reply.headers
