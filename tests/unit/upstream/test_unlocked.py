"""The daemon's lock as a figure: told where it can be known, and nothing where it cannot."""

from pathlib import Path

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import Fault, HttpError, Reset
from guard.terms import Answer, Failure, Outbound
from guard.upstream.unlocked import PATH, Unlocked
from tests.support.guards import ask, lay_out, operate, running

METRIC = "guard_daemon_trade_unlocked"


class Odd:
    """A daemon that answers as it likes."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def send(self, request: Outbound) -> Answer | Failure:
        """The one answer."""
        assert request.path == PATH
        return Answer(200, "application/json", self.body)


async def test_the_figure_follows_the_daemon(tmp_path: Path) -> None:
    """Unknown is no series; then 0 or 1, as the daemon's own administration says."""
    simulator = Simulator()
    async with running(lay_out(tmp_path), daemon=simulator) as guard:
        assert f"\n{METRIC} " not in str((await operate(guard, "/metrics"))[1])
        for is_unlocked in (True, False):
            simulator.world.is_unlocked = is_unlocked
            await guard.unlocked.look()
            assert f"\n{METRIC} {float(is_unlocked)}\n" in str((await operate(guard, "/metrics"))[1])
        assert (await ask(guard, "/api/accounts")).status == 200


@pytest.mark.parametrize("fault", [HttpError(403), HttpError(503), Reset(acts=True)])
async def test_a_daemon_that_does_not_tell_is_not_guessed_at(fault: Fault) -> None:
    """After a refusal, a fault or silence what was known before is known no more."""
    simulator = Simulator()
    unlocked = Unlocked(simulator)
    await unlocked.look()
    assert unlocked.is_unlocked is simulator.world.is_unlocked
    simulator.faults.add(fault, path=PATH)
    await unlocked.look()

    assert unlocked.is_unlocked is None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"cache":{}}', b'{"cache":{"trade_unlocked":1}}', b"\xff", b"[1]"])
async def test_an_answer_that_is_none_is_nothing(body: bytes) -> None:
    """Only a plain yes or no counts."""
    unlocked = Unlocked(Odd(body))
    await unlocked.look()

    assert unlocked.is_unlocked is None
