"""Rooms stay small: modules, functions, parameters."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = sorted((ROOT / "guard").rglob("*.py"))
LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 70
POSITIONAL_MAX: Final = 3
CALLED_BY_POSITION: Final = {("guard/admin/runner.py", "handle_error")}  # aiohttp's own, which aiohttp calls


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_and_functions_are_small(path: Path) -> None:
    """No module over 400 lines, no function over 70, at most three parameters given by position (self not counted)."""
    assert path.read_text().count("\n") <= LINES_MAX

    for function in _functions(path):
        assert (function.end_lineno or 0) - function.lineno <= FUNCTION_LINES_MAX, function.name
        names = [a.arg for a in [*function.args.posonlyargs, *function.args.args] if a.arg not in {"self", "cls"}]
        if (path.relative_to(ROOT).as_posix(), function.name) not in CALLED_BY_POSITION:
            assert len(names) <= POSITIONAL_MAX, function.name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_module_opens_with_its_contract(path: Path) -> None:
    """Every module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_every_test_says_what_is_true(path: Path) -> None:
    """Every test has one sentence."""
    silent = [f.name for f in _functions(path) if f.name.startswith("test_") and not ast.get_docstring(f)]

    assert silent == []
