"""Writes what the guard is made of as a CycloneDX 1.5 bill of materials: every locked dependency with its hashes.

    python deploy/sbom.py requirements.lock > sbom.json

The lock is the truth: the image installs it with --require-hashes, so nothing else can be in there. No clock and no
random number go in; the same lock gives the same bytes.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

_PIN: Final = re.compile(r"([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """One component a pinned package, in the order of the lock. The hashes are those of its published files."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        pin = _PIN.match(line)
        if pin:
            name, version = pin.groups()
            purl = f"pkg:pypi/{name}@{version}"
            found.append(
                {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "hashes": []}
            )
        found_here = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(line)]
        if found_here:
            found[-1]["hashes"] += found_here
    return found


def bill(lock: str) -> dict[str, Any]:
    """The whole bill."""
    guard = {"type": "application", "name": "opend-guard", "bom-ref": "opend-guard"}
    parts = components(lock)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": guard},
        "components": parts,
        "dependencies": [{"ref": "opend-guard", "dependsOn": [part["bom-ref"] for part in parts]}],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(Path(sys.argv[1]).read_text()), indent=1) + "\n")
