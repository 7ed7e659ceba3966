"""`docs/record-columns.md`, made from the table of columns: `make docs`."""

import sys
from pathlib import Path
from typing import Final

from guard.audit.columns import COLUMNS, TYPES_TOLD

_INTRODUCTION: Final = """# The columns of an export

`guard audit export FILE` writes the record as CSV, JSON lines or Parquet: a row for each record, in this order.
Names and types stay; new columns come at the end, before `line`. `make docs` makes this page from the table in
`guard/audit/columns.py`.

- A record that belongs to a decision (an outcome, a fill) has that decision's columns marked *inherited* too.
- Parquet has the types below. In JSON lines integers are numbers, decimals and times are text; in CSV everything is
  quoted text, empty where there is nothing.
- In CSV a text that a spreadsheet would take for a formula has an apostrophe before it; without it, it is the caller's.
- `line` is the record as it is written: whatever has no column is there, and its SHA-256 is the next record's `prev`.
- A decimal with more than 9 decimals is rounded; `line` has it whole. `snapshot` records are left out.
- So an export proves nothing by itself: the record that it was made from is verified (`guard audit verify`, or
  `guard_verify.py record DIR`), or one row by a proof of its record (`guard audit prove`), which holds the same `line`.
- A spreadsheet rounds numbers of more than 15 digits: have it read `account`, `order_id` and `order_id_ex` as text.
  Decimals have a point, never a comma, and no thousands separators.

| column | type | holds |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = []
    for column in COLUMNS:
        suffix = " *(inherited)*" if column.inherited else ""
        rows.append(f"| `{column.name}` | {TYPES_TOLD[column.kind]} | {column.meaning}{suffix} |\n")
    return _INTRODUCTION + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
