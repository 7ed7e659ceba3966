"""Who may start, with which policies, and who must: a start keeps what it promises, or says why not."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from structlog.testing import capture_logs

from guard.admin.change import Who
from guard.admin.health import degraded, status
from guard.errors import StateFault
from guard.journal import Disk, Journal, read_lines
from guard.journal.note import Checkpoint, sign
from guard.journal.tree import Tree, TreeHead, leaf
from guard.lifecycle import Guard
from guard.serving.process import until_stopped
from guard.simulator import Simulator
from tests.support.disk import FaultyDisk
from tests.support.guards import ask, lay_out, made, of_type, operate, order, record, running, write_keys
from tests.support.ipv6 import IPV6
from tests.support.signed import FOREIGN
from tests.support.stage import TIGHT, code_of, decision_of, is_passed, next_run, stage


class SlowNames(ThreadPoolExecutor):
    """Threads of a loop whose machine looks names up when it is told to."""

    def __init__(self) -> None:
        super().__init__(4)
        self.asked, self.told = asyncio.Event(), threading.Event()

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Future[Any]:
        """Looking up a name waits."""
        if fn is not socket.getaddrinfo:
            return super().submit(fn, *args, **named)
        self.asked.set()
        return super().submit(lambda: self.told.wait(60) and fn(*args, **named))


async def test_it_is_not_ready_before_callers_can_come_in(tmp_path: Path) -> None:
    """/readyz is 503 `starting` while the door for callers is still shut: whoever was told to come would not get in."""
    names = SlowNames()
    asyncio.get_running_loop().set_default_executor(names)
    config = lay_out(tmp_path, toml='[listen]\ndata = "localhost:0"\nops = "unix:' + str(tmp_path / "ops") + '"\n')
    guard = made(config, daemon=Simulator())
    starting = asyncio.ensure_future(guard.start())
    try:
        async with asyncio.timeout(60):
            await names.asked.wait()
            assert await _ready(tmp_path / "ops") == (503, {"ready": False, "reasons": ["starting"]})
            names.told.set()
            await starting
            assert (await _ready(tmp_path / "ops"))[0] == 200
    finally:
        names.told.set()
        await starting
        await guard.stop("test over")


async def _ready(ops: Path) -> tuple[int, Any]:
    """What /readyz says over the socket file."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(ops))) as session:
        answer = await session.get("http://localhost/readyz")
        return answer.status, await answer.json()


@IPV6
async def test_where_it_is_open_is_told_with_the_ports_that_were_found(tmp_path: Path) -> None:
    """For whoever asked for port 0, or had the sockets opened by somebody else; a socket file by its path."""
    for ops in ("127.0.0.1:0", f"unix:{tmp_path / 'ops'}"):
        config = lay_out(tmp_path, toml=f'[listen]\ndata = "[::1]:0"\nops = "{ops}"\n')
        with capture_logs() as logs:
            async with running(config) as guard:
                assert guard._listener is not None
                data = guard._listener.sockets[0].getsockname()[1]
                shown = f"127.0.0.1:{guard.ports[1]}" if ops.endswith(":0") else ops
                assert status(guard.desk)["listen"] == {"data": f"[::1]:{data}", "ops": shown}
        told = next(log for log in logs if log["event"] == "open")
        assert (told["data"], told["ops"]) == (f"[::1]:{data}", shown)


BAD: Final = "[orders]\nmax_valeu = 3\n"


