"""`guard policy reload`, `approve` and `promote` against a guard that runs."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest

from guard.admin.change import ChangeResult, Who
from guard.admin.policies import PolicyChanges
from guard.cli.policy import app
from guard.errors import JournalFault
from tests.support.commands import called
from tests.support.guards import key, record
from tests.support.stage import Stage, code_of, is_passed, stage

TWO: Final = "[trading]\nenabled = true\n[policies]\ntwo_person = true\n"
BASE: Final = '[orders]\nmax_value = "20000 HKD"\n'
LOOSE: Final = '[orders]\nmax_value = "40000 HKD"\n'
PEOPLE: Final = (record("bot"), record("desk", owner="anna"), record("risk", owner="ben"))
WATCHED: Final = """# a remark that stays
[policy]
mode = 'shadow'   # since Monday
owner = "shadow desk"

[orders]
max_qty = 100
"""


async def run(scene: Stage, *words: str, who: str = "desk", answer: str | None = None) -> tuple[int, str]:
    """Exit code and everything that was said."""
    environment = {"GUARD_KEY": key(who), "GUARD_OPS": f"127.0.0.1:{scene.guard.ports[1]}", "COLUMNS": "200"}
    found = await asyncio.to_thread(called, app, *words, "--config", scene.config, env=environment, answer=answer)
    return found.exit_code, found.output


async def test_a_change_may_end_so_many_hours_from_now(tmp_path: Path) -> None:
    """`--until 8h`: at a whole second, as people write times."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        code, told = await run(scene, "reload", "--reason", "larger lots", "--until", "8h")
        assert code == 3
        assert re.search(r"^until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, then back by itself$", told, re.MULTILINE)


async def test_one_asks_and_another_approves(tmp_path: Path) -> None:
    """Exit 3 while it waits; the second person sees who, why, what, and the replay before the question."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        await scene.written()
        scene.write_policy(LOOSE)
        code, told = await run(scene, "reload", "--reason", "larger lots", "--until", "2099-01-01T00:00:00Z")
        assert code == 3
        assert "another owner approves it: guard policy approve" in told
        sha256 = told.split("sha256 ")[1][:12]

        code, told = await run(scene, "approve", sha256, "--reason", "agreed", who="risk", answer="n\n")
        assert code == 1
        for words in (
            "anna asks for it, with key desk: larger lots; looser",
            "1 would be newly allowed",
            "until 2099",
            "Put it in force",
        ):
            assert words in told
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert f"the one that waits is {sha256}" in (await run(scene, "approve", "0" * 12, "--reason", "x"))[1]
        assert (await run(scene, "approve", sha256, "--reason", "x", "--yes"))[0] == 1
        code, told = await run(scene, "approve", sha256, "--reason", "agreed", "--yes", who="risk")
        assert (code, "applied: sha256" in told) == (0, True)
        assert is_passed(await scene.place(qty=200))
        assert "for a second person; none does" in (await run(scene, "approve", sha256, "--reason", "x", who="risk"))[1]


@pytest.mark.parametrize(
    ("more", "answer"), [(["--json"], "n\n"), ([], ""), ([], "y\n")], ids=["a program", "nobody", "a person"]
)
async def test_an_approval_needs_nobody_at_a_terminal(tmp_path: Path, more: list[str], answer: str) -> None:
    """Programs are not asked, and an input that ends says nothing against it: exit 0, in force."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        sha256 = (await run(scene, "reload", "--reason", "larger lots"))[1].split("sha256 ")[1][:12]

        code, told = await run(scene, "approve", sha256, "--reason", "agreed", *more, who="risk", answer=answer)

        assert (code, "applied" in told) == (0, True)
        assert is_passed(await scene.place(qty=200))


