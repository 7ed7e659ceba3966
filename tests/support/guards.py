"""A whole guard for tests: its own directory, a simulated daemon in memory, doors on ephemeral ports."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp

from guard.clock import Clock
from guard.journal import Disk
from guard.lifecycle import Guard
from guard.server.edge import AT_ONCE_MAX
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.terms import Call, Daemon, Reply
from tests.support.scripted_daemon import Script, ScriptedDaemon, scripted, well

ALL_SCOPES = ["qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock", "admin"]
OPEN_POLICY = """
[orders]
max_value = ["1000000000 HKD", "1000000000 USD", "1000000000 CNH", "1000000000 JPY", "1000000000 SGD"]
"""


def key(name: str) -> str:
    """The plaintext of a test key."""
    return f"gk_{hashlib.sha256(name.encode()).hexdigest()}"


def record(name: str, **members: Any) -> dict[str, Any]:
    """A keys.json record whose plaintext is `key(name)`; all scopes unless told otherwise."""
    digest = hashlib.sha256(key(name).encode()).hexdigest()
    return {"id": name, "hash": f"sha256:{digest}", "scopes": ALL_SCOPES, **members}


def write_keys(path: Path, *records: Mapping[str, Any]) -> None:
    """A keys.json of mode 0600; who reads it meanwhile reads the old one or the new one, never a part."""
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"version": 1, "keys": records}))
    draft.rename(path)


def lay_out(
    directory: Path,
    *records: Mapping[str, Any],
    policies: Mapping[str, str] | None = None,
    toml: str = "[trading]\nenabled = true\n",
) -> Path:
    """The files of a guard in `directory`: settings, keys, policies. Returns the settings file."""
    write_keys(directory / "keys.json", *(records or (record("bot"), record("desk", owner="a person"))))
    folder = directory / "policies"
    folder.mkdir(exist_ok=True)
    for name, text in (policies or {"open.toml": OPEN_POLICY}).items():
        (folder / name).write_text(text)
    config = directory / "guard.toml"
    if "[daemon]" not in toml:  # most tests send more than the broker would take
        toml += '\n[daemon]\nbroker_limits = "off"\n'
    if "[listen]" not in toml:
        toml = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n' + toml
    config.write_text(toml)
    return config


def made(config: Path, *, daemon: Daemon | None = None, clock: Clock | None = None, disk: Disk | None = None) -> Guard:
    """A guard that is not started yet."""
    return Guard(load(config, Overrides(), {"GUARD_DAEMON_KEY": "fc_test"}), daemon=daemon, clock=clock, disk=disk)


@asynccontextmanager
async def running(
    config: Path, *, daemon: Daemon | None = None, clock: Clock | None = None, disk: Disk | None = None
) -> AsyncIterator[Guard]:
    """A guard that serves meanwhile; the simulator in memory unless a daemon is given."""
    guard = made(config, daemon=daemon or Simulator(), clock=clock, disk=disk)
    await guard.start()
    try:
        yield guard
    finally:
        await guard.stop("test over")


@asynccontextmanager
async def guarded(
    folder: Path, daemon_does: Script = well, *, bounds: str = ""
) -> AsyncIterator[tuple[Guard, ScriptedDaemon]]:
    """A whole guard and the daemon behind it, both on sockets."""
    async with asyncio.timeout(60), scripted(default=daemon_does) as daemon:
        toml = (
            f'[trading]\nenabled = true\n[daemon]\nurl = "http://127.0.0.1:{daemon.port}"\nbroker_limits = "off"\n'
            f"[bounds]\nfailed_auths_per_minute_max = 100000\nrefusals_per_second_max = 100000\n{bounds}"
        )
        guard = made(lay_out(folder, policies={"open.toml": OPEN_POLICY}, toml=toml))
        await guard.start()
        try:
            yield guard, daemon
        finally:
            guard.hurry.set()
            await guard.stop("over")


def call(path: str, body: Any = None, *, who: str | None = "bot", **head: str) -> Call:
    """A call as the edge would hand it on; a body makes it a POST."""
    fields = {name.replace("_", "-"): value for name, value in head.items()}
    if who is not None:
        fields["authorization"] = f"Bearer {key(who)}"
    raw = b"" if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    return Call("GET" if body is None else "POST", path, fields, raw, "127.0.0.1")


async def ask(guard: Guard, path: str, body: Any = None, *, who: str | None = "bot", **head: str) -> Reply:
    """One request through the walk, without a socket, together with those that come in the same turn of the loop."""
    waiting = Waiting(call(path, body, who=who, **head))
    _turns.setdefault(guard, []).append(waiting)
    if len(_turns[guard]) == 1:
        asyncio.get_running_loop().call_soon(_begin, guard)
    return await waiting.reply


async def ask_in_a_task(guard: Guard, path: str, body: Any = None, *, who: str | None = "bot", **head: str) -> Reply:
    """The same for whoever awaits it, in its own task, as the guard's own commands do."""
    return await guard.pipeline.handle(call(path, body, who=who, **head))


