"""What a set of policies would have done in the last day: the replay, in a process of its own beside the loop."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from guard.clock import Clock
from guard.journal import timestamp
from guard.loop.beside import beside
from guard.loop.child import child

SPAN: Final = timedelta(days=1)
TIMEOUT_S: Final = 120.0
ANSWER_BYTES_MAX: Final = 4 * 2**20
_log = structlog.get_logger("guard.admin")


class Rehearsal:
    """Over one state directory. An answer always comes: what went wrong stands under `error`."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def __call__(self, sha256: str) -> Mapping[str, object]:
        """The replay of the last day by the set of this hash."""
        since = timestamp(self._clock.wall_us() - SPAN // timedelta(microseconds=1))
        words = beside("guard.replay", str(self._state), sha256, since)
        try:
            async with asyncio.timeout(TIMEOUT_S), child(*words) as process:
                answer, said = await asyncio.gather(process.out.lines(), process.err.lines())
                code = await process.ended()
            return _read(b"".join(answer), code, said)
        except TimeoutError:
            return {"since": since, "error": f"the replay took longer than {TIMEOUT_S:.0f} s: guard policy replay"}
        except (OSError, ValueError) as error:
            _log.error("replay_failed", sha256=sha256, why=str(error))
            return {"since": since, "error": "the past could not be replayed; the guard's log says why"}


def _read(out: bytes, code: int, said: list[bytes]) -> Mapping[str, object]:
    """What it printed. ValueError where that is not all, or too much."""
    if code or len(out) > ANSWER_BYTES_MAX:
        why = b"".join(said).decode(errors="replace")[-500:]
        raise ValueError(why or f"it ended with {code}, and printed {len(out)} bytes")
    return msgspec.json.decode(out, type=dict[str, object])
