"""What holds for all tests: no example has a deadline, since a busy machine would fail what is true; nor is a test
refused whose first examples are long in the making.

A traceback that is logged is written as Python writes it, as the guard does: structlog's own way, with the values of
all locals, takes seconds where a fault holds a whole guard.
"""

import gc
from collections.abc import Generator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests that stay to the end: the collector looks for nothing among them, neither now nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
