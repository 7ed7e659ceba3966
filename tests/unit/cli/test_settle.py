"""`guard settle`: a person's word, told to a running guard."""

import asyncio
import json
from pathlib import Path

import pytest

from guard.cli.main import app
from guard.simulator.faults import Reset
from tests.support.commands import Done, called
from tests.support.guards import key, record
from tests.support.stage import ORDER, Stage, decision_of, stage

NOBODY = "01ARYZ6S41TSV4RRFFQ69G5FAV"


async def word(scene: Stage, *words: str, who: str = "desk") -> Done:
    """The command as a person with this key gives it."""
    ops = f"127.0.0.1:{scene.guard.ports[1]}"
    env = {"GUARD_KEY": key(who), "COLUMNS": "200"}
    return await asyncio.to_thread(called, app, "settle", *words, "--ops", ops, env=env)


async def test_a_person_settles_from_the_command_line(tmp_path: Path) -> None:
    """It says so, in words or for programs; what is not in doubt is refused with the reason, exit 1."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person")) as scene:
        scene.daemon.faults.add(Reset(acts=False), path=ORDER, times=2)
        first, second = [decision_of(await scene.place(qty=qty)) for qty in (100, 200)]
        settled = await word(scene, first, "--verdict", "refused", "--reason", "not in the app")
        assert (settled.exit_code, f"{first} is refused" in settled.stdout) == (0, True)
        told = await word(
            scene, second, "--verdict", "accepted", "--reason", "seen", "--order-id-ex", "7571418", "--json"
        )
        assert json.loads(told.stdout.splitlines()[-1])["result"] == "applied"
        again = await word(scene, first, "--verdict", "refused", "--reason", "once more")
        assert (again.exit_code, "not in doubt" in again.stderr) == (1, True)
        stranger = await word(scene, first, "--verdict", "refused", "--reason", "me too", who="bot")
        assert (stranger.exit_code, "not settled" in stranger.stderr) == (1, True)


@pytest.mark.parametrize("words", [["--verdict", "perhaps", "--reason", "x"], ["--verdict", "refused"]])
def test_wrong_usage_exits_64(words: list[str]) -> None:
    """A verdict that is none, no reason."""
    assert called(app, "settle", NOBODY, *words).exit_code == 64


def test_an_id_that_is_none_settles_nothing() -> None:
    """Nobody is asked, and the exit is that of any decision that cannot be settled: 1."""
    done = called(app, "settle", "nothing", "--verdict", "refused", "--reason", "x")

    assert (done.exit_code, "'nothing' is no decision" in done.stderr) == (1, True)
