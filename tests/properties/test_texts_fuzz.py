"""Every text that a person or another program writes is read as a value or refused in the documented way; none raises.

Settings, policies, policy tests, signed notes, verifier keys, journal lines and whole records. Each fuzz mixes three
kinds: any text at all, pieces of real texts put together wrongly, and real texts with a part changed.
"""

from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from guard.errors import JournalFault
from guard.journal import Line
from guard.journal.examine import Finding, KeptNote, examine
from guard.journal.note import Checkpoint, Note, NoteError, Signer, Verifier, sign, split
from guard.journal.record import decode
from guard.journal.tree import TreeHead
from guard.policy import PolicyDoc, PolicyError, parse_policy
from guard.policy.casefile import CaseFile, parse_cases
from guard.recovery.readback import Recovered, fold
from guard.settings import Settings, check
from guard.settingsfile import parse_settings
from tests.support.traffic import DESK

ROOT: Final = Path(__file__).parents[2]
POLICIES: Final = [path.read_text() for path in sorted((ROOT / "policies").glob("*.toml")) if "_test" not in path.stem]
SETTINGS: Final = [
    (ROOT / "deploy" / "compose" / "guard.toml").read_text(),
    (ROOT / "deploy" / "kubernetes" / "base" / "guard.toml").read_text(),
]
SIGNER: Final = Signer.read(
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
)  # the specification's own
ODD: Final = st.sampled_from(
    ["", "\n", "\x00", "=", '"', "'", "[", "]]", "{", "inf", "nan", "1e999999", "-0", "99999999999999999999", "0x",
     "2026-13-45", "true", "[[policy]]", "[policy.policy]", "é", "\ud7ff", "\u202e", "# ", "+", "— ", "a" * 300]
)  # fmt: skip


def mangled(originals: list[str]) -> st.SearchStrategy[str]:
    """Real texts with lines lost, doubled, moved or changed, and odd words in between; or any text."""
    lines = [line for text in originals for line in text.splitlines()]

    def change(text: str, at: int, length: int, word: str) -> str:
        at %= len(text) + 1
        return text[:at] + word + text[at + length :]

    changed = st.builds(
        change, st.sampled_from(originals), st.integers(0, 100_000), st.integers(0, 40), ODD | st.text(max_size=12)
    )
    mixed = st.lists(st.sampled_from(lines) | ODD, max_size=12).map("\n".join)
    return st.text(max_size=200) | mixed | changed


@settings(max_examples=300, deadline=None)
@given(mangled(SETTINGS))
@example("listen = 3")
@example('[listen]\ndata = "0.0.0.0:1"\nops = 3\nnobody = 4')
@example("[listen]\ndata = 3\n[listen.data]")
@example('[bounds]\nrequest_timeout_s = inf\nidle_timeout_s = nan\n[listen]\ndata = ":::"')
def test_any_text_is_settings_or_errors(text: str) -> None:
    """A key or table with an error has its default, without any TOML all have; whatever was read can be checked."""
    found, errors = parse_settings(text, origin="guard.toml", root=".")
    defaults = Settings(root=".")
    places = [error.removeprefix("guard.toml: ").partition(":")[0] for error in errors]
    for table, _, key in (place.partition(".") for place in places):
        if table not in Settings.__struct_fields__:
            continue
        read, default = getattr(found, table), getattr(defaults, table)
        if not key:
            assert read == default, errors
        elif name := next((field.name for field in fields(default) if field.encode_name == key), None):
            assert getattr(read, name) == getattr(default, name), errors
    if "not TOML" in places:
        assert found == defaults
    assert all(isinstance(error, str) for error in check(found))


@settings(max_examples=300, deadline=None)
@given(mangled([*POLICIES, DESK]))
@example("[orders]\nmax_value = inf")
@example('[hours]\nHK = "25:00-26:00"')
@example("[fx]\nas_of = 2026-11-20\nUSDHKD = 'nan'")
def test_any_text_is_a_policy_or_errors_with_their_place(text: str) -> None:
    """Each error names the file and a code, and what to do."""
    found = parse_policy(text, file="desk.toml")
    if isinstance(found, PolicyDoc):
        assert found.id
        return
    assert found
    for error in found:
        assert isinstance(error, PolicyError)
        assert (error.file, bool(error.code), bool(error.message)) == ("desk.toml", True, True)
        assert error.line is None or 1 <= error.line <= text.count("\n") + 1


