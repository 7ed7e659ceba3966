"""`guard audit verify`, `prove`, `rotate-key`, and the verifier that is shipped beside a proof."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guard.cli import proof
from guard.cli.audit import app
from guard.journal import Disk, Journal, JournalBounds, writer
from guard.journal.checkpoints import read_notes
from guard.journal.note import Checkpoint, Note, Verifier, split
from guard.journal.segments import bytes_in, segment_path
from tests.support.clock import ManualClock
from tests.support.commands import Done, called
from tests.support.journal import decision, file_of, open_journal
from tests.support.signed import signed_state


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A closed journal with its checkpoint: segment, decision, outcome, refusal."""
    return signed_state(tmp_path / "state")


def guard_audit(*words: str | Path) -> Done:
    """Runs `guard audit …`."""
    return called(app, *words)


def report(*words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of `guard audit verify --json …`."""
    result = guard_audit("verify", "--json", *words)
    return result.exit_code, json.loads(result.stdout)


def longer(state: Path, records: int = 5) -> None:
    """Another run of the guard."""
    journal = Journal.open(state, clock=ManualClock(), bounds=JournalBounds(segment_bytes_max=2000))
    for n in range(records):
        journal.append("decision", decision(f"01M{n}"))
    journal.shut()


def kept(state: Path, to: Path) -> tuple[Path, Path]:
    """Copies of the verifier key and the checkpoints, as a reviewer keeps them."""
    to.mkdir(exist_ok=True)
    for name in ("journal.vkey", "checkpoints"):
        (to / name).write_bytes((state / name).read_bytes())
    return to / "journal.vkey", to / "checkpoints"


# ---------------------------------------------------------------- verify


def test_a_whole_record_verifies(state: Path) -> None:
    """Exit 0, how much is signed, and what the key beside the record does not prove."""
    result = guard_audit("verify", "--state", state)

    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 4 records, 4 of them under a signed checkpoint")
    assert "proves nothing against the owner of this host" in result.stdout


def test_the_report_for_programs_has_stable_names(state: Path) -> None:
    """One JSON object."""
    code, said = report("--state", state)
    last = file_of(state).read_bytes().splitlines()[-1]

    assert code == 0
    assert {n: said[n] for n in ("result", "records", "first_seq", "first_bad_seq", "signed", "head")} == {
        "result": "ok",
        "records": 4,
        "first_seq": 1,
        "first_bad_seq": None,
        "signed": 4,
        "head": hashlib.sha256(last).hexdigest(),
    }
    assert said["first_ts"] == said["last_ts"] == "2026-11-22T09:46:28.123456Z"
    assert len(said["root"]) == 64
    assert len(said["remarks"]) == 1


def test_what_was_kept_elsewhere_takes_the_remarks_away(state: Path, tmp_path: Path) -> None:
    """With a key of one's own the owner of the key is named; with a checkpoint too, nothing is."""
    vkey, held = kept(state, tmp_path / "mine")
    longer(state)

    assert "(--held)" in report("--state", state, "--vkey", vkey)[1]["remarks"][0]
    code, said = report("--state", state, "--vkey", vkey, "--held", held)
    assert (code, said["remarks"]) == (0, [])


def test_an_edited_record_is_named(state: Path) -> None:
    """Exit 1 with the first bad seq."""
    file_of(state).write_bytes(file_of(state).read_bytes().replace(b"HK.00700", b"HK.00701"))

    code, said = report("--state", state)
    assert (code, said["result"], said["first_bad_seq"]) == (1, "edited", 2)
    assert "first bad seq 2" in guard_audit("verify", "--state", state).stdout


def test_an_edit_of_the_very_last_record_is_found(state: Path) -> None:
    """No later hash vouches for it, but the checkpoint does."""
    file_of(state).write_bytes(file_of(state).read_bytes().replace(b"US.AAPL", b"US.AAPX"))

    code, said = report("--state", state)
    assert (code, said["first_bad_seq"]) == (1, 4)


def test_a_record_that_was_cut_is_shorter_than_its_checkpoint(state: Path) -> None:
    """Exit 2; a bare chain would be whole."""
    lines = file_of(state).read_bytes().splitlines(keepends=True)
    file_of(state).write_bytes(b"".join(lines[:-1]))

    code, said = report("--state", state)
    assert (code, said["result"], said["records"]) == (2, "shorter", 3)


def test_a_checkpoint_kept_elsewhere_shows_a_restored_backup(state: Path, tmp_path: Path) -> None:
    """The whole directory was put back to an earlier day: only what was held tells."""
    copy = {path.name: path.read_bytes() for path in (file_of(state), state / "checkpoints")}
    longer(state, 2)
    vkey, held = kept(state, tmp_path / "mine")
    file_of(state).chmod(0o600)
    for path in (file_of(state), state / "checkpoints"):
        path.write_bytes(copy[path.name])
    for path in (state / "journal").glob("0000000[2-9].jsonl"):
        path.unlink()

    assert report("--state", state, "--vkey", vkey)[0] == 0
    assert report("--state", state, "--vkey", vkey, "--held", held)[0] == 2


def test_of_several_notes_kept_elsewhere_the_largest_tree_counts_and_each_must_fit(state: Path, tmp_path: Path) -> None:
    """In any order; one that does not fit is told however many do."""
    first = (state / "checkpoints").read_text()
    longer(state, 2)
    vkey, _ = kept(state, tmp_path / "mine")
    later = read_notes(state / "checkpoints")[-1]
    held = tmp_path / "mine" / "many"
    for notes in ([first, later], [later, first]):
        held.write_text("\n".join(notes))
        assert report("--state", state, "--vkey", vkey, "--held", held)[0] == 0
    (state / "checkpoints").unlink()
    last = max((state / "journal").glob("*.jsonl"))
    last.chmod(0o600)
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))

    code, told = report("--state", state, "--vkey", vkey, "--held", held)
    assert (code, told["result"]) == (2, "shorter")


