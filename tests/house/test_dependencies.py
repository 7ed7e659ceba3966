"""What the code imports is what the distribution says it needs."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
MODULE_OF: Final = {
    "prometheus-client": "prometheus_client",
    "pyjwt": "jwt",
    "opentelemetry-sdk": "opentelemetry",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
}
LOADED_BY_NAME: Final = {"tzdata"}  # zoneinfo finds it where the system has no zones


def _imported() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "guard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"guard"}


def _names(lines: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in lines}


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _declared() -> set[str]:
    return _names(_project()["dependencies"])


def _extras() -> set[str]:
    return set().union(
        *(_names(lines) for extra, lines in _project()["optional-dependencies"].items() if extra != "dev")
    )


def test_every_import_is_declared_and_every_dependency_is_used() -> None:
    """What only happens to be installed here is missing on the next machine; what nobody imports is ballast."""
    declared = {MODULE_OF.get(name, name) for name in _declared() - LOADED_BY_NAME}
    extras = {MODULE_OF.get(name, name) for name in _extras()}

    assert declared <= _imported() <= declared | extras


def test_every_dependency_is_locked() -> None:
    """Both lock files name each dependency with version and hashes, and no registry's address."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+) .*\\$", text, re.MULTILINE))
        assert _declared() <= set(locked), name
        assert text.count("--hash=sha256:") >= len(locked)
        assert "://" not in re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE)