async def test_bad_policies_at_start_leave_the_last_good_ones_in_force(tmp_path: Path) -> None:
    """A typing error in a policy file neither opens the gate nor shuts it: the last good set of the record binds."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        sha256 = scene.guard.desk.config.policy_sha256
    (tmp_path / "policies/desk.toml").write_text(BAD)
    for names in (("bot",), ("bot", "new"), ("bot", "new", "newer")):
        guards_keys = [record(name) for name in names]
        (tmp_path / "keys.json").write_text(json.dumps({"version": 1, "keys": guards_keys}))
        async with next_run(scene) as scene:
            assert scene.guard.desk.config.policy_sha256 == sha256
            assert scene.guard.changes.policies.last_ok is False
            assert code_of(await scene.place(qty=400)) == (403, "daily_value")
            assert is_passed(await scene.place(remark=names[-1]))


async def test_a_folder_of_policies_that_may_not_be_entered_does_not_keep_the_door_shut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put there by root under umask 077: the next start broke off with a trace, and nobody could cancel any more."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        sha256, order = scene.guard.desk.config.policy_sha256, await scene.placed()
    look, folder = Path.stat, tmp_path / "policies"

    def denied(path: Path, **how: bool) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    def unread(path: Path, **_: int) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    monkeypatch.setattr("guard.policyfiles.read_newest", unread)
    async with next_run(scene) as scene:
        assert scene.guard.desk.config.policy_sha256 == sha256  # the last good ones
        assert is_passed(await scene.cancel(order))


async def test_the_first_order_after_a_start_finds_its_rules_planned(tmp_path: Path) -> None:
    """A start makes the plans of the keys before the doors open: with a thousand policies one takes milliseconds."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        policies = scene.guard.desk.config.policies
        assert policies is not None
        before = [len(piece) for piece in policies.pieces()]
        assert is_passed(await scene.place())

        assert [len(piece) for piece in policies.pieces()] == before


async def test_bad_policies_without_any_good_ones_stop_orders_and_let_cancels_pass(tmp_path: Path) -> None:
    """Where no good policy is on record new orders and changes are 503 policy_unavailable; a cancel passes."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    shutil.rmtree(tmp_path / "state/config")
    (tmp_path / "policies/open.toml").write_text(BAD)
    async with next_run(scene) as scene:
        assert code_of(await scene.place()) == (503, "policy_unavailable")
        assert code_of(await scene.modify(order)) == (503, "policy_unavailable")
        assert is_passed(await scene.cancel(order))
        assert is_passed(await scene.ask("/api/quote", {"symbol": "HK.00700"}))


@pytest.mark.parametrize(("found", "left"), [("60000 HKD", "90000 HKD"), ('"}', ""), ('{"', '{"of":1,"')])
async def test_kept_policies_that_were_edited_are_not_the_last_good_ones(tmp_path: Path, found: str, left: str) -> None:
    """What the record names by its hash is that or nothing: no cap that grew on the disk binds, nor half a file."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        sha256 = scene.guard.desk.config.policy_sha256
    (tmp_path / "policies/desk.toml").write_text(BAD)
    kept = tmp_path / "state/config" / f"{sha256}.json"
    assert found in kept.read_text()
    kept.write_text(kept.read_text().replace(found, left))
    async with next_run(scene) as scene:
        assert code_of(await scene.place()) == (503, "policy_unavailable")


async def test_kept_policies_that_were_damaged_are_whole_again_after_a_start(tmp_path: Path) -> None:
    """Any damage to the copy is mended from the files in force, so that it is the last good one when needed."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        sha256 = scene.guard.desk.config.policy_sha256
    kept = tmp_path / "state/config" / f"{sha256}.json"
    kept.write_text(kept.read_text().replace("60000 HKD", "90000 HKD"))
    async with next_run(scene):
        pass
    (tmp_path / "policies/desk.toml").write_text(BAD)
    async with next_run(scene) as scene:
        assert scene.guard.desk.config.policy_sha256 == sha256


async def test_policies_that_cannot_be_kept_do_not_bind_unseen(tmp_path: Path) -> None:
    """Where the texts that decide cannot be stored beside the record, no new order is decided by them."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    shutil.rmtree(tmp_path / "state/config")
    (tmp_path / "state/config").write_text("in the way")
    async with next_run(scene) as scene:
        assert code_of(await scene.place()) == (503, "policy_unavailable")
        assert is_passed(await scene.cancel(order))


# ---------------------------------------------------------------- who may not start, and who must


async def test_a_second_guard_on_the_same_directory_does_not_start(tmp_path: Path) -> None:
    """Two guards on one record would each grant the whole cap."""
    async with stage(tmp_path) as scene:
        with pytest.raises(StateFault, match="in use"):
            await made(scene.config, daemon=scene.daemon).start()
        assert is_passed(await scene.place())


