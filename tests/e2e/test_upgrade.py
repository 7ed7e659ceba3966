"""An upgrade: one guard ends, the next begins on the same sockets and the same record; no connection is refused."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.support.guards import ALL_SCOPES, key, lay_out, of_type, order
from tests.support.processes import GUARD, WAIT_S, ask, environment, free_port, process, until

_HAND_OVER: Final = """
import os, sys
for place, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + place)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "data:ops"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def activated(folder: Path, sockets: list[socket.socket], *, daemon: str) -> Iterator[subprocess.Popen[bytes]]:
    """`guard serve` with sockets that were opened for it, as systemd starts it."""
    fds = [each.fileno() for each in sockets]
    words = [sys.executable, "-c", _HAND_OVER, ",".join(map(str, fds)), GUARD, "serve", "--daemon", daemon]
    with (folder / f"log-{os.urandom(3).hex()}").open("wb") as log:
        running = subprocess.Popen(  # noqa: S603 - our own command
            words, cwd=folder, env=environment(GUARD_DAEMON_KEY="fc_test"), pass_fds=fds, stdout=log, stderr=log
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.wait(WAIT_S)


class Trader:
    """A program that places orders one after the other, each on a connection of its own, until it is stopped."""

    def __init__(self, port: int) -> None:
        self.answers: list[int] = []
        self.broken: list[str] = []
        self._port, self._over = port, threading.Event()
        self._thread = threading.Thread(target=self._trade)
        self._thread.start()

    def stop(self) -> None:
        """No further order; returns once the last is answered."""
        self._over.set()
        self._thread.join(WAIT_S)

    def _trade(self) -> None:
        while not self._over.wait(0.01):
            body = order(remark=str(len(self.answers)), price=200)
            try:
                status, _ = ask(self._port, "/api/order", body, bearer=key("bot"))
            except OSError as error:
                self.broken.append(type(error).__name__)
            else:
                self.answers.append(status)


def test_no_connection_is_refused_while_one_guard_takes_over_from_another(tmp_path: Path) -> None:
    """The second waits for the record until the first has drained; callers wait in the sockets' queue meanwhile."""
    config = lay_out(tmp_path, toml="[trading]\nenabled = true\n[listen]\n[bounds]\ndrain_timeout_s = 600\n")
    own = {"id": "guard", "hash": "sha256:" + hashlib.sha256(b"fc_test").hexdigest(), "scopes": ALL_SCOPES}
    (tmp_path / "daemon-keys.json").write_text(json.dumps({"version": 1, "keys": [own]}))
    with ExitStack() as stack:
        url = f"127.0.0.1:{free_port()}"
        words = ("simulate", "--listen", url, "--keys", "daemon-keys.json")
        daemon = stack.enter_context(process(*words, cwd=tmp_path))
        until("a daemon", lambda: daemon.is_open(int(url.rpartition(":")[2])))
        url = f"http://{url}"
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for _ in range(2)]
        data, ops = (each.getsockname()[1] for each in sockets)
        first = stack.enter_context(activated(tmp_path, sockets, daemon=url))
        until("an answer", lambda: ask(ops, "/readyz")[0] == 200)
        trader = Trader(data)
        until("orders", lambda: len(trader.answers) >= 5)
        second = stack.enter_context(activated(tmp_path, sockets, daemon=url))
        before = len(trader.answers)
        until("orders while the second waits", lambda: len(trader.answers) >= before + 5)
        assert second.poll() is None
        first.terminate()
        assert first.wait(WAIT_S) == 0
        before = len(trader.answers)
        until("orders of the second", lambda: len(trader.answers) >= before + 5)
        trader.stop()
        second.terminate()
        assert second.wait(WAIT_S) == 0

    assert trader.broken == []
    assert set(trader.answers) <= {200, 503}
    assert trader.answers[-1] == 200
    pids = [start["pid"] for start in of_type(config, "start")]
    assert pids == [first.pid, second.pid]
    assert json.loads((tmp_path / "state" / "format").read_text()) == 1
