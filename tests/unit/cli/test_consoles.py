"""Tables on terminals of any width: every cell whole, whatever the layout."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from guard.catalogue import ENDPOINTS
from guard.catalogue.page import row as row_of
from guard.cli.consoles import WIDTH, show
from guard.cli.main import narrow

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


def test_a_pipe_gets_a_line_a_row_however_long_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A message of 300 characters was folded at column 200, and `grep` found half of it."""
    table = Table("id", "message", box=None, pad_edge=False)
    table.add_row("a", "word " * 60 + "end")
    show(table)

    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[1].endswith("word end")) == (2, True)


def test_a_pipe_gets_no_blanks_behind_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row was filled up to the longest, and `less` showed a screen of blanks between two."""
    table = Table("id", "message", box=None, pad_edge=False)
    table.add_row("a", "word " * 200 + "end")
    table.add_row("b", "short")
    show(table)

    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line != line.rstrip()] == []
    assert out.endswith("short\n")


def test_a_terminal_is_shown_no_empty_column() -> None:
    """One that holds nothing in any row would make every row a block."""
    out = io.StringIO()
    table = Table("id", "until", "note", box=None, pad_edge=False)
    table.add_row("a", "", "b")
    show(table, Console(file=out, width=80, force_terminal=True, color_system=None))

    assert [line.split() for line in out.getvalue().splitlines()] == [["id", "note"], ["a", "b"]]


def test_where_an_empty_column_was_no_other_cell_is_cut() -> None:
    """`keys list` without limits showed no end of a key whole, on the widest terminal."""
    out = io.StringIO()
    table = Table("id", "limits", "expires", "hash", box=None, pad_edge=False)
    table.add_row("bot-1", "", "2026-12-02T00:03:51Z", "sha256:1560765c...")
    show(table, Console(file=out, width=200, force_terminal=True, color_system=None))

    assert out.getvalue().splitlines()[1].split() == ["bot-1", "2026-12-02T00:03:51Z", "sha256:1560765c..."]


def test_the_endpoints_fit_a_terminal_of_80_columns() -> None:
    """A line or two each under their groups, where blocks took 680 lines; another scope at the daemon is named."""
    out = io.StringIO()
    show(
        narrow([row_of(each) for each in ENDPOINTS]),
        Console(file=out, width=80, force_terminal=True, color_system=None),
    )
    lines = out.getvalue().splitlines()

    assert max(len(line.rstrip()) for line in lines) <= 80
    assert len(lines) < 68 + 9 + 30
    place = next(n for n, line in enumerate(lines) if "/api/orderbook " in line)
    assert " ".join(" ".join(lines[place : place + 2]).split()) == (
        "POST /api/orderbook read trade:real or trade:simulate, really qot:read"
    )
    assert lines[-1].strip() == "proto_id and record: on a wider terminal, in a file, or with --json"