async def test_an_edited_record_stops_the_start(tmp_path: Path) -> None:
    """A guard does not count on a record that somebody changed, and says where to look."""
    async with stage(tmp_path) as scene:
        await scene.place()
    segment = tmp_path / "state/journal/00000001.jsonl"
    segment.write_text(segment.read_text().replace('"qty":100', '"qty":200'))
    with pytest.raises(StateFault, match="guard audit verify"):
        await made(scene.config, daemon=scene.daemon).start()


async def test_a_record_that_does_not_fit_stops_the_start_with_its_number(tmp_path: Path) -> None:
    """A chain that is whole and yet tells of a change of no order is not guessed at."""
    async with stage(tmp_path) as scene:
        await scene.modify(await scene.placed(), price=190)
        journal = scene.guard.journal
        change = next(line for line in await scene.records("decision") if line.get("effect") == "order_change")
        forged = {name: value for name, value in change.items() if name not in {"seq", "ts", "type", "prev"}}
        journal.append("decision", forged | {"id": "01K00000000000000000000000", "of": "01K"})
    with pytest.raises(StateFault, match="not a live order"):
        await made(scene.config, daemon=scene.daemon).start()


async def test_a_full_disk_does_not_keep_the_door_shut(tmp_path: Path) -> None:
    """A start on a full disk refuses new orders and lets cancels pass; the next one records the gap."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    full = FaultyDisk()
    full.write_bytes_left = 0
    async with next_run(scene, disk=full) as scene:
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        cancel = await scene.cancel(order)
        assert is_passed(cancel)
    async with next_run(scene) as scene:
        assert [gap["decisions"] for gap in await scene.records("gap")] == [[decision_of(cancel)]]
        assert is_passed(await scene.place())
    async with next_run(scene) as scene:
        assert len(await scene.records("gap")) == 1


async def test_a_disk_that_tore_the_last_line_and_is_full_still_does_not_keep_the_door_shut(tmp_path: Path) -> None:
    """Whoever restarts the guard on the full disk that stopped it can cancel; with room again all goes on."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    with (tmp_path / "state/journal/00000001.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    full = FaultyDisk()
    full.write_bytes_left = 0
    async with next_run(scene, disk=full) as scene:
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        assert is_passed(await scene.cancel(order))
    async with next_run(scene) as scene:
        assert is_passed(await scene.place())
        assert await scene.records("gap")


@pytest.mark.parametrize("left", [None, b"", b"half a note"])
async def test_a_record_that_no_checkpoint_speaks_of_is_told(tmp_path: Path, left: bytes | None) -> None:
    """Whoever cuts records off takes the checkpoints away, too: the run that goes on from there says so, on record."""
    async with stage(tmp_path) as scene:
        await scene.placed()
        assert not [word for word in scene.guard.desk.weakened if "cut off" in word]
    path = tmp_path / "state/checkpoints"
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    async with next_run(scene) as scene:
        (told,) = [word for word in scene.guard.desk.weakened if "more may have been cut off" in word]
        assert "guard audit verify --held FILE" in told
        assert told in (await scene.records("start"))[-1]["weakened"]
        assert is_passed(await scene.place())
    async with next_run(scene) as scene:
        assert not [word for word in scene.guard.desk.weakened if "cut off" in word]


def _added(state: Path, type_: str = "state", **members: Any) -> dict[str, Any]:
    """A record behind the last one, by somebody who has no key."""
    end = list(read_lines(state))[-1].removesuffix(b"\n")
    last = json.loads(end)
    word = members or {"state": "active", "scope": {}, "reason": "because", "by": "ben", "t": last.get("t", 0)}
    record = {"seq": last["seq"] + 1, "ts": last["ts"], "type": type_, **word, "prev": sha256(end).hexdigest()}
    with (state / "journal/00000001.jsonl").open("ab") as file:
        file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    return record


