"""The page is the table."""

from pathlib import Path

from guard.catalogue import ENDPOINTS
from guard.catalogue.page import COLUMNS, page, row


def test_the_page_and_the_table_have_not_drifted() -> None:
    """docs/endpoints.md is what `make docs` writes."""
    written = Path(__file__).parents[3] / "docs" / "endpoints.md"

    assert written.read_text(encoding="utf-8") == page()


def test_a_row_has_the_columns_of_the_contract() -> None:
    """`guard endpoints --json` names the contract's columns, in order."""
    assert all(tuple(row(endpoint)) == COLUMNS for endpoint in ENDPOINTS)


def test_fifteen_rows_differ_between_reference_and_daemon() -> None:
    """The two scope columns differ on fifteen rows, as the contract says."""
    assert sum(e.documented != e.runtime for e in ENDPOINTS) == 15