def test_a_torn_tail_is_told_from_an_edit(state: Path) -> None:
    """Exit 4 after a crash, and verifying changes nothing."""
    torn = file_of(state).read_bytes() + b'{"seq":5,"ts'
    file_of(state).write_bytes(torn)

    code, said = report("--state", state)
    assert (code, said["result"], said["records"]) == (4, "torn", 4)
    assert file_of(state).read_bytes() == torn


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_record_that_was_cut_to_nothing_is_shorter_than_its_checkpoint(state: Path, *, is_emptied: bool) -> None:
    """Exit 2, however much was cut off: the signed checkpoint tells that there was a record."""
    file_of(state).unlink()
    if is_emptied:
        file_of(state).write_bytes(b"")

    code, said = report("--state", state)
    assert (code, said["result"], said["records"]) == (2, "shorter", 0)


@pytest.mark.parametrize(
    "gone",
    [
        ["checkpoints"],
        ["journal.vkey"],
        ["checkpoints", "journal.vkey"],
        ["journal/00000001.jsonl", "checkpoints"],
        ["journal/00000001.jsonl", "journal.vkey"],
    ],
)
def test_without_evidence_nothing_is_said(state: Path, gone: list[str]) -> None:
    """Exit 3 without checkpoints, key or record: never 0."""
    for name in gone:
        (state / name).unlink()

    assert report("--state", state)[0] == 3


def test_a_record_that_is_not_there_cannot_be_verified(tmp_path: Path) -> None:
    """Exit 3, the reason on stderr."""
    result = guard_audit("verify", "--state", tmp_path)

    assert result.exit_code == 3
    assert "no journal there" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("flag", "text"), [("--vkey", "no key"), ("--held", "no note"), ("--held", None)])
def test_evidence_that_is_none_cannot_verify(state: Path, tmp_path: Path, flag: str, text: str | None) -> None:
    """A wrong file is told, not passed over."""
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)

    assert report("--state", state, flag, path)[0] == 3


@pytest.mark.parametrize("flag", ["--vkey", "--held"])
@pytest.mark.parametrize(
    ("name", "what"), [("gone", "No such file"), (".", "Is a directory"), ("zero", "is larger than")]
)
def test_evidence_that_cannot_be_read_is_named(state: Path, tmp_path: Path, flag: str, name: str, what: str) -> None:
    """A mistyped path, a folder, a file without an end: which it is and why, without the system's own numbers."""
    (tmp_path / "zero").symlink_to("/dev/zero")
    code, said = report("--state", state, flag, tmp_path / name)

    assert code == 3
    assert f"{tmp_path / name}: cannot be read: {what}" in said["message"]
    assert "Errno" not in said["message"]


