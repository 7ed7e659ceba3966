"""What `guard check` asks the daemon, and which of its other doors are open. Changes nothing there.

Whether the guard's key may trade is not tried: that would take an order.
"""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.markets import market_words
from guard.reference import AccountList
from guard.settings import Settings
from guard.supervisor import Supervisor
from guard.terms import AccountRow, Answer, Failure, Outbound
from guard.upstream import Client, Link, otherports
from guard.upstream.origin import Origin, parse_origin

ANSWER_WAIT_S: Final = 5.0
USUAL_PLACES: Final = ("http://127.0.0.1:22499", "http://127.0.0.1:22222")
CARD_SUFFIX: Final = 4
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_TRIED: Final = (
    ("/api/global-state", "market data (qot:read)"),
    ("/api/accounts", "accounts (acc:read)"),
    ("/api/admin/status", "administration (admin)"),
)


class ProbeFinding(Struct, frozen=True):
    """One thing that was looked at. `level`: ok, weak, or wrong (exit 1)."""

    level: Literal["ok", "weak", "wrong"]
    what: str


async def ask_daemon(settings: Settings) -> list[ProbeFinding]:
    """Whether it is there, its mode, what the guard's key reads, the accounts, and its other doors."""
    try:
        async with _client(settings) as client:
            return [*await _mode(client, settings), await other_ports(parse_origin(settings.daemon.url))]
    except SettingsFault as fault:
        return [ProbeFinding("wrong", error) for error in fault.errors]


async def find_daemon(url: str | None) -> tuple[str, tuple[ProbeFinding, ...]]:
    """Where the daemon is: the first usual place that speaks HTTP, unless it was named; and what was found."""
    places = USUAL_PLACES if url is None else (url,)
    for place in places:
        client = Client(Link(url=place, connect_timeout_s=ANSWER_WAIT_S), key=None, public_key=None)
        try:
            ping = await client.send(Outbound("GET", "/api/ping", None, ANSWER_WAIT_S, lend="none"))
        finally:
            await client.close()
        if isinstance(ping, Answer):
            return place, (ProbeFinding("ok", f"a daemon answers at {place}"),)
    told = f"no daemon answers at {' or '.join(places)}; the settings name {places[0]}: start it, or set daemon.url"
    return places[0], (ProbeFinding("weak", told),)


@contextlib.asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[Client]:
    link = Link(url=settings.daemon.url, ca_file=settings.ca_file, connect_timeout_s=settings.daemon.connect_timeout_s)
    client = Client(link, key=settings.daemon_key, public_key=settings.public_key)
    try:
        yield client
    finally:
        await client.close()


async def _mode(client: Client, settings: Settings) -> list[ProbeFinding]:
    ping = await client.send(Outbound("GET", "/api/ping", None, ANSWER_WAIT_S, lend="none"))
    where = f"daemon {settings.daemon.url}"
    if isinstance(ping, Failure):
        return [ProbeFinding("weak", f"{where}: {ping.message}; the guard starts, but orders will not get through")]
    if ping.status != _UNAUTHORIZED:
        legacy = f"{where}: legacy mode: it refuses every trade until it has a keys file of its own"
        return [ProbeFinding("weak", legacy), *await _accounts(client)]
    found = [ProbeFinding("ok", f"{where}: scope mode: it wants keys")]
    if settings.lacks_daemon_key:
        return found  # told already, with everything else that a start needs
    if settings.daemon_key is None:
        return [*found, ProbeFinding("weak", "no daemon key: set daemon.key_file or GUARD_DAEMON_KEY")]
    return [*found, *await _rights(client), *await _accounts(client)]


async def _rights(client: Client) -> list[ProbeFinding]:
    """What the guard's key opens, by the answers to three reads."""
    found: dict[int, list[str]] = defaultdict(list)
    for path, what in _TRIED:
        answer = await client.send(Outbound("GET", path, None, ANSWER_WAIT_S))
        found[answer.status if isinstance(answer, Answer) else 0].append(what)
    opened, wrong = found.pop(_OK, []), found.pop(_UNAUTHORIZED, [])
    if wrong:
        return [ProbeFinding("wrong", "the daemon does not know the guard's key: make one there, for the guard alone")]
    shut = [what for names in found.values() for what in names]
    told = f"the guard's daemon key opens {', '.join(opened) or 'nothing'}"
    told += f"; not {', '.join(shut)}" if shut else ""
    return [ProbeFinding("ok" if opened else "wrong", f"{told}. Trading was not tried: that would take an order")]


async def _accounts(client: Client) -> list[ProbeFinding]:
    supervisor = Supervisor()
    rows = await AccountList(client, SystemClock(), supervisor).rows()
    await supervisor.drain(0)
    if not isinstance(rows, tuple):
        return [ProbeFinding("wrong", f"no account list, and so no orders: {rows.message}")]
    return [ProbeFinding("ok", f"account {_told(row)}") for row in rows] or [
        ProbeFinding("wrong", "the account list is empty")
    ]


def _told(row: AccountRow) -> str:
    words = sorted({word for market in row.markets for word in market_words(market)})
    card = f", card ending in {row.card_num[-CARD_SUFFIX:]}" if row.card_num else ""
    return f"{row.account.acc_id} {row.account.env.word}{card}" + (f": {', '.join(words)}" if words else "")


async def other_ports(daemon: Origin, usual: Mapping[int, str] = otherports.USUAL) -> ProbeFinding:
    """The daemon's other listeners, at their usual ports."""
    found = await otherports.open_beside(daemon, usual)
    if found:
        return ProbeFinding("weak", otherports.walks_past(found, daemon))
    ports = ", ".join(str(port) for port in usual if port != daemon.port)
    return ProbeFinding("ok", f"none of the daemon's other usual ports is open on {daemon.host} ({ports})")


def told_as_json(found: list[ProbeFinding]) -> bytes:
    """The findings for programs."""
    is_good = all(finding.level != "wrong" for finding in found)
    return msgspec.json.format(msgspec.json.encode({"ok": is_good, "findings": found}), indent=1)
