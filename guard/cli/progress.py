"""A progress bar on stderr, where somebody is there to see it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from guard.journal.segments import bytes_in, segment_numbers

_EVERY_LINES: Final = 2000  # between two looks at the bar


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """Gives what is to be called with the part that is done, 0 to 1; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=1)
        yield lambda done: bar.update(task, completed=min(done, 1))


def counted(state: Path, lines: Iterable[bytes], bar: Callable[[float], None]) -> Iterator[bytes]:
    """The lines of a record, with the bar told how many of its bytes have passed."""
    total = bytes_in(state, segment_numbers(state)) or 1
    done = 0
    for place, line in enumerate(lines):
        done += len(line)
        if place % _EVERY_LINES == 0:
            bar(done / total)
        yield line