def test_evidence_may_come_through_a_pipe(state: Path, tmp_path: Path) -> None:
    """`--held <(ssh host cat checkpoints)`: what a pipe brings is read once, and whole."""
    vkey, held = kept(state, tmp_path / "elsewhere")
    words: list[str | Path] = ["--state", state]
    for flag, path in (("--vkey", vkey), ("--held", held)):
        ours, theirs = os.pipe()
        os.write(theirs, path.read_bytes())
        os.close(theirs)
        words += [flag, f"/dev/fd/{ours}"]
    code, said = report(*words)

    assert (code, said["remarks"]) == (0, [])


async def test_it_works_while_the_guard_runs(tmp_path: Path) -> None:
    """Reading takes no lock; records younger than the last checkpoint are named."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock(), bounds=JournalBounds(sign_lag_s=60))
    journal.append("decision", decision())
    await journal.checkpoint()
    assert report("--state", tmp_path / "state")[0] == 0

    await journal.durable(journal.append("decision", decision()))
    code, said = report("--state", tmp_path / "state")
    assert (code, said["records"], said["signed"]) == (0, 3, 2)
    assert "records 3 to 3 are under no checkpoint yet" in said["remarks"]
    await journal.close()


def test_the_state_directory_comes_from_the_settings(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--state, GUARD_STATE, --config, guard.toml in the working directory, in this order."""
    config = tmp_path / "elsewhere.toml"
    config.write_text('[state]\ndir = "state"\n')
    assert report("--config", config)[0] == 0

    monkeypatch.chdir(tmp_path)
    assert report()[0] == 0
    (tmp_path / "guard.toml").write_text('[state]\ndir = "nowhere"\n')
    assert report()[0] == 3
    monkeypatch.setenv("GUARD_STATE", str(state))
    assert report()[0] == 0


@pytest.mark.parametrize("text", [None, "[state]\ndirectory = 1\n", "not toml"])
def test_settings_that_cannot_be_used_are_no_verdict(tmp_path: Path, text: str | None) -> None:
    """Exit 3, never 1: that would say *edited*."""
    config = tmp_path / "guard.toml"
    if text is not None:
        config.write_text(text)

    assert report("--config", config)[0] == 3


# ---------------------------------------------------------------- prove


def offline(*words: str | Path) -> tuple[int, str]:
    """Exit code and output of the shipped verifier, run as a stranger would."""
    command = [sys.executable, "-I", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    assert done.stderr == ""
    return done.returncode, done.stdout


def proved(state: Path, tmp_path: Path, decision_id: str) -> tuple[Path, Path, Path]:
    """The proof, the script beside it, and the verifier key of the reviewer."""
    longer(state, 20)
    (tmp_path / "pack").mkdir()
    out = tmp_path / "pack" / "order.tlog-proof"
    result = guard_audit("prove", "--decision", decision_id, "--out", out, "--state", state)
    assert result.exit_code == 0, result.output
    vkey, _ = kept(state, tmp_path / "mine")
    return out, out.with_name("guard_verify.py"), vkey


@pytest.mark.parametrize("decision_id", ["01A", "01B", "01M0", "01M19"])
def test_a_decision_is_proved_with_the_verifier_key_alone(state: Path, tmp_path: Path, decision_id: str) -> None:
    """The file and the shipped script are enough: the record is shown, the others are not."""
    out, script, vkey = proved(state, tmp_path, decision_id)
    for path in (state / "journal").iterdir():
        path.unlink()

    code, said = offline(script, "proof", out, "--vkey", vkey)

    assert code == 0
    line, verdict = said.splitlines()
    assert json.loads(line)["id"] == decision_id
    assert verdict.startswith("ok: this is record ")
    assert len({"01A", "01B", "01M0", "01M19"} & {part for part in said.split('"') if part.startswith("01")}) == 1


def test_a_proof_is_a_c2sp_tlog_proof(state: Path, tmp_path: Path) -> None:
    """Header, the line as extra data, the index from zero, the path, the checkpoint as it was signed."""
    out, _, vkey = proved(state, tmp_path, "01A")
    head, note = out.read_text().split("\n\n", 1)
    first, extra, index, *path = head.split("\n")

    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 1")
    assert base64.b64decode(extra.removeprefix("extra ")) == file_of(state).read_bytes().splitlines()[1]
    assert {len(base64.b64decode(part)) for part in path} == {32}
    assert note in (state / "checkpoints").read_text()
    assert Note.read(note).signers([Verifier.read(vkey.read_text())])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("extra eyJ", "extra eyK"), 1),
        (("index 1", "index 2"), 1),
        (("index 1", "index 99"), 1),
        (("\n\n", "\n" + "A" * 43 + "=\n\n"), 1),
        (("tlog-proof@v1", "tlog-proof@v2"), 3),
        (("guard.", "guard-"), 3),
        (("index 1", "index one"), 3),
        (("\nindex 1", ""), 3),
        (("tlog-proof@v1", "tlog-proof@v\udcff"), 3),
    ],
)
def test_a_changed_proof_proves_nothing(state: Path, tmp_path: Path, change: tuple[str, str], code: int) -> None:
    """Another line, another place, another path, another log; what cannot be read is said to be that."""
    out, script, vkey = proved(state, tmp_path, "01A")
    out.write_text(out.read_text().replace(*change, 1), errors="surrogateescape")

    assert offline(script, "proof", out, "--vkey", vkey)[0] == code


