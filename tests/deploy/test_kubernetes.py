"""Kubernetes: manifests that its schemas accept, one door for callers, and a reload when a mount changes."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.kubernetes import rules
from guard.policyfiles import read_docs
from guard.settingsfile import parse_settings
from tests.support.guards import OPEN_POLICY, key, record, write_keys
from tests.support.processes import GUARD, ask, children, environment, free_port, process, until

HERE: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE: Final = HERE / "base"
OVERLAYS: Final = ["simulated", "production"]
VERSIONS: Final = ["1.29", "1.34"]
CLOSED: Final = {11111, 22222, 33333, 44444, 22499}
LABELS: Final = {"app.kubernetes.io/name": "opend-guard"}


def _read(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


MANIFESTS: Final = [path for path in sorted(BASE.glob("*.yaml")) if path.name != "kustomization.yaml"]
PARTS: Final = {one["kind"]: one for path in MANIFESTS for one in _read(path)}
POD: Final[dict[str, Any]] = PARTS["StatefulSet"]["spec"]["template"]["spec"]
CONTAINERS: Final[dict[str, dict[str, Any]]] = {one["name"]: one for one in POD["containers"]}


def _complaints(*files: Path, version: str) -> str:
    """What the schemas of a version say against these files."""
    program = Path(sys.executable).with_name("kubernetes-validate")
    command = [str(program), "--strict", "--quiet", "-k", version, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - of the venv
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit {done.returncode}"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each overlay as kustomize builds it. Debian's kubectl is too old for it, so this is tried where one is there."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    place = tmp_path_factory.mktemp("rendered")
    for name in OVERLAYS:
        command = [kubectl, "kustomize", str(HERE / "overlays" / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - kubectl
        assert done.returncode == 0, done.stderr
        (place / f"{name}.yaml").write_text(done.stdout)
    return {name: place / f"{name}.yaml" for name in OVERLAYS}


# ---------------------------------------------------------------- manifests


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes_accept_the_base(version: str) -> None:
    """`kubernetes-validate --strict`: every field is known and of its kind."""
    assert _complaints(*MANIFESTS, version=version) == ""


def test_kustomize_builds_each_overlay_and_the_schemas_accept_it(rendered: dict[str, Path]) -> None:
    """Patches meet what they patch: every container has an image and the daemon what it is started with."""
    assert _complaints(*rendered.values(), version=VERSIONS[-1]) == ""
    for name, path in rendered.items():
        (pod,) = [one["spec"]["template"]["spec"] for one in _read(path) if one["kind"] == "StatefulSet"]
        assert {one["name"] for one in pod["containers"]} == set(CONTAINERS)
        (daemon,) = [one for one in pod["containers"] if one["name"] == "daemon"]
        assert daemon["args"]
        assert "ports" not in daemon
        assert {one["metadata"]["namespace"] for one in _read(path)} == {
            f"opend-guard{'-' + name if name == 'simulated' else ''}"
        }


def test_the_simulated_daemon_listens_on_loopback() -> None:
    """What the overlay starts is reachable inside the pod only."""
    (patch,) = _read(HERE / "overlays" / "simulated" / "daemon.yaml")
    containers = {one["name"]: one for one in patch["spec"]["template"]["spec"]["containers"]}
    daemon = containers["daemon"]

    assert {name for name, one in containers.items() if one["imagePullPolicy"] == "IfNotPresent"} == set(CONTAINERS)
    assert daemon["args"][daemon["args"].index("--listen") + 1] == "127.0.0.1:22499"


def test_only_the_guards_ports_are_open() -> None:
    """Containers name 22500 and 22501, the service 22500; the policy lets in these two and so closes the daemon's."""
    named = [port["containerPort"] for one in CONTAINERS.values() for port in one.get("ports", ())]
    policy = PARTS["NetworkPolicy"]["spec"]
    let_in = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}

    assert named == [22500, 22501]
    assert [port["port"] for port in PARTS["Service"]["spec"]["ports"]] == [22500]
    assert "Ingress" in policy["policyTypes"]
    assert all(rule.get("from") for rule in policy["ingress"])
    assert let_in == {22500, 22501}
    assert not let_in & CLOSED


