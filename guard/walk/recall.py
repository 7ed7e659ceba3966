"""What a caller is shown of the record of its own decision: its request, the valuation, the counters it met.

Not shown: what the rules looked at of the account (`world`), what other orders take off a position, and anything of
shadow policies, which no answer may reveal.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from guard.journal import Line
from guard.limits import SHADOW

_TOLD: Final = (
    *("effect", "environment", "account", "market", "symbol", "order", "resulting", "valuation", "of", "replays"),
    *("intent", "idempotency", "packet_id", "request_id", "user_agent", "policy_sha256", "config_sha256"),
)
_UNTOLD: Final = "exits/"
_RECORD: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])  # raw: numbers stay as they were written
_CLAIMS: Final = msgspec.json.Decoder(list[dict[str, object]])
_USED: Final = msgspec.json.Decoder(list[int])
_NONE: Final = msgspec.Raw(b"[]")


def on_record(line: Line) -> dict[str, object]:
    """The members that are shown, and each claim with what was used of its counter before."""
    members = _RECORD.decode(line.raw)
    claims = _CLAIMS.decode(members.get("claims", _NONE))
    used_before = _USED.decode(members.get("used", _NONE))
    met = [claim | {"used": count} for claim, count in zip(claims, used_before, strict=False) if _is_told(claim)]
    return {name: members[name] for name in _TOLD if name in members} | {"claims": met}


def _is_told(claim: Mapping[str, object]) -> bool:
    counter = str(claim["counter"])
    return SHADOW not in counter and not counter.startswith(_UNTOLD)
