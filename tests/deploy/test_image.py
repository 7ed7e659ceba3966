"""The image: its Dockerfile is linted, its build tools are locked whole, and its bill names what is installed."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.sbom import bill

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"


def test_hadolint_finds_nothing() -> None:
    """`hadolint` has no remark on the Dockerfile, and none is switched off in it."""
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(program), str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - of the venv

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "hadolint ignore" not in DOCKERFILE.read_text()


def test_the_user_of_the_image_is_the_one_that_its_documents_and_the_pod_name() -> None:
    """Uid and gid are 10001, by number: whoever mounts a secret for it has to know both, and a pod sets them itself."""
    dockerfile = DOCKERFILE.read_text()
    statefulset = (ROOT / "deploy" / "kubernetes" / "base" / "statefulset.yaml").read_text()
    readme = (ROOT / "deploy" / "README.md").read_text()

    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    assert "groupadd --gid 10001 guard" in dockerfile
    assert re.search(r"useradd --uid 10001 --gid 10001 .* guard \\$", dockerfile, re.MULTILINE)
    assert {"runAsUser: 10001", "runAsGroup: 10001", "fsGroup: 10001"} <= {
        line.strip() for line in statefulset.split("\n")
    }
    assert "uid 10001" in readme
    assert "gid 10001" in readme


def test_the_settings_are_mounted_as_a_folder_and_the_network_outlives_who_is_in_it() -> None:
    """What the documents have a user run: a replaced file shows, and a restart of guard or daemon parts them not."""
    page = (ROOT / "deploy" / "README.md").read_text()
    docker = page[page.index("## Docker") : page.index("## Compose")]

    assert set(re.findall(r"-v (\S+)", docker)) == {
        "guard-state:/var/lib/guard",
        "/etc/guard:/etc/guard:ro",
        "/etc/guard:/etc/guard",
    }
    assert re.findall(r"--name (\S+)", docker) == ["guard-net", "opend", "guard"]
    assert docker.count("--network container:guard-net") == 2
    assert "--read-only --tmpfs /tmp" in docker  # for `guard selftest`


def test_a_build_brings_in_the_base_and_what_is_locked_and_nothing_else() -> None:
    """No front end that BuildKit would fetch by a tag, and no pip beside the guard, which no lock and no bill names."""
    dockerfile = DOCKERFILE.read_text()

    assert "# syntax=" not in dockerfile
    assert re.findall(r"python -m venv (.*)/opt/guard", dockerfile) == ["--without-pip "]


def test_what_builds_the_wheel_is_locked_with_all_that_it_needs() -> None:
    """The awk line of the Dockerfile cuts hatchling and its needs out of the lock, with hashes, and nothing else."""
    line = re.search(r"awk '([^']+)'", DOCKERFILE.read_text())
    assert line is not None
    command = ["/usr/bin/awk", line[1], "requirements-dev.lock"]
    cut = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603 - awk

    needs = {
        re.split(r"[ ;<>=!~]", one)[0]
        for one in importlib.metadata.requires("hatchling") or []
        if "python_version < '3.11'" not in one
    }
    names = set(re.findall(r"^([a-z0-9-]+)==", cut, re.MULTILINE))
    assert names == {"hatchling", *needs}
    assert cut.count("--hash=sha256:") >= len(names)


def test_the_bill_of_materials_names_every_locked_package_with_its_hashes() -> None:
    """CycloneDX 1.5: each pin of requirements.lock once, with package URL and hashes; the same bytes each time."""
    lock = (ROOT / "requirements.lock").read_text()
    made = bill(lock)

    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert {part["name"]: part["version"] for part in made["components"]} == pins
    assert all(
        part["hashes"] and part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}" for part in made["components"]
    )
    assert sum(len(part["hashes"]) for part in made["components"]) == lock.count("--hash=sha256:")
    assert made["dependencies"] == [
        {"ref": "opend-guard", "dependsOn": [part["bom-ref"] for part in made["components"]]}
    ]
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    assert json.dumps(made) == json.dumps(bill(lock))


def test_the_bill_is_what_is_installed() -> None:
    """Here, where the locked packages are installed, each has the version that the bill says."""
    made = bill((ROOT / "requirements.lock").read_text())

    wrong = [part["name"] for part in made["components"] if importlib.metadata.version(part["name"]) != part["version"]]
    assert wrong == []
