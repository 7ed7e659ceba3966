"""Compose: read by its own tool, nothing but loopback is published, and its files make a guard that works."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.guards import order
from tests.support.processes import GUARD, WAIT_S, ask, environment, external, free_port, process, until
from tests.support.prometheus import RULES

HERE: Final = Path(__file__).parents[2] / "deploy"
FILE: Final = HERE / "compose.yaml"
WHOLE: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())
SERVICES: Final[dict[str, Any]] = WHOLE["services"]
OURS: Final = ["keys", "net", "guard", "daemon"]
DATA: Final = "22500"
OPS: Final = "22501"


def _compose() -> list[str]:
    """The program: the plugin of docker where it has one, else the program of its own."""
    docker = shutil.which("docker")
    if docker is not None:
        found = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)  # noqa: S603 - docker
        if found.returncode == 0:
            return [docker, "compose"]
    return [external("docker-compose")]


def test_compose_reads_the_file() -> None:
    """`docker compose config` finds nothing to say, and names every service."""
    command = [*_compose(), "-f", str(FILE), "config", "--services"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)


def test_only_loopback_is_published_and_nothing_of_the_daemon() -> None:
    """The daemon shares a network with the guard and listens on its loopback; no port of it leaves the pair.

    The network is neither's own: after a restart of whichever held it, the other would be left in the one of before.
    """
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"net", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert [port.rpartition(":")[2] for port in published["net"]] == [DATA, OPS]
    assert {name for name, one in SERVICES.items() if one.get("network_mode") == "service:net"} == {"guard", "daemon"}
    assert SERVICES["net"]["entrypoint"][0] == "sleep"
    assert SERVICES["daemon"]["command"][2].startswith("127.0.0.1:")


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_nothing_but_their_volumes(name: str) -> None:
    """A read-only root but for /tmp, which `guard selftest` needs; no capabilities, no new privileges."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert [path.strip("/") for path in service["tmpfs"]] == ["tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_what_is_mounted_exists() -> None:
    """Every file that a container takes from here is here, read-only; every volume is declared."""
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", ())]
    files = [mount for mount in mounts if mount[0].startswith(".")]

    assert all((HERE / source).exists() and options == ["ro"] for source, _, *options in files)
    assert ["../policies", "/etc/guard/policies", "ro"] in files  # where they can be edited, and are reloaded from
    assert {mount[0] for mount in mounts} - {mount[0] for mount in files} == set(WHOLE["volumes"])


