"""Arrows between rooms run one way, and pure rooms do no I/O."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from tests.house.pure import MODULES, WORDS, name_of, pure

TESTS: Final = Path(__file__).parents[1]
IO: Final = frozenset(
    {"asyncio", "aiohttp", "socket", "os", "pathlib", "time", "random", "secrets", "logging", "subprocess", "threading"}
)
# A room may name only what stands before it. Rooms on one line know nothing of each other.
MAY_NAME: Final = {
    "server": {"supervisor", "clock"},
    "upstream": {"clock", "filemark"},
    "reference": {"clock", "supervisor"},
    "journal": {"clock", "wholefile"},
    "audit": {"clock", "journal", "scratch"},
    "simulator": {"catalogue", "clock"},
    "stream": {"access", "catalogue", "limits", "policy", "server", "supervisor", "upstream", "walk"},
}
FREE: Final = frozenset({"pipeline", "lifecycle", "cli", "admin", "gauges", "selftest", "serving"})


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide arrows"
            found |= {
                f"{node.module}.{alias.name}" if node.module == "guard" else str(node.module) for alias in node.names
            }
    return found


def _modules(path: Path) -> Iterator[str]:
    """All that a module may have imported as a module, by its whole name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms(imports: set[str]) -> set[str]:
    return {name.split(".")[1] for name in imports if name.startswith("guard.")}


@pytest.mark.parametrize("path", pure(), ids=name_of)
def test_pure_modules_do_no_io_and_know_no_other_room(path: Path) -> None:
    """A pure module imports no I/O, and of ours only the shared words and its own room."""
    room = name_of(path).split("/")[0]
    imports = _imports(path)

    assert not {i for i in imports if i.split(".")[0] in IO}
    assert _rooms(imports) <= WORDS | {room}


@pytest.mark.parametrize("path", [m for m in MODULES if name_of(m).split("/")[0] in MAY_NAME], ids=name_of)
def test_rooms_name_only_what_stands_before_them(path: Path) -> None:
    """A room with I/O imports the shared words, its own room, and what the table allows."""
    room = name_of(path).split("/")[0]

    assert _rooms(_imports(path)) <= WORDS | {room} | MAY_NAME[room]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nobody_imports_the_drivers(path: Path) -> None:
    """Only the command line imports the lifecycle, and only drivers import the pipeline."""
    room = name_of(path).split("/")[0].removesuffix(".py")
    ours = _rooms(_imports(path))

    if room != "cli":
        assert "cli" not in ours
    if room not in FREE:
        assert not ours & {"lifecycle", "pipeline", "admin"}


def test_no_test_is_a_library() -> None:
    """What two test modules share stands in tests/support: a test may be split, renamed or deleted by itself."""
    shared = [
        f"{path.relative_to(TESTS)} takes from {module}"
        for path in sorted(TESTS.rglob("*.py"))
        for module in _modules(path)
        if module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")
    ]

    assert not shared


def test_imports_have_no_cycle() -> None:
    """The modules sort topologically."""
    names = {f"guard.{name_of(m).removesuffix('.py').replace('/', '.').removesuffix('.__init__')}" for m in MODULES}
    graph = {}
    for path in MODULES:
        me = f"guard.{name_of(path).removesuffix('.py').replace('/', '.').removesuffix('.__init__')}"
        graph[me] = {i for i in _imports(path) if i in names and i != me and path.name != "__init__.py"}

    assert list(TopologicalSorter(graph).static_order())


def test_rooms_have_no_cycle() -> None:
    """Rooms sort too: none takes from one that takes from it, be it through others."""
    graph: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        room = name_of(path).split("/")[0].removesuffix(".py")
        graph[room] |= _rooms(_imports(path)) - {room}

    assert list(TopologicalSorter(graph).static_order())
