"""The table of columns."""

from pathlib import Path

from guard.audit.columns import COLUMNS, PATHS, SQL_TYPES, TYPES_TOLD, expressions
from guard.audit.page import page


def test_the_page_and_the_table_have_not_drifted() -> None:
    """docs/record-columns.md is what `make docs` writes."""
    assert (Path(__file__).parents[3] / "docs" / "record-columns.md").read_text(encoding="utf-8") == page()


def test_every_column_has_a_name_of_its_own_a_type_and_a_place() -> None:
    """And what is found at a path is asked for once."""
    names = [column.name for column in COLUMNS]

    assert len(set(names)) == len(names)
    assert list(expressions("fields")) == names
    assert len(set(PATHS)) == len(PATHS)
    assert {column.kind for column in COLUMNS} == set(SQL_TYPES) == set(TYPES_TOLD)
