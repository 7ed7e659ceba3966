"""Where tables are printed: as wide as the terminal, and wide enough for every cell where there is none.

A table that does not fit its terminal is not squeezed until nobody can read it: where folding the last column is enough
that is done, else each row is a block of lines, a line for each cell that holds something. A terminal is shown no
column without a word in it.
"""

import sys
from dataclasses import replace
from typing import Final

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

WIDTH: Final = 100_000  # columns where the output is no terminal: as many as any table would like to have
_FOLDED_MIN: Final = 24  # columns in which text is still read when it is folded


def of_tables() -> Console:
    """Standard output; a file or a pipe gets whole words, not what fits the window of whoever started it."""
    found = Console(soft_wrap=True, highlight=False)
    if not sys.stdout.isatty():
        found.width = WIDTH
    return found


def fits(console: Console, table: Table) -> bool:
    """Whether every cell stands whole in its line; the last column's may be folded."""
    if not console.is_terminal or _width(console, table) <= console.width:
        return True
    *others, last = table.columns
    rest = _width(console, table) - max(_width(console, cell) for cell in (last.header, *last.cells))
    if rest + _FOLDED_MIN > console.width:
        return False
    for column in others:
        column.no_wrap = True
    last.overflow = "fold"
    return True


def show(table: Table, console: Console | None = None) -> None:
    """The table, or a block of lines for each of its rows."""
    console = console or of_tables()
    if console.is_terminal:
        shown = [each for each in table.columns if any(str(cell or "") for cell in each.cells)] or table.columns
        table.columns = [replace(each, _index=place) for place, each in enumerate(shown)]  # by it the last one is known
    if fits(console, table):
        put(table, console)
        return
    columns = [(str(column.header), list(column.cells)) for column in table.columns]
    for place in range(table.row_count):
        block = Table.grid("", "", padding=(0, 2))
        block.columns[0].no_wrap, block.columns[0].style = True, "bold"
        block.columns[1].overflow = "fold"
        for header, cells in columns:
            if cells[place] not in {"", None}:
                block.add_row(header, cells[place])
        console.print(block)
        console.print()


def put(table: Table, console: Console) -> None:
    """The table; in a pipe without the blanks that fill each row up to the longest, of which `less` makes screens."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as held:
        console.print(table)
    console.out("\n".join(line.rstrip() for line in held.get().split("\n")), highlight=False, end="")


def _width(console: Console, what: RenderableType) -> int:
    return Measurement.get(console, console.options.update(width=WIDTH), what).maximum
