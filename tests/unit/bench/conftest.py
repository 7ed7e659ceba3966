"""The modules of the benchmark. It is a program of its own and may switch the log off: after a test it is on again."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the benchmark by name."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module