def test_a_proof_under_another_key_is_none(state: Path, tmp_path: Path) -> None:
    """The reviewer's key is not this log's."""
    out, script, _ = proved(state, tmp_path, "01A")
    other = signed_state(tmp_path / "other") / "journal.vkey"

    assert offline(script, "proof", out, "--vkey", other)[0] == 3


def test_a_proof_without_a_file_is_printed(state: Path) -> None:
    """For a pipe."""
    result = guard_audit("prove", "--decision", "01A", "--state", state)

    assert result.exit_code == 0
    assert result.stdout.startswith("c2sp.org/tlog-proof@v1\n")


def test_programs_get_one_json_object(state: Path, tmp_path: Path) -> None:
    """The proof itself, and where it was written."""
    printed = json.loads(guard_audit("prove", "--decision", "01A", "--json", "--state", state).stdout)
    out = tmp_path / "p"
    written = json.loads(guard_audit("prove", "--decision", "01A", "--json", "--out", out, "--state", state).stdout)

    assert printed["proof"] == written["proof"] == out.read_text()
    assert (written["file"], written["verifier"]) == (str(out), str(tmp_path / "guard_verify.py"))
    rotated = json.loads(guard_audit("rotate-key", "--json", "--state", state).stdout)
    assert rotated["vkey"] == (state / "journal.vkey").read_text().strip()


def test_what_cannot_be_proved_says_why(state: Path, tmp_path: Path) -> None:
    """No such decision, an edited record, no checkpoint, nowhere to write, nothing or both asked for."""
    good, notes = file_of(state).read_bytes(), (state / "checkpoints").read_bytes()

    def why(*words: str | Path) -> str:
        result = guard_audit("prove", *words, "--state", state)
        assert result.exit_code != 0
        return result.output

    assert "no decision 01X is in this record; guard audit search lists" in why("--decision", "01X")
    assert "cannot be written" in why("--decision", "01A", "--out", tmp_path / "no" / "where")
    assert "either --decision or --held" in why()
    assert "either --decision or --held" in why("--decision", "01A", "--held", tmp_path)
    (tmp_path / "empty").touch()
    assert "GET /admin/audit/checkpoint gives one to keep" in why("--held", tmp_path / "empty")
    file_of(state).write_bytes(good.replace(b"US.AAPL", b"US.AAPX"))
    assert "guard audit verify" in why("--decision", "01A")
    file_of(state).write_bytes(good)
    (state / "checkpoints").write_bytes(b"")
    assert "holds no checkpoint" in why("--decision", "01A")
    (state / "checkpoints").write_bytes(notes.replace(b"\n4\n", b"\nfour\n"))
    assert "no checkpoint can be read" in why("--decision", "01A")
    (state / "checkpoints").unlink()
    assert "no checkpoint can be read" in why("--decision", "01A")


