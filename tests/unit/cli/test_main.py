"""The `guard` command itself: exit codes, one sentence instead of a traceback, and help that fits a terminal."""

import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from guard.catalogue import ENDPOINTS
from guard.cli.main import app
from guard.cli.running import run
from guard.errors import GuardFault, SettingsFault, StateFault
from tests.support.processes import run_here

WIDTH = 80


def _commands(root: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in getattr(root, "commands", {}).items():
        yield from _commands(command, (*words, name))


COMMANDS = sorted(_commands(typer.main.get_command(app)))


def test_the_commands_of_the_contract_are_there() -> None:
    """What scripts and people rely on keeps its name."""
    assert {" ".join(words) for words in COMMANDS} >= {
        *("serve", "demo", "simulate", "check", "endpoints"),
        *("keys new", "keys list", "keys revoke", "keys rotate", "keys reload"),
        *("policy check", "policy reload"),
        *("audit verify", "audit search", "audit tail"),
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_fits_a_terminal(tmp_path: Path, words: tuple[str, ...], flag: str) -> None:
    """Every command has help: 80 columns, nothing cut off, every flag and subcommand explained."""
    done = run_here(*words, flag, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if "…" in line]
    assert lines[1].split() == ["Usage:", "guard", *words, *lines[1].split()[2 + len(words) :]]
    assert len([line for line in lines[2:] if line.strip()]) > 3
    rows = [line.strip(" │").split() for line in lines if line.startswith("│ -")]
    assert not [row for row in rows if len(row) < 3], "a flag without a word about it"


@pytest.mark.parametrize("words", [words for words in COMMANDS if words], ids=" ".join)
def test_no_sentence_of_a_help_is_broken_by_its_source(words: tuple[str, ...]) -> None:
    """A line break in a docstring is one on the terminal: longer lines than fit would leave half of each alone."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    _, *paragraphs = inspect.cleandoc(inspect.unwrap(command.callback).__doc__ or "" if command.callback else "").split(
        "\n\n"
    )

    assert not [line for each in paragraphs for line in each.splitlines() if len(line) > WIDTH - 2]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_file_that_may_not_be_read_is_no_wrong_usage(words: tuple[str, ...]) -> None:
    """The command itself tries to read it and has an exit code for that: 2 of `serve`, 3 of `verify`, never 64."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    paths = [each.type_descriptor for each in command.params if each.type_descriptor.annotation is Path]

    assert paths or not command.params or words in {(), ("keys",), ("policy",), ("audit",), ("demo",)}
    assert not [each for each in paths if each.parameter_info.readable]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_takes_config_state_and_json(tmp_path: Path, words: tuple[str, ...]) -> None:
    """All take `--json`, `--state` and `--config`."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    if hasattr(command, "commands"):
        return
    flags = {flag for option in command.params for flag in option.opts}

    assert {"--json", "--state", "--config"} <= flags


@pytest.mark.parametrize("words", [(), ("keys",), ("policy",), ("audit",)])
def test_a_command_that_says_too_little_shows_its_help(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Without a subcommand: the help, and 64."""
    done = run_here(*words, cwd=tmp_path)

    assert done.returncode == 64
    assert "Usage: guard" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("endpoints", "--jsn"), "No such option: --jsn"),
        (("keys", "revoke"), "Missing argument 'ID'"),
        (("keys", "new", "--scopes", "qot:read"), "Missing option '--id'"),
        (("audit", "search", "--limit", "many"), "Invalid value for '--limit'"),
        (("audit", "search", "--since", "yesterday"), "'yesterday' is no time"),
        (("audit", "search", "--since", "2h", "--until", "5h"), "'5h' is not after --since '2h'"),
        (("audit", "search", "--symbol", "00700"), "lacks its market; write HK.00700"),
        (("audit", "search", "--symbol", "hk.700"), "did you mean HK.00700?"),
        (("audit", "search", "--min-value", "5", "--max-value", "4 HKD"), "'4 HKD' is less than --min-value '5'"),
        (
            ("policy", "reload", "--until", "tomorrow"),
            "'tomorrow' is no duration like 30d and no time like 2026-12-01T17:00:00Z",
        ),
        (("policy", "reload", "--until", "2001-11-22T09:30:00Z"), "is not in the future"),
        (("simulate", "--listen", "nowhere"), "'nowhere' is not HOST:PORT"),
        (("simulate", "--sessions", "sometimes"), "Invalid value for '--sessions'"),
        (("demo", "--port", "70000"), "Invalid value for '--port'"),
    ],
)
def test_wrong_usage_is_64_and_says_what_and_where_to_look(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """Typer would exit 2, which means wrong settings here."""
    done = run_here(*words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (64, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("guard: ")
    assert told in first
    assert re.fullmatch(r"Try: guard( [a-z]+)* --help", second)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (GuardFault("it is wrong"), "guard: it is wrong\n"),
        (SettingsFault(["one thing", "another"]), "guard: one thing\nguard: another\n"),
        (StateFault("not this directory"), "guard: not this directory\n"),
    ],
)
def test_a_fault_is_sentences(capsys: pytest.CaptureFixture[str], fault: GuardFault, told: str) -> None:
    """Faults of any command are told line by line on stderr, exit 1."""

    def command(_: list[str], **__: object) -> None:
        raise fault

    assert run(command) == 1
    assert capsys.readouterr().err == told


def _aborting(_: list[str], **__: object) -> None:
    raise typer.Abort


@pytest.mark.parametrize(
    ("command", "code"),
    [(lambda _, **__: None, 0), (lambda _, **__: 3, 3), (lambda _, **__: "a value", 0), (_aborting, 130)],
)
def test_what_a_command_returns_is_the_exit_code(command: Callable[..., Any], code: int) -> None:
    """A number is the code, anything else is success; an interrupted question is 130 as in a shell."""
    assert run(command) == code


def test_the_version_is_told(tmp_path: Path) -> None:
    """`--version` names distribution and version."""
    done = run_here("--version", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "opend-guard 0.1.0\n")


def test_endpoints_are_the_catalogue(tmp_path: Path) -> None:
    """`guard endpoints --json` is the 68 rows in order; the table has them too."""
    rows = json.loads(run_here("endpoints", "--json", cwd=tmp_path).stdout)
    table = run_here("endpoints", cwd=tmp_path).stdout.splitlines()

    assert len(rows) == len(table) - 1 == 68
    assert list(rows[0]) == ["group", "method", "path", "proto_id", "scope", "runtime_scope", "effect", "record"]
    assert table[0].split() == list(rows[0])
    assert [(row["method"], row["path"]) for row in rows] == [(e.method, e.path) for e in ENDPOINTS]
    assert [(row["proto_id"], row["effect"], row["record"]) for row in rows] == [
        (e.proto_id, e.effect.value, e.record.value) for e in ENDPOINTS
    ]
    assert [row["scope"] for row in rows] == [" or ".join(e.documented) or "public" for e in ENDPOINTS]
    assert [row["runtime_scope"] for row in rows] == [" or ".join(e.runtime) or "public" for e in ENDPOINTS]
    groups = [(name, len(list(members))) for name, members in itertools.groupby(rows, key=lambda row: row["group"])]
    assert [count for _, count in groups] == [6, 5, 13, 8, 11, 2, 14, 6, 3]


@pytest.mark.parametrize(
    "words",
    [
        "policy diff a b",
        "policy replay --since 1h",
        "policy replay --since 1h --policies a",
        "policy suggest --since 1h",
        "audit search",
        "audit tail",
        "audit export x.csv",
        "audit report",
        "audit prove --decision 01K00000000000000000000000",
        "explain 01K00000000000000000000000",
        "explain nothing --ops 127.0.0.1:1",
        "keys list --file none.json",
        "policy check none",
        "me",
    ],
)
def test_what_fails_is_told_to_programs_in_json(tmp_path: Path, words: str) -> None:
    """Exit 1 with the errors as JSON on standard output, whatever it was; people are told on the other."""
    done = run_here(*words.split(), "--json", cwd=tmp_path)

    assert (done.returncode, done.stderr == "") == (1, words.startswith("policy check"))  # which found what it asks for
    assert json.loads(done.stdout)["errors"]
