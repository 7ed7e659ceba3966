"""DuckDB over the lines of the record: opened for one question, bounded in memory, silent.

Lines are read as text, each its own row, and read as JSON only where a question asks: so a torn last line, or one that
somebody spoiled, is passed over and counted, never an error or an invented row. Files only; while the guard writes too.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from guard.errors import JournalFault, StateFault
from guard.journal.record import LINE_BYTES_MAX
from guard.journal.segments import segment, segment_numbers, segment_path
from guard.scratch import scratch

MEMORY: Final = "1GB"
_SETTINGS: Final = """SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false;
SET enable_progress_bar = true; SET enable_progress_bar_print = false;"""
_POLL_S: Final = 0.1
_GLOB: Final = frozenset("*?[")  # DuckDB would take them for a pattern
_T = TypeVar("_T")

INSTALL: Final = "pip install duckdb"
Progress = Callable[[float], None]
"""Hears the part that is done, from 0 to 1."""


class NoEngine(JournalFault):
    """DuckDB is not installed (`is_missing`), cannot read these files, or has no folder for what it spills."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing


def silent(_: float) -> None:
    """Progress that nobody watches."""


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of texts as SQL writes it."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


def lines_of(state: Path, number: int | None = None) -> str:
    """The table function that reads every segment, or one: `line`, and its `file`. Raises where there is none."""
    numbers = segment_numbers(state) if number is None else [number]
    paths = [_readable(state, number) for number in numbers]
    if not paths:
        raise JournalFault(f"{state}: there is no record here")
    if any(_GLOB & set(path) for path in paths):
        raise NoEngine(f"{state}: a path with *, ? or [ cannot be read; copy the record elsewhere")
    return (
        f"(SELECT line, filename AS file FROM read_csv({texts(paths)}, columns = {{'line': 'VARCHAR'}}, "  # noqa: S608 - quoted
        "auto_detect = false, header = false, delim = '\\x01', quote = '', escape = '', new_line = '\\n', "
        f"strict_mode = false, ignore_errors = true, max_line_size = {LINE_BYTES_MAX}, filename = true))"
    )


def _readable(state: Path, number: int) -> str:
    """The path of a segment, which DuckDB would wait for if it were a pipe."""
    segment(state, number).close()
    return str(segment_path(state, number).absolute())


def picked(state: Path, paths: Sequence[str], number: int | None = None) -> str:
    """Every line that is JSON, with `fields`, the texts that stand at these paths."""
    wanted = texts(f"$.{path}" for path in paths)
    fields = f"json_extract_string(line, {wanted}) AS fields"
    return f"(SELECT line, file, {fields} FROM {lines_of(state, number)} WHERE json_valid(line))"  # noqa: S608 - quoted


class Engine:
    """One connection to a database in memory; what does not fit goes to a directory that ends with it."""

    def __init__(self, progress: Progress = silent) -> None:
        """Raises `NoEngine` without the extra, or where nothing can be spilled."""
        try:
            import duckdb  # noqa: PLC0415 - an extra, and slow to load
        except ImportError as error:
            raise NoEngine(f"this needs DuckDB: {INSTALL}", is_missing=True) from error
        self._duckdb, self._progress = duckdb, progress
        try:
            self._folder = scratch("audit")
        except StateFault as fault:
            raise NoEngine(str(fault)) from fault
        self.spill = Path(self._folder.name)
        self.stage = (0.0, 1.0)  # where the next statement begins, and its share, in all that is to be done
        self._db: duckdb.DuckDBPyConnection = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "temp_directory": self._folder.name,
                "autoinstall_known_extensions": "false",
            }
        )
        self._db.execute(_SETTINGS)

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of memory and files."""
        self._db.close()
        self._folder.cleanup()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        return self._watched(lambda: self._db.execute(sql, parameters or None).fetchall())

    def run(self, sql: str) -> None:
        """A statement without rows."""
        self._watched(lambda: self._db.execute(sql))

    def _watched(self, work: Callable[[], _T]) -> _T:
        """Runs it beside, so that its progress can be told and Ctrl-C ends it."""
        done: Future[_T] = Future()

        def body() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                done.set_exception(error)

        thread = threading.Thread(target=body, name="duckdb", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_POLL_S)
                begin, share = self.stage
                self._progress(begin + share * max(self._db.query_progress(), 0) / 100)
        except KeyboardInterrupt:
            self._db.interrupt()
            thread.join()
            raise
        try:
            return done.result()
        except self._duckdb.Error as error:
            raise NoEngine(f"the record cannot be read as a table: {str(error).splitlines()[0]}") from error
