"""Programs beside the guard that are killed, hang or are left behind: nothing is lost, and the next start is free."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from guard.admin.change import Who
from guard.admin.rehearsal import Rehearsal
from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import LENT, running_simulator
from tests.support.guards import key, lay_out, order
from tests.support.processes import Process, ask, children, free_port, in_one_day, process, run
from tests.support.stage import stage
from tests.support.story import PEOPLE, WIDE

WAIT_S: Final = 60
TOML: Final = """
[listen]
data = "127.0.0.1:{data}"
ops = "127.0.0.1:{ops}"
[trading]
enabled = true
[daemon]
url = "{url}"
broker_limits = "off"
"""
COUNTS: Final = "[orders]\nper_day = 1000\n"


class Lives:
    """The lives of one guard, on the same ports and in the same directory."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.data, self.ops = folder, free_port(), free_port()
        lay_out(folder, toml=TOML.format(data=self.data, ops=self.ops, url=url))

    @contextlib.contextmanager
    def life(self) -> Iterator[Process]:
        """One of them; killed at its end if it still runs."""
        with process("serve", cwd=self.folder, env={"GUARD_DAEMON_KEY": "fc_test"}) as guard:
            yield guard

    async def opens(self, guard: Process) -> None:
        """Both its doors are open; it fails where it ended, as it does where something is in use."""
        async with asyncio.timeout(WAIT_S):
            while not (guard.is_open(self.data) and guard.is_open(self.ops)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    async def ordered(self, number: int) -> None:
        """One order passes."""
        body = order(price=200 + number)
        assert (await asyncio.to_thread(ask, self.data, "/api/order", body, bearer=key("bot")))[0] == 200

    async def reload(self) -> tuple[int, Any]:
        """The policies as they are in their files now."""
        return await asyncio.to_thread(ask, self.ops, "/admin/policy/reload", {"reason": "r"}, bearer=key("desk"))

    async def used(self) -> int | None:
        """What the key has used of its orders a day, simulated and real; None where it has no such limit."""
        _, me = await asyncio.to_thread(ask, self.data, "/guard/v1/me", bearer=key("bot"))
        found = [int(one["used"]) for one in me["limits"] if one["rule"] == "orders.per_day"]
        return sum(found) if found else None


def held_by(pid: int) -> list[str]:
    """What a process has open."""
    return [str(name.readlink()) for name in Path(f"/proc/{pid}/fd").iterdir()]


async def program_of(guard: Process) -> int:
    """The process id of what works beside it, once there is one; it stands still when this returns."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for pid in filter(is_beside, children(guard.popen.pid)):
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGSTOP)
                while (state := state_of(pid)) not in {"T", "Z", ""}:  # noqa: ASYNC110 - the system tells nobody
                    await asyncio.sleep(0.001)
                if state == "T":
                    return pid
            await asyncio.sleep(0.001)


def is_beside(pid: int) -> bool:
    """It is the program already: before, it is a copy of the guard, and has open what the guard has."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return b"guard.loop.beside" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def state_of(pid: int) -> str:
    """As /proc tells it: T stands still, Z has ended; "" is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def is_there(pid: int) -> bool:
    """It has not ended."""
    return state_of(pid) not in {"Z", ""}


async def test_a_guard_and_what_works_beside_it_are_killed_in_a_change(tmp_path: Path) -> None:
    """First the program, then the guard, the program left hanging: the next start has all, and is in nobody's way."""
    in_one_day()
    simulator = Simulator(keys=(LENT,), profile="documented")
    async with running_simulator(simulator) as url:
        lives = Lives(tmp_path, url)
        with lives.life() as guard:
            await lives.opens(guard)
            for number in range(3):
                await lives.ordered(number)
            (tmp_path / "policies/counts.toml").write_text(COUNTS)
            reload = asyncio.ensure_future(lives.reload())
            os.kill(await program_of(guard), signal.SIGKILL)
            status, told = await reload
            assert (status, "ended with -9" in str(told)) == (503, True), told
            assert await lives.used() is None, "what was in force stays"
            await lives.ordered(3)

            reload = asyncio.ensure_future(lives.reload())
            program = await program_of(guard)
            held = held_by(program)
            await asyncio.to_thread(guard.stop, signal.SIGKILL)
            with contextlib.suppress(OSError):
                await reload
        assert not [what for what in held if "socket" in what or str(tmp_path / "state/lock") in what]

        with lives.life() as guard:
            await lives.opens(guard)
            assert is_there(program), "it hangs, and is in nobody's way"
            assert await lives.used() == 4
            await lives.ordered(4)
            assert await lives.used() == 5
            os.kill(program, signal.SIGCONT)
            async with asyncio.timeout(WAIT_S):
                while is_there(program):  # noqa: ASYNC110 - the system tells nobody
                    await asyncio.sleep(0.02)
            assert await asyncio.to_thread(guard.stop) == 0
    assert len(simulator.orders) == 5
    assert run("audit", "verify", cwd=tmp_path).returncode == 0


async def test_a_recount_that_is_killed_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said nothing itself; what was in force stays, and the next reload applies."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200)
        dies = tmp_path / "dies"
        dies.write_text("#!/bin/sh\nkill -9 $$\n")
        dies.chmod(0o700)
        (tmp_path / "policies/counts.toml").write_text(COUNTS)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(dies))
            change = await scene.guard.changes.policies.reload(Who("desk", "count"))
        assert (change.result, "ended with -9" in str(change.errors[0])) == ("unrecorded", True), change
        assert (await scene.guard.changes.policies.reload(Who("desk", "count"))).result == "applied"
        assert scene.sums("orders_per_day") == 1


@pytest.mark.parametrize("text", ["kill -9 $$", "exit 0", "head -c 9000000 /dev/zero", None])
async def test_a_rehearsal_that_fails_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """Killed, silent, endless, or not to be started: whoever approves is told, and may still do it."""
    program = tmp_path / "program"
    if text is not None:
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    found = await Rehearsal(tmp_path, ManualClock())("ab" * 32)
    assert "could not be replayed" in str(found["error"])