@pytest.mark.parametrize("left", ["own", "none", "foreign"])
async def test_records_that_somebody_added_behind_the_end_are_told_before_they_are_signed(
    tmp_path: Path, left: str
) -> None:
    """Whoever can write the file needs no key to go on with it; the run that signs them says that nobody had before."""
    async with stage(tmp_path) as scene:
        await scene.placed()
    state = tmp_path / "state"
    record, checkpoints = _added(state), state / "checkpoints"
    if left != "own":
        checkpoints.unlink()
    if left == "foreign":
        leaves = (leaf(line.removesuffix(b"\n")) for line in read_lines(state))
        tree = Tree().grown_by(leaves)
        checkpoints.write_text(sign(Checkpoint(FOREIGN.name, TreeHead(tree.size, tree.root())).text, [FOREIGN]))

    async with next_run(scene) as scene:
        words = f"records {record['seq']} to {record['seq']} were behind the last checkpoint"
        (told,) = [each for each in scene.guard.desk.weakened if (words if left == "own" else "signed nothing") in each]
        assert ("the last run had ended in order" in told) is (left == "own")
        assert told in (await scene.records("start"))[-1]["weakened"]
    async with next_run(scene) as scene:
        assert not [each for each in scene.guard.desk.weakened if "checkpoint" in each]


@pytest.mark.parametrize("cuts", [1, 2])
@pytest.mark.parametrize("has_checkpoints", [True, False])
async def test_what_a_start_that_was_cut_short_signed_is_told_by_the_next(
    tmp_path: Path, cuts: int, has_checkpoints: bool
) -> None:
    """It records at once that it set a torn line aside, and signs that with what nobody had signed before."""
    async with stage(tmp_path) as scene:
        await scene.placed()
        ends = scene.guard.journal.last_seq + 1  # with its stop
    state = tmp_path / "state"
    if not has_checkpoints:
        (state / "checkpoints").unlink()
    for _ in range(cuts):
        _added(state)
        with (state / "journal/00000001.jsonl").open("ab") as file:
            file.write(b"torn")
        Journal.open(state, clock=scene.clock).shut()  # as far as a start came that was killed while it read the record

    for is_told in (True, False):
        async with next_run(scene) as scene:
            told = [word for word in scene.guard.desk.weakened if "a start before it that was cut short" in word]
            words = f"records {ends + 1} to " if has_checkpoints else "checkpoints signed nothing of the "
            assert [words in word for word in told] == [True] * is_told
            assert set(told) <= set((await scene.records("start"))[-1].get("weakened", ()))


async def test_a_start_that_nobody_signed_has_told_nothing(tmp_path: Path) -> None:
    """Whoever adds records may add a start behind the one that was cut short, as if that had told of them."""
    async with stage(tmp_path) as scene:
        await scene.placed()
        ends = scene.guard.journal.last_seq + 1
        (start,) = await scene.records("start")
    state = tmp_path / "state"
    _added(state)
    with (state / "journal/00000001.jsonl").open("ab") as file:
        file.write(b"torn")
    Journal.open(state, clock=scene.clock).shut()
    _added(state, "start", **{name: start[name] for name in ("t", "version", "config_sha256", "policy_sha256")})

    for is_told in (True, False):
        async with next_run(scene) as scene:
            told = [word for word in scene.guard.desk.weakened if f"records {ends + 1} to " in word]
            assert len(told) == is_told


async def test_without_checkpoints_on_a_full_disk_cancels_pass(tmp_path: Path) -> None:
    """What is told of the record keeps no door shut, though it can be put on none; with room again it is on record."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    (tmp_path / "state/checkpoints").unlink()
    full = FaultyDisk()
    full.write_bytes_left = 0
    async with next_run(scene, disk=full) as scene:
        assert [word for word in scene.guard.desk.weakened if "more may have been cut off" in word]
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        assert is_passed(await scene.cancel(order))
    async with next_run(scene) as scene:
        assert "more may have been cut off" in str((await scene.records("start"))[-1]["weakened"])
        assert is_passed(await scene.place())


async def test_a_step_of_the_wall_clock_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with its size, and counted; budget days go by that clock, so a reviewer has to know."""
    monkeypatch.setattr("guard.lifecycle.EVERY_S", 0.01)
    async with stage(tmp_path) as scene:
        for step_s in (-90, 3600):
            scene.clock.step_wall(s=step_s)
            known = len(await scene.records("clock"))
            async with asyncio.timeout(60):
                while len(await scene.records("clock")) == known:  # noqa: ASYNC110 - a round looks for it
                    await asyncio.sleep(0.01)

        assert [record["step_us"] for record in await scene.records("clock")] == [-90_000_000, 3_600_000_000]
        assert b"guard_clock_steps_total 2.0" in scene.guard.desk.metrics.render()


