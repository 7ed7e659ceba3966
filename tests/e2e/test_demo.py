"""`guard demo` as a newcomer meets it: started in an empty folder, its lines pasted into a shell, ended with Ctrl-C."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, ask, environment, external, process, run, shell, until

FREE_PORTS = ("--port", 0, "--ops-port", 0, "--daemon-port", 0)


class Demo:
    """A demo that is open: what it printed, taken apart."""

    def __init__(self, running: Process, folder: Path) -> None:
        self.running = running
        self.folder = folder
        self.text = running.out
        self.keys = dict(re.findall(r"^ +(reader|trader|agent|operator) +(gk_[0-9a-f]{64})", self.text, re.MULTILINE))
        self.ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", self.text)[:2]]

    def steps(self) -> list[list[str]]:
        """The lines to paste, step by step."""
        parts = re.split(r"^\d\. .*$", self.text, flags=re.MULTILINE)[1:]
        return [[line.strip() for line in part.splitlines() if line.startswith("  ")] for part in parts]

    def paste(self, line: str) -> str:
        """What a shell answers to a line, in a directory that has nothing to do with the demo."""
        done = shell(line, cwd=Path("/"))
        assert done.returncode == 0, done
        assert done.stderr == "", done
        return done.stdout


@pytest.fixture(name="demo")
def _demo(tmp_path: Path) -> Iterator[Demo]:
    with process("demo", "--folder", "a demo", *FREE_PORTS, cwd=tmp_path) as running:
        until("the demo's lines", lambda: running.is_running() and "Ctrl-C ends the demo" in running.out)
        yield Demo(running, tmp_path / "a demo")


def test_the_printed_lines_do_what_they_say(demo: Demo) -> None:
    """Pasted in order: an order passes, one is refused, the record has both, an edited policy lets the second by."""
    external("curl")
    paper, real, left, (search, verify), (counters,), (edit, reload, again) = demo.steps()

    assert json.loads(demo.paste(paper[0]))["ret_type"] == 0

    refused = json.loads(demo.paste(real[0]))
    assert refused["err_code"] == "max_order_value"
    assert refused["ret_msg"].startswith("order value 30000 HKD is above 20000 HKD: ")
    assert refused["guard"]["reasons"][0]["policy"] == "default"

    limits = json.loads(demo.paste(left[0]))["limits"]
    assert {"agents"} <= {limit["policy"] for limit in limits}

    passed, stopped = (line for line in demo.paste(search).splitlines() if "/api/order" in line)
    assert "allow" in passed
    assert "refuse max_order_value" in stopped
    assert demo.paste(verify).startswith("ok: ")

    counted = demo.paste(counters).splitlines()
    assert 'guard_refusals_total{code="max_order_value",policy="default"} 1.0' in counted
    assert 'guard_order_outcomes_total{outcome="accepted"} 1.0' in counted

    demo.paste(edit)
    applied = json.loads(demo.paste(reload))
    assert applied["result"] == "applied"
    assert [change["kind"] for change in applied["changes"]] == ["looser"]
    assert json.loads(demo.paste(again))["ret_type"] == 0


def test_every_key_is_ready_and_no_more_than_it_says(demo: Demo) -> None:
    """Four keys: a reader who may not trade, a trader, an agent who may not touch real money, an operator."""
    data, ops = demo.ports

    def status(who: str, env: str) -> int:
        body = {"market": "HK", "acc_id": 123456, "env": env, "side": "BUY", "code": "00700", "qty": 10, "price": 300}
        return ask(data, "/api/order", body | {"remark": f"{who}{env}"}, bearer=demo.keys[who])[0]

    assert set(demo.keys) == {"reader", "trader", "agent", "operator"}
    assert [ask(data, "/guard/v1/me", bearer=key)[0] for key in demo.keys.values()] == [200] * 4
    assert [status(who, "simulate") for who in demo.keys] == [403, 200, 200, 403]
    assert [status(who, "real") for who in demo.keys] == [403, 200, 403, 403]
    assert ask(ops, "/admin/state", bearer=demo.keys["operator"])[0] == 200
    assert ask(ops, "/admin/state", bearer=demo.keys["trader"])[0] == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_an_orderly_end(demo: Demo, number: int) -> None:
    """It ends with 0, without a traceback, and the record ends with a stop."""
    assert demo.running.stop(number) == 0

    assert "Traceback" not in demo.running.err
    records = [json.loads(line) for line in (demo.folder / "state/journal/00000001.jsonl").read_text().splitlines()]
    assert [records[0]["type"], records[-1]["type"]] == ["segment", "stop"]


def test_secrets_are_in_files_of_mode_0600_and_hashes_only_in_keys_json(demo: Demo) -> None:
    """What the demo leaves behind tells nobody a key, but for the daemon's, which only the owner may read."""
    for path in demo.folder.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not [name for name, key in demo.keys.items() if key in text], path
    assert (demo.folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert (demo.folder / "daemon.key").stat().st_mode & 0o777 == 0o600
    assert demo.folder.stat().st_mode & 0o777 == 0o700


def test_taken_ports_are_not_in_the_way(tmp_path: Path) -> None:
    """Where a port is taken another one is used, and the printed lines name it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = ("--port", taken, "--ops-port", taken, "--daemon-port", taken)
        with process("demo", *ports, cwd=tmp_path) as running:
            until("the demo's lines", lambda: running.is_running() and "Ctrl-C ends" in running.out)
            data, ops = Demo(running, tmp_path / "demo").ports

            assert len({taken, data, ops}) == 3
            assert ask(data, "/api/ping")[0] == 401


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """A folder that is no demo's is not emptied; a demo's own is made anew."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years")

    done = run("demo", "--folder", "mine", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr == "guard: mine exists and is not a demo's; choose another with --folder\n"
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "ten years"


def test_the_environment_of_the_shell_does_not_leak_in(tmp_path: Path) -> None:
    """Variables that steer a real guard do not reach the demo."""
    leaks: dict[str, Any] = {
        "GUARD_DAEMON_KEY": "fc_real",
        "GUARD_STATE": "/nowhere",
        "GUARD_DAEMON": "http://10.0.0.1:1",
    }
    assert not [name for name in environment() if name.startswith("GUARD_")]
    with process("demo", *FREE_PORTS, cwd=tmp_path, env=leaks) as running:
        until("the demo's lines", lambda: running.is_running() and "Ctrl-C ends" in running.out)
        assert (tmp_path / "demo" / "state" / "journal").is_dir()