async def test_a_record_without_a_checkpoint_yet_is_not_proved(tmp_path: Path) -> None:
    """It will be within a second."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock(), bounds=JournalBounds(sign_lag_s=60))
    journal.append("decision", decision("01A"))
    await journal.checkpoint()
    await journal.durable(journal.append("decision", decision("01B")))

    result = guard_audit("prove", "--decision", "01B", "--state", tmp_path / "state")
    assert "within a second" in result.stderr
    await journal.close()


def test_that_the_log_only_grew_is_proved_in_the_form_of_a_witness(state: Path, tmp_path: Path) -> None:
    """Old size, consistency proof, empty line, new checkpoint (c2sp.org/tlog-witness)."""
    _, held = kept(state, tmp_path / "mine")
    longer(state, 20)
    out = tmp_path / "growth"

    assert guard_audit("prove", "--held", held, "--out", out, "--state", state).exit_code == 0
    head, note = out.read_text().split("\n\n", 1)
    assert head.splitlines()[0] == "old 4"
    assert Checkpoint.read(Note.read(note).text).head.size > 20

    other = signed_state(tmp_path / "other")
    longer(other, 30)
    result = guard_audit("prove", "--held", held, "--state", other)
    assert "does not go on from this checkpoint" in result.stderr
    result = guard_audit("prove", "--held", other / "checkpoints", "--state", state)
    assert "does not go on" in result.stderr or "over" in result.stderr


def test_a_log_that_has_not_grown_goes_on_from_its_last_checkpoint(state: Path, tmp_path: Path) -> None:
    """Nothing came between: a proof without a hash."""
    _, held = kept(state, tmp_path / "mine")
    result = guard_audit("prove", "--held", held, "--state", state)

    assert result.exit_code == 0, result.output
    head, note = result.stdout.split("\n\n", 1)
    assert head == "old 4"
    assert note.strip() == held.read_text().strip()


# ---------------------------------------------------------------- the shipped verifier on a whole record


def changed(state: Path, how: str) -> None:
    """Somebody was at the record."""
    lines = file_of(state).read_bytes().splitlines(keepends=True)
    match how:
        case "edited":
            lines[1] = lines[1].replace(b"HK.00700", b"HK.00701")
        case "last edited":
            lines[-1] = lines[-1].replace(b"US.AAPL", b"US.AAPX")
        case "no record":
            lines[1] = b"[1]\n"
        case "cut":
            lines.pop()
        case "swapped":
            lines[1], lines[2] = lines[2], lines[1]
        case "torn":
            lines.append(b'{"seq":5')
        case "gone":
            file_of(state).unlink()
            return
        case "torn within":
            lines[1] = lines[1][:-1]
        case _:
            return
    file_of(state).write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("whole", 0),
        ("edited", 1),
        ("last edited", 1),
        ("no record", 1),
        ("swapped", 1),
        ("torn within", 1),
        ("cut", 2),
        ("gone", 2),
        ("torn", 4),
    ],
)
def test_the_shipped_verifier_agrees_with_the_command(state: Path, tmp_path: Path, how: str, code: int) -> None:
    """Two programs that share no line of code come to the same verdict."""
    vkey, held = kept(state, tmp_path / "mine")
    changed(state, how)
    script = Path(__file__).parents[3] / "guard" / "journal" / "offline.py"

    assert report("--state", state, "--vkey", vkey, "--held", held)[0] == code
    assert offline(script, "record", state, "--vkey", vkey, "--held", held)[0] == code


@pytest.mark.parametrize(("how", "code"), [("whole", 3), ("torn", 3), ("edited", 1), ("cut", 2), ("gone", 2)])
@pytest.mark.parametrize("left", [None, "", "garbage", "other"])
def test_what_was_cut_off_after_the_kept_checkpoint_does_not_verify_for_want_of_those_beside(
    state: Path, tmp_path: Path, left: str | None, how: str, code: int
) -> None:
    """The command said ok with a remark, which no script reads, and the shipped verifier, of an empty file, just ok."""
    vkey, held = kept(state, tmp_path / "mine")
    beside = state / "checkpoints"
    text = beside.read_text().replace("guard", "other") if left == "other" else left
    changed(state, how)
    beside.unlink() if text is None else beside.write_text(text)
    script = Path(__file__).parents[3] / "guard" / "journal" / "offline.py"

    found, said = report("--state", state, "--vkey", vkey, "--held", held)
    assert (found, offline(script, "record", state, "--vkey", vkey, "--held", held)[0]) == (code, code)
    assert code != 3 or left == "other" or "could have been cut off" in said["message"]


@pytest.mark.parametrize("text", ["", "no note\n", None])
def test_a_kept_file_without_a_checkpoint_of_these_keys_is_no_checkpoint(
    state: Path, tmp_path: Path, text: str | None
) -> None:
    """Whoever names the wrong file believes that the record was held against it; None: another guard's checkpoint."""
    vkey, held = kept(state, tmp_path / "mine")
    wrong = tmp_path / "wrong"
    wrong.write_text(held.read_text().replace("guard", "other") if text is None else text)
    script = Path(__file__).parents[3] / "guard" / "journal" / "offline.py"

    assert report("--state", state, "--vkey", vkey, "--held", wrong)[0] == 3
    assert offline(script, "record", state, "--vkey", vkey, "--held", wrong)[0] == 3
    assert offline(script, "record", state, "--vkey", vkey, "--held", held)[0] == 0