def test_everything_selects_the_one_pod() -> None:
    """Service, network policy, disruption budget and monitor mean the pod of the set."""
    (monitor,) = _read(HERE / "components" / "monitoring" / "podmonitor.yaml")

    assert PARTS["StatefulSet"]["spec"]["replicas"] == 1
    assert PARTS["StatefulSet"]["spec"]["template"]["metadata"]["labels"] == LABELS
    assert PARTS["StatefulSet"]["spec"]["selector"]["matchLabels"] == LABELS
    assert PARTS["Service"]["spec"]["selector"] == LABELS
    assert PARTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABELS
    assert PARTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == LABELS
    assert monitor["spec"]["selector"]["matchLabels"] == LABELS


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_have_no_privileges(name: str) -> None:
    """No root, no capability, no way to more; ours cannot write outside their volumes."""
    limits = CONTAINERS[name]["securityContext"]

    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["automountServiceAccountToken"] is False
    assert limits["allowPrivilegeEscalation"] is False
    assert limits["capabilities"] == {"drop": ["ALL"]}
    assert limits.get("readOnlyRootFilesystem", False) is (name != "daemon")


def test_the_daemon_outlasts_the_guard_when_the_pod_ends() -> None:
    """All containers are told at once; a cancel that the guard lets through while it drains must find a daemon."""
    settings, _ = parse_settings((BASE / "guard.toml").read_text(), origin="guard.toml", root="/etc/guard")
    (word, seconds) = CONTAINERS["daemon"]["lifecycle"]["preStop"]["exec"]["command"]

    assert word == "sleep"
    assert settings.bounds.pre_stop_s < int(seconds) < POD["terminationGracePeriodSeconds"]


def test_the_daemon_gets_neither_state_nor_callers_keys() -> None:
    """The base mounts nothing into it; keys.json and the journal are the guard's."""
    assert "volumeMounts" not in CONTAINERS["daemon"]
    assert {mount["name"] for mount in CONTAINERS["reload"]["volumeMounts"]} == {"settings", "policies", "secret"}


