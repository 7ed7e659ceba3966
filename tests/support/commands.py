"""Commands of `guard` in this process, as people type them: faults and wrong usage are told as `guard` tells them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from typer import Typer
from typer.testing import CliRunner

from guard.cli.running import run


class Done(NamedTuple):
    """How a command exited, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Everything that was said."""
        return self.stdout + self.stderr


def called(app: Typer, *words: str | Path, env: Mapping[str, str] | None = None, answer: str | None = None) -> Done:
    """The command of these words, with these variables set and this answer to what it asks."""
    with CliRunner().isolation(input=answer, env=env) as (out, err, _):
        code = run(app, [str(word) for word in words])
        sys.stdout.flush()
        sys.stderr.flush()
        return Done(code, out.getvalue().decode(), err.getvalue().decode())
