"""What is kept by hash beside the record goes when the last record that names it has gone, and not before."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.journal import JournalBounds, Policy, Start
from guard.journal.configstore import ConfigStore
from guard.journal.leftover import delete, leftover
from tests.support.journal import open_journal

LATER_US: Final = 2**60
OLD: Final = (1, 1)


def named(text: str) -> str:
    """Its hash."""
    return hashlib.sha256(text.encode()).hexdigest()


SETTINGS: Final = f'{{"keys":"{named("1")}","policies":"{named("2")}"}}'


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Settings that name keys and policies, a policy that goes back, one that nobody names, a stranger's file."""
    state = tmp_path / "state"
    journal = open_journal(state, bounds=JournalBounds(segment_bytes_max=700))
    store = ConfigStore(state / "config")
    for text in ("1", "2", SETTINGS, "3", "4", "5"):
        store.put(named(text), text.encode())
    (state / "config/notes.txt").write_text("mine")
    (state / f"config/{named('9')}.json.new").write_text("a draft that a crash left")
    for path in (state / "config").iterdir():
        os.utime(path, OLD)
    journal.append("start", Start(t=1, version="1.0.0", config_sha256=named(SETTINGS), policy_sha256=named("2")))
    journal.append("policy", Policy(t=2, result="applied", sha256=named("3"), back=named("4")))
    journal.shut()
    return state


def names(paths: list[Path]) -> set[str]:
    """Without their folder."""
    return {path.name for path in paths}


def test_only_what_nobody_names_may_go(state: Path) -> None:
    """Neither what a record names, nor what that names in turn, nor what is none of ours."""
    found = leftover(state, before_us=LATER_US, in_force=())
    assert names(found) == {f"{named('5')}.json", f"{named('9')}.json.new"}


def test_what_is_in_force_stays(state: Path) -> None:
    """Also where no record that is kept names it."""
    found = leftover(state, before_us=LATER_US, in_force=(named("5"),))
    assert names(found) == {f"{named('9')}.json.new"}


def test_what_was_put_there_since_stays(state: Path) -> None:
    """A reload keeps its texts before its record: wanted anew they are young, also between look and deletion."""
    found = leftover(state, before_us=2_000_000, in_force=())
    assert not leftover(state, before_us=500_000, in_force=())
    ConfigStore(state / "config").put(named("5"), b"5")
    assert delete(state, found, before_us=2_000_000) == [f"{named('9')}.json.new"]
    assert (state / f"config/{named('5')}.json").exists()


def test_where_settings_cannot_be_read_nothing_goes(state: Path) -> None:
    """They may name what nothing else names; a disk that gives them back no more must not cost their policies too."""
    settings = state / "config" / f"{named(SETTINGS)}.json"
    settings.unlink()
    settings.mkdir()
    with pytest.raises(OSError, match=settings.name):
        leftover(state, before_us=LATER_US, in_force=())


def test_where_settings_are_not_what_their_hash_names_nothing_goes(state: Path) -> None:
    """Whoever edits them would have the next prune delete the keys and the policies that decided."""
    settings = state / "config" / f"{named(SETTINGS)}.json"
    settings.write_text(SETTINGS.replace(named("1"), named("8")))
    with pytest.raises(ValueError, match=f"{settings.name} is not what its name says"):
        leftover(state, before_us=LATER_US, in_force=())


def test_with_its_record_it_goes(state: Path) -> None:
    """As a program of its own prints it; what is gone already is no fault."""
    for path in (state / "journal").glob("*.jsonl"):
        if b'"type":"policy"' in path.read_bytes():
            path.unlink()
    words = (sys.executable, "-P", "-m", "guard.journal.leftover", str(state), str(LATER_US))
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603 - our own words
    assert set(told) == {f"{named(text)}.json" for text in "345"} | {f"{named('9')}.json.new"}
    paths = [state / "config" / name for name in told]
    assert set(delete(state, [*paths, state / "config/gone.json"], before_us=LATER_US)) == set(told)
    assert not leftover(state, before_us=LATER_US, in_force=())


def test_without_a_folder_nothing_is_left_over(tmp_path: Path) -> None:
    """And nothing outside it is ever deleted."""
    assert leftover(tmp_path, before_us=LATER_US, in_force=()) == []
    outside = tmp_path / "x.json"
    outside.touch()
    assert delete(tmp_path, [outside], before_us=LATER_US) == []
    assert outside.exists()


@pytest.mark.parametrize("happened", [False, True])
def test_a_deletion_that_fails_is_told_and_what_is_left_is_found_again(
    state: Path, monkeypatch: pytest.MonkeyPatch, *, happened: bool
) -> None:
    """Failed, or done and told as failed: nothing that a record names goes, and the next look has the rest."""
    unlink = Path.unlink

    def failing(path: Path, *, missing_ok: bool = False) -> None:
        if happened:
            unlink(path, missing_ok=missing_ok)
        raise OSError(errno.EIO, "Input/output error")

    before = {path.name for path in (state / "config").iterdir()}
    found = leftover(state, before_us=LATER_US, in_force=())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)
        with pytest.raises(OSError, match="Input/output error"):
            delete(state, found, before_us=LATER_US)
    again = leftover(state, before_us=LATER_US, in_force=())
    assert again == (found[1:] if happened else found)
    delete(state, again, before_us=LATER_US)
    assert {path.name for path in (state / "config").iterdir()} == before - names(found)
