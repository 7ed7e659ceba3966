"""A file system that the kernel itself makes read-only under a journal: a real one, in a mount namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
# Linux refuses to make a mount read-only while a file is open for writing through it, so a second mount of the same
# place is laid over it and made read-only: every path is read-only then, what is open already is not.
SCRIPT: Final = """
import asyncio, os, subprocess, sys
from pathlib import Path
from guard.errors import GuardFault, JournalFault
from guard.journal import JournalBounds
from tests.support.journal import decision, open_journal
from tests.support.signed import verdict

here = Path(sys.argv[1])
state = here / "state"


def mount(*words):
    subprocess.run(["mount", *words, str(here)], check=True)


async def main():
    mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
    journal = open_journal(state, bounds=JournalBounds(segment_bytes_max=2000))
    durable = journal.append("decision", decision("01A"))
    await journal.checkpoint()
    mount("--bind", str(here))
    mount("-o", "remount,ro,bind")
    for n in range(20):
        seq = journal.append("decision", decision(f"01B{n}"))
        try:
            await journal.durable(seq)
            durable = seq
        except JournalFault as fault:
            print("append:", fault)
            break
    else:
        raise SystemExit("twenty records and no new segment was needed")
    assert journal.failed
    try:
        journal.append("decision", decision("01C"))
        raise SystemExit("a record after the fault")
    except JournalFault as fault:
        print("after:", fault)
    await journal.close()
    try:
        open_journal(state)
        raise SystemExit("a journal opened on a read-only file system")
    except GuardFault as fault:
        print("start:", fault)
    mount("-o", "remount,rw,bind")
    assert verdict(state) == "ok", verdict(state)
    again = open_journal(state)
    assert again.last_seq >= durable
    await again.durable(again.append("decision", decision("01D")))
    await again.close()
    assert verdict(state) == "ok", verdict(state)


asyncio.run(main())
"""


def _isolated(*words: str) -> "subprocess.CompletedProcess[str]":
    unshare = str(shutil.which("unshare"))
    command = [unshare, "--mount", "--propagation", "private", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own words


def _can_mount(folder: Path) -> bool:
    """Root, Linux, and a kernel that lets us."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return _isolated("mount", "-t", "tmpfs", "tmpfs", str(folder)).returncode == 0


def test_a_read_only_remount_closes_the_journal_and_a_restart_goes_on(tmp_path: Path) -> None:
    """What was acknowledged is there, nothing is acknowledged afterwards, no start pretends; then all goes on."""
    if not _can_mount(tmp_path):
        pytest.skip("mounting needs root and a kernel that allows namespaces")
    done = _isolated(sys.executable, "-c", SCRIPT, str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert "Read-only file system" in told["append"]
    assert "until a restart" in told["after"]
    assert "Read-only file system" in told["start"]
