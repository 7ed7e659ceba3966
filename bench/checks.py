"""Before the clock starts: everyone answers what they should. After it stops: the record holds what was asked.

A fast proxy that lets everything through, or that forgets to write, would win every table.
"""

import json
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import asks
import daemon
import msgspec
import tokens
from contestants import BIN, Server, ask, post, posted
from forwarders import FORWARDERS
from machine import Unfit

SERIAL_FIRST: Final = 9_000_000_000  # far from the caller's own
PLACED: Final = 2  # and one more by a token
WITHOUT_POLICY: Final = frozenset({"direct", "nginx", "envoy", "bare", *FORWARDERS})
WITHOUT_RULES: Final = ("floor", "floor-unsynced")  # orders alone: the key, one limit, a record of them
WITHOUT_TOKENS: Final = frozenset(
    {*WITHOUT_POLICY, *WITHOUT_RULES, "nginx-lua", "nginx-lua-unsynced", "nginx-lua-together"}
)


def answers(servers: list[Server]) -> None:
    """Every contestant answers a quote and an order as the daemon does; who has a policy refuses what breaks it.

    The floor has a part of one, and is asked for that part. Who knows tokens takes a good one and no other.

    Each was then asked what `asked` says. Raises `Unfit` with what was answered instead.
    """
    for number, server in enumerate(servers):
        serial = SERIAL_FIRST + number * 10
        _expect(server, "quote", ask(server.port, "quote", serial=serial), status=200, has="basic_qot_list")
        ids = [_order_id(server, serial + turn) for turn in range(PLACED)]
        if ids[0] == ids[1]:
            raise Unfit(f"{server.name}: two orders have one id")
        if server.name in WITHOUT_POLICY:
            continue
        refused = ask(server.port, "refused", serial=serial)
        _refuses(server, "an order above the limit", refused, status=403, code="max_order_value")
        stranger = ask(server.port, "order", serial=serial + 2, bearer=asks.STRANGER)
        _refuses(server, "an order with a wrong key", stranger, status=401, code="unauthenticated")
        if server.name in WITHOUT_RULES:
            continue
        again = ask(server.port, "order", serial=serial)
        _refuses(server, "the same order again", again, status=409, code="duplicate_order")
        for what, (body, status, code) in asks.ODD.items():
            given = post(server.port, asks.ORDER.path, body, bearer=asks.plaintext(0))
            _refuses(server, f"an order with {what}", given, status=status, code=code)
        stranger = ask(server.port, "quote", serial=serial + 2, bearer=asks.STRANGER)
        _refuses(server, "a quote with a wrong key", stranger, status=401, code="unauthenticated")
        if server.name not in WITHOUT_TOKENS:
            _tokens(server, serial + PLACED + 1)


def asked(name: str) -> dict[str, int]:
    """How many orders a contestant of this name has placed and refused once its answers were checked."""
    return {
        "order": PLACED + (name not in WITHOUT_TOKENS),
        "refused": int(name not in WITHOUT_POLICY),
    }


def _tokens(server: Server, serial: int) -> None:
    [good] = tokens.bearers(1)
    _expect(server, "an order by a token", ask(server.port, "order", serial=serial, bearer=good), status=200, has="_ex")
    for what, bearer in tokens.bad().items():
        given = ask(server.port, "order", serial=serial + 1, bearer=bearer)
        _refuses(server, f"an order by {what}", given, status=401, code="unauthenticated")


def histories(servers: list[Server]) -> None:
    """Everyone who is asked for the long answer gives the daemon's own, to the byte. Raises `Unfit` otherwise."""
    for server in servers:
        raw = posted(server.port, asks.HISTORY.path, asks.HISTORY.render(0), bearer=asks.plaintext(0))
        if raw != (200, daemon.HISTORY_BODY):
            raise Unfit(f"{server.name}: the long answer is {raw[0]} with {len(raw[1])} bytes, not the daemon's own")


