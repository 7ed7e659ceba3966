"""Checkpoints of a whole guard: on the ops door, in the log, in the state directory, and at the next start."""

import asyncio
import http.client
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from guard.journal import JournalBounds
from guard.journal.checkpoints import largest, read_notes
from guard.journal.note import Checkpoint, Note, Verifier
from guard.journal.writer import SIGN_LAG_S
from guard.lifecycle import Guard
from guard.simulator import Simulator
from tests.support.guards import ask, key, lay_out, lines, made, of_type, order, record, running
from tests.support.processes import free_port, process, run, run_here, until

KEYS: Final = (
    record("bot"),
    record("desk", owner="a person"),
    record("audit", scopes=["audit:read"], owner="reviewer"),
)


async def fetched(guard: Guard, who: str | None) -> tuple[int, str]:
    """`GET /admin/audit/checkpoint` over the socket."""
    url = f"http://127.0.0.1:{guard.ports[1]}/admin/audit/checkpoint"
    headers = {"Authorization": f"Bearer {key(who)}"} if who else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


def lived(config: Path) -> None:
    """A guard was started, took an order and was stopped here."""

    async def live() -> None:
        guard = made(config, daemon=Simulator())
        await guard.start()
        await ask(guard, "/api/order", order())
        await guard.stop("lived")

    asyncio.run(live())


async def test_the_checkpoint_leaves_the_machine_at_the_ops_door(tmp_path: Path) -> None:
    """A note over everything recorded so far, signed by the key that the record names."""
    config = lay_out(tmp_path, *KEYS)
    async with running(config) as guard:
        await ask(guard, "/api/order", order())
        status, note = await fetched(guard, "audit")
        records = len(lines(config))

        assert status == 200
        told = Note.read(note)
        (vkey,) = [line["vkey"] for line in of_type(config, "vkey")]
        assert told.signers([Verifier.read(vkey)])
        assert Checkpoint.read(told.text).head.size == records
        assert note == read_notes(tmp_path / "state" / "checkpoints")[-1]


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("nobody", 401), ("bot", 403), ("desk", 200)])
async def test_only_who_may_read_the_record_gets_it(tmp_path: Path, who: str | None, status: int) -> None:
    """A key with audit:read and a person behind it; admin implies the scope, not the person."""
    async with running(lay_out(tmp_path, *KEYS)) as guard:
        assert (await fetched(guard, who))[0] == status


async def test_a_start_knows_its_key_and_names_it_once(tmp_path: Path) -> None:
    """The record tells whose signatures count from its first line on; a restart does not repeat it."""
    config = lay_out(tmp_path)
    for _ in range(3):
        async with running(config):
            pass
    (named,) = of_type(config, "vkey")

    assert named["seq"] == 2
    assert named["previous"] is None
    assert named["vkey"] == (tmp_path / "state" / "journal.vkey").read_text().strip()


async def test_start_reload_and_end_are_signed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the second to pass, which is an hour here."""
    monkeypatch.setattr("guard.recovery.groundwork.JournalBounds", partial(JournalBounds, sign_lag_s=3600.0))
    config = lay_out(tmp_path)
    async with running(config) as guard:
        begun = largest(tmp_path / "state")
        assert begun is not None
        assert begun.size == len(lines(config))
        (tmp_path / "policies" / "more.toml").write_text('[orders]\nmax_value = "1 HKD"\n')
        await guard.reload()
        reloaded = of_type(config, "policy")[-1]["seq"]
        await asyncio.to_thread(until, "the reload is signed", lambda: _signed(tmp_path) >= reloaded)
    ended = largest(tmp_path / "state")
    assert ended is not None
    assert ended.size == len(lines(config))


def _signed(folder: Path) -> int:
    found = largest(folder / "state")
    return 0 if found is None else found.size


def test_the_log_has_each_checkpoint_and_the_last_record_is_signed_within_a_second(tmp_path: Path) -> None:
    """No record has to follow; a collected log holds checkpoints elsewhere, word for word.

    The second is the contract's. What the machine takes besides is not the guard's.
    """
    assert SIGN_LAG_S < 1
    lay_out(tmp_path, toml="")
    data, ops = free_port(), free_port()
    words = ("serve", "--listen", f"127.0.0.1:{data}", "--ops", f"127.0.0.1:{ops}")
    with process(*words, cwd=tmp_path) as guard:
        until("it is open", lambda: guard.is_open(data))
        assert run_refused(data) == 401
        until("the refusal is signed", lambda: len(guard.events("checkpoint")) > 1)
        assert guard.stop() == 0
    notes = [line["note"] for line in guard.events("checkpoint")]

    assert (tmp_path / "state" / "checkpoints").read_text().endswith(notes[-1])
    held = tmp_path / "held"
    held.write_text("\n".join(notes))
    done = run_here("audit", "verify", "--held", held, "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["result"]) == (0, "ok")


def run_refused(port: int) -> int:
    """The status of an order without a key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/order", body=b"{}", headers={"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("how", "message", "verified"),
    [
        ("shorter", "holds", 2),
        ("gone", "the journal is gone", 2),
        ("emptied", "the journal is gone", 2),
        ("edited at the end", "was changed after it was signed", 1),
        ("no checkpoint readable", "cannot be read", 3),
    ],
)
def test_exit_3_for_a_record_that_is_not_what_was_signed(tmp_path: Path, how: str, message: str, verified: int) -> None:
    """Cut, taken away, edited where no hash shows it: no start, in one sentence that says what to do."""
    lived(lay_out(tmp_path))
    journal = tmp_path / "state" / "journal"
    segment = journal / "00000001.jsonl"
    match how:
        case "shorter":
            segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-2]))
        case "gone":
            shutil.rmtree(journal)
        case "emptied":
            segment.unlink()
        case "edited at the end":
            segment.write_bytes(segment.read_bytes().replace(b'"reason":"lived"', b'"reason":"lives"'))
        case _:
            (tmp_path / "state" / "checkpoints").write_text("a\nb\nc\n\n— d eeee\n")

    done = run("serve", cwd=tmp_path, env={"GUARD_DAEMON_KEY": "fc_test"})

    assert done.returncode == 3
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert run_here("audit", "verify", cwd=tmp_path).returncode == verified