def test_prometheus_and_grafana_find_what_is_mounted() -> None:
    """The configuration is read by promtool; rules, key, dashboard and data source lie where their readers look."""
    config = HERE / "compose" / "prometheus.yaml"
    command = [external("promtool"), "check", "config", "--syntax-only", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - promtool
    assert done.returncode == 0, done.stdout + done.stderr

    (job,) = yaml.safe_load(config.read_text())["scrape_configs"]
    assert job["job_name"] == "guard"
    (found,) = job["dns_sd_configs"]
    assert found["port"] == int(OPS)
    assert found["names"] == SERVICES["net"]["networks"]["watch"]["aliases"]
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in SERVICES["prometheus"]["volumes"]}
    assert (HERE / mounted["/etc/prometheus/rules"]).resolve() == RULES
    assert job["authorization"]["credentials_file"] == "/scrape/prometheus.key"
    assert mounted["/scrape"] == "scrape"

    grafana = SERVICES["grafana"]
    (provider,) = yaml.safe_load((HERE / "grafana/provisioning/dashboards/guard.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((HERE / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert f"./grafana/guard.json:{home}:ro" in grafana["volumes"]
    assert home.startswith(provider["options"]["path"])
    assert source["url"] == "http://prometheus:9090"


# ---------------------------------------------------------------- the same files, without containers


def test_a_guard_made_from_these_files_serves_callers_and_prometheus(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """The script of `keys`, then guard and daemon as compose starts them, on the host's own ports and folders."""
    for name in ("config", "scrape"):
        (tmp_path / name).mkdir()
    keys = dict(re.findall(r"^key of ([\w-]+)[^:]*: (gk_\w+)$", _init(tmp_path), re.MULTILINE))
    assert set(keys) == {"trader", "agent-1", "desk"}

    with subtests.test("keys are made once, and only the one for metrics is readable by others"):
        before = _files(tmp_path)
        assert "nothing to do" in _init(tmp_path)
        assert _files(tmp_path) == before
        assert [path.name for path in before if path.stat().st_mode & 0o044] == ["prometheus.key"]
    scrape = (tmp_path / "scrape" / "prometheus.key").read_text().strip()

    with _started(tmp_path) as (data, ops):
        with subtests.test("a trader's order passes on paper, an agent's meets the policy for agents"):
            assert ask(data, "/api/order", order(price=300.0), bearer=keys["trader"])[0] == 200
            status, said = ask(data, "/api/order", order(price=300.0), bearer=keys["agent-1"])
            assert (status, said["err_code"]) == (403, "max_order_value")
        with subtests.test("off loopback the metrics want a key, which opens nothing else"):
            assert ask(ops, "/metrics")[0] == 401
            assert ask(ops, "/metrics", bearer=scrape)[0] == 200
            assert ask(ops, "/admin/policy/reload", {}, bearer=scrape)[0] == 403
            assert ask(data, "/api/order", order(), bearer=scrape)[0] == 403
        with subtests.test("an address found by DNS is a Host that is answered, a service's name is not"):
            assert ask(ops, "/livez", headers={"Host": f"172.18.0.3:{ops}"})[0] == 200
            assert ask(ops, "/livez", headers={"Host": f"guard:{ops}"})[0] == 400


def test_keys_that_could_not_all_be_made_are_all_made_anew(tmp_path: Path) -> None:
    """Stopped on the way nobody has any: half a set was taken for the whole one, or ended each later start."""
    for name in ("config", "scrape", "bin"):
        (tmp_path / name).mkdir()
    failing = tmp_path / "bin" / "guard"
    failing.write_text(f'#!/bin/sh\ncase "$*" in *agent-1*) exit 3;; esac\nexec {GUARD} "$@"\n')
    failing.chmod(0o755)

    assert _run_init(tmp_path, f"{failing.parent}:{environment()['PATH']}").returncode == 3
    assert not (tmp_path / "config" / "keys.json").exists()
    said = _init(tmp_path)

    assert set(re.findall(r"^key of ([\w-]+)", said, re.MULTILINE)) == {"trader", "agent-1", "desk"}
    made = {path.name for path in (tmp_path / "config").iterdir()}
    assert made == {"daemon-keys.json", "daemon.key", "keys.json"}


def _files(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _init(place: Path) -> str:
    """What the script of the service `keys` prints; the volumes are folders of `place`."""
    done = _run_init(place, f"{Path(GUARD).parent}:{environment()['PATH']}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run_init(place: Path, path: str) -> subprocess.CompletedProcess[str]:
    script = HERE / "compose" / "init.sh"
    return subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", str(script), str(place / "config"), str(place / "scrape")],
        capture_output=True,
        text=True,
        env=environment(PATH=path),
        timeout=script.read_text().count("guard keys new") * WAIT_S,
        check=False,
    )


@contextlib.contextmanager
def _started(place: Path) -> Iterator[tuple[int, int]]:
    """The data and ops ports of a guard with compose's own settings and keys, before its daemon."""
    config, daemon, data, ops = place / "config", free_port(), free_port(), free_port()
    settings = (HERE / "compose" / "guard.toml").read_text()
    for was, now in (
        ("127.0.0.1:22499", f"127.0.0.1:{daemon}"),
        ("0.0.0.0:22500", f"0.0.0.0:{data}"),
        ("0.0.0.0:22501", f"0.0.0.0:{ops}"),
        ("/var/lib/guard/state", str(place / "state")),
    ):
        assert settings.count(was) == 1
        settings = settings.replace(was, now)
    (config / "guard.toml").write_text(settings)
    shutil.copytree(HERE.parent / "policies", config / "policies")
    words = [word.replace("22499", str(daemon)) for word in SERVICES["daemon"]["command"]]
    words = [word.replace("/etc/guard", str(config)) for word in words]
    with (
        process(*words, cwd=place) as simulator,
        process("serve", "--config", config / "guard.toml", cwd=place) as guard,
    ):
        until("the daemon listens", lambda: simulator.is_open(daemon))
        until("the guard listens", lambda: guard.is_open(ops) and guard.is_open(data))
        yield data, ops
