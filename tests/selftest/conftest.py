"""What breaks on purpose here need not be told in colours: the log is off, and on again for other tests."""

from collections.abc import Iterator

import pytest
import structlog

from guard import logs


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """The command switches the log off for its process as well."""
    logs.silence()
    yield
    structlog.reset_defaults()
