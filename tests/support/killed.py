"""A guard that kills itself at a chosen step: run as a program, one forked child for each step.

`python -m tests.support.killed FOLDER` has a first child place an order in peace, then an order and its change while
every call to the disk and to the daemon is noted, before it happens and after. Then for each of those steps a child
does the same under FOLDER/<number> and dies by SIGKILL at that step. What reached the daemon and what callers were told
is appended to files, which survive a SIGKILL.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NoReturn

from guard.journal.disk import Disk
from guard.simulator import Simulator
from guard.terms import Answer, Failure, Outbound
from tests.support.guards import ask, lay_out, made, order, said

SURVEY: Final = "000"


class Steps:
    """Notes each step in the file `steps`, and kills at one of them, told as its name and how often it came before."""

    def __init__(self, folder: Path, fatal: str) -> None:
        self._folder, self._fatal = folder, fatal
        self._seen: Counter[str] = Counter()
        self.is_armed = False

    def step(self, name: str) -> None:
        """One step; perhaps the last."""
        if not self.is_armed:
            return
        step = f"{name} #{self._seen[name]}"
        self._seen[name] += 1
        _append(self._folder / "steps", step)
        if step == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingDisk(Disk):
    """The real disk; each call that changes something is two steps."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def open(self, path: Path, flags: int) -> int:
        """Opens."""
        self._steps.step(f"before open {path.name}")
        fd = super().open(path, flags)
        self._steps.step(f"after open {path.name}")
        return fd

    def write(self, fd: int, data: memoryview) -> int:
        """Writes, in two parts, so that there is a torn line between them."""
        self._steps.step("before write")
        if self._steps.is_armed and len(data) > 1:
            written = super().write(fd, data[: len(data) // 2])
            self._steps.step("within write")
            return written
        written = super().write(fd, data)
        self._steps.step("after write")
        return written

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes a checkpoint."""
        self._steps.step("before pwrite")
        written = super().pwrite(fd, data, offset)
        self._steps.step("after pwrite")
        return written

    def fdatasync(self, fd: int) -> None:
        """Syncs the record."""
        self._steps.step("before fdatasync")
        super().fdatasync(fd)
        self._steps.step("after fdatasync")

    def fsync(self, fd: int) -> None:
        """Syncs anything else."""
        self._steps.step("before fsync")
        super().fsync(fd)
        self._steps.step("after fsync")


class KillingDaemon:
    """The simulator; what reaches it is on file before it is carried out."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        self._simulator, self._folder, self._steps = Simulator(), folder, steps

    async def send(self, request: Outbound) -> Answer | Failure:
        """Three steps: before, when it has arrived, and when it was answered."""
        self._steps.step(f"before {request.path}")
        if request.is_trade and request.body is not None:
            _append(self._folder / "reached", json.loads(request.body)["c2s"].get("remark", request.path))
        self._steps.step(f"arrived {request.path}")
        answer = await self._simulator.send(request)
        self._steps.step(f"answered {request.path}")
        return answer


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


async def _live(folder: Path, steps: Steps) -> None:
    guard = made(folder / "guard.toml", daemon=KillingDaemon(folder, steps), disk=KillingDisk(steps))
    await guard.start()
    await ask(guard, "/api/order", order(price=200))
    await guard.journal.checkpoint()
    steps.is_armed = True
    reply = await ask(guard, "/api/order", order(price=201))
    told = said(reply)
    _append(folder / "told", dict(reply.headers)["Guard-Decision"])
    await guard.journal.checkpoint()
    change = {
        "header": {"trd_env": 0, "acc_id": 123456, "trd_market": 1},
        "modify_order_op": 1,
        "qty": 100,
        "price": 190,
    }
    change["order_id_ex"] = told["s2c"]["order_id_ex"]
    reply = await ask(guard, "/api/modify-order", {"c2s": change})
    _append(folder / "told", dict(reply.headers)["Guard-Decision"])
    await guard.journal.checkpoint()
    await guard.stop("done")


def _child(folder: Path, step: str) -> NoReturn:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        asyncio.run(_live(folder, Steps(folder, step)))
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reads it
        (folder / "error").write_text(repr(error))
        os._exit(1)
    os._exit(0)


def _lived(folder: Path, step: str) -> int:
    """The exit code of one child; minus the signal that ended it."""
    folder.mkdir()
    lay_out(folder)
    child = os.fork()
    if child == 0:
        _child(folder, step)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(root: Path) -> int:
    """The survey, then one child for each step, one after the other; 1 where a child failed."""
    codes = {_lived(root / SURVEY, "")}
    steps = (root / SURVEY / "steps").read_text().splitlines()
    codes |= {_lived(root / f"{number:03d}", step) for number, step in enumerate(steps, 1)}
    return int(not codes <= {0, -signal.SIGKILL})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
