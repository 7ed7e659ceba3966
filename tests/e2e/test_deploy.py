"""What `deploy/` promises: the unit is one that systemd accepts, the image is built from files that exist."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from guard.cli.running import EXIT_USAGE
from guard.serving.activation import NAMES
from guard.serving.handover import EXIT_SETTINGS, EXIT_STATE
from tests.support.guards import lay_out, running
from tests.support.processes import GUARD, external, run_here
from tests.support.tls import write_pair

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = ROOT / "deploy" / "guard.service"
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
TLS: Final = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'


def _settled() -> str:
    """The unit with our own interpreter's `guard` in the place of /opt/guard."""
    return UNIT.read_text().replace("/opt/guard/bin/guard", str(Path(GUARD).resolve()))


def test_systemd_accepts_the_unit_and_finds_it_tight(tmp_path: Path) -> None:
    """`systemd-analyze verify` has no remark, its review finds an exposure below 2 of 10, and no core is dumped."""
    analyze = external("systemd-analyze")
    unit = tmp_path / "guard.service"
    unit.write_text(_settled())

    def said(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 - a program of the machine on our own file
            [analyze, *words, str(unit)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    assert said("verify", "--man=no") == ""
    level = re.search(r"exposure level for guard.service: (\d+\.\d)", said("security", "--offline=true"))
    assert level is not None
    assert float(level[1]) < 2
    assert "\nLimitCORE=0\n" in _settled()


def test_the_sockets_are_those_that_the_guard_takes(tmp_path: Path) -> None:
    """`systemd-analyze verify` accepts both socket units beside the service; their names and ports are the guard's."""
    analyze = external("systemd-analyze")
    (tmp_path / "guard.service").write_text(_settled())
    units = []
    for name, listener, port in (("guard.socket", "data", 22500), ("guard-ops.socket", "ops", 22501)):
        text = (ROOT / "deploy" / name).read_text()
        units.append(tmp_path / name)
        units[-1].write_text(text)
        assert f"FileDescriptorName={listener}\n" in text
        assert f"ListenStream=127.0.0.1:{port}\n" in text
        assert listener in NAMES
    done = subprocess.run(  # noqa: S603 - a program of the machine on our own files
        [analyze, "verify", "--man=no", *map(str, units)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_says_what_serve_means() -> None:
    """Its flags exist, its exit codes are not restarted, and it waits longer than a drain takes."""
    text = UNIT.read_text()
    flags = re.search(r"^ExecStart=\S+ serve (.+)$", text, re.MULTILINE)
    assert flags is not None
    help_text = run_here("serve", "--help", cwd=ROOT).stdout
    assert all(word in help_text for word in flags[1].split() if word.startswith("--"))
    assert f"RestartPreventExitStatus={EXIT_SETTINGS} {EXIT_STATE} {EXIT_USAGE}\n" in text
    stop_s = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop_s is not None
    assert int(stop_s[1]) >= 2 * 15 - 1


def _copied() -> list[list[str]]:
    """The words of each COPY from the project, by line: sources, then the destination."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return [line.split() for line in lines]


@pytest.mark.parametrize("toml", ["", TLS], ids=["plain", "certificate"])
async def test_the_images_health_check_finds_the_guard(tmp_path: Path, toml: str) -> None:
    """Also one with a certificate, whose operator's door speaks TLS; and it says so where nothing listens."""
    write_pair(tmp_path)
    found = re.search(r"^HEALTHCHECK .* CMD (\[.+\])$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None
    _, flag, program = json.loads(found[1])

    async def code(port: int) -> int:
        asked = await asyncio.create_subprocess_exec(sys.executable, flag, program.replace("22501", str(port)))
        return await asked.wait()

    async with running(lay_out(tmp_path, toml=toml)) as guard:
        ops = guard.ports[1]
        assert await code(ops) == 0
    assert await code(ops) == 1


def test_the_image_is_built_from_files_that_exist_and_are_not_ignored() -> None:
    """Every source of a COPY is there and let through to the builder; nothing else is."""
    allowed = {
        line[1:] for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines() if "!" in line
    }
    sources = {source for *found, _ in _copied() for source in found}

    assert all((ROOT / source).exists() for source in sources)
    assert sources == allowed


def test_the_image_runs_without_root_and_asks_livez() -> None:
    """A numeric user, no secret baked in, a health check that depends on nothing but the guard."""
    text = DOCKERFILE.read_text()
    final = text.rpartition("\nFROM ")[2]

    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", final, re.MULTILINE)
    assert "22501/livez" in final
    assert 'ENTRYPOINT ["guard"]\nCMD ["serve"]' in final
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs
    assert not [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    assert not [source for *found, _ in _copied() for source in found if "key" in source]


def test_the_wheel_of_the_image_brings_code_and_policies(tmp_path: Path) -> None:
    """Built from nothing but what the Dockerfile copies beforehand, as the Dockerfile builds it."""
    before_build = DOCKERFILE.read_text().partition("hatchling build")[0]
    for *sources, _ in [line.split() for line in re.findall(r"^COPY (.+)$", before_build, re.MULTILINE)]:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, tmp_path / source)

    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours

    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "out").glob("opend_guard-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    policies = {Path(name).name for name in names if "/share/opend-guard/policies/" in name}
    assert policies == {path.name for path in (ROOT / "policies").iterdir()}
    assert {"guard/py.typed", "guard/cli/main.py"} <= set(names)


def test_wheel_and_source_archive_are_the_same_wherever_they_are_built(tmp_path: Path) -> None:
    """Two copies of the project, of other folders, file times and umasks, give the same bytes twice."""
    names = ("guard", "policies", "pyproject.toml", "README.md", "LICENSE")
    built: list[dict[str, str]] = []
    for place, mode in (("one", 0o644), ("another/place", 0o600)):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for name in names:
            if (ROOT / name).is_dir():  # other tests' programs compile themselves there meanwhile
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        for path in folder.rglob("*"):
            if path.is_file():
                os.utime(path, (1_700_000_000 + mode, 1_700_000_000 + mode))
                path.chmod(mode)
        command = [sys.executable, "-m", "hatchling", "build", "-d", "out"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
        assert done.returncode == 0, done.stderr
        archives = sorted((folder / "out").iterdir())
        built.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in archives})

    assert [name.rpartition(".")[2] for name in built[0]] == ["whl", "gz"]
    assert built[0] == built[1]


def test_the_example_of_a_keys_file_is_used_as_the_readme_says(tmp_path: Path) -> None:
    """Copied with mode 0600 it passes `guard keys list` and `guard check`; as it lies in the project it is nobody's."""
    config = lay_out(tmp_path)
    copied = tmp_path / "keys.json"
    copied.write_bytes((ROOT / "keys.json.example").read_bytes())
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600

    listed = run_here("keys", "list", "--json", "--config", config, cwd=tmp_path)
    env = {"GUARD_DAEMON_KEY": "fc_test"}
    checked = run_here("check", "--config", config, "--daemon", "http://127.0.0.1:1", cwd=tmp_path, env=env)

    assert (listed.returncode, checked.returncode) == (0, 0), checked.stdout
    assert "keys.json: 4 keys" in checked.stdout
