"""Dry runs over a folder's settings and policies: what they would do to an order, before anybody trades.

A guard is built from the very files, with a key of its own that trades everything, a state directory that is thrown
away, and the simulated daemon in memory: nothing reaches a broker, and no record of the folder is touched.
"""

import secrets
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guard.access import keyfile
from guard.cli.demo import hash_of
from guard.lifecycle import Guard
from guard.scratch import scratch
from guard.settings import Settings, Trading
from guard.simulator import Simulator
from guard.terms import ENV_OF, Call

SCOPES: Final = ["qot:read", "acc:read", "trade:simulate", "trade:real"]
PLAIN: Final = {"market": "HK", "acc_id": 123456, "side": "BUY", "code": "00700", "qty": 100, "price": 300.0}


class Rehearsed(Struct, frozen=True):
    """One order as it was answered: allowed, or refused with its codes, the primary one first, and that one's words."""

    env: str
    outcome: str
    status: int
    codes: tuple[str, ...]
    why: str | None


async def rehearse(settings: Settings) -> tuple[Rehearsed, ...]:
    """An order of 100 Tencent at 300 HKD in each environment, judged and not sent. Raises what a start raises."""
    with scratch("rehearsal") as place:
        plaintext = f"gk_{secrets.token_hex(32)}"
        keys = Path(place) / "keys.json"
        keyfile.add(keys, {"id": "rehearsal", "hash": hash_of(plaintext), "scopes": SCOPES})
        guard = Guard(_aside(settings, Path(place), keys), daemon=Simulator())
        await guard.start()
        try:
            return tuple([await _one(guard, env, plaintext) for env in ENV_OF])
        finally:
            await guard.stop("rehearsed")


def _aside(settings: Settings, place: Path, keys: Path) -> Settings:
    """The same settings with trading on, but for doors, keys and state."""
    listen = replace(settings.listen, data="127.0.0.1:0", ops="127.0.0.1:0", tls_cert=None, tls_key=None)
    return replace(
        settings,
        listen=listen,
        trading=Trading(enabled=True),
        keys=replace(settings.keys, file=str(keys)),
        state=replace(settings.state, dir=str(place / "state")),
        jwt=(),
    )


async def _one(guard: Guard, env: str, plaintext: str) -> Rehearsed:
    body = msgspec.json.encode({"path": "/api/order", "body": {**PLAIN, "env": env}})
    head = {"authorization": f"Bearer {plaintext}", "content-type": "application/json"}
    reply = await guard.pipeline.handle(Call("POST", "/guard/v1/check", head, body, "127.0.0.1"))
    told: dict[str, Any] = msgspec.json.decode(reply.body)
    reasons = (told.get("guard") or {}).get("reasons") or ()
    codes = tuple(reason["code"] for reason in reasons)
    why = reasons[0]["message"] if reasons else None
    return Rehearsed(env, str(told["outcome"]), int(told["status"]), codes, why)