@pytest.mark.parametrize(
    "words", [("record", "state"), ("prof", "p", "--vkey", "k"), ("record", "s", "--vkey", "k", "--hold", "h"), ()]
)
def test_wrong_usage_of_the_shipped_verifier_is_no_verdict(words: tuple[str, ...]) -> None:
    """A forgotten --vkey exited 1, which says edited, and a mistyped word 2, which says shorter."""
    assert offline(Path(__file__).parents[3] / "guard" / "journal" / "offline.py", *words)[0] == 64


def test_the_shipped_verifier_is_short_and_needs_no_guard() -> None:
    """Under 150 lines, the standard library and cryptography: a reviewer reads it before she runs it."""
    text = (Path(__file__).parents[3] / "guard" / "journal" / "offline.py").read_text()

    assert text.count("\n") < 150
    assert "guard." not in "".join(line for line in text.splitlines() if line.startswith(("import", "from")))


# ---------------------------------------------------------------- rotate-key


def test_a_new_key_follows_the_old_one_in_the_record(state: Path, tmp_path: Path) -> None:
    """Signed by both: a reviewer with either key verifies the whole record, whoever has neither does not."""
    old, held = kept(state, tmp_path / "old")
    result = guard_audit("rotate-key", "--state", state)
    assert result.exit_code == 0, result.output
    longer(state)
    new, _ = kept(state, tmp_path / "new")
    foreign = signed_state(tmp_path / "other") / "journal.vkey"

    assert result.stdout.strip() == new.read_text().strip() != old.read_text().strip()
    assert report("--state", state)[0] == 0
    assert report("--state", state, "--vkey", old, "--held", held)[0] == 0
    assert report("--state", state, "--vkey", new, "--held", held)[0] == 0
    assert report("--state", state, "--vkey", foreign)[0] == 3
    signers = {name for note in split((state / "checkpoints").read_text())[0] for name, _ in Note.read(note).signatures}
    assert signers == {Verifier.read(new.read_text()).name}
    assert (state / "journal.key").stat().st_mode & 0o777 == 0o600


def test_two_keys_do_not_vouch_for_what_no_start_has_told(state: Path, tmp_path: Path) -> None:
    """What is behind the last checkpoint anybody may have added; the key stays, and nothing more is signed."""
    _, before = kept(state, tmp_path / "old")
    longer(state)
    (state / "checkpoints").write_bytes(before.read_bytes())
    key = (state / "journal.key").read_bytes()
    result = guard_audit("rotate-key", "--state", state)

    assert "are under no checkpoint; start the guard, which tells them" in result.stderr
    assert (state / "journal.key").read_bytes() == key
    assert (state / "checkpoints").read_bytes() == before.read_bytes()

    line = file_of(state).read_bytes()
    file_of(state).write_bytes(line.replace(b"HK.00700", b"HK.00701", 1))
    result = guard_audit("rotate-key", "--state", state)
    assert "guard audit verify tells more" in result.stderr