CASES: Final = """
[given]
now = 2026-11-20T03:00:00Z
[[case]]
name = "a"
key = "bot"
order = { symbol = "HK.00700", qty = 100, price = 300 }
"""


@settings(max_examples=200, deadline=None)
@given(mangled([CASES]))
def test_any_text_is_a_file_of_policy_tests_or_an_error(text: str) -> None:
    """Tests that cannot be read are told as such, never run in part."""
    assert isinstance(parse_cases(text, file="desk_test.toml"), CaseFile | PolicyError)


NOTE: Final = sign(Checkpoint("guard.test/1", TreeHead(3, bytes(32))).text, [SIGNER])


@settings(max_examples=300, deadline=None)
@given(mangled([NOTE, NOTE + "\n" + NOTE, SIGNER.verifier.vkey]))
def test_any_text_is_a_note_or_a_note_error(text: str) -> None:
    """Notes, checkpoints and verifier keys raise one kind of error; what is read is read back alike."""
    notes, rest = split(text)
    assert isinstance(rest, str)
    for note in (text, *notes):
        try:
            read = Note.read(note)
            read.signers([SIGNER.verifier])
            Checkpoint.read(read.text)
        except NoteError:
            continue
    try:
        assert Verifier.read(text).vkey == text.strip()
    except NoteError:
        return


def test_no_change_of_a_signed_note_is_signed() -> None:
    """Every byte of it is under the signature, or is the signature."""
    for at in range(len(NOTE)):
        changed = NOTE[:at] + chr(ord(NOTE[at]) ^ 1) + NOTE[at + 1 :]
        try:
            signers = Note.read(changed).signers([SIGNER.verifier])
        except NoteError:
            continue
        assert signers == ()


RECORDS: Final = (
    '"type":"start","t":1,"version":"1","config_sha256":"","policy_sha256":"","weakened":[]',
    (
        '"type":"decision","id":"01K","t":1,"key":"bot","endpoint":"/api/order","outcome":"allow"'
        ',"claims":[{"kind":"spend","counter":"c","amount":1}]'
    ),
    '"type":"outcome","decision":"01K","t":1,"verdict":"unknown"',
    '"type":"state","t":1,"state":"locked","scope":{},"reason":"x","by":"y"',
    '"type":"order","decision":"01K","t":1,"status":"filled","targets":{"c":1}',
    '"type":"reconciled","decision":"01K","t":1,"verdict":"accepted"',
)
LINES: Final = [
    f'{{"seq":{seq},"ts":"2026-11-22T09:46:28.123456Z",{members},"prev":"{"0" * 64}"}}'
    for seq, members in enumerate(RECORDS, 1)
]


@settings(max_examples=300, deadline=None)
@given(mangled(LINES))
def test_any_line_folds_or_is_a_journal_fault(text: str) -> None:
    """A start reads such a line and goes on, or stops with the record's number; nothing else is raised."""
    try:
        line = decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return
    assert isinstance(line, Line)
    told = ""
    try:
        fold(Recovered(), [line])
    except JournalFault as fault:
        told = str(fault)
    assert not told or told.startswith(f"record {line.seq}: ")


@settings(max_examples=200, deadline=None)
@given(st.lists(mangled(LINES), max_size=6), mangled([NOTE]))
def test_any_record_and_any_checkpoint_have_a_finding(lines: list[str], claim: str) -> None:
    """Verification ends with one of its results for whatever lies in the directory."""
    raw = [(line.replace("\n", " ") + "\n").encode("utf-8", "surrogatepass") for line in lines]
    found = examine(iter(raw), [KeptNote(claim, "held")], [SIGNER.verifier])
    assert isinstance(found, Finding)
    assert msgspec.json.encode(found.message)


@pytest.mark.parametrize("text", [*POLICIES, DESK.format(day=1)])
def test_the_originals_are_read(text: str) -> None:
    """What is mangled here is whole before: the fuzz begins at texts that pass."""
    assert isinstance(parse_policy(text, file="desk.toml"), PolicyDoc)
