"""What otherwise goes on by itself in a guard on stage, left to the test."""

import asyncio

import pytest

from guard.tracking import Reconciler


@pytest.fixture
def lists_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's order lists are asked for only when the test says so."""

    async def only_when_told(_: Reconciler) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Reconciler, "run", only_when_told)


@pytest.fixture
def files_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard looks at its files once at start, and then only when the test says so."""
    monkeypatch.setattr("guard.admin.watch.EVERY_S", 3600.0)
