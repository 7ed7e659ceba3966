"""A daemon that would fall for it: the simulated one with its weaknesses on, keys, and an eye on the record."""

import hashlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from guard.selftest.words import ORDER
from guard.simulator import Simulator
from guard.simulator.accounts import ROWS
from guard.simulator.app import application
from guard.simulator.core import Received
from guard.simulator.keys import Key
from guard.terms import Account, AccountRow, Answer, Failure

KEY: Final = "fc_selftest"  # the guard's own key at the simulated daemon; no other daemon knows it
_SCOPES: Final = ("qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock", "admin")


class Credulous(Simulator):
    """Takes whatever it is sent.

    `recorded` tells, order by order while `reached` is there, whether its decision was in the record.
    """

    def __init__(self, journal: Path) -> None:
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        super().__init__(keys=(Key("guard", digest, frozenset(_SCOPES)),))
        self.quirks.power_checked = False
        self.quirks.odd_lots_refused = False
        self.quirks.tells_subscribers = True
        self.world.is_unlocked = True
        self.recorded: list[bool] = []
        self.reached: threading.Event | None = None
        self._journal = journal

    def house(self, account: Account, *, card: str) -> None:
        """Lists one more account, where it is not listed yet."""
        ledger = self.world.ledger
        if ledger.row(account) is None:
            ledger.rows = (*ledger.rows, AccountRow(account, card, "", ROWS[0].markets))

    async def handle(self, call: Received, *, timeout_s: float | None = None) -> Answer | Failure:
        """As the simulated daemon does it, after a look at the record."""
        if self.reached is not None and call.path == ORDER and call.idempotency_key:
            texts = [path.read_bytes() for path in self._journal.glob("*.jsonl")]
            self.recorded.append(any(call.idempotency_key.encode() in text for text in texts))
            self.reached.set()
        return await super().handle(call, timeout_s=timeout_s)


async def serve(daemon: Credulous) -> tuple[str, Callable[[], Awaitable[Any]]]:
    """The daemon on a port of loopback: its address, and what ends it."""
    runner = web.AppRunner(application(daemon, tick_s=None), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}", runner.cleanup


ASKED_BY_GUARD: Final = frozenset(
    {
        *("/api/accounts", "/api/orders", "/api/history-orders", "/api/positions", "/api/snapshot", "/api/static-info"),
        *("/api/future-info", "/api/option-chain", "/api/trading-days", "/api/market-state", "/api/global-state"),
    }
)
"""What the guard asks the daemon on its own account: a request at one of these paths need not be a caller's."""
