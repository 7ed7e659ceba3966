"""Where tables are printed: as wide as the terminal, and wide enough for every cell where there is none."""

import sys
from typing import Final

from rich.console import Console

WIDTH: Final = 200  # columns where the output is no terminal


def of_tables() -> Console:
    """Standard output; a file or a pipe gets whole words, not what fits the window of whoever started it."""
    found = Console(soft_wrap=True, highlight=False)
    if not sys.stdout.isatty():
        found.width = max(found.width, WIDTH)
    return found
