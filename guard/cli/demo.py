"""`guard demo`: the simulated daemon and the guard in front of it, trading enabled, with lines to paste.

Everything lies in one folder that is made anew: keys, policies to edit, the record.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from aiohttp import web

from guard.access import keyfile
from guard.cli.sources import AsJson, StateOption, UnusedConfig
from guard.errors import GuardFault, SettingsFault
from guard.lifecycle import Guard
from guard.logs import configure
from guard.serving.handover import tell
from guard.settings import Settings
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.simulator.app import STOP_S, application
from guard.simulator.keys import parse_keys

MARKER: Final = ".guard-demo"
DAEMON_SCOPES: Final = ["qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock", "admin"]
_LOOKS: Final = ["qot:read", "acc:read"]
CALLERS: Final[dict[str, dict[str, object]]] = {
    "reader": {"id": "reader", "scopes": _LOOKS, "note": "reads only, never trades"},
    "trader": {
        "id": "trader",
        "scopes": [*_LOOKS, "trade:simulate", "trade:real"],
        "note": "a strategy, real money and paper",
    },
    "agent": {"id": "agent-1", "scopes": [*_LOOKS, "trade:simulate"], "note": "an AI agent, paper only"},
    "operator": {
        "id": "operator",
        "scopes": ["admin", "metrics:read"],
        "owner": "you",
        "note": "you: administers the guard, does not trade",
    },
}
CONFIG: Final = """\
# The demo's settings. A real file looks the same: see the README.
[listen]
data = "127.0.0.1:{data}"
ops = "127.0.0.1:{ops}"
[trading]
enabled = true
[daemon]
url = "http://127.0.0.1:{daemon}"
key_file = "daemon.key"
"""
_Port = Annotated[int, typer.Option(help="Used if it is free, else any free one.", min=0, max=65_535, metavar="PORT")]


def demo(
    *,
    folder: Annotated[
        Path, typer.Option(readable=False, help="The demo's folder; emptied at each start.", metavar="DIR")
    ] = Path("demo"),
    port: _Port = 22500,
    ops_port: _Port = 22501,
    daemon_port: _Port = 22499,
    as_json: AsJson = False,
    config: UnusedConfig = None,
    state: StateOption = None,
) -> None:
    """Try it: a simulated daemon, the guard in front of it, keys and lines to paste.

    One order passes, one is refused; the record is shown and verified; a
    policy is edited and reloaded. Nothing leaves this machine. Ctrl-C ends it.
    """
    del config, state
    configure(is_json=as_json)
    try:
        secrets_of = prepare(folder)
        ports = free_ports(data=port, ops=ops_port, daemon=daemon_port)
        (folder / "guard.toml").write_text(CONFIG.format(**ports))
        settings = load(folder / "guard.toml", Overrides(), {})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = (for_programs if as_json else lines)(folder.absolute(), secrets_of, ports)
            runner.run(_run(settings, folder.absolute(), told, daemon_port=ports["daemon"]))
    except GuardFault as fault:
        raise typer.Exit(tell(fault)) from None


def shipped_policies() -> Path:
    """The policies that stand beside the package in a checkout, or came with the distribution."""
    beside = Path(__file__).parents[2] / "policies"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "opend-guard" / "policies"


def prepare(folder: Path) -> dict[str, str]:
    """The demo's folder made anew; the plaintext keys by caller. A folder that is not a demo's is left alone."""
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).exists()):
            raise SettingsFault([f"{folder} exists and is not a demo's; choose another with --folder"])
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    (folder / MARKER).touch()
    # Their tests hold every limit as shipped, and here one is to be edited.
    shutil.copytree(shipped_policies(), folder / "policies", ignore=shutil.ignore_patterns("*_test.toml"))
    plaintext = {name: f"gk_{secrets.token_hex(32)}" for name in CALLERS}
    for name, record in CALLERS.items():
        keyfile.add(folder / "keys.json", {**record, "hash": hash_of(plaintext[name])})
    own = f"fc_{secrets.token_hex(32)}"
    keyfile.add(folder / "daemon-keys.json", {"id": "guard", "hash": hash_of(own), "scopes": DAEMON_SCOPES})
    path = folder / "daemon.key"
    path.touch(mode=0o600)
    path.write_text(own + "\n")
    return plaintext


def hash_of(plaintext: str) -> str:
    """What keys.json keeps of a key."""
    return f"sha256:{hashlib.sha256(plaintext.encode()).hexdigest()}"


def free_ports(**wanted: int) -> dict[str, int]:
    """Each port if nobody has it, else any that is free; all different, since all are held until the last is found."""
    with contextlib.ExitStack() as held:
        return {name: _free(port, held) for name, port in wanted.items()}


def _free(wanted: int, held: contextlib.ExitStack) -> int:
    for port in (wanted, 0):
        probe = held.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SettingsFault(["no free port on 127.0.0.1"])


async def _run(settings: Settings, folder: Path, told: str, *, daemon_port: int) -> None:
    simulator = Simulator(keys=parse_keys((folder / "daemon-keys.json").read_bytes()), profile="runtime")
    runner = web.AppRunner(application(simulator), access_log=None, handle_signals=False, shutdown_timeout=STOP_S)
    await runner.setup()
    guard = Guard(settings)
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await web.TCPSite(runner, "127.0.0.1", daemon_port).start()
        await guard.start()
        loop.add_signal_handler(signal.SIGHUP, lambda: guard.supervisor.start(guard.reload(), "reload"))
        typer.echo(told)
        await stopped.wait()
        await guard.stop("demo over")
    except OSError as error:
        raise SettingsFault([f"the simulated daemon cannot listen: {error}"]) from error
    finally:
        await runner.cleanup()


def for_programs(folder: Path, plaintext: dict[str, str], ports: dict[str, int]) -> str:
    """Where it is and its keys, in one line of JSON."""
    base, ops = (f"http://127.0.0.1:{ports[door]}" for door in ("data", "ops"))
    return json.dumps({"url": base, "ops": ops, "folder": str(folder), "keys": plaintext})


def lines(folder: Path, plaintext: dict[str, str], ports: dict[str, int]) -> str:
    """What the newcomer reads and pastes; every line works by itself, in any directory."""
    base, ops = f"http://127.0.0.1:{ports['data']}", f"http://127.0.0.1:{ports['ops']}"
    keys = "\n".join(f"  {name:9} {plaintext[name]}  {record['note']}" for name, record in CALLERS.items())
    folder, guard, bearer = (
        Path(shlex.quote(str(folder))),
        shlex.quote(_command()),
        "-H 'Authorization: Bearer {}'".format,
    )

    def order(env: str) -> str:
        body = f'{{"market":"HK","acc_id":123456,"env":"{env}","side":"BUY","code":"00700","qty":100,"price":300.0}}'
        head = f"{bearer(plaintext['trader'])} -H 'Content-Type: application/json'"
        return f"curl -sS {base}/api/order {head} -d '{body}'; echo"

    return f"""
