"""`guard selftest` on somebody's own configuration: what it tells, and that nothing of his is touched."""

import asyncio
import json
import tempfile
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from guard.cli import main
from guard.cli.running import run
from guard.errors import SettingsFault
from guard.intent import parse
from guard.selftest import CASES, CaseRow, against, drill
from guard.selftest.page import page
from guard.settings import Settings
from guard.settingsfile import Overrides, load
from guard.terms import Endpoint, Intent, Refusal
from guard.walk.hooks import HOOKS
from tests.support.guards import OPEN_POLICY, lay_out, record

ANYWHERE = {case.id for case in CASES if case.anywhere}
TWINS = {case.id for case in CASES if case.twin is not None}
TIGHT = '[orders]\nmax_value = ["100000 HKD", "100000 USD"]\n'


def laid(folder: Path, policy: str = TIGHT) -> Settings:
    """The settings of a small desk: a trader, a reader, and two bots bound to an account or a card of their own."""
    records = (
        record("trader"),
        record("reader", scopes=["qot:read", "acc:read"]),
        record("bot", scopes=["acc:read", "trade:real"], allowed_acc_ids=[4711], max_order_value=10000),
        record("card", scopes=["acc:read", "trade:simulate"], allowed_card_nums=["1001200099990001"]),
        record("gone", allowed_machines=["x"]),
    )
    return load(lay_out(folder, *records, policies={"desk.toml": policy}), Overrides(), {})


def by_result(rows: list[CaseRow], result: str) -> set[tuple[str, str]]:
    """Key and case of the rows that ended so."""
    return {(row.key, row.case) for row in rows if row.result == result}


def test_the_page_and_the_cases_have_not_drifted() -> None:
    """docs/bypass-matrix.md is what `make docs` writes."""
    written = Path(__file__).parents[2] / "docs" / "bypass-matrix.md"
    assert written.read_text(encoding="utf-8") == page()


async def test_every_key_of_a_configuration_is_tried_and_held(tmp_path: Path) -> None:
    """A key of another environment and account too; one that is disabled is nobody's."""
    rows = await against(laid(tmp_path))
    assert by_result(rows, "held") == {(key, case) for key in ("trader", "reader", "bot", "card") for case in ANYWHERE}
    told = {(row.key, row.case): row.told for row in rows}
    assert {told[key, "W01-yours"] for key in ("trader", "bot", "card")} == {"max_order_value"}
    assert told["reader", "W01-yours"] == "scope"


async def test_what_nothing_limits_is_told_as_open(tmp_path: Path) -> None:
    """A million shares pass under this policy, so it says nothing that they pass as a market order."""
    settings = laid(tmp_path, OPEN_POLICY)
    rows = [row for row in await against(settings) if row.key == "trader"]
    assert by_result(rows, "open") == {("trader", case) for case in TWINS}
    assert by_result(rows, "failed") == set()


async def test_a_guard_that_understands_too_much_fails_on_your_configuration(tmp_path: Path) -> None:
    """The row says what came of it."""

    def lenient(endpoint: Endpoint, body: bytes) -> Intent | Refusal:
        return parse(endpoint, body.replace(b"accId", b"acc_id").replace(b"trdEnv", b"trd_env"))

    rows = await against(laid(tmp_path), hooks=replace(HOOKS, parse=lenient))
    assert ("trader", "B12") in by_result(rows, "failed")
    assert next(row.told for row in rows if row.result == "failed").startswith("answered 200")


def test_nothing_of_the_operators_is_touched(tmp_path: Path) -> None:
    """No state directory is made, no file changed, and the daemon that the settings name is not asked."""
    settings = laid(tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    asyncio.run(against(replace(settings, daemon=replace(settings.daemon, url="http://127.0.0.1:1"))))
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()} == before
    assert not (tmp_path / "state").exists()


def test_the_command_tells_programs_everything_and_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both runs of the table, here of its beginning, with what is shown elsewhere."""
    laid(tmp_path)
    some = CASES[:8]
    monkeypatch.setattr("guard.cli.selftest.drill", partial(drill, cases=some))
    config = str(tmp_path / "guard.toml")
    assert run(main.app, ["selftest", "--config", config, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {row["case"] for row in told["rows"] if not row["key"]} == {case.id for case in some}
    assert {row["key"] for row in told["rows"]} == {"", "trader", "reader", "bot", "card"}
    assert {each["bug"] for each in told["elsewhere"]} >= {"B21", "W15"}


def test_the_table_tells_a_failure_and_the_command_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What failed is said in its line, with the keys it failed for."""

    async def some(*_: object, **__: object) -> list[CaseRow]:
        return [CaseRow("B01", "no way", "held"), CaseRow("B12", "no way", "failed", "bot", "answered 200 [x]")]

    for name in ("drill", "against"):
        monkeypatch.setattr(f"guard.cli.selftest.{name}", some)
    laid(tmp_path)
    assert run(main.app, ["selftest", "--config", str(tmp_path / "guard.toml")]) == 1
    out = capsys.readouterr().out
    assert "failed" in out
    assert "answered 200 [x]" in out


def test_without_a_folder_for_temporary_files_the_command_says_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container whose root is read-only; it ended with a traceback."""
    config = tmp_path / "guard.toml"
    laid(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    assert run(main.app, ["selftest", "--config", str(config)]) == 1

    assert "set TMPDIR to one that can, or start with --tmpfs /tmp" in capsys.readouterr().err


def test_settings_that_would_not_start_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no configuration to try."""
    config = lay_out(tmp_path)
    (tmp_path / "keys.json").unlink()
    assert run(main.app, ["selftest", "--config", str(config)]) == 1
    assert "keys.json" in capsys.readouterr().err


async def test_policies_that_cannot_be_loaded_are_told(tmp_path: Path) -> None:
    """A guard without policies holds everything, which would prove nothing."""
    with pytest.raises(SettingsFault, match=r"desk\.toml.*max_valeu"):
        await against(laid(tmp_path, '[orders]\nmax_valeu = "1 HKD"\n'))
