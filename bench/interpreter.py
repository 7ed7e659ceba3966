"""Which CPython everything of a run is run by, and the environment made of it: one for all, or no ratio holds.

The guard, the aiohttp proxy, the light daemon and the caller run on one interpreter, the fastest that is at hand by a
fixed loop: builds of one version differ by a quarter, and a build without profile-guided optimisation says nothing of
what Python costs. The environment lies under `bench/records`, holds what `requirements.lock` locks and the guard as
`pip install .` gives it, and is made anew where the lock, the interpreter or the guard changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
ENVIRONMENTS: Final = HERE / "records"
USUAL: Final = ("/usr/bin/python3",)
OLDEST: Final = (3, 11)
TRIES: Final = 5
INSTALL_S: Final = 600
INSTALLER: Final = "BENCH_INSTALLER"
# What a proxy does most: attributes, calls, dicts, tuples, small strings.
LOOP: Final = """
import json, sys, time
class Point:
    __slots__ = ("x", "y")
    def __init__(self, x, y): self.x, self.y = x, y
    def moved(self, by): return Point(self.x + by, self.y - by)
def loop():
    held, point = {}, Point(1, 2)
    for number in range(60_000):
        point = point.moved(number & 3)
        held[f"k{number & 255}"] = (point.x, held.get("k1"), number)
    return held
best = 1e9
for _ in range(TRIES):
    began = time.process_time_ns()
    loop()
    best = min(best, (time.process_time_ns() - began) / 1e6)
print(json.dumps([list(sys.version_info[:2]), best]))
""".replace("TRIES", str(TRIES))


class Candidate(NamedTuple):
    """An interpreter that could be taken, and how long it takes for the loop."""

    path: Path
    loop_ms: float


def measured(path: Path) -> Candidate | None:
    """The interpreter with its time; None where it does not run, or is too old."""
    try:
        done = subprocess.run([str(path), "-IS", "-c", LOOP], capture_output=True, check=True, timeout=60)
        version, loop_ms = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Candidate(path, loop_ms) if tuple(version) >= OLDEST else None


def candidates() -> list[Candidate]:
    """The one that runs us and the system's, fastest first; one name for each."""
    own = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    paths = {path.resolve() for path in (own, *map(Path, USUAL)) if path.exists()}
    found = [candidate for path in sorted(paths) if (candidate := measured(path)) is not None]
    return sorted(found, key=lambda candidate: candidate.loop_ms)


def chosen(named: Path | None) -> list[Candidate]:
    """The interpreter that a person named, or all there are, the fastest first. Raises `SystemExit`: there is none."""
    found = [candidate] if named and (candidate := measured(named)) else [] if named else candidates()
    if not found:
        raise SystemExit(f"bench: {named or 'no interpreter'} does not run, or is older than 3.11")
    return found


def prepared(candidate: Candidate) -> Path:
    """The environment's interpreter: its libraries as locked, the guard of this tree."""
    name = hashlib.sha256(str(candidate.path).encode()).hexdigest()[:8]
    folder = ENVIRONMENTS / f"python-{name}"
    python, mark = folder / "bin" / "python", folder / "locked"
    lock = ROOT / "requirements.lock"
    locked = lock.read_text(encoding="utf-8") + str(candidate.path)
    if not mark.exists() or mark.read_text(encoding="utf-8") != locked:
        environment(folder, "--require-hashes", "-r", str(lock), base=candidate.path)
        mark.write_text(locked, encoding="utf-8")
    install_guard(python)
    return python


def environment(folder: Path, *what: str, base: Path | None = None) -> None:
    """An environment of its own with these packages. Raises `SystemExit` where one cannot be had."""
    shutil.rmtree(folder, ignore_errors=True)
    # Without pip, which a system's Python may lack: the one that makes the environments installs from outside.
    _run(str(base or sys.executable), "-m", "venv", "--without-pip", str(folder))
    try:
        _pip(folder / "bin" / "python", *what)
    except SystemExit:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def install_guard(python: Path) -> None:
    """The guard of this tree, as `pip install .` gives it, into the environment of `python`."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--quiet", "--no-deps", "--no-build-isolation")
        _run(_installer(), "-m", "pip", "wheel", *options, "--wheel-dir", folder, str(ROOT))
        _pip(python, "--no-deps", "--force-reinstall", *map(str, Path(folder).glob("*.whl")))


def _installer() -> str:
    """The interpreter that has pip: the one that the run was started with."""
    return os.environ.get(INSTALLER, sys.executable)


def _pip(python: Path, *what: str) -> None:
    _run(_installer(), "-m", "pip", "--python", str(python), "install", "--quiet", *what)


def _run(*command: str) -> None:
    environ = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S, env=environ)
    except (OSError, subprocess.SubprocessError) as failed:
        said = getattr(failed, "stderr", None) or failed
        raise SystemExit(f"bench: {' '.join(command)}\n{said}") from None


def go_over(named: Path | None) -> None:
    """Go on as a program of the chosen interpreter; returns where that is the one that runs us already.

    One that cannot be given the libraries is skipped by name, and the next is taken.
    """
    if Path(sys.prefix).parent == ENVIRONMENTS:
        return
    for candidate in chosen(named):
        print(f"python: {candidate.path}, {candidate.loop_ms:.1f} ms for a fixed loop", file=sys.stderr, flush=True)
        try:
            python = str(prepared(candidate))
        except SystemExit as why:
            print(f"python: {candidate.path} is skipped: {why}", file=sys.stderr, flush=True)
            continue
        os.environ[INSTALLER] = sys.executable
        os.execv(python, [python, *sys.argv])
    raise SystemExit("bench: no interpreter could be given the libraries of requirements.lock")


def build() -> str:
    """How this interpreter was built, as far as it says so itself."""
    flags = str(sysconfig.get_config_var("CONFIG_ARGS") or "") + str(sysconfig.get_config_var("PY_CORE_CFLAGS") or "")
    told = [flag.removeprefix("-") for flag in str(sysconfig.get_config_var("PY_CFLAGS") or "").split() if "-O" in flag]
    level = f"-{told[-1]}" if told else "optimisation not named"
    profiled = "with" if "--enable-optimizations" in flags or "-fprofile-use" in flags else "no word of"
    linked = "with" if "--with-lto" in flags or "-flto" in flags else "no word of"
    return f"{level}, {profiled} PGO, {linked} LTO in its build flags"