def test_a_key_that_may_have_taken_over_is_not_said_to_stay(state: Path) -> None:
    """The private key is in its place and the verifier cannot be written: the next start puts that right."""
    before = (state / "journal.key").read_bytes()
    (state / "journal.vkey.new").mkdir()
    result = guard_audit("rotate-key", "--state", state)

    assert result.exit_code == 1
    assert "nobody knows whether the key has changed" in result.stderr
    assert (state / "journal.key").read_bytes() != before
    (state / "journal.vkey.new").rmdir()
    longer(state)
    assert report("--state", state)[0] == 0


def test_a_key_does_not_take_over_before_its_checkpoint_is_on_the_disk(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync of it hangs, and is given up: no checkpoint by the new key would cover the record."""

    class Hanging(Disk):
        signed: int | None = None

        def open(self, path: Path, flags: int) -> int:
            fd = super().open(path, flags)
            self.signed = fd if path.name == "checkpoints" else self.signed
            return fd

        def fsync(self, fd: int) -> None:
            if fd == self.signed:
                let.wait(30)
            super().fsync(fd)

    let, key = threading.Event(), (state / "journal.key").read_bytes()
    monkeypatch.setattr(proof, "Disk", Hanging)
    monkeypatch.setattr(writer, "JournalBounds", partial(JournalBounds, close_timeout_s=0.05))
    try:
        result = guard_audit("rotate-key", "--state", state)
    finally:
        let.set()
    assert "the key stays: the disk did not take its last checkpoint in time" in result.stderr
    assert (state / "journal.key").read_bytes() == key


def test_where_there_is_no_record_there_is_no_key_to_change(tmp_path: Path) -> None:
    """A wrong --state is told; it does not become a new record with a key of its own."""
    result = guard_audit("rotate-key", "--state", tmp_path / "typo")

    assert "no journal there; name the guard's state directory" in result.stderr
    assert not (tmp_path / "typo").exists()


def test_the_key_stays_while_a_guard_runs(state: Path) -> None:
    """It signs every second; two processes must not."""
    journal = open_journal(state)
    before = (state / "journal.key").read_bytes()
    result = guard_audit("rotate-key", "--state", state)
    journal.shut()

    assert "in use by another guard" in result.stderr
    assert result.stderr.strip().endswith(": stop that one first")
    assert (state / "journal.key").read_bytes() == before


def test_a_decision_in_a_line_that_is_no_record_is_told(state: Path) -> None:
    """`prove` says what to run next, and no trace is shown."""
    name = json.loads(file_of(state).read_bytes().splitlines()[1])["id"]
    file_of(state).write_bytes(file_of(state).read_bytes().replace(b'"HK.00700"', b'"HK.00700', 1))

    found = guard_audit("prove", "--decision", name, "--state", state)
    assert "a line that is no record: guard audit verify" in found.stderr


def test_a_segment_that_goes_while_its_size_is_asked_for_is_no_fault(tmp_path: Path) -> None:
    """The end of what is too old comes when it likes; a link to nowhere is told like any file that cannot be read."""
    (tmp_path / "journal").mkdir()
    segment_path(tmp_path, 1).write_bytes(b"12345")
    segment_path(tmp_path, 3).symlink_to(segment_path(tmp_path, 3))

    assert bytes_in(tmp_path, [1, 2, 3]) == 5


def test_a_directory_that_is_not_there_is_no_record_that_was_cut_off(state: Path, tmp_path: Path) -> None:
    """A mistyped one, with a kept checkpoint: neither the command nor the shipped verifier accuses anybody."""
    vkey, held = kept(state, tmp_path / "mine")
    script = Path(__file__).parents[3] / "guard" / "journal" / "offline.py"

    assert report("--state", tmp_path / "typo", "--vkey", vkey, "--held", held)[0] == 3
    assert offline(script, "record", tmp_path / "typo", "--vkey", vkey, "--held", held)[0] == 3