def _order_id(server: Server, serial: int) -> object:
    given = ask(server.port, "order", serial=serial)
    _expect(server, "an order", given, status=200, has="order_id_ex")
    s2c: Any = given[1]["s2c"]
    return s2c["order_id_ex"]


def _expect(server: Server, what: str, given: tuple[int, object], *, status: int, has: str) -> None:
    if given[0] != status or has not in json.dumps(given[1]):
        raise Unfit(f"{server.name}: {what} must be answered {status} {has}, and was: {given[0]} {given[1]}")


def _refuses(server: Server, what: str, given: tuple[int, dict[str, object]], *, status: int, code: str) -> None:
    """The code is looked for in its own place, not in the words. Without one only the status is looked at."""
    if given[0] != status or (code and given[1].get("err_code") != code):
        raise Unfit(f"{server.name}: {what} must be answered {status} {code}, and was: {given[0]} {given[1]}")


def placed_at(behind: Server) -> int:
    """How many orders the daemon has placed since it started."""
    connection = HTTPConnection("127.0.0.1", behind.port, timeout=10)
    try:
        connection.request("GET", "/bench/placed")
        return int(json.loads(connection.getresponse().read())["placed"])
    finally:
        connection.close()


def verified(state: Path) -> str:
    """What `guard audit verify` says of the record, word for word. Raises `Unfit` unless it says that all is well."""
    command = [str(BIN / "guard"), "audit", "verify", "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unfit(f"guard audit verify ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def sockets_recorded(state: Path, *, opened: int) -> None:
    """Every socket that was opened is in the guard's record as allowed. Raises `Unfit` otherwise."""
    found = sum(line.endpoint == "/ws" and line.outcome == "allow" for line in _lines(state))
    if found != opened:
        raise Unfit(f"the guard's record holds {found} sockets, and {opened} were opened")


class _Line(msgspec.Struct):
    """What is looked at of a record."""

    type: str
    endpoint: str = ""
    outcome: str = ""
    code: str | None = None
    verdict: str = ""


def record_holds(state: Path, *, sent: dict[str, int], laid: int = 0) -> dict[str, int]:
    """Every order that was sent is in the guard's record as allowed and accepted, every refused one as refused.

    `laid`: how many orders were in the record before, which are not told.
    """
    found = {"allowed": -laid, "accepted": -laid, "refused": 0}
    for line in _lines(state):
        _count(line, found)
    expected = {"allowed": sent["order"], "accepted": sent["order"], "refused": sent["refused"]}
    if found != expected:
        raise Unfit(f"the guard's record holds {found}, and sent were {expected}")
    return found


def _lines(state: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    for path in sorted((state / "journal").glob("*.jsonl")):
        with path.open("rb") as lines:
            yield from map(decoder.decode, lines)


def _count(record: _Line, found: dict[str, int]) -> None:
    if record.type == "outcome":
        found["accepted"] += record.verdict == "accepted"
    elif record.type == "decision" and record.endpoint == asks.ORDER.path:
        found["allowed"] += record.outcome == "allow"
        found["refused"] += record.code == "max_order_value"


def audit_holds(path: Path, *, sent: dict[str, int]) -> dict[str, int]:
    """The same of another's audit file, each of whose lines names the hash of the one before."""
    found, last = {"allowed": 0, "accepted": 0, "refused": 0}, "0" * 64
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["prev"] != last:
                raise Unfit(f"{path}: the chain of its lines is broken")
            last = sha256(line.rstrip(b"\n")).hexdigest()
            found["allowed"] += entry.get("outcome") == "allow"
            found["accepted"] += entry.get("verdict") == "accepted"
            found["refused"] += entry.get("code") == "max_order_value"
    expected = {"allowed": sent["order"], "accepted": sent["order"], "refused": sent["refused"]}
    if found != expected:
        raise Unfit(f"the audit file holds {found}, and sent were {expected}")
    return found
