"""`python bench/idiomatic`: the same job as a good team would write it with aiohttp and the libraries everybody takes.

aiohttp's server with routes and middlewares, one `ClientSession`, dataclasses and named tuples, the standard library's
JSON, `Decimal` money, PyJWT, prometheus-client, structlog for the access log, an audit file of JSON lines chained by
hash. It reads the same keys.json and the same policy file as the guard and asks every rule of both. It runs on uvloop,
which costs one line and helps it. `bench/method.md` says what it checks and what it leaves out.
"""

import argparse
from pathlib import Path

import structlog
import uvloop
from access import Keyring
from aiohttp import web
from audit import Audit
from limits import Limits
from orders import BODY_BYTES_MAX
from policy import Policy
from reference import Reference
from server import Proxy


def configure_logs() -> None:
    """JSON lines on standard output; loggers are cached, and each line is printed as it comes."""
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(),
    )


def main() -> None:
    """Serve until the process is ended."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--daemon", required=True)
    arguments.add_argument("--daemon-key", type=Path, required=True)
    arguments.add_argument("--keys", type=Path, required=True)
    arguments.add_argument("--policy", type=Path, required=True)
    arguments.add_argument("--issuer", type=Path, help="JSON: issuer, audience, algorithms, jwks")
    arguments.add_argument("--audit", type=Path, required=True)
    arguments.add_argument("--halt", type=Path, required=True, help="while this file is there, no order is sent")
    arguments.add_argument("--unsynced", action="store_true")
    given = arguments.parse_args()
    configure_logs()
    policy = Policy.read(given.policy)
    keyring = Keyring.read(given.keys, given.issuer)
    proxy = Proxy(
        keyring=keyring,
        policy=policy,
        limits=Limits(policy),
        audit=Audit(given.audit, is_synced=not given.unsynced),
        reference=Reference(),
        daemon=given.daemon,
        daemon_key=given.daemon_key.read_text(encoding="utf-8").strip(),
        halt=given.halt,
    )
    app = web.Application(
        middlewares=[proxy.observed, proxy.answered, proxy.authenticated], client_max_size=BODY_BYTES_MAX
    )
    app.cleanup_ctx.append(proxy.lifespan)
    app.router.add_post("/api/quote", proxy.read)
    app.router.add_post("/api/history-kline", proxy.read)
    app.router.add_post("/api/order", proxy.order)
    app.router.add_get("/metrics", proxy.metrics)
    web.run_app(app, host="127.0.0.1", port=given.port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
