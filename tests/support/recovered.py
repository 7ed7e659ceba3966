"""Orders on a record, and what a start makes of it."""

from typing import Final

import msgspec
from msgspec import Raw

from guard.journal import Decision, JournalBounds
from guard.recovery.readback import Recovered
from guard.terms import Claim
from tests.support.dump import dump
from tests.support.journal import decision

SMALL: Final = JournalBounds(segment_bytes_max=6000)


def placed(number: int) -> Decision:
    """A new order that was allowed."""
    claims = (
        Claim("spend", "day/key=trader|HKD", 100 + number, 10**9),
        Claim("rate", "new/key=trader", 1, 10**6, window_ms=3_600_000),
        Claim("slot", f"key/{number}", 0, window_ms=60_000, value=f"digest{number}"),
    )
    return decision(
        f"01K{number:03d}",
        t=number * 1_000_000,
        effect="order_new",
        environment="real",
        account=1,
        market="HK",
        symbol="HK.00700",
        order=Raw(b'{"qty":100}'),
        claims=claims,
        used=(0, 0, 0),
    )


def told(found: Recovered) -> dict[str, object]:
    """Everything that was recovered, as plain data."""
    recent = [msgspec.to_builtins(known) for known in found.recent.latest(10**6)]
    return {
        "state": dump(found.state),
        "recent": recent,
        "basics": (found.t_us, found.policy_sha256, found.vkey, found.is_crashed),
    }
