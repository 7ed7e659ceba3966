"""Controls that are off or loose: each is told by itself, and a start as it ships tells none."""

import hashlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from guard.admin.weakened import weakened
from guard.settings import Settings
from guard.settingsfile import parse_settings
from tests.support.guards import lay_out, of_type, operate, record, running


def read(text: str, root: Path) -> Settings:
    """Settings of a file in this folder."""
    settings, errors = parse_settings(text, origin="guard.toml", root=str(root))
    assert errors == []
    return settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ()),
        ("[trading]\nenabled = true", ()),
        ("[policies]\nrequire_cover = false", ("policies.require_cover",)),
        ('[scopes]\nprofile = "runtime"', ("scopes.profile",)),
        ('[daemon]\nbroker_limits = "off"', ("daemon.broker_limits",)),
        ("[daemon]\nstamp_remark = false", ("daemon.stamp_remark",)),
        ('[daemon]\npublic_key_file = "absent"', ("daemon.public_key_file",)),
        ("[ops]\nopen = true", ("ops.open",)),
        ('[listen]\ndata = "0.0.0.0:22500"', ("listen.data",)),
        ('[listen]\nops = "0.0.0.0:22501"', ("listen.ops",)),
        ('[listen]\nops = "unix:/run/guard.sock"', ()),
        ('[listen]\ndata = "127.0.0.2:1"\nops = "[::1]:2"', ()),
        ('[daemon]\nurl = "http://127.1.2.3:22499"', ()),
        ('[listen]\ndata = "0.0.0.0:1"\nops = "[::]:2"\ntls_cert = "c"\ntls_key = "k"', ()),
        ('[daemon]\nurl = "http://10.0.0.9:22499"', ("daemon.url",)),
        ('[daemon]\nurl = "https://10.0.0.9:22499"', ()),
        ('[listen]\nallowed_origins = ["https://desk.example"]', ("listen.allowed_origins",)),
        ('[journal]\nreads = "refused"', ("journal.reads",)),
    ],
)
def test_each_choice_is_told(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    """One sentence that begins with the setting, and nothing else."""
    assert tuple(sentence.split(" ")[0].rstrip(":") for sentence in weakened(read(text, tmp_path))) == told


@pytest.mark.parametrize(
    ("setting", "file", "text", "mode", "is_told"),
    [
        ("daemon.key_file", "k", '[daemon]\nkey_file = "k"', 0o600, False),
        ("daemon.key_file", "k", '[daemon]\nkey_file = "k"', 0o640, False),
        ("daemon.key_file", "k", '[daemon]\nkey_file = "k"', 0o644, True),
        ("daemon.key_file", "k", '[daemon]\nkey_file = "k"', 0o620, True),
        ("daemon.public_key_file", "k", '[daemon]\npublic_key_file = "k"', 0o604, True),
        ("listen.tls_key", "k", '[listen]\ntls_cert = "c"\ntls_key = "k"', 0o644, True),
        ("policies.dir", "policies/a.toml", "", 0o644, False),
        ("policies.dir", "policies/a.toml", "", 0o646, True),
    ],
)
def test_a_file_that_others_may_use_is_told_with_its_chmod(
    tmp_path: Path, setting: str, file: str, text: str, mode: int, is_told: bool
) -> None:
    """A secret that others may read, a policy that others may write."""
    (tmp_path / "policies").mkdir()
    (tmp_path / file).write_text("x")
    (tmp_path / file).chmod(mode)
    told = [sentence for sentence in weakened(read(text, tmp_path)) if "chmod" in sentence]
    assert len(told) == int(is_told)
    if told:
        assert told[0].startswith(f"{setting}: ")
        assert f"chmod {'o-w' if file.startswith('p') else '600'} {tmp_path / file}" in told[0]


@pytest.mark.parametrize(("link", "mode", "is_told"), [(True, 0o755, False), (True, 0o757, True), (False, 0o755, True)])
def test_a_mount_of_the_kubelets_is_as_open_as_what_its_link_leads_to(
    tmp_path: Path, link: bool, mode: int, is_told: bool
) -> None:
    """Its root is writable by all and nobody gets at it: every pod was told to change a mode that it cannot change."""
    policies = tmp_path / "policies"
    (policies / "..1").mkdir(parents=True)
    (policies / "..1").chmod(mode)
    policies.chmod(0o2777)
    if link:
        (policies / "..data").symlink_to("..1")
    is_roots = os.geteuid() == 0  # a link that somebody else made says nothing

    assert bool(weakened(read("", tmp_path))) is (is_told or not is_roots)


async def test_they_are_in_the_record_and_in_status(tmp_path: Path) -> None:
    """The start record, `/status` and the log of the start say the same."""
    config = lay_out(tmp_path, toml="[policies]\nrequire_cover = false\n[ops]\nopen = true\n")
    with capture_logs() as logged:
        async with running(config) as guard:
            told = (await operate(guard, "/status"))[1]["weakened"]
    assert of_type(config, "start")[0]["weakened"] == told
    assert [line["control"] for line in logged if line["event"] == "weakened"] == told
    assert [sentence.split(" ")[0].rstrip(":") for sentence in told[:1]] == ["policies.require_cover"]
    assert any(sentence.startswith("ops.open") for sentence in told)


async def test_a_caller_who_holds_the_daemons_key_is_told(tmp_path: Path) -> None:
    """A keys.json that was moved over whole lists the guard's own key as well, and who has it needs no guard."""
    moved = record("moved") | {"hash": f"sha256:{hashlib.sha256(b'fc_test').hexdigest()}"}
    config = lay_out(tmp_path, record("bot"), moved, record("desk", owner="a person"))
    async with running(config) as guard:
        told = (await operate(guard, "/status"))[1]["weakened"]
    assert [sentence for sentence in told if sentence.endswith("so they walk past the guard: moved")]


@pytest.mark.parametrize(("most", "told"), [(0, ["3"]), (2, ["1"]), (3, []), (200, [])])
async def test_keys_that_no_metric_tells_apart_are_told(tmp_path: Path, most: int, told: list[str]) -> None:
    """An alert on a budget's use is silent about them; records of one caller are one key."""
    toml = f"[trading]\nenabled = true\n[metrics]\nkeys_max = {most}\n"
    keys = (record("bot"), record("bot@2"), record("other"), record("desk", owner="a person"))
    async with running(lay_out(tmp_path, *keys, toml=toml)) as guard:
        weak = (await operate(guard, "/status"))[1]["weakened"]
    found = [sentence for sentence in weak if sentence.startswith("metrics.keys_max")]
    assert found == [
        f"metrics.keys_max: no metric tells how much of their limits {many} of the keys use" for many in told
    ]
