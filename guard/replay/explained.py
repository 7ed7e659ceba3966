"""One decision explained from the record: who asked for what, every rule that looked, the numbers, and its end.

Reads a state directory, so it works beside a running guard and on a copy. The policies, keys and settings are those
that the decision names by hash; where they are not kept, or were written for other rules than today's, the record's own
reasons are what there is, and that is said.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.journal import Decision
from guard.journal.configstore import ConfigStore
from guard.journal.record import decode
from guard.journal.segments import read_lines
from guard.policy.explain import Lines, RuleLook, looked
from guard.policy.rule import Request
from guard.replay.inforce import History, InForce
from guard.replay.judging import asked, judgement_of, reached
from guard.replay.kept import texts_of
from guard.terms import Claim, Effect, Reason, is_retryable

_TOLD: Final = (
    "verdict",
    "status",
    "order_id_ex",
    "filled_qty",
    "filled_value",
    "ended",
    "source",
    "by",
    "by_key",
    "reason",
    "message",
)
_NOT_KEPT: Final = "what decided on that day is not kept here as it was, so the rules cannot be asked again"
_OTHER_RULES: Final = "this version judges otherwise than the one that decided, so the rules are not asked again"


class Explanation(Struct, frozen=True):
    """What there is to say. `rules` is empty where no rule was asked or can be asked again; `note` says why.

    `events`: what the record says of it later, in its order: the outcome, fills, the end.
    """

    decision: str
    ts: str
    key: str | None
    endpoint: str
    outcome: str
    code: str | None
    retryable: bool
    retry_after_s: float | None
    largest_qty: str | None
    reasons: tuple[Reason, ...]
    environment: str | None = None
    account: int | None = None
    symbol: str | None = None
    valuation: str = ""
    policy_sha256: str = ""
    rules: tuple[RuleLook, ...] = ()
    note: str = ""
    events: tuple[Mapping[str, object], ...] = ()


def explained(state: Path, decision: str, *, now: datetime) -> Explanation | None:
    """The decision with this id, or None where the record has none."""
    record: Decision | None = None
    ts, events = "", []
    for raw in read_lines(state):
        if decision.encode() not in raw or not raw.endswith(b"\n"):
            continue
        try:
            line = decode(raw[:-1])
            typed, members = line.typed(), line.members()
        except ValueError:
            continue
        if isinstance(typed, Decision) and typed.id == decision:
            record, ts = typed, line.ts
        elif members.get("decision") == decision:
            events.append(
                {"ts": line.ts, "type": line.type} | {name: members[name] for name in _TOLD if name in members}
            )
    return None if record is None else _explanation(state, record, ts, events=tuple(events), now=now)


def _explanation(
    state: Path, record: Decision, ts: str, *, events: tuple[Mapping[str, object], ...], now: datetime
) -> Explanation:
    rules, note = _rules(state, record, ts, now=now)
    return Explanation(
        decision=record.id,
        ts=ts,
        key=record.key,
        endpoint=record.endpoint,
        outcome=record.outcome,
        code=record.code,
        retryable=record.code is not None and is_retryable(Code(record.code), record.reasons),
        retry_after_s=record.retry_after_s,
        largest_qty=record.largest_qty,
        reasons=record.reasons,
        environment=record.environment,
        account=record.account,
        symbol=record.symbol,
        valuation=record.valuation.arithmetic if record.valuation else "",
        policy_sha256=record.policy_sha256,
        rules=rules,
        note=note,
        events=events,
    )


def _rules(state: Path, record: Decision, ts: str, *, now: datetime) -> tuple[tuple[RuleLook, ...], str]:
    """Every rule asked again, as on the day; or why none is."""
    if record.replays is not None:
        return (), f"{record.replays} was answered again, for the same Idempotency-Key: nothing was sent"
    if not reached(record):
        return (), "no rule was asked: what stands above was enough"
    store = ConfigStore(state / "config")
    history = History(store.get, docs=None, now=now)
    in_force = history.in_force(record.config_sha256, record.policy_sha256)
    if not isinstance(in_force, InForce) or in_force.policies is None:
        note = _OTHER_RULES if in_force == "engine changed" else _NOT_KEPT
        return (), "; ".join([note, *history.lacking.values()])
    one = asked(record, in_force.principals, datetime.fromisoformat(ts))
    if isinstance(one, str):
        return (), "the key is not known any more, so the rules cannot be asked again"
    kept = texts_of(store.get, record.policy_sha256)
    texts = {} if isinstance(kept, str) else kept
    stood = {(claim.counter, claim.window_ms): used for claim, used in zip(record.claims, record.used, strict=False)}

    def used(claim: Claim) -> int | None:
        return stood.get((claim.counter, claim.window_ms))

    judgement = judgement_of(in_force.policies, one, is_of_the_day=True)
    effect = Effect.ORDER_NEW if record.anew else one.effect
    request = Request(key=one.principal.name, effect=effect, account=one.account, wall=one.wall)
    lines = Lines(in_force.policies, texts)
    return looked(in_force.policies, one.principal, judgement, request=request, used=used, lines=lines), ""
