"""The record read back at start: the same functions that run live fold it into the ledger.

A decision without an outcome is *unknown*: its order may be at the daemon, so what it reserved stays held. Nothing
outside a record changes state, and the clock resumes no earlier than the last time on record. A record that does not
fit those before it stops the start: counters that are guessed are worse than none.
"""

import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct, field

from guard import __version__
from guard.agreed import Agreed
from guard.clock import utc
from guard.errors import JournalFault
from guard.intent import kept
from guard.journal import (
    Counters,
    Decision,
    Entry,
    Keys,
    Line,
    Order,
    OutcomeRecord,
    Policy,
    Reconciled,
    Start,
    StateRecord,
    Stop,
    Vkey,
    gaps,
    replay_typed,
)
from guard.journal.entries import ABSENT
from guard.limits import (
    Graft,
    Opening,
    State,
    TradingRule,
    Worth,
    apart,
    graft,
    missing,
    post,
    promote,
    reserve,
    set_trading,
    settle,
    together,
)
from guard.standing import Standing
from guard.terms import TRADE_EFFECTS, Account, Effect, Env, Outcome, Verdict
from guard.tracking import learned, reconciled
from guard.walk.desk import Known, Recent

_ENVS: Final = {env.word: env for env in Env}
_TRADES: Final = frozenset(effect.value for effect in TRADE_EFFECTS)
_ACCOUNTS_MAX: Final = 256
PART_ORDERS: Final = 64  # live orders in a `counters` record, or behind it in that of the change
NO_OUTCOME: Final = "no outcome on record when the guard started"
_CANCEL: Final = Effect.ORDER_CANCEL.value
_CHANGE: Final = Effect.ORDER_CHANGE.value
_STATES: Final = ("active", "reduce_only", "cancel_only", "locked")


class Begun(Struct):
    """The parts of a change that is not in force yet, and may never be."""

    batch: str = ""
    parts: list[Graft] = field(default_factory=list)

    def put(self, batch: str, part: Graft) -> None:
        """One part more; those of another change will not be asked for any more."""
        if batch != self.batch:
            self.batch, self.parts = batch, []
        self.parts.append(part)

    def of(self, batch: str | None) -> list[Graft]:
        """The parts of the change that names this batch, which is in force now."""
        if batch != self.batch:
            return []
        found, self.batch, self.parts = self.parts, "", []
        return found


class Recovered(Struct):
    """What the record told: the ledger, the last policies in force, recent decisions, whether the end was orderly."""

    state: State = field(default_factory=State)
    recent: Recent = field(default_factory=Recent)
    policy_sha256: str | None = None
    config_sha256: str | None = None
    agreed: Agreed = field(default_factory=Agreed)
    begun: Begun = field(default_factory=Begun)
    over: Policy | None = None
    vkey: str | None = None
    t_us: int = 0
    records: int = 0
    is_crashed: bool = False


def recover(directory: Path) -> Recovered:
    """Folds the whole record. Raises JournalFault where its chain is broken."""
    found = Recovered()
    for line in replay_typed(directory):
        fold(found, line)
    return found


def doubt(found: Recovered, *, t_us: int) -> tuple[OutcomeRecord, ...]:
    """Settles every decision without an outcome as unknown, and answers the records that say so from now on.

    A cancel of all that was to be sent order by order was itself never sent.
    """
    open_steps = [step for step in found.state.steps.values() if step.status == "sent"]
    verdicts = {step.id: Verdict.UNKNOWN if step.holder or step.order else Verdict.NOT_SENT for step in open_steps}
    for step, verdict in verdicts.items():
        outcome = Outcome(verdict, message=NO_OUTCOME)
        settle(found.state, step, outcome, t_us=t_us)
        found.recent.settle(step, outcome)
    return tuple(
        OutcomeRecord(decision=step, t=t_us, verdict=verdict, message=NO_OUTCOME) for step, verdict in verdicts.items()
    )


