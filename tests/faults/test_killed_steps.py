"""SIGKILL at every step of an order and its change, in a real process: what is left, and what the next start does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator import Simulator
from tests.support.guards import made
from tests.support.signed import verdict

ROOT: Final = Path(__file__).parents[2]
PATHS: Final = ("/api/order", "/api/modify-order")


@pytest.fixture(scope="module")
def graves(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One directory for each step at which a guard died; the first one lived to its end."""
    root = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.support.killed", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    found = sorted(root.iterdir())
    errors = [path.read_text() for path in root.glob("*/error")]
    assert (done.returncode, errors) == (0, []), done.stderr
    assert len(found) > 30, "too few steps to have been an order"
    return found


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The whole records of one type; a torn line is none."""
    found = []
    for path in sorted((folder / "state" / "journal").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                record = json.loads(line)
                found += [record] if record["type"] == kind else []
    return found


def noted(folder: Path, name: str) -> set[str]:
    """The lines of a file that the dying process appended to."""
    path = folder / name
    return set(path.read_text().split("\n")) - {""} if path.exists() else set()


def test_the_steps_are_those_of_an_order(graves: list[Path]) -> None:
    """Before, within and after each write, sync and signature, and on both sides of the daemon."""
    lived, *died = [(folder / "steps").read_text().splitlines() for folder in graves]
    places = [lived.index(f"{name} #0") for name in ("before write", "within write", "after fdatasync")]
    places += [lived.index(f"{name} {path} #0") for path in PATHS for name in ("before", "arrived", "answered")]

    assert places == sorted(places)
    assert {"before pwrite #0", "after pwrite #0", "before fsync #0", "after fsync #0"} <= set(lived)
    assert len(died) == len(lived)
    assert len({steps[-1] for steps in died} & set(lived)) > len(lived) * 3 // 4, "the others ran on: timers differ"


def test_whatever_reached_the_daemon_was_decided_on_the_disk(graves: list[Path]) -> None:
    """No order without its decision, no answer without a record, at any step."""
    for folder in graves:
        decisions = {line["id"]: line for line in records(folder, "decision")}
        orders = {line.removeprefix("g:") for line in noted(folder, "reached") if line.startswith("g:")}
        changes = [line for line in decisions.values() if line["endpoint"] == "/api/modify-order"]
        assert orders <= decisions.keys(), folder
        assert ("/api/modify-order" in noted(folder, "reached")) <= bool(changes), folder
        assert noted(folder, "told") <= decisions.keys(), folder


def test_the_record_verifies_after_every_death(graves: list[Path]) -> None:
    """Whole, or torn in its last line: never edited, never shorter than a checkpoint."""
    for folder in graves:
        assert verdict(folder / "state") in {"ok", "torn"}, folder


async def test_what_has_no_outcome_is_unknown_at_the_next_start(graves: list[Path]) -> None:
    """Its money stays held and its order is not sent again; then the record verifies."""
    for folder in graves:
        open_before = {line["id"] for line in records(folder, "decision") if line["outcome"] == "allow"}
        open_before -= {line["decision"] for line in records(folder, "outcome")}
        simulator = Simulator()
        guard = made(folder / "guard.toml", daemon=simulator)
        await guard.start()
        unknown = {step.id for step in guard.desk.state.steps.values()}
        statuses = {step.status for step in guard.desk.state.steps.values()}
        sent = [request.path for request in simulator.requests if "order" in request.path and request.method == "POST"]
        await guard.stop("test over")

        assert unknown == open_before, folder
        assert statuses <= {"unknown"}, folder
        assert not [path for path in sent if path in PATHS], folder
        assert verdict(folder / "state") == "ok", folder
