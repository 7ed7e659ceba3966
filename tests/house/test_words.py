"""Words that do not belong into the project, and names that say nothing."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
UNFINISHED: Final = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|for now|dummy)\b")
ELSEWHERE: Final = re.compile(r"\bcontract §|\bdaemon\.md\b", re.IGNORECASE)  # notes that this repository does not have
EMPTY_NAMES: Final = {"utils", "helpers", "manager", "common", "misc", "base"}
# Spelt apart, so that this file does not name what it forbids.
FOREIGN: Final = re.compile(
    "|".join(("py" + "pi.org", "python" + "hosted", "npm" + "js", "deb." + "debian", r"/wo" + "rk/"))
)

# Rooms whose docstring is a map of their modules.
MAPPED: Final = (
    *("access", "intent", "journal", "limits", "loop", "policy", "recovery", "server", "stream", "tracking"),
    *("upstream", "walk"),
)
ROOMS: Final = {".ci", "bench", "deploy", "docs", "guard", "policies", "tests"}
LOOSE: Final = {
    *(".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "keys.json.example"),
    *("pyproject.toml", "requirements-dev.lock", "requirements.lock"),
}
# What a guard that ran here would leave: its journal's key, its lock, its keys.
LEFT_BEHIND: Final = {"journal.key", "keys.json", "lock"}


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - git of the machine
    files = [ROOT / name for name in listed.stdout.splitlines()]
    return [f for f in files if f.is_file()] or [f for f in ROOT.rglob("*") if f.is_file() and ".venv" not in f.parts]


@pytest.mark.parametrize("path", sorted((ROOT / "guard").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_product_holds_no_unfinished_words(path: Path) -> None:
    """Nothing in the product says that it is not done or cites what is not here; no module is named after nothing."""
    text = path.read_text()

    assert not UNFINISHED.search(text)
    assert not ELSEWHERE.search(text)
    assert path.stem not in EMPTY_NAMES


@pytest.mark.parametrize("room", MAPPED)
def test_the_map_of_a_room_is_whole(room: str) -> None:
    """A room whose docstring maps its modules names each of them."""
    folder = ROOT / "guard" / room
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}

    assert modules <= set(re.findall(r"`([a-z_]+)`", text))


def test_no_tracked_file_names_a_registry_or_a_machine_path() -> None:
    """Lock files and sources are the same wherever they are used."""
    found = []
    for path in _tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group(0)}" for match in FOREIGN.finditer(text)]

    assert found == []


def test_nothing_that_a_running_guard_leaves_is_tracked() -> None:
    """The top level holds what is named here, and nowhere lies a journal's key, a state directory or a log."""
    tracked = [path.relative_to(ROOT) for path in _tracked()]
    strangers = {path.parts[0] for path in tracked} - ROOMS - LOOSE
    left = [str(path) for path in tracked if path.name in LEFT_BEHIND or path.suffix == ".log"]

    assert (strangers, left) == (set(), [])


def test_floats_stay_out_of_the_money() -> None:
    """No `float(` where orders are read, judged, counted or recorded."""
    rooms = ("intent", "policy", "limits", "journal")
    found = [
        p for room in rooms for p in (ROOT / "guard" / room).glob("*.py") if re.search(r"\bfloat\(", p.read_text())
    ]

    assert found == []


def test_a_constant_is_final() -> None:
    """So that the type checker forbids to bind it anew."""
    bare = re.compile(r"^_?[A-Z][A-Z0-9_]+ = ", re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)}"
        for path in (ROOT / "guard").rglob("*.py")
        for match in bare.finditer(path.read_text())
    ]

    assert found == []