async def test_a_clock_that_was_set_back_between_two_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Budget days go by it: the record has the step, metrics count it, and readiness says what to do."""
    monkeypatch.setattr("guard.lifecycle.EVERY_S", 0.01)
    async with stage(tmp_path) as scene:
        await scene.place()
    scene.clock.step_wall(s=-3 * 86_400)
    async with next_run(scene) as scene:
        async with asyncio.timeout(60):
            while not await scene.records("clock"):  # noqa: ASYNC110 - a round looks for it
                await asyncio.sleep(0.01)

        assert [record["step_us"] for record in await scene.records("clock")] == [-3 * 86_400_000_000]
        assert b"guard_clock_steps_total 1.0" in scene.guard.desk.metrics.render()
        (concern,) = [word for word in degraded(scene.guard.desk) if word.startswith("clock:")]
        assert "3 days, 0:00:00 behind the record" in concern
        scene.clock.step_wall(s=3 * 86_400)
        assert not [word for word in degraded(scene.guard.desk) if word.startswith("clock:")]


async def test_a_key_that_is_revoked_while_a_guard_waits_for_the_record_is_none_of_its_keys(tmp_path: Path) -> None:
    """At an upgrade the next guard waits until the last one has drained: keys are what the file says then."""
    config, simulator = lay_out(tmp_path), Simulator()
    first = made(config, daemon=simulator)
    await first.start()
    with ExitStack() as stack:
        doors = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        for door in doors:
            door.settimeout(0)
        second = Guard(first.settings, daemon=simulator, sockets=dict(zip(("data", "ops"), doors, strict=True)))
        starting = asyncio.ensure_future(second.start())
        while not hasattr(second, "certificate"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        assert (await first.changes.reload_keys(Who("desk", "left"))).result == "applied"
        await first.stop("upgrade")
        await starting
        try:
            assert (await ask(second, "/api/order", order(price=200))).status == 401
        finally:
            await second.stop("test over")


async def test_sockets_that_were_handed_over_are_where_it_listens_whatever_the_file_says(tmp_path: Path) -> None:
    """Opened by systemd on all addresses, the operator's listener told figures to anybody, as one on loopback does."""
    settings = made(lay_out(tmp_path)).settings
    with ExitStack() as stack:
        ops = stack.enter_context(socket.create_server(("0.0.0.0", 0)))  # noqa: S104 - as an operator might
        ops.settimeout(0)
        guard = Guard(settings, daemon=Simulator(), sockets={"ops": ops})
        await guard.start()
        try:
            assert (await operate(guard, "/metrics", who=None))[0] == 401
            assert guard.settings.listen.ops == f"0.0.0.0:{guard.ports[1]}"
            assert [word for word in guard.desk.weakened if word.startswith("listen.ops is reachable")]
        finally:
            await guard.stop("test over")


class SlowDisk(Disk):
    """Syncs nothing until it is told to."""

    def __init__(self) -> None:
        self.is_asked, self.goes_on = threading.Event(), threading.Event()

    def fdatasync(self, fd: int) -> None:
        """Waits, then syncs."""
        self.is_asked.set()
        assert self.goes_on.wait(60)
        super().fdatasync(fd)


async def test_a_hangup_during_the_start_is_a_reload_after_it(tmp_path: Path) -> None:
    """A start has read its keys long before its doors are open: who takes one away in between is not unheard."""
    disk = SlowDisk()
    guard = made(lay_out(tmp_path), daemon=Simulator(), disk=disk)
    serving = asyncio.ensure_future(until_stopped(guard))
    await asyncio.to_thread(disk.is_asked.wait, 60)
    write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
    os.kill(os.getpid(), signal.SIGHUP)
    disk.goes_on.set()
    async with asyncio.timeout(60):
        while (await ask(guard, "/api/order", order(price=200))).status != 401:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    assert list(guard.desk.config.keyring.by_id) == ["desk"]
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
    assert of_type(tmp_path / "guard.toml", "keys")[-1]["removed"] == ["bot"]
