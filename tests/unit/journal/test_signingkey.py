"""The key that signs checkpoints."""

from pathlib import Path

import pytest

from guard.errors import StateFault
from guard.journal import signingkey
from guard.journal.note import Signer, Verifier
from tests.support.disk import FaultyDisk


def test_the_first_call_makes_a_key_and_later_ones_find_it(tmp_path: Path) -> None:
    """Private 0600, and the verifier key beside it."""
    made = signingkey.load(tmp_path, disk=FaultyDisk())
    again = signingkey.load(tmp_path, disk=FaultyDisk())

    assert again.skey == made.skey == signingkey.key_path(tmp_path).read_text().strip()
    assert Verifier.read(signingkey.vkey_path(tmp_path).read_text()) == made.verifier
    assert signingkey.key_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.key", "journal.vkey"]


def test_no_two_logs_share_a_name(tmp_path: Path) -> None:
    """Host and fingerprint; what a host name may hold and a key name may not is replaced."""
    names = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        names.add(signingkey.load(tmp_path / name, disk=FaultyDisk()).name)

    assert len(names) == 2
    assert all(name.startswith("guard.") and len(name.partition("/")[2]) == 12 for name in names)


def test_the_verifier_key_is_put_right(tmp_path: Path) -> None:
    """It follows from the private one: lost or changed, it comes back."""
    signer = signingkey.load(tmp_path, disk=FaultyDisk())
    signingkey.vkey_path(tmp_path).write_text("another\n")
    signingkey.load(tmp_path, disk=FaultyDisk())

    assert signingkey.vkey_path(tmp_path).read_text() == f"{signer.verifier.vkey}\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Who reads it can sign; the message has the chmod."""
    signingkey.load(tmp_path, disk=FaultyDisk())
    signingkey.key_path(tmp_path).chmod(mode)

    with pytest.raises(StateFault, match="chmod 600"):
        signingkey.load(tmp_path, disk=FaultyDisk())


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+x", "ü"])
def test_a_key_that_is_none_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    """A new one in its place would hide what happened."""
    signingkey.load(tmp_path, disk=FaultyDisk())
    signingkey.key_path(tmp_path).write_text(text)

    with pytest.raises(StateFault, match="cannot be used"):
        signingkey.load(tmp_path, disk=FaultyDisk())
    assert signingkey.key_path(tmp_path).read_text() == text


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_key_that_cannot_be_kept_is_no_key(tmp_path: Path, call: str) -> None:
    """Half a file never stands under its name; the next start makes one."""
    disk = FaultyDisk()
    disk.fails[call] = OSError(28, "No space left on device")

    with pytest.raises(StateFault, match="No space left"):
        signingkey.load(tmp_path, disk=disk)
    assert not signingkey.key_path(tmp_path).exists()
    assert signingkey.load(tmp_path, disk=FaultyDisk()).skey


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_key_that_was_kept_though_that_was_told_as_failed_is_the_next_starts(tmp_path: Path, call: str) -> None:
    """One that may stand under its name is never replaced by another."""
    disk = FaultyDisk()
    disk.anyway[call] = OSError(5, "Input/output error")
    with pytest.raises(StateFault, match="Input/output error"):
        signingkey.load(tmp_path, disk=disk)
    stands = signingkey.key_path(tmp_path).exists()
    assert stands is (call == "rename")
    kept = signingkey.key_path(tmp_path).read_text() if stands else None
    found = signingkey.load(tmp_path, disk=FaultyDisk()).skey
    assert kept is None or signingkey.key_path(tmp_path).read_text() == kept
    assert signingkey.load(tmp_path, disk=FaultyDisk()).skey == found


def test_a_successor_has_the_same_name_and_takes_over_at_the_next_start(tmp_path: Path) -> None:
    """The log stays the same log."""
    signer = signingkey.load(tmp_path, disk=FaultyDisk())
    successor = signingkey.successor(signer)
    assert signingkey.load(tmp_path, disk=FaultyDisk()).skey == signer.skey

    signingkey.take_over(tmp_path, successor, disk=FaultyDisk())
    found = signingkey.load(tmp_path, disk=FaultyDisk())
    assert (found.skey, found.name) == (successor.skey, signer.name)
    assert found.verifier != signer.verifier
    assert isinstance(found, Signer)
