"""The server that `guard serve` becomes: what it is handed, and what it does not carry along."""

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import pytest

from guard.serving.handover import ServeRequest, command
from guard.settingsfile import Overrides
from guard.terms import KeyLimits
from tests.support.guards import lay_out, of_type
from tests.support.largepages import LARGE_PAGES, are_had, large_kb
from tests.support.processes import WAIT_S, environment, free_port, process, until

_LOADED: Final = (
    "import sys, guard.serving.__main__; print(*sorted(name for name, found in sys.modules.items() if found))"
)
_LIBRARIES: Final = ("typer", "rich", "pygments", "pydantic", "jwt", "duckdb", "opentelemetry", "cryptography.x509")
_SIGNALLED: Final = (
    "import os, sys, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [{0}]); os.kill(os.getpid(), {0}); {1}"
)
_ROOMS: Final = ("guard.cli", "guard.simulator", "guard.selftest", "guard.audit")


def test_a_server_holds_no_library_of_a_command_line(tmp_path: Path) -> None:
    """Nor what only other commands, or settings that most do not have, are for: it would stay in memory for ever."""
    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-c", _LOADED], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = told.stdout.split()

    assert "guard.lifecycle" in loaded
    unwanted = [name for name in loaded for root in (*_LIBRARIES, *_ROOMS) if f"{name}.".startswith(f"{root}.")]
    assert unwanted == []


def test_the_command_line_is_handed_over_whole() -> None:
    """Flags to the digit, and no module out of the working directory."""
    limits = KeyLimits(allowed_markets=("HK",), max_order_value=Decimal("1000.10"), max_orders_per_minute=3)
    wanted = ServeRequest("a b.toml", Overrides(listen="127.0.0.1:0", enable_trading=False, limits=limits))
    python, *words, told = command(wanted)

    assert (python, words) == (sys.executable, ["-P", "-m", "guard.serving"])
    assert msgspec.json.decode(told, type=ServeRequest) == wanted
    assert msgspec.json.decode(command(ServeRequest())[-1], type=ServeRequest) == ServeRequest()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_server_listens_to_it_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """One that came while the command became the server is kept back: a start and a stop on record, 0, no trace."""
    config = lay_out(tmp_path)
    wanted = ServeRequest(None, Overrides(listen=f"127.0.0.1:{free_port()}", ops=f"127.0.0.1:{free_port()}"))
    script = _SIGNALLED.format(int(number), f"os.execv(sys.executable, {command(wanted)!r})")
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(GUARD_DAEMON_KEY="fc_test", GUARD_DAEMON="http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert [stop["reason"] for stop in of_type(config, "stop")] == [number.name]


def test_the_command_keeps_signals_back_until_it_is_the_server(tmp_path: Path) -> None:
    """Ctrl-C and SIGHUP in the first moment of the server's own process: no trace, and a stop in order."""
    config = lay_out(tmp_path)
    doors = ("--listen", f"127.0.0.1:{free_port()}", "--ops", f"127.0.0.1:{free_port()}")
    env = {"GUARD_DAEMON_KEY": "fc_test", "GUARD_DAEMON": "http://127.0.0.1:1"}
    with process("serve", *doors, cwd=tmp_path, env=env) as begun:
        words = Path(f"/proc/{begun.popen.pid}/cmdline")
        until("the server's own process", lambda: b"guard.serving" in words.read_bytes())
        begun.popen.send_signal(signal.SIGHUP)

        assert begun.stop(signal.SIGINT) == 0
    assert "Traceback" not in begun.err
    assert [stop["reason"] for stop in of_type(config, "stop")] == ["SIGINT"]


@LARGE_PAGES
def test_a_server_lies_in_large_pages_before_it_reads_its_record(tmp_path: Path) -> None:
    """Its programs do; moving more of it would hold up whoever asks already."""
    lay_out(tmp_path)
    doors = ("--listen", f"127.0.0.1:{free_port()}", "--ops", f"127.0.0.1:{free_port()}")
    env = {"GUARD_DAEMON_KEY": "fc_test", "GUARD_DAEMON": "http://127.0.0.1:1"}
    with process("serve", *doors, cwd=tmp_path, env=env) as begun:
        until("large pages", lambda: large_kb(begun.popen.pid) > 0 or not are_had())

        assert begun.stop(signal.SIGTERM) == 0


def test_ctrl_c_while_the_libraries_load_ends_the_command_without_a_trace(tmp_path: Path) -> None:
    """It dies of the signal, as a shell expects; where the signal is ignored it stays ignored."""
    set_up = "import os, signal; signal.signal(2, signal.{}); import guard.cli.entry; "
    begun = f"{set_up}os.kill(os.getpid(), signal.SIGINT); print('on')"
    for before, told in (("default_int_handler", (-signal.SIGINT, "")), ("SIG_IGN", (0, "on\n"))):
        ended = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", begun.format(before)], cwd=tmp_path, capture_output=True, text=True, check=False
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (*told, "")


def test_the_command_that_serves_loads_no_other_and_tells_the_same(tmp_path: Path) -> None:
    """It only becomes the server: the process loads what it needs once it is that."""
    call = "import sys; sys.argv = ['guard', 'serve', {!r}]; import guard.cli.{} as its\ntry: its.main()\n"
    call += "finally: print('guard.lifecycle' in sys.modules)"
    for word, code in (("--help", 0), ("--nope", 64)):
        told = [
            subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", call.format(word, its)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            for its in ("entry", "main")
        ]

        assert [ended.returncode for ended in told] == [code, code]
        assert told[0].stderr == told[1].stderr
        assert told[0].stdout == told[1].stdout.replace("True\n", "False\n")
