"""Policies suggested from the record: what was let through since some day, and which of it they would have refused.

Reads a state directory only. The refusals are no estimate: the past is decided again by the suggested policies, as
`guard policy replay` does.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.intent import order_of
from guard.journal import Decision, decode
from guard.journal.segments import read_lines
from guard.policy import PolicyDoc, parse_policy
from guard.policy.suggest import Measure, PastOrder, measures, policy_text
from guard.replay import Options, replayed
from guard.replay.report import Difference
from guard.terms import Effect

_EFFECTS: Final = {effect.value: effect for effect in (Effect.ORDER_NEW, Effect.ORDER_CHANGE)}


class Suggestion(Struct, frozen=True):
    """One policy for one environment: its file, the measures behind it, and what it would have refused."""

    file: str
    text: str
    measures: tuple[Measure, ...]
    orders: int
    refused: tuple[Difference, ...]


def suggested(state: Path, *, since: str, keys: frozenset[str], now: datetime) -> tuple[Suggestion, ...]:
    """A policy for each environment that was traded in since then; `keys` empty: for every key."""
    uses: dict[str, list[PastOrder]] = defaultdict(list)
    until = since
    for use, ts in _uses(state, since):
        until = ts
        if not keys or use.key in keys:
            uses[use.environment].append(use)
    return tuple(
        _suggestion(state, environment, found, since=since, until=until, now=now)
        for environment, found in sorted(uses.items())
    )


def _suggestion(
    state: Path, environment: str, uses: list[PastOrder], *, since: str, until: str, now: datetime
) -> Suggestion:
    file = f"suggested-{environment}.toml"
    text = policy_text(uses, environment=environment, since=since[:10], until=until[:10])
    doc = parse_policy(text, file=file)
    if not isinstance(doc, PolicyDoc):
        raise AssertionError(f"a suggested policy is wrong: {doc[0]}")  # noqa: TRY004 - a bug, not a wrong type
    enforced = replace(doc, policy=replace(doc.policy, mode="enforce"))
    past = replayed(state, Options(since=since, docs=[enforced], are_added=True), now=now)
    own = tuple(one for one in past.differences if one.kind == "newly_refused" and one.policy == doc.id)
    return Suggestion(file, text, measures(uses), len(uses), own)


def _uses(state: Path, since: str) -> Iterator[tuple[PastOrder, str]]:
    """Every order and change that was let through, with the time of its record."""
    for raw in read_lines(state):
        try:
            line = decode(raw.removesuffix(b"\n"))
            record = line.typed() if line.type == "decision" and line.ts >= since else None
        except ValueError:
            continue
        if isinstance(record, Decision):
            use = _use(record, line.ts)
            if use is not None:
                yield use, line.ts


def _use(record: Decision, ts: str) -> PastOrder | None:
    effect = _EFFECTS.get(record.effect or "")
    body = bytes(record.resulting) or bytes(record.order)
    if effect is None or record.outcome != "allow" or record.replays is not None or not body or record.market is None:
        return None
    order = order_of(body)
    return PastOrder(
        key=(record.key or "").partition("@")[0],
        environment=record.environment or "",
        effect=effect,
        wall=datetime.fromisoformat(ts),
        market=record.market,
        side=order.side.name,
        order_type=order.order_type.name,
        time_in_force=order.time_in_force.name,
        qty=order.qty,
        value=record.valuation.value if record.valuation else None,
    )
