"""`docs/record-columns.md`, made from the table of columns: `make docs`."""

import sys
from pathlib import Path
from typing import Final

from guard.audit.columns import COLUMNS, TYPES_TOLD

_INTRODUCTION: Final = """# The columns of an export

`guard audit export FILE` writes the record as CSV, JSON lines or Parquet: one row for each record, with these columns
in this order. Names and types do not change; new columns are added at the end, before `line`. `make docs` makes this
page from the table in `guard/audit/columns.py`.

- A record that belongs to a decision (an outcome, a fill) also has that decision's columns that are marked
  *inherited*.
- Parquet has the types below. In JSON lines integers are numbers, decimals and times are text. In CSV everything is
  quoted text, empty if there is no value.
- In CSV a text that a spreadsheet would take for a formula begins with an apostrophe; what follows it is the caller's
  text.
- `line` is the record as it was written. It holds whatever has no column, and its SHA-256 is the next record's
  `prev`.
- A decimal with more than 9 decimals is rounded; `line` has all of it. `snapshot` records are left out.
- An export therefore proves nothing by itself: verify the record that it was made from (`guard audit verify`, or
  `guard_verify.py record DIR`), or one row by a proof of its record (`guard audit prove`), which holds the same
  `line`.
- Spreadsheets round numbers of more than 15 digits: import `account`, `order_id` and `order_id_ex` as text. Decimals
  have a point, never a comma, and no thousands separators.

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
