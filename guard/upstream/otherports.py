"""The daemon's other listeners, at their usual ports: whoever can reach one walks past the guard (B30).

Only connections are tried, nothing is sent.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from guard.upstream.origin import Origin

USUAL: Final[Mapping[int, str]] = {
    11111: "native TCP",
    22222: "REST",
    22499: "REST",
    33333: "gRPC",
    44444: "WebSocket",
}
WAIT_S: Final = 1.0


async def open_beside(daemon: Origin, usual: Mapping[int, str] = USUAL) -> tuple[str, ...]:
    """Those that accept a connection, as `11111 (native TCP)`; the port that the guard uses is none of them."""
    ports = [port for port in usual if port != daemon.port]
    are_open = await asyncio.gather(*(_accepts(daemon.host, port) for port in ports))
    return tuple(f"{port} ({usual[port]})" for port, answered in zip(ports, are_open, strict=True) if answered)


def walks_past(found: tuple[str, ...], daemon: Origin) -> str:
    """What it means that these are open, as a sentence."""
    told = (
        f"open on {daemon.host} beside the daemon's REST port: {', '.join(found)}; what goes there walks past the guard"
    )
    return f"{told}: close it, or keep everyone but the guard away"


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), WAIT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
