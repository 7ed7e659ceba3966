"""`guard policy`: files checked, and a running guard told to read them again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from guard.access import keyfile
from guard.cli.policy import app
from tests.support.commands import Done, called

KEY = "made-up-key"
SHIPPED = Path(__file__).parents[3] / "policies"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUARD_KEY", raising=False)
    monkeypatch.delenv("GUARD_OPS", raising=False)


def run(*words: str) -> Done:
    """Runs `guard policy …`."""
    return called(app, *words)


class Ops:
    """A guard's ops listener that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: bytes = b"{}"
        self.asked: list[tuple[str, str | None, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *args: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture(name="ops")
def _ops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    ops = Ops()
    thread = threading.Thread(target=ops.server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("GUARD_KEY", KEY)
    yield ops
    ops.server.shutdown()
    thread.join()
    ops.server.server_close()


def test_the_shipped_policies_are_valid() -> None:
    """People see whom each policy binds and what it enforces; the exit code is 0."""
    code, out, err = run("check", str(SHIPPED))

    assert (code, err) == (0, "")
    assert "agent-*" in out
    assert "3 policies valid, sha256 " in out


def test_keys_are_not_called_uncovered_by_files_that_could_not_be_read(tmp_path: Path) -> None:
    """What a broken file covers nobody knows: the error is told, and no key is said to have no policy."""
    keyfile.add(tmp_path / "keys.json", {"id": "bot", "hash": "sha256:" + "0" * 64, "scopes": ["trade:real"]})
    (tmp_path / "policies").mkdir()
    for text, words in (("", ["no_policy"]), ("[orders]\nmax_valu = '1 HKD'", [])):
        (tmp_path / "policies/desk.toml").write_text(text)
        told = json.loads(run("check", "--json")[1])
        assert ([one["code"] for one in told["findings"]], bool(told["errors"])) == (words, not words)


def test_tests_are_not_held_against_files_that_could_not_be_read(tmp_path: Path) -> None:
    """What the broken file would have covered is refused, and no test of another file is to blame."""
    (tmp_path / "a.toml").write_text('[orders]\nmax_valu = ["1 HKD"]\n')
    (tmp_path / "b.toml").write_text('[applies_to]\nenvironments = ["real"]\n[orders]\nmax_value = ["9 HKD"]\n')
    (tmp_path / "b_test.toml").write_text(
        'given = { now = 2026-11-20T10:00:00+08:00, key = "bot-1", environment = "simulate", account = 1 }\n'
        'case = [{ order = { symbol = "HK.00700", price = 1 }, expect = "allow" }]\n'
    )
    code, out, told = run("check", str(tmp_path), "--json")

    assert (code, told) == (1, "")
    assert [error["code"] for error in json.loads(out)["errors"]] == ["unknown_key"]


def test_json_says_the_same_to_programs() -> None:
    """One value with hash, policies, errors and warnings."""
    code, out, _ = run("check", str(SHIPPED), "--json")
    told = json.loads(out)

    assert (code, told["ok"], told["errors"], told["warnings"]) == (0, True, [], [])
    assert [row["id"] for row in told["policies"]] == ["agents", "default", "paper-trading"]
    assert told["policies"][1]["applies_to"] == {"environments": ["real"]}
    assert "budgets.daily_value" in told["policies"][1]["enforces"]
    assert len(told["sha256"]) == 64


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Errors of several files, with place and cure; the exit code is 1 and there is no hash."""
    (tmp_path / "a.toml").write_text('[orders]\nmax_valu = "1 HKD"\n')
    (tmp_path / "b.toml").write_text('[policy]\nid = "c"\n')
    (tmp_path / "c.toml").write_text("[hours]\nUSA = 'always'\n")
    (tmp_path / "d.toml").write_text('[policy]\nid = "c"\n')
    code, out, err = run("check", str(tmp_path))

    assert code == 1
    assert "a.toml:2: orders.max_valu: [orders] has no key max_valu [unknown_key] (did you mean max_value?)" in err
    assert "c.toml:2: hours.USA" in err
    assert "d.toml:2: policy.id" in err
    assert "sha256" not in out
    code, out, _ = run("check", str(tmp_path), "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["sha256"], len(told["errors"])) == (1, False, None, 3)
    assert told["errors"][0]["line"] == 2


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A wrong path is not an empty set of policies."""
    assert run("check", str(tmp_path / "nowhere"))[0] == 1


def test_an_empty_directory_says_what_it_means(tmp_path: Path) -> None:
    """No policies is valid, and lets no trade through."""
    code, out, _ = run("check", str(tmp_path))

    assert code == 0
    assert "no_policy" in out


def test_the_settings_name_directory_and_keys(tmp_path: Path) -> None:
    """Without DIR the settings' directory is checked, and selectors are compared with the settings' keys."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text('[applies_to]\nkeys = ["bot-*"]\n')
    hashed = "sha256:" + "0" * 64
    keys = tmp_path / "k.json"
    keys.write_text(json.dumps({"version": 1, "keys": [{"id": "x", "hash": hashed, "scopes": ["qot:read"]}]}))
    keys.chmod(0o600)
    (tmp_path / "guard.toml").write_text('[policies]\ndir = "rules"\n[keys]\nfile = "k.json"\n')
    code, out, err = run("check")

    assert code == 0
    assert "1 policy valid" in out
    assert [line for line in err.splitlines() if "bot-*" in line] == [
        "warning a.toml:1: applies_to: no key matches 'bot-*', so the policy binds nobody [no_key] (see its selectors)"
    ]
    keys.write_text("{")
    assert "selectors were not compared with the keys" in run("check")[2]


@pytest.mark.parametrize("text", ["[policies]\ndirr = 1\n", None], ids=["wrong", "absent"])
def test_settings_that_cannot_be_used_end_it(tmp_path: Path, text: str | None) -> None:
    """A named settings file must be there and be right."""
    path = tmp_path / "other.toml"
    if text is not None:
        path.write_text(text)
    code, _, err = run("check", "--config", str(path))

    assert code == 1
    assert "guard: " in err
    assert json.loads(run("check", "--config", str(path), "--json")[1])["errors"]


def test_reload_tells_what_changed(ops: Ops) -> None:
    """The key goes in the header, the reason in the body; what changed is shown."""
    ops.answer = json.dumps({"result": "applied", "sha256": "ab", "changes": ["desk: tighter", {"id": "x"}]}).encode()
    code, out, _ = run("reload", "--ops", ops.place, "--reason", "new board limit")

    assert code == 0
    assert out == 'applied: sha256 ab\n  desk: tighter\n  {"id":"x"}\n'
    assert ops.asked == [("/admin/policy/reload", f"Bearer {KEY}", {"reason": "new board limit"})]


def test_reload_tells_which_counters_were_rebuilt_and_what_is_not_on_them(ops: Ops) -> None:
    """People read the same as programs: each counter, and the warnings."""
    answer = {"result": "applied", "sha256": "ab", "counters": ["reads/key=bot"], "warnings": ["not all of them"]}
    ops.answer = json.dumps(answer).encode()
    code, out, err = run("reload", "--ops", ops.place)

    assert (code, out) == (0, "applied: sha256 ab\n  reads/key=bot goes on from what went before\n")
    assert "warning: not all of them" in err


def test_a_reload_that_fails_says_that_nothing_changed(ops: Ops) -> None:
    """Every error is shown as `check` shows it; the exit code is 1."""
    error = {"file": "a.toml", "line": 2, "path": "x", "code": "unknown_key", "message": "no", "hint": ""}
    ops.status, ops.answer = 422, json.dumps({"errors": [error, "plain", 5]}).encode()
    code, out, err = run("reload", "--ops", ops.place)

    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "guard: a.toml:2: x: no [unknown_key]",
        "guard: plain",
        "guard: 5",
        "guard: nothing was changed; the policies that were in force still are",
    ]
    assert ops.asked[0][2] == {}


def test_a_reload_that_may_be_made_all_the_same_is_not_told_to_have_changed_nothing(ops: Ops) -> None:
    """Its record could not be synced: who revoked a key, say, must not read that it still works."""
    why = "no space; the change is made, and may not be on record: a restart reads the files anew"
    ops.status, ops.answer = 503, json.dumps({"result": "unrecorded", "errors": [why]}).encode()

    assert run("reload", "--ops", ops.place) == (1, "", f"guard: {why}\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"error": "no scope"}', "no scope"),
        (b"{}", "403"),
        (b'{"error": "\xff"}', "403"),
        (b'{"error":' * 100_000, "403"),
        (b"<html>", "cannot be read"),
    ],
)
def test_any_other_answer_is_an_error(ops: Ops, answer: bytes, told: str) -> None:
    """A refusal is passed on in its own words; what is no JSON is called that."""
    ops.status, ops.answer = 403, answer
    code, _, err = run("reload", "--ops", ops.place)

    assert code == 1
    assert told in err


def test_json_passes_the_answer_through(ops: Ops) -> None:
    """Programs get what the guard said."""
    ops.answer = b'{"result":"unchanged"}'

    assert run("reload", "--ops", ops.place, "--json") == (0, '{"result":"unchanged"}\n', "")


def test_reload_needs_a_key_and_a_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without GUARD_KEY nobody is asked; a guard that is not there, and a wrong address, are told."""
    assert "GUARD_KEY" in run("reload")[2]
    monkeypatch.setenv("GUARD_KEY", KEY)
    for place in (f"unix:{tmp_path / 'ops.sock'}", "nowhere", "127.0.0.1:1"):
        code, _, err = run("reload", "--ops", place)
        assert code == 1
        assert "could not be asked" in err
