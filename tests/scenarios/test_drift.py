"""What lies on the disk and what is in force: drift, mounts that are swapped, editors that rename, a watcher."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from weakref import ref

import pytest

from guard.admin import recounting
from guard.admin.change import Who
from guard.policyfiles import Files, marks_of, read_steadily
from guard.wholefile import read_whole
from tests.support.guards import operate, record, write_keys
from tests.support.stage import Stage, again, code_of, is_passed, stage

PEOPLE: Final = (record("bot"), record("desk", owner="a person"))
WIDE: Final = '[orders]\nmax_value = "20000 HKD"\n'
NARROW: Final = '[orders]\nmax_value = "19999 HKD"\n'
WATCHED: Final = "[trading]\nenabled = true\n[policies]\nwatch = true\n"

pytestmark = pytest.mark.usefixtures("files_when_told")


def in_place(folder: Path) -> None:
    """As a program writes over a file."""
    (folder / "desk.toml").write_text(NARROW)


def by_rename(folder: Path) -> None:
    """As an editor saves: a new file over the old one, with its own leavings beside it."""
    (folder / ".desk.toml.swp").write_bytes(b"\x00")
    (folder / "desk.toml~").write_text(WIDE)
    (folder / ".#desk.toml").symlink_to("nobody@nowhere")
    (folder / "desk.toml.new").write_text(NARROW)
    (folder / "desk.toml.new").rename(folder / "desk.toml")


def by_mount(folder: Path) -> None:
    """As Kubernetes brings a new ConfigMap: another directory, and one link that is swapped."""
    (folder / "..new").mkdir()
    (folder / "..new/desk.toml").write_text(NARROW)
    (folder / "..data_tmp").symlink_to("..new")
    (folder / "..data_tmp").rename(folder / "..data")


def mounted(folder: Path) -> None:
    """A ConfigMap as it is first mounted."""
    (folder / "desk.toml").unlink()
    (folder / "..old").mkdir()
    (folder / "..old/desk.toml").write_text(WIDE)
    (folder / "..data").symlink_to("..old")
    (folder / "desk.toml").symlink_to("..data/desk.toml")


def fails_to_read(patch: pytest.MonkeyPatch) -> None:
    """A disk that knows the files' names and times, and gives nothing of what is in them."""

    def failing(*_: object, **__: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    patch.setattr("guard.policyfiles.read_newest", failing)
    patch.setattr("guard.access.keyfile.os.fdopen", failing)


async def metric(scene: Stage, kind: str) -> bool:
    """The exposition says that this kind has drifted."""
    text = str((await operate(scene.guard, "/metrics"))[1])
    return f'guard_config_drift{{kind="{kind}"}} 1.0' in text.splitlines()


@pytest.mark.parametrize("change", [in_place, by_rename, by_mount])
async def test_a_change_of_the_files_is_drift_until_it_is_reloaded(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """However it is written: told by metric and readiness, in force only with the reload."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        if change is by_mount:
            mounted(tmp_path / "policies")
        await scene.guard.watch.look()
        assert not await metric(scene, "policies")
        change(tmp_path / "policies")
        await scene.guard.watch.look()

        assert await metric(scene, "policies")
        reasons = (await operate(scene.guard, "/readyz"))[1]["reasons"]
        assert any("guard policy reload" in reason for reason in reasons)
        assert is_passed(await scene.place())
        assert (await operate(scene.guard, "/admin/policy/reload", {}))[1]["result"] == "applied"
        assert code_of(await scene.place(remark="2")) == (403, "max_order_value")
        assert not await metric(scene, "policies"), "at once, not with the next look"
        await scene.guard.watch.look()
        assert not await metric(scene, "policies")


async def test_a_watched_change_that_could_not_be_recorded_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gave way to another change, or the past could not be read: half a minute later, not at once and not never."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE, toml=WATCHED) as scene:
        await scene.placed()
        await scene.guard.watch.look()
        was = scene.guard.desk.config.policy_sha256
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        with monkeypatch.context() as patch:
            patch.setattr(recounting, "TIMEOUT_S", 0.0)
            await scene.guard.watch.look()
            await scene.guard.watch.look()
        assert scene.guard.desk.config.policy_sha256 == was
        await scene.guard.watch.look()
        assert scene.guard.desk.config.policy_sha256 == was
        scene.clock.advance(s=31)
        await scene.guard.watch.look()
        assert scene.guard.desk.config.policy_sha256 != was


@pytest.mark.parametrize("kind", ["policies", "keys"])
async def test_what_a_disk_would_not_give_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Half a minute later, though no mark has changed: what is on the disk is in force, so it is no drift."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        (tmp_path / "policies/desk.toml").touch()
        write_keys(tmp_path / "keys.json", *PEOPLE)
        with monkeypatch.context() as patch:
            fails_to_read(patch)
            await scene.guard.watch.look()
        assert await metric(scene, kind)
        await scene.guard.watch.look()
        assert await metric(scene, kind)
        scene.clock.advance(s=31)
        await scene.guard.watch.look()
        assert not await metric(scene, kind)


async def test_a_watched_change_that_a_disk_would_not_give_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload was refused, once; it is in force when the disk reads again, though the files have not changed."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE, toml=WATCHED) as scene:
        await scene.guard.watch.look()
        in_place(tmp_path / "policies")
        with monkeypatch.context() as patch:
            fails_to_read(patch)
            for _ in range(3):
                await scene.guard.watch.look()
        assert [found["result"] for found in await scene.records("policy")] == ["applied", "refused"]
        scene.clock.advance(s=31)
        for _ in range(3):
            await scene.guard.watch.look()
        assert code_of(await scene.place()) == (403, "max_order_value")
        assert not await metric(scene, "policies")


async def test_a_remark_is_no_drift_and_a_broken_file_is(tmp_path: Path) -> None:
    """What would be reloaded as unchanged has not drifted; what could not be reloaded has."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        (tmp_path / "policies/desk.toml").write_text(f"# a remark\n{WIDE}")
        await scene.guard.watch.look()
        assert not await metric(scene, "policies")
        (tmp_path / "policies/desk.toml").write_text("[orders")
        await scene.guard.watch.look()
        assert await metric(scene, "policies")


async def test_a_pipe_under_a_policys_name_holds_up_neither_a_reload_nor_the_stop(tmp_path: Path) -> None:
    """It is a file that cannot be read: 422, the old policies in force, drift; and the guard still ends."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        os.mkfifo(tmp_path / "policies/pipe.toml")
        await scene.guard.watch.look()
        assert await metric(scene, "policies")
        status, told = await operate(scene.guard, "/admin/policy/reload", {})

        assert (status, [error["message"] for error in told["errors"]]) == (422, ["cannot be read: is no regular file"])
        assert is_passed(await scene.place())


async def test_a_file_whose_name_cannot_be_told_is_refused_by_a_name_that_can(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, a line's end: 422 with the name escaped, on record, nothing changed."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        for name in ("\udcff.toml", "a\nb.toml"):
            (tmp_path / "policies" / name).write_text(NARROW)
        status, told = await operate(scene.guard, "/admin/policy/reload", {})

        assert (status, [error["hint"] for error in told["errors"]]) == (422, ["rename it"] * 2)
        assert [error["file"] for error in told["errors"]] == ["'a\\nb.toml'", "'\\udcff.toml'"]
        assert (await scene.records("policy"))[-1]["result"] == "refused"


async def test_keys_drift_too(tmp_path: Path) -> None:
    """A key that is in the file and not yet in force."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        await scene.guard.watch.look()
        write_keys(tmp_path / "keys.json", *PEOPLE, record("new"))
        await scene.guard.watch.look()
        assert await metric(scene, "keys")
        await operate(scene.guard, "/admin/keys/reload", {})
        assert not await metric(scene, "keys")
        await scene.guard.watch.look()
        assert not await metric(scene, "keys")


async def test_a_look_holds_on_to_nothing_that_is_replaced(tmp_path: Path) -> None:
    """What a reload replaces goes with it, bit by bit, and not with the next look, all at once."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        await scene.guard.watch.look()
        policies, keys = ref(scene.guard.desk.config.policies), ref(scene.guard.desk.config.keyring)
        in_place(tmp_path / "policies")
        assert (await operate(scene.guard, "/admin/policy/reload", {}))[1]["result"] == "applied"
        assert policies() is None
        write_keys(tmp_path / "keys.json", *PEOPLE, record("new"))
        assert (await operate(scene.guard, "/admin/keys/reload", {}))[1]["result"] == "applied"
        assert keys() is None


async def test_a_look_that_is_under_way_holds_no_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads for a second where there are many, and what a reload replaces meanwhile goes all the same."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        await scene.guard.watch.look()
        reading, read = threading.Event(), threading.Event()

        def slowly(folder: Path) -> Files:
            reading.set()
            assert read.wait(60)
            return read_steadily(folder)

        monkeypatch.setattr("guard.admin.watch.read_steadily", slowly)
        policies = ref(scene.guard.desk.config.policies)
        in_place(tmp_path / "policies")
        look = asyncio.ensure_future(scene.guard.watch.look())
        try:
            assert await asyncio.to_thread(reading.wait, 30)
            assert (await operate(scene.guard, "/admin/policy/reload", {}))[1]["result"] == "applied"
            assert policies() is None
        finally:
            read.set()
            await look


@pytest.mark.parametrize("change", [in_place, by_rename, by_mount])
async def test_a_watcher_reloads_what_has_stood_still(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """With policies.watch a change is in force two looks later, and is on record with why."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE, toml=WATCHED) as scene:
        if change is by_mount:
            mounted(tmp_path / "policies")
        for _ in range(2):  # the guard's own first one is over then
            await scene.guard.watch.look()
        change(tmp_path / "policies")
        await scene.guard.watch.look()
        assert is_passed(await scene.place())
        await scene.guard.watch.look()
        assert code_of(await scene.place(remark="2")) == (403, "max_order_value")
        assert (await scene.records("policy"))[-1]["reason"] == "the files changed"


async def test_a_watcher_does_not_bring_back_what_has_ended(tmp_path: Path) -> None:
    """The files still say it, and that is drift, after a restart as well; only a person puts it in force again."""
    folder = tmp_path / "policies"
    async with stage(tmp_path, *PEOPLE, policies=NARROW, toml=WATCHED) as scene:
        await scene.guard.watch.look()
        (folder / "desk.toml").write_text(WIDE)
        until = scene.clock.wall() + timedelta(minutes=10)
        assert (await scene.guard.changes.policies.reload(Who("desk"), until=until)).result == "applied"
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        for _ in range(4):
            await scene.guard.watch.look()
        assert code_of(await scene.place()) == (403, "max_order_value")
        assert scene.guard.watch.drift["policies"]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        for _ in range(4):
            await scene.guard.watch.look()
        assert code_of(await scene.place()) == (403, "max_order_value")
        assert (await scene.guard.changes.policies.reload(Who("desk"))).result == "applied"


async def test_a_watcher_tries_a_broken_file_once(tmp_path: Path) -> None:
    """One refusal in the record, not one every few seconds."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE, toml=WATCHED) as scene:
        await scene.guard.watch.look()
        (tmp_path / "policies/desk.toml").write_text("[orders")
        for _ in range(5):
            await scene.guard.watch.look()
        assert [found["result"] for found in await scene.records("policy")] == ["applied", "refused"]


def test_files_that_change_while_they_are_read_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of two worlds are never one set: a swap in the middle of a reading begins it anew."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text("old")
    swapped = list[Path]()

    def read(path: Path, *, bytes_max: int) -> bytes:
        text = read_whole(path, bytes_max=bytes_max)
        if not swapped:
            swapped.append(path)
            for name in ("a", "b"):
                (tmp_path / f"{name}.new").write_text("new")
                (tmp_path / f"{name}.new").rename(tmp_path / f"{name}.toml")
        return text

    monkeypatch.setattr("guard.policyfiles.read_newest", read)
    assert read_steadily(tmp_path) == Files({"a.toml": "new", "b.toml": "new"})


def test_files_that_never_stand_still_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts it is told, and what is in force stays."""
    (tmp_path / "a.toml").write_text("")
    marks = iter(range(100))
    monkeypatch.setattr("guard.policyfiles.marks_of", lambda _: next(marks))
    found = read_steadily(tmp_path)
    assert (found.texts, [error.code for error in found.errors]) == ({}, ["unsteady"])
    assert marks_of(tmp_path / "nowhere") == ("FileNotFoundError", 2)
