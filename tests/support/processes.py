"""Real processes for end-to-end tests: the guard and the simulated daemon as a user starts them."""

import contextlib
import errno
import http.client
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
import structlog

from guard.cli import main, running
from guard.clock import SystemClock
from guard.policy.periods import RESET_OF, begins, period_of

GUARD: Final = str(Path(sys.executable).with_name("guard"))
WAIT_S: Final = 60.0
_PAUSE_S: Final = 0.02
_PORTS_FROM: Final = 24_000  # above the guard's own
_PORTS: Final = 8_000  # below those that a listener on port 0 or a caller is given
_T = TypeVar("_T")


def external(program: str) -> str:
    """The path of a program that is no Python package. Without it the test is skipped by name, under CI it fails."""
    found = shutil.which(program)
    if found is None:
        message = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    """A TCP port that nobody has at this moment, and that neither the system nor another test gives anybody else.

    Tests run beside each other, and a port is bound only once the program that is told of it has started: a name in the
    kernel, which goes with this process, keeps it until then.
    """
    while True:
        port = _PORTS_FROM + secrets.randbelow(_PORTS)
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                claim.bind(f"\0guard-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:  # names that are Linux's alone, or forbidden
                    raise
            else:
                claim.detach()
                return port


def until(what: str, look: Callable[[], _T | None], *, wait_s: float = WAIT_S) -> _T:
    """What `look` finds, asked again until it is something; fails when it takes too long."""
    end_s = time.monotonic() + wait_s
    while time.monotonic() < end_s:
        found = look()
        if found:
            return found
        time.sleep(_PAUSE_S)
    pytest.fail(f"not within {wait_s} s: {what}")


def environment(**more: str) -> dict[str, str]:
    """A user's environment without the variables that steer a guard."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GUARD_", "COV_"))}
    return own | {"NO_COLOR": "1", "COLUMNS": "80", "PYTHONUNBUFFERED": "1"} | more


def in_one_day(most_s: float = WAIT_S) -> None:
    """Waits where a budget day of Hong Kong orders ends within that time, by the machine's own clock."""
    now = SystemClock().wall()
    left_s = (begins(RESET_OF["HK"], period_of(RESET_OF["HK"], now) + timedelta(days=1)) - now).total_seconds()
    if left_s < most_s:
        time.sleep(left_s + _PAUSE_S)


def children(pid: int) -> list[int]:
    """The processes that one has started, whichever of its threads did."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


class Process:
    """A command of the guard's that runs meanwhile, its output kept in files."""

    def __init__(self, *words: object, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self._out, self._err = cwd / f"out-{id(self)}", cwd / f"err-{id(self)}"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(  # noqa: S603 - our own command
                [GUARD, *map(str, words)], cwd=cwd, env=environment(**(env or {})), stdout=out, stderr=err
            )

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it logged or complained of."""
        return self._err.read_text()

    def log(self) -> list[dict[str, Any]]:
        """The lines of its JSON log."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name."""
        return [line for line in self.log() if line["event"] == name]

    def ended(self, *, wait_s: float = WAIT_S) -> int:
        """The exit code, once it has ended."""
        return self.popen.wait(wait_s)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal to end."""
        self.popen.send_signal(number)
        return self.ended()

    def is_running(self) -> bool:
        """True; fails the test if it ended by itself."""
        if self.popen.poll() is not None:
            pytest.fail(f"ended with {self.popen.returncode}: {self.err or self.out}")
        return True

    def is_open(self, port: int) -> bool:
        """It listens there."""
        self.is_running()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False


@contextlib.contextmanager
def process(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """A command that is killed at the end if it still runs."""
    started = Process(*words, cwd=cwd, env=env)
    try:
        yield started
    finally:
        if started.popen.poll() is None:
            started.popen.kill()
        started.popen.wait(WAIT_S)


def run(
    *words: object, cwd: Path, env: Mapping[str, str] | None = None, wait_s: float = WAIT_S
) -> subprocess.CompletedProcess[str]:
    """A command of the guard's from start to end."""
    return subprocess.run(  # noqa: S603 - our own command
        [GUARD, *map(str, words)],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=wait_s,
        check=False,
    )


def run_here(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The same without a process of its own, many times faster: for commands that do not run on and set no signals.

    `guard serve` too, as long as it is told no: what passes becomes another process.
    """
    raw = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(one, encoding="utf-8", write_through=True) for one in raw)
    own, before, argv = environment(**(env or {})), dict(os.environ), [GUARD, *map(str, words)]
    try:
        os.environ.clear()
        os.environ.update(own)
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = running.run(partial(main.app, prog_name="guard"), argv[1:])
    finally:
        os.environ.clear()
        os.environ.update(before)
        structlog.reset_defaults()  # a command sets the log up for its process
    return subprocess.CompletedProcess(argv, code, *(one.getvalue().decode() for one in raw))


def shell(line: str, *, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A line as a person pastes it into a shell."""
    return subprocess.run(  # noqa: S603 - the lines of our own documents
        ["/bin/sh", "-c", line],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def ask(
    port: int,
    path: str,
    body: object = None,
    *,
    bearer: str | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """One request over a connection of its own: the status and the body, parsed where it is JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    fields = {"Content-Type": "application/json"} if body is not None else {}
    if bearer is not None:
        fields["Authorization"] = f"Bearer {bearer}"
    with contextlib.closing(connection):
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method or ("GET" if body is None else "POST"), path, raw, fields | dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
