"""Tables on terminals of any width: every cell whole, whatever the layout."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from guard.cli.consoles import WIDTH, show

CELLS = (("bot-momentum-1", "2026-11-29T10:19:55Z", "order value 30000 HKD is above 20000 HKD"), ("b", "", "fine"))


def printed(width: int, *, is_terminal: bool = True) -> str:
    """What a terminal of that many columns shows of a table of two rows."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=is_terminal, color_system=None, soft_wrap=True)
    table = Table("id", "expires", "message", box=None, pad_edge=False)
    for row in CELLS:
        table.add_row(*row)
    show(table, console)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 40, 61, 62, 80, 200])
def test_no_cell_is_cut_and_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Ids and times stand whole in a line; only the last column is folded, or each row is a block."""
    text = printed(width)

    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert "…" not in text
    assert width < 40 or all(word in text for word in ("bot-momentum-1", "2026-11-29T10:19:55Z"))
    assert "".join(CELLS[0][2].split()) in "".join(text.split())


def test_a_block_names_each_cell_and_leaves_out_the_empty_ones() -> None:
    """Where even folding the last column does not help."""
    assert [line.split()[:2] for line in printed(50).splitlines() if line.strip()] == [
        ["id", "bot-momentum-1"],
        ["expires", "2026-11-29T10:19:55Z"],
        ["message", "order"],
        ["id", "b"],
        ["message", "fine"],
    ]


def test_a_file_gets_the_table() -> None:
    """What is no terminal is read by programs, a line a row."""
    assert printed(WIDTH, is_terminal=False).splitlines()[0].split() == ["id", "expires", "message"]