class Counts(Protocol):
    """The counters of policies that are new, folded up to the end of the record."""

    @property
    def state(self) -> State:
        """Their ledger."""
        ...

    def fold(self, record: Struct, *, wall: datetime) -> None:
        """One record more."""
        ...


def first_records(
    found: Recovered,
    standing: Standing,
    directory: Path,
    *,
    weakened: tuple[str, ...],
    t_us: int,
    counts: Counts | None = None,
) -> list[tuple[str, Struct]]:
    """What a start writes: itself, cancels that an earlier run could not record, doubts, and what is new in force.

    `counts`: the counters of what is new, where these have to be made from the record.
    """
    sha256, was = standing.policy_sha256, found.policy_sha256
    start = Start(
        t=t_us,
        version=__version__,
        config_sha256=standing.config_sha256,
        policy_sha256=sha256,
        weakened=weakened,
        pid=os.getpid(),
    )
    records: list[tuple[str, Struct]] = [("start", start)]
    missed = gaps.read(directory)
    if missed is not None:
        records.append(("gap", missed))
    doubts = doubt(found, t_us=t_us)
    records += [("outcome", record) for record in doubts]
    *parts, targets = [Raw(msgspec.json.encode(part)) for part in _counted(found, counts, doubts, t_us=t_us)] or [
        ABSENT
    ]
    batch = f"start {t_us}" if parts else None
    records += [("counters", Counters(t_us, batch, part)) for part in parts if batch is not None]
    policies = []
    if found.over is not None:
        until = f"until {found.over.until:%Y-%m-%dT%H:%M:%SZ}"
        back = Policy(
            t=t_us, result="reverted", sha256=was or "", from_sha256=found.over.sha256, by="expiry", reason=until
        )
        policies.append(back)
    if standing.policies is not None and sha256 != was:
        policies.append(
            Policy(
                t=t_us, result="applied", sha256=sha256, from_sha256=was, reason="start", targets=targets, batch=batch
            )
        )
    elif bytes(targets):
        sha256 = standing.keyring.sha256
        keys = Keys(t=t_us, result="applied", sha256=sha256, reason="start", targets=targets, batch=batch)
        records.append(("keys", keys))
    for record in policies:
        found.agreed.fold(record)
        records.append(("policy", record))
    return records


def _counted(
    found: Recovered, counts: Counts | None, doubts: tuple[OutcomeRecord, ...], *, t_us: int
) -> tuple[Graft, ...]:
    """What counters that nobody kept stand at, put on the ledger; in parts that are fit for a record."""
    if counts is None:
        return ()
    for record in doubts:
        counts.fold(record, wall=utc(t_us))
    new = missing(found.state, counts.state)
    if new.is_empty:
        return ()
    graft(found.state, new, t_us=t_us)
    return tuple(apart(new, size=PART_ORDERS))


def over_by(found: Recovered, wall: datetime) -> None:
    """What was in force only until a time that has passed since: what was before it was the last."""
    found.over = found.agreed.ended(wall)
    if found.over is not None:
        found.policy_sha256 = found.over.back


def fold(found: Recovered, line: Entry) -> None:
    """One record. What it does not know it skips; what it knows must be whole, and fit what was before."""
    try:
        fold_record(found, line.typed() if isinstance(line, Line) else line, line.ts)
    except (ValueError, AssertionError) as error:
        raise JournalFault(f"record {line.seq}: {error}") from error


def fold_record(found: Recovered, record: object, ts: str) -> None:
    """The record of a line that was read already. Raises ValueError or AssertionError where it does not fit."""
    found.records += 1
    found.t_us = max(found.t_us, getattr(record, "t", 0))
    match record:
        case Decision():
            _decision(found, record, ts)
        case OutcomeRecord():
            _outcome(found, record)
        case Order():
            learned(found.state, found.recent, record)
        case Reconciled():
            reconciled(found.state, found.recent, record)
        case StateRecord():
            set_trading(found.state, rule_of(record), t_us=record.t)
        case Policy() | Keys() | Counters():
            _change(found, record)
        case Vkey():
            found.vkey = record.vkey
        case Start():
            found.is_crashed, found.config_sha256, found.begun = True, record.config_sha256, Begun()
        case Stop():
            found.is_crashed = False
        case _:
            pass