@pytest.mark.parametrize("name", ["", "a", "0123456"])
async def test_what_is_approved_is_named(tmp_path: Path, name: str) -> None:
    """An empty name, as an unset variable leaves it, or a short one approves nothing: exit 1."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        assert (await run(scene, "reload", "--reason", "larger lots"))[0] == 3

        code, told = await run(scene, "approve", name, "--reason", "agreed", "--yes", who="risk")

        assert (code, "at least 8 digits" in told) == (1, True)
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_a_shadow_is_promoted_and_nothing_else_in_its_file_changes(tmp_path: Path, ending: str) -> None:
    """One word of the file is edited; its mode, its remarks and how its lines end stay, and the policy is in force."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        path, text = tmp_path / "policies/watched.toml", WATCHED.replace("\n", ending)
        path.write_bytes(text.encode())
        path.chmod(0o640)
        assert is_passed(await scene.place(qty=200))
        code, told = await run(scene, "promote", "watched")

        assert code == 0, told
        assert path.read_bytes().decode() == text.replace("'shadow'", "'enforce'")
        assert path.stat().st_mode & 0o777 == 0o640
        assert sorted(os.listdir(path.parent)) == ["desk.toml", "watched.toml"]  # noqa: PTH208 - names are enough
        assert code_of(await scene.place(qty=200, price=199)) == (403, "max_order_qty")
        found = (await scene.records("policy"))[-1]
        assert (found["by"], found["reason"], found["kind"]) == ("anna", "policy watched promoted", "tighter")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nobody", WATCHED, "no such policy"),
        ("desk", WATCHED, "enforced already"),
        ("watched", '[policy]\nmode = """\\\nshadow"""\n', "not on a line of its own"),
        ("watched", "[policy", "not TOML"),
    ],
)
async def test_what_cannot_be_promoted_is_left_alone(tmp_path: Path, name: str, text: str, words: str) -> None:
    """Exit 1 with why; the file is what it was."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE}) as scene:
        scene.write_policy(text, "watched.toml")
        code, told = await run(scene, "promote", name)
        assert code == 1
        assert words in told
        assert (tmp_path / "policies/watched.toml").read_text() == text


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_a_promotion_that_is_refused_leaves_the_file_as_it_was(tmp_path: Path, ending: str) -> None:
    """A test of the directory fails under it: the guard keeps what it has, and no later reload finds the word."""
    given = 'given = { now = 2026-11-20T10:00:00+08:00, key = "bot", environment = "simulate", account = 123456 }\n'
    fails = f'{given}case = [{{ order = {{ symbol = "HK.00700", qty = 200, price = 199 }}, expect = "allow" }}]\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        scene.write_policy(fails, "watched_test.toml")
        path, text = tmp_path / "policies/watched.toml", WATCHED.replace("\n", ending)
        path.write_bytes(text.encode())
        code, told = await run(scene, "promote", "watched")
        assert code == 1, told
        assert "test_failed" in told
        assert 'mode = "shadow" again' in told
        assert path.read_bytes().decode() == text
        assert is_passed(await scene.place(qty=200))


async def test_a_promotion_that_is_in_force_and_not_on_record_is_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal closed after the change: the file says what is enforced; nothing made leaves it as it was."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        journal = scene.guard.desk.journal

        async def closed(seq: int) -> None:
            raise JournalFault(f"record {seq} is not on the disk")

        monkeypatch.setattr(journal, "durable", closed)
        code, told = await run(scene, "promote", "watched")
        assert (code, "the change is made" in told, "again" in told) == (1, True, False), told
        assert (tmp_path / "policies/watched.toml").read_text() == WATCHED.replace("'shadow'", "'enforce'")

        scene.write_policy(WATCHED, "watched.toml")
        await scene.guard.reload()

        def refuses(*_: object, **__: object) -> int:
            raise JournalFault("the journal is closed")

        monkeypatch.setattr(journal, "append", refuses)
        code, told = await run(scene, "promote", "watched")
        assert (code, 'mode = "shadow" again' in told) == (1, True), told
        assert (tmp_path / "policies/watched.toml").read_text() == WATCHED


async def test_a_promotion_after_which_the_guard_failed_says_that_it_may_be_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect behind the change, or a proxy that gave up: the file was taken back, and the policy was in force."""
    whole = PolicyChanges.reload

    async def breaks(changes: PolicyChanges, who: Who, **how: Any) -> ChangeResult:
        await whole(changes, who, **how)
        raise ZeroDivisionError

    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        monkeypatch.setattr(PolicyChanges, "reload", breaks)
        code, told = await run(scene, "promote", "watched")
        assert (code, "whether it is in force is not known" in told, 'mode = "shadow" again' in told) == (
            1,
            True,
            False,
        )
        assert code_of(await scene.place(qty=200)) == (403, "max_order_qty")
        assert (tmp_path / "policies/watched.toml").read_text() == WATCHED.replace("'shadow'", "'enforce'")


async def test_a_promotion_that_reaches_no_guard_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Nobody listens there: a later start does not enforce what nobody was told is enforced."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        code, told = await run(scene, "promote", "watched", "--ops", f"unix:{tmp_path}/nobody")
        assert code == 1, told
        assert "could not be asked" in told
        assert 'mode = "shadow" again' in told
        assert (tmp_path / "policies/watched.toml").read_text() == WATCHED


async def test_a_promotion_without_an_answer_says_that_it_may_be_in_force(tmp_path: Path) -> None:
    """The guard heard it and fell silent: the file stays as it may be in force, and what to do is told."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _ = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE, "watched.toml": WATCHED}) as scene:
        async with await asyncio.start_unix_server(silent, f"{tmp_path}/ops"):
            code, told = await run(scene, "promote", "watched", "--ops", f"unix:{tmp_path}/ops")
        assert code == 1, told
        assert "whether it is in force is not known: guard policy reload" in told
        assert (tmp_path / "policies/watched.toml").read_text() == WATCHED.replace("'shadow'", "'enforce'")


async def test_a_mounted_file_is_not_edited(tmp_path: Path) -> None:
    """A link leads to a text that comes from elsewhere: it is edited there."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": LOOSE}) as scene:
        (tmp_path / "elsewhere.toml").write_text(WATCHED)
        (tmp_path / "policies/watched.toml").symlink_to(tmp_path / "elsewhere.toml")
        code, told = await run(scene, "promote", "watched")
        assert code == 1
        assert "edit it there" in told
        assert (tmp_path / "elsewhere.toml").read_text() == WATCHED
