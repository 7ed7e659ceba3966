"""The threat model: every claim names tests, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docs" / "threat-model.md").read_text()
TEST: Final = re.compile(r"`([a-z_/0-9]+\.py)::(test_\w+)`")
ROW: Final = re.compile(r"^\| ([STRIDE]) \| .*$", re.MULTILINE)
COMPONENTS: Final = [part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:] if ROW.search(part)]


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the test functions in a file below `tests/`."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(TEXT))))
def test_every_test_that_it_names_exists(file: str, name: str) -> None:
    """A claim whose test was renamed or deleted is no claim."""
    assert name in names_in(file)


@pytest.mark.parametrize("row", [found.group() for found in ROW.finditer(TEXT)], ids=lambda row: row[4:40])
def test_every_claim_names_a_test(row: str) -> None:
    """Threat, answer, and at least one test."""
    assert TEST.search(row.rsplit("|", 2)[1])


@pytest.mark.parametrize("part", COMPONENTS, ids=lambda part: part.partition("\n")[0])
def test_every_component_is_looked_at_for_each_kind_of_threat(part: str) -> None:
    """All six letters, in their order."""
    assert "".join(dict.fromkeys(ROW.findall(part))) == "STRIDE"


def test_nothing_is_left_out() -> None:
    """Eight components; the parts that are no tables are not counted."""
    assert len(COMPONENTS) == 8
