"""What measures may switch the log off, since it is a program of its own: after a test of it the log is on again."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    yield
    structlog.reset_defaults()