def test_probes_ask_what_the_ops_listener_answers() -> None:
    """Alive asks /livez, ready asks /readyz, on a port and paths that the guard has."""
    guard = CONTAINERS["guard"]
    asked = {name: guard[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    (settings, errors) = parse_settings((BASE / "guard.toml").read_text(), origin="guard.toml", root="/etc/guard")

    assert errors == []
    assert {probe["port"] for probe in asked.values()} == {"ops"}
    assert asked["livenessProbe"]["path"] == "/livez"
    assert asked["readinessProbe"]["path"] == "/readyz"
    assert (settings.listen.data, settings.listen.ops) == ("0.0.0.0:22500", "0.0.0.0:22501")
    assert POD["terminationGracePeriodSeconds"] > settings.bounds.pre_stop_s + 2 * settings.bounds.drain_timeout_s


def test_settings_name_what_is_mounted() -> None:
    """Keys, policies and state lie where the settings look for them, and the Secret is closed to others."""
    settings, _ = parse_settings((BASE / "guard.toml").read_text(), origin="guard.toml", root="/")
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINERS["guard"]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in POD["volumes"]}

    assert mounts[str(Path(settings.keys.file).parent)] == "secret"
    assert mounts[str(Path(settings.daemon.key_file or "").parent)] == "secret"
    assert mounts[settings.policies.dir] == "policies"
    assert mounts[str(Path(settings.state.dir).parent)] == "state"
    assert "tmp" in mounts.values()  # for `guard selftest`
    assert "emptyDir" in volumes["tmp"]
    assert volumes["secret"]["secret"]["defaultMode"] == 0o440
    assert [claim["metadata"]["name"] for claim in PARTS["StatefulSet"]["spec"]["volumeClaimTemplates"]] == ["state"]


def test_what_kustomize_generates_is_made_of_files_that_are_good() -> None:
    """Every file of a ConfigMap is here, no file is left over, and the policies are valid."""
    (kustomization,) = _read(BASE / "kustomization.yaml")
    files = {name for one in kustomization["configMapGenerator"] for name in one["files"]}

    assert {path.name for path in MANIFESTS} == set(kustomization["resources"])
    assert {f"policies/{path.name}" for path in (BASE / "policies").iterdir()} | {"guard.toml", "reload.sh"} == files
    docs, wrong = read_docs(BASE / "policies")
    assert wrong == []
    assert {doc.id for doc in docs} == {"real", "paper"}
    assert kustomization["generatorOptions"] == {"disableNameSuffixHash": True}


def test_the_operators_rules_are_the_rules_of_prometheus() -> None:
    """`make docs` writes the PrometheusRule from deploy/prometheus; nobody edits it."""
    assert (HERE / "components" / "monitoring" / "prometheusrule.yaml").read_text() == rules.text()


def test_the_monitor_scrapes_as_the_job_that_alerts_name() -> None:
    """The job is "guard", the port the operator's, the key one for metrics."""
    (monitor,) = _read(HERE / "components" / "monitoring" / "podmonitor.yaml")
    (scrape,) = monitor["spec"]["podMetricsEndpoints"]

    assert (scrape["port"], scrape["path"]) == ("ops", "/metrics")
    assert {"targetLabel": "job", "replacement": "guard"} in scrape["relabelings"]


# ---------------------------------------------------------------- reload


class Mount:
    """A folder as the kubelet mounts it: files are links through `..data`, which is turned to swap all at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = 0
        folder.mkdir(parents=True)

    def put(self, **files: str) -> None:
        """The files as they are from now on; names have `_` for `.`."""
        self._turns += 1
        place = self._folder / f"..{self._turns}"
        place.mkdir(mode=0o755)
        for name, text in files.items():
            path = place / name.replace("_", ".")
            path.touch(mode=0o440)
            path.chmod(0o640)
            path.write_text(text)
            link = self._folder / path.name
            if not link.is_symlink():
                link.symlink_to(f"..data/{path.name}")
        (self._folder / "..next").symlink_to(place.name)
        os.replace(self._folder / "..next", self._folder / "..data")  # noqa: PTH105 - as the kubelet does


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[tuple[Mount, int]]:
    """A guard and the script of the container `reload` over two mounts; the policies' mount, and the ops port."""
    secret, policies, ops = Mount(tmp_path / "secret"), Mount(tmp_path / "policies"), free_port()
    toml = f'[trading]\nenabled = true\n[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:{ops}"\n'
    write_keys(tmp_path / "all.json", record("bot"), record("reload", owner="the cluster", scopes=["guard:policy"]))
    secret.put(keys_json=(tmp_path / "all.json").read_text(), reload_key=key("reload"))
    policies.put(desk_toml=OPEN_POLICY)
    (tmp_path / "guard.toml").write_text(toml + '[keys]\nfile = "secret/keys.json"\n[policies]\ndir = "policies"\n')
    script = (BASE / "reload.sh").read_text().replace("/etc/guard", str(tmp_path)).replace("22501", str(ops))
    (tmp_path / "reload.sh").write_text(script)
    path = f"{Path(GUARD).parent}:{environment()['PATH']}"
    with process("serve", "--config", "guard.toml", cwd=tmp_path, env={"GUARD_DAEMON_KEY": "fc_test"}) as guard:
        until("the guard listens", lambda: guard.is_open(ops))
        watcher = subprocess.Popen(
            ["/bin/sh", "reload.sh", "0.1"], cwd=tmp_path, env=environment(PATH=path), start_new_session=True
        )
        try:
            yield policies, ops
        finally:
            os.killpg(watcher.pid, 9)
            watcher.wait(60)


def test_a_mount_that_changes_is_read_and_one_that_is_wrong_is_not(pod: tuple[Mount, int]) -> None:
    """A new ConfigMap is in force within seconds; a bad one leaves the old in force, and the metrics say so."""
    policies, ops = pod
    before = _policy(ops)

    policies.put(desk_toml=OPEN_POLICY.replace("1000000000 HKD", "2000 HKD"))
    after = until("the new policy is in force", lambda: _policy(ops) if _policy(ops) != before else None)
    policies.put(desk_toml="[orders]\nmax_valeu = 1\n")
    until("the reload is refused", lambda: "guard_policy_last_reload_success 0.0" in ask(ops, "/metrics")[1])

    assert _policy(ops) == after


def test_the_reload_container_ends_when_its_pod_does(tmp_path: Path) -> None:
    """SIGTERM ends it at once, with 0, though it sleeps: a pod is replaced only when all its containers have ended."""
    for name in ("secret", "policies"):
        Mount(tmp_path / name).put(a_file="")
    script = (BASE / "reload.sh").read_text().replace("/etc/guard", str(tmp_path)).replace("22501", str(free_port()))
    with subprocess.Popen(["/bin/sh", "-c", script, "reload.sh", "60"], start_new_session=True) as watcher:  # noqa: S603 - our own script
        try:
            until("it sleeps", lambda: _has_child(watcher.pid, "sleep"))
            watcher.terminate()

            assert watcher.wait(60) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(watcher.pid, 9)


def _has_child(pid: int, name: str) -> bool:
    found = False
    for child in children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it lived for a moment only
            found = found or Path(f"/proc/{child}/comm").read_text().strip() == name
    return found


def _policy(ops: int) -> str:
    found = re.search(r'guard_policy_info\{sha256="(\w+)"\}', ask(ops, "/metrics")[1])
    assert found is not None
    return found[1]