The guard listens on {base}, in front of a simulated daemon. Its operator's listener is {ops}.
All files of this demo are in {folder}.

Keys:
{keys}

Paste these into another terminal.

1. A paper order passes: 100 Tencent at 300 HKD.

  {order("simulate")}

2. The same order for (simulated) real money is refused: 30000 HKD exceeds the 20000 HKD of policies/default.toml.

  {order("real")}

3. See how much of its limits the agent has left today.

  curl -sS {base}/guard/v1/me {bearer(plaintext["agent"])}; echo

4. Find both orders in the record, and verify that nobody edited it.

  {guard} audit search --state {folder}/state --type decision
  {guard} audit verify --state {folder}/state

5. See the counters as Prometheus reads them.

  curl -sS {ops}/metrics | grep -E '^guard_(requests|refusals|order_outcomes)_total'

6. Raise the limit and reload, without a restart; the order of step 2 now passes.

  sed -i.bak 's/"20000 HKD"/"40000 HKD"/' {folder}/policies/default.toml
  curl -sS -X POST {ops}/admin/policy/reload {bearer(plaintext["operator"])} -d '{{"reason":"demo"}}'; echo
  {order("real")}

Ctrl-C ends the demo.
"""


def _command() -> str:
    """How this program was called, so that pasted lines find it."""
    called = Path(sys.argv[0])
    return str(called.absolute()) if called.name == "guard" and called.exists() else "guard"