_turns: WeakKeyDictionary[Guard, "list[Waiting]"] = WeakKeyDictionary()


def _begin(guard: Guard) -> None:
    """As the edge hands requests over: all of a turn, so many at a time."""
    now, left = _turns[guard][:AT_ONCE_MAX], _turns[guard][AT_ONCE_MAX:]
    _turns[guard] = left
    if left:
        asyncio.get_running_loop().call_soon(_begin, guard)
    guard.pipeline.begin(now)


def said(reply: Reply) -> dict[str, Any]:
    """The parsed body of an answer."""
    parsed: dict[str, Any] = json.loads(reply.body)
    return parsed


def codes(reply: Reply) -> list[str]:
    """The codes of a refusal, the primary one first."""
    return [reason["code"] for reason in said(reply)["guard"]["reasons"]]


def order(**members: Any) -> dict[str, Any]:
    """A flat order: buy 100 Tencent at 300, simulated account 123456."""
    plain = {"market": "HK", "acc_id": 123456, "env": "simulate", "side": "BUY", "code": "00700"}
    return plain | {"qty": 100, "price": 300.0} | members


async def operate(guard: Guard, path: str, body: Any = None, *, who: str | None = "desk") -> tuple[int, Any]:
    """One request to the ops listener over its socket: status and parsed body."""
    headers = {"Authorization": f"Bearer {key(who)}"} if who else {}
    url = f"http://127.0.0.1:{guard.ports[1]}{path}"
    async with aiohttp.ClientSession() as session:
        if body is None:
            answer = await session.get(url, headers=headers)
        else:
            answer = await session.post(url, headers=headers, json=body)
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text


async def operate_tls(guard: Guard, path: str) -> tuple[int, Any]:
    """The same, looking only, where the listeners have a certificate."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        answer = await session.get(f"https://127.0.0.1:{guard.ports[1]}{path}")
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text


def lines(config: Path) -> list[dict[str, Any]]:
    """Every record of the guard's journal."""
    found = []
    for path in sorted((config.parent / "state" / "journal").glob("*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def of_type(config: Path, kind: str) -> list[dict[str, Any]]:
    """The records of one type."""
    return [line for line in lines(config) if line["type"] == kind]


class Waiting:
    """Somebody at the edge who waits for an answer."""

    def __init__(self, asked: Call) -> None:
        self.call = asked
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def answer(self, reply: Reply) -> None:
        """It is answered, once."""
        if not self.reply.cancelled():  # else whoever asked has hung up
            self.reply.set_result(reply)

    def fail(self) -> None:
        """The walk failed."""
        self.reply.set_exception(AssertionError("the walk failed"))

    def cut(self) -> None:
        """Nobody answers."""
        self.reply.cancel()


def begun(guard: Guard, *calls: Call) -> list[asyncio.Future[Reply]]:
    """These requests come in one turn of the loop."""
    waiting = [Waiting(each) for each in calls]
    guard.pipeline.begin(waiting)
    return [each.reply for each in waiting]


async def answered(guard: Guard, *calls: Call) -> list[Reply]:
    """The answers to requests of one turn."""
    return list(await asyncio.gather(*begun(guard, *calls)))
