"""What a caller hears on `/ws` of what the daemon pushes."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, Final

import aiohttp

from guard.selftest.case import Hear
from guard.selftest.stage import Stage
from guard.simulator.proto import push_body
from guard.simulator.world import Push

_PATIENCE_S: Final = 10.0
_AGAIN_S: Final = 0.02
_FIRST, _LAST = "1_00001", "1_00002"  # quotes before and behind what a case is about


async def heard(stage: Stage, step: Hear, *, bearer: str, order: str) -> str | None:
    """None where the caller heard what it may, and nothing else."""
    headers = dict(step.head) | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    url = f"http://127.0.0.1:{stage.guard.ports[0]}/ws"
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(url, headers=headers)
        except aiohttp.WSServerHandshakeError as refusal:
            return None if refusal.status == step.status else f"/ws: {refusal.status}, not {step.status}"
        try:
            found = await _listen(stage, step, socket, order=order)
        except (TimeoutError, TypeError) as error:  # nothing came, or the socket was closed
            return f"/ws: {type(error).__name__}"
        finally:
            await socket.close()
    return None if found == step.hears else f"/ws: heard {list(found)}, not {list(step.hears)}"


async def _listen(stage: Stage, step: Hear, socket: aiohttp.ClientWebSocketResponse, *, order: str) -> tuple[str, ...]:
    """The kinds of the frames between the first quote and the last."""
    world, found = stage.daemon.world, []
    async with asyncio.timeout(_PATIENCE_S):
        first = asyncio.ensure_future(_frame(socket))
        while not first.done():
            world.publish(_quote(_FIRST))
            await asyncio.wait({first}, timeout=_AGAIN_S)
        for text in step.pushes:
            world.publish(_push(text, order))
        world.publish(_quote(_LAST))
        while (frame := await _frame(socket)).get("sec_key") != _LAST:
            if frame.get("sec_key") != _FIRST:
                found.append(str(frame["type"]))
    return tuple(found)


def _frame(socket: aiohttp.ClientWebSocketResponse) -> Awaitable[dict[str, Any]]:
    return socket.receive_json(loads=json.loads)


def _quote(key: str) -> Push:
    return Push("quote", 3005, push_body(3005, {"basic_qot_list": []}), sec_key=key)


def _push(text: str, order: str) -> Push:
    """`kind acc_id market`; a dash leaves the member out."""
    kind, acc_id, market = text.split()
    if kind == "quote":
        return _quote("1_00700")
    number, trd_market = (None if part == "-" else int(part) for part in (acc_id, market))
    header = {"trd_env": 0, "acc_id": number or 0, "trd_market": 1 if trd_market is None else trd_market}
    body = push_body(2208, {"header": header, "order": {"order_id_ex": order}})
    return Push("trade", 2208, body, acc_id=number, trd_market=trd_market)