def _outcome(found: Recovered, record: OutcomeRecord) -> None:
    outcome = Outcome(
        record.verdict,
        status=record.status,
        ret_type=record.ret_type,
        order_id=record.order_id,
        order_id_ex=record.order_id_ex,
        message=record.message,
        duration_us=record.duration_us or 0,
    )
    settle(found.state, record.decision, outcome, t_us=record.t)
    if record.claims:
        post(found.state, record.claims, t_us=record.t)
    found.recent.settle(record.decision, outcome)


def _change(found: Recovered, record: Policy | Keys | Counters) -> None:
    if isinstance(record, Counters):
        found.begun.put(record.batch, msgspec.json.decode(record.targets, type=Graft))
        return
    if isinstance(record, Policy):
        found.agreed.fold(record)
        if record.result in {"applied", "reverted"}:
            found.policy_sha256 = record.sha256
        if record.carried:
            promote(found.state, record.carried, t_us=record.t)
    if record.result in {"applied", "reverted"}:
        parts = found.begun.of(record.batch)
        parts += [msgspec.json.decode(record.targets, type=Graft)] if bytes(record.targets) else []
        if parts:
            graft(found.state, together(parts), t_us=record.t)


def _decision(found: Recovered, record: Decision, ts: str) -> None:
    found.config_sha256 = record.config_sha256
    if record.key is not None:
        name = record.key.partition("@")[0]
        known = Known(record.id, name, ts, record.endpoint, record.outcome, record.code, record.reasons)
        known.batch = record.batch
        known.retry_after_s, known.largest_qty = record.retry_after_s, record.largest_qty
        found.recent.put(known)
    if record.outcome != "allow" or record.effect not in _TRADES or record.replays is not None:
        return
    reserve(found.state, opening_of(record), t_us=record.t)


def opening_of(record: Decision) -> Opening:
    """What the ledger held for a decision, from its record alone."""
    if record.effect == _CANCEL:
        account = _account_of(record)
        return Opening(step=record.id, claims=record.claims, of=record.of, account=account, order=bytes(record.order))
    if record.effect == _CHANGE:
        return Opening(
            step=record.id,
            claims=record.claims,
            holder=record.of,
            order=kept(bytes(record.resulting), decision=record.id),
            worth=_worth_of(record),
        )
    account = _account_of(record)
    if account is None:
        raise JournalFault(f"decision {record.id} opens an order without an account")
    return Opening(
        step=record.id,
        claims=record.claims,
        holder=record.id,
        key=(record.key or "").partition("@")[0],
        account=account,
        market=record.market or "",
        symbol=record.symbol or "",
        order=kept(bytes(record.order), decision=record.id),
        worth=_worth_of(record),
    )


def _account_of(record: Decision) -> Account | None:
    if record.environment is None or record.account is None:
        return None
    return _account(record.environment, record.account)


@lru_cache(maxsize=_ACCOUNTS_MAX)
def _account(environment: str, acc_id: int) -> Account:
    """One object for one account: its hash is made once."""
    return Account(_ENVS[environment], acc_id)


def _worth_of(record: Decision) -> Worth | None:
    valued = record.valuation
    return None if valued is None else Worth.of(valued.value.amount, valued.price, valued.multiplier)


def rule_of(record: StateRecord) -> TradingRule:
    """The trading rule of a `state` record; a state that this guard does not know is taken for the strictest."""
    return TradingRule(
        state=record.state if record.state in _STATES else "locked",  # type: ignore[arg-type]
        keys=record.scope.keys,
        accounts=record.scope.accounts,
        markets=record.scope.markets,
        reason=record.reason,
        by=record.by or "",
        drill=record.drill,
        t=record.t,
    )
