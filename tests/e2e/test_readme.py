"""The README does what it says: its commands are run in order, its answers are compared, its files are used.

Blocks marked `sh` are run by a shell in a copy of the project's shipped files, with the simulated daemon in the place
of a real one and free ports in the place of the default ones. Not run are the two `make` targets, which would run this
test and the demo's own, and the installation, which the gate itself has done; they are checked otherwise.
"""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from guard.cli.demo import hash_of
from guard.cli.main import app
from tests.support.guards import ask, lay_out, order, record, running, said
from tests.support.processes import GUARD, Process, environment, external, free_port, process, shell, until

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text()
DAEMON_KEY: Final = f"fc_{'5a' * 32}"
PLACES: Final = {"22499": "daemon", "22500": "data", "22501": "ops"}


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _is_elsewhere(block: str) -> bool:
    return block.startswith(("make ", "python3 -m venv "))


class Room:
    """The folder in which the README is followed, with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in PLACES.values()}
        self.env = {"PATH": f"{Path(GUARD).parent}:{environment()['PATH']}"}
        shutil.copytree(ROOT / "policies", folder / "policies")
        shutil.copy(ROOT / "keys.json.example", folder)
        (folder / "daemon.key").write_text(DAEMON_KEY + "\n")
        keys = [{"id": "guard", "hash": hash_of(DAEMON_KEY), "scopes": ["qot:read", "acc:read", "trade:simulate"]}]
        (folder / "daemon-keys.json").write_text(json.dumps({"version": 1, "keys": keys}))

    def here(self, text: str) -> str:
        """The text with this room's ports."""
        for port, name in PLACES.items():
            text = text.replace(port, str(self.ports[name]))
        return text

    def do(self, block: str, *, cwd: Path | None = None) -> str:
        """What a shell prints for a block; every line must succeed."""
        done = shell(f"set -eu\n{self.here(block)}", cwd=cwd or self.folder, env=self.env)
        assert done.returncode == 0, (block, done)
        return done.stdout

    @contextmanager
    def open(self, name: str, *words: object, cwd: Path) -> Iterator[Process]:
        """A command that runs on, once it listens."""
        with process(*words, cwd=cwd, env=self.env) as running_:
            until(name, lambda: running_.is_open(self.ports[name]))
            yield running_


def test_every_command_is_run_in_order(tmp_path: Path) -> None:
    """From the guard's folder to metrics: each block succeeds, and what callers are answered is no refusal."""
    external("curl")
    room, files = Room(tmp_path), tmp_path / "guard-files"
    blocks = [block for block in _blocks("sh") if not _is_elsewhere(block)]
    starting = next(place for place, block in enumerate(blocks) if block.endswith("guard serve\n"))
    listen = f"127.0.0.1:{room.ports['daemon']}"
    with room.open("daemon", "simulate", "--listen", listen, "--keys", "daemon-keys.json", cwd=tmp_path):
        room.do(blocks[0])
        (settings,) = _blocks("toml")
        (files / "guard.toml").write_text(room.here(settings))
        checked = [room.do(block, cwd=files) for block in blocks[1:starting]][-1]
        with room.open("data", "serve", cwd=files) as guard:
            told = [room.do(block, cwd=files) for block in blocks[starting + 1 :]]
            night = room.do("\n".join(_blocks("sh", RUNBOOK)), cwd=files)
            assert guard.stop(signal.SIGTERM) == 0

    assert night.count('"result":"applied"') == 2, "the runbook's lines: a key is stopped, and let go on"
    assert "key bot-1 removed" in night
    assert "wrong" not in checked
    assert "shares no key with the guard's" in checked
    assert not [text for text in told if '"err_code":"' in text]
    joined = "".join(told)
    assert '"order_id_ex"' in joined
    assert '"outcome":"refuse"' in joined, "the dry run of an agent that is too bold"
    assert "revoked agent-1" in joined
    assert joined.count("applied: sha256") == 2, "keys, and policies"
    assert "default orders." in joined, "what the reload changed"
    assert joined.count('"result":"applied"') == 2, "two trading states"
    assert 'guard_order_outcomes_total{outcome="accepted"} 1.0' in joined
    assert '"ready":true' in joined
    assert "\nok: " in joined


def test_the_commands_that_are_not_run_here_exist() -> None:
    """`make demo` and `make test` are targets, and the installation is what the Makefile does."""
    make = external("make")
    elsewhere = [block for block in _blocks("sh") if _is_elsewhere(block)]
    targets = re.findall(r"^make (\w+)", elsewhere[0], re.MULTILINE)

    assert targets == ["demo", "test"]
    done = subprocess.run([make, "-n", *targets], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - make
    assert done.returncode == 0, done.stderr
    assert "guard demo" in done.stdout
    assert "tests/gate.sh" in done.stdout
    (installing,) = (re.sub(r"\S*\.guard/", "", block) for block in elsewhere[1:])
    assert [line.partition("#")[0].strip() for line in installing.splitlines()] == [
        "python3 -m venv .guard && bin/pip install .",
        ". bin/activate",
    ]


async def test_the_refused_order_is_a_real_one(tmp_path: Path) -> None:
    """The answer on the first screen is what the shipped policies answer, but for its id and the policies' hash."""
    (block,) = _blocks("json")
    shown: dict[str, Any] = json.loads(block)
    shipped = {path.name: path.read_text() for path in (ROOT / "policies").glob("*.toml")}
    async with running(lay_out(tmp_path, record("bot"), policies=shipped)) as guard:
        reply = await ask(guard, "/api/order", order(env="real"))

    answered = said(reply)
    for each in (shown, answered):
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", each["guard"].pop("decision"))
        assert re.fullmatch(r"[0-9a-f]{64}", each["guard"].pop("policy_sha256"))
    assert (reply.status, answered) == (403, shown)
    assert list(answered) == list(shown)


def _commands(root: Any, words: str = "") -> Iterator[str]:
    for name, command in root.commands.items():
        yield from _commands(command, f"{words}{name} ") if hasattr(command, "commands") else [f"{words}{name}"]


def test_the_table_of_commands_is_whole() -> None:
    """Every command of the program, and no other."""
    found = set()
    for row in re.findall(r"^\| (`guard [^|]+) \|", README, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", row)
        found |= {first.removeprefix("guard ")} | {f"{first.split()[1]} {word}" for word in more}

    assert found == set(_commands(typer.main.get_command(app)))


DOCUMENTS: Final = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "deploy").glob("*.md"),
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_named_files_exist(path: Path) -> None:
    """No link into the project leads nowhere, and no file of the code is named that is not there."""
    text = path.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:guard|tests|docs|deploy|policies|bench)/[\w./-]+\.\w+)`", text)

    assert not [link for link in links if link and not (path.parent / link).exists()]
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_flow_names_every_room() -> None:
    """`docs/flow.md` is the only map from idea to file: no room is missing from it."""
    flow = (ROOT / "docs" / "flow.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "guard").glob("*/__init__.py")}

    assert not [room for room in rooms if f"guard/{room}/" not in flow]
