"""`guard demo`: the simulated daemon and the guard before it, trading enabled, with lines to paste.

Everything lies in one folder that is made anew: keys, policies to edit, the record.
"""

import asyncio
import contextlib
import hashlib
import secrets
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from aiohttp import web
from rich.console import Console

from guard.access import keyfile
from guard.cli.serve import tell
from guard.errors import GuardFault, SettingsFault
from guard.lifecycle import Guard
from guard.logs import configure
from guard.settings import Overrides, Settings, load
from guard.simulator import Simulator
from guard.simulator.app import application
from guard.simulator.keys import parse_keys

MARKER: Final = ".guard-demo"
DAEMON_SCOPES: Final = ["qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock", "admin"]
CALLERS: Final[dict[str, dict[str, object]]] = {
    "reader": {"scopes": ["qot:read", "acc:read"], "note": "looks, never trades"},
    "trader": {"scopes": ["qot:read", "acc:read", "trade:simulate", "trade:real"], "note": "a strategy"},
    "agent-1": {"scopes": ["qot:read", "acc:read", "trade:simulate"], "note": "an AI agent, on a short lead"},
    "operator": {"scopes": ["admin", "metrics:read", "guard:operate"], "owner": "you", "note": "a person"},
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


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is put; made anew.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="First port to try for the guard.", min=1, max=65_000)] = 22500,
) -> None:
    """Try it: a simulated daemon, the guard before it, ready keys and lines to paste. Ends on Ctrl-C."""
    configure(is_json=False)
    try:
        secrets_of = prepare(folder)
        ports = {"data": free_port(port), "ops": free_port(port + 1), "daemon": free_port(22499)}
        (folder / "guard.toml").write_text(CONFIG.format(**ports))
        settings = load(folder / "guard.toml", Overrides(), {})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, folder, secrets_of, ports))
    except GuardFault as fault:
        raise typer.Exit(tell(fault)) from None


def shipped_policies() -> Path:
    """The policies that stand beside the package in a checkout, or came with the distribution."""
    beside = Path(__file__).parents[2] / "policies"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "opend-guard" / "policies"


def prepare(folder: Path) -> dict[str, str]:
    """The demo's folder made anew; the plaintext keys by id. A folder that is not a demo's is left alone."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARKER).exists():
            raise SettingsFault([f"{folder} exists and is not a demo's; choose another with --folder"])
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    (folder / MARKER).touch()
    shutil.copytree(shipped_policies(), folder / "policies")
    plaintext = {name: f"gk_{secrets.token_hex(32)}" for name in CALLERS}
    for name, members in CALLERS.items():
        keyfile.add(folder / "keys.json", {"id": name, "hash": hash_of(plaintext[name]), **members})
    own = f"fc_{secrets.token_hex(32)}"
    keyfile.add(folder / "daemon-keys.json", {"id": "guard", "hash": hash_of(own), "scopes": DAEMON_SCOPES})
    path = folder / "daemon.key"
    path.touch(mode=0o600)
    path.write_text(own + "\n")
    return plaintext


def hash_of(plaintext: str) -> str:
    """What keys.json keeps of a key."""
    return f"sha256:{hashlib.sha256(plaintext.encode()).hexdigest()}"


def free_port(wanted: int) -> int:
    """The port if nobody has it, else any that is free."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SettingsFault(["no free port on 127.0.0.1"])


async def _run(settings: Settings, folder: Path, plaintext: dict[str, str], ports: dict[str, int]) -> None:
    simulator = Simulator(keys=parse_keys((folder / "daemon-keys.json").read_bytes()), profile="runtime")
    runner = web.AppRunner(application(simulator), access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", ports["daemon"]).start()
    guard = Guard(settings)
    try:
        await guard.start()
        Console(highlight=False, soft_wrap=True).print(lines(folder, plaintext, ports), markup=False)
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: guard.supervisor.start(guard.reload(), "reload"))
        await stopped.wait()
        await guard.stop("demo over")
    finally:
        await runner.cleanup()


def lines(folder: Path, plaintext: dict[str, str], ports: dict[str, int]) -> str:
    """What the newcomer reads and pastes."""
    base, ops, command = f"http://127.0.0.1:{ports['data']}", f"http://127.0.0.1:{ports['ops']}", _command()
    keys = "\n".join(f"  export {name.split('-')[0].upper()}={key}" for name, key in plaintext.items())
    order = '{"market":"HK","acc_id":123456,"env":"%s","side":"BUY","code":"00700","qty":100,"price":300.0}'
    curl = (
        f"curl -s {base}/api/order -H 'Content-Type: application/json' -H \"Authorization: Bearer $%s\" -d '%s'; echo"
    )
    return f"""
opend-guard demo. The guard: {base}   operator's door: {ops}   folder: {folder}

In another terminal, in this directory, paste the keys first:

{keys}

1. An order on paper passes:

  {curl % ("TRADER", order % "simulate")}

2. The same order with (simulated) real money is refused: 30000 HKD is above the policy's 20000 HKD:

  {curl % ("TRADER", order % "real")}

3. What is left of the agent's limits:

  curl -s {base}/guard/v1/me -H "Authorization: Bearer $AGENT"; echo

4. The record, and the proof that nobody edited it:

  {command} audit search --state {folder}/state --type decision --limit 5
  {command} audit verify --state {folder}/state

5. The counters:

  curl -s {ops}/metrics | grep -E '^guard_(requests|refusals|order_outcomes)_total'

6. Raise the limit, reload without a restart, and try order 2 again: it passes.

  sed -i.bak 's/"20000 HKD"/"40000 HKD"/' {folder}/policies/default.toml && rm {folder}/policies/default.toml.bak
  curl -s -X POST {ops}/admin/policy/reload -H "Authorization: Bearer $OPERATOR" -d '{{"reason":"demo"}}'; echo
  {curl % ("TRADER", order % "real")}

Ctrl-C ends the demo.
"""


def _command() -> str:
    """How this program was called, so that pasted lines find it."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "guard" and called.exists() else "guard"
