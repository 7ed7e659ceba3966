"""The record read back at start: the same functions that run live fold it into the ledger.

Nothing outside a record changes state, and the clock resumes no earlier than the last time on record. A record that
does not fit those before it stops the start: guessed counters are worse than none. What a start concludes from the end
of the record is in `beginning`.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

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
    replay_typed,
)
from guard.journal.entries import TornTail
from guard.journal.seek import latest_from
from guard.journal.segments import NUMBER_MAX
from guard.limits import (
    STRICTNESS,
    Graft,
    Holder,
    Opening,
    State,
    TradingRule,
    Worth,
    graft,
    in_short,
    merge_grafts,
    post,
    promote,
    put_body,
    reserve,
    set_trading,
    settle,
)
from guard.loop import heap
from guard.policychange import PolicyChangeState
from guard.terms import ENV_OF, TRADE_EFFECTS, Account, Effect, Outcome
from guard.tracking import learned, reconciled
from guard.walk.recent import RECENT_MAX, Recent, RecentDecision

_TRADES: Final = frozenset(effect.value for effect in TRADE_EFFECTS)
_ACCOUNTS_MAX: Final = 256
_RAW_MAX: Final = 8_192  # records, after which what is still live is shortened
GROWN: Final = 100_000  # records, after which tables are about as large as they will be, and go into large pages
PART_ORDERS: Final = 64  # live orders in a `counters` record, or behind it in that of the change
PART_STAMPS: Final = 2_000  # of logs together, likewise
_CANCEL: Final = Effect.ORDER_CANCEL.value
_CHANGE: Final = Effect.ORDER_CHANGE.value


class Begun(Struct):
    """The parts of a change that is not in force yet, and may never be."""

    batch: str = ""
    parts: list[Graft] = field(default_factory=list)

    def put(self, batch: str, part: Graft) -> None:
        """Adds a part; drops those of another change, which will not be asked for any more."""
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
    is_lost: bool = False  # counters of limits in force could not be made, or a start was cut short in telling them
    policy_change: PolicyChangeState = field(default_factory=PolicyChangeState)
    begun: Begun = field(default_factory=Begun)
    ended: Policy | None = None  # the temporary policies whose time passed while no guard ran
    built_on: Policy | None = None  # the temporary policies with which those of the start end
    vkey: str | None = None
    t_us: int = 0
    ts: str = ""
    records: int = 0
    is_crashed: bool = False
    seq: int = 0  # of the last record that was folded
    cut_short: int | None = None  # up to where was signed when a start came that did not come so far as to tell
    are_raw: bool = False  # bodies of orders that were opened lately
    recent_from: int = 0  # the seq of the first decision that can still be recent at the end
    told_seq: int = 0  # the start that told it, as whoever can write the file may say: it counts once it is signed


def recover(directory: Path, *, last: int = NUMBER_MAX) -> Recovered:
    """Folds the whole record, up to segment `last`. Raises JournalFault where its chain is broken.

    A decision that will not be among the recent ones at the end is not kept for them: that takes a tenth of the time.
    """
    found = Recovered(recent_from=latest_from(directory, RECENT_MAX, last=last))
    fold_all(found, replay_typed(directory, last=last))
    if found.recent_from and not found.recent.is_full:  # something only looked like decisions
        found = Recovered()
        fold_all(found, replay_typed(directory, last=last))
    return found


def fold_all(found: Recovered, batches: Iterable[Sequence[Entry]]) -> None:
    """Folds all of them in order. A batch is read, then folded: each step by itself keeps a core's caches warm.

    Orders' bodies are shortened later, since most of them have ended by then.
    """
    state, found.are_raw, shortened = found.state, True, found.records
    for lines in batches:
        before = found.records
        fold(found, lines)
        if before < GROWN <= found.records:
            heap.gather()
        if found.records >= shortened + _RAW_MAX:
            _shorten(islice(reversed(state.holders.values()), found.records - shortened))
            shortened = found.records
    _shorten(chain(state.holders.values(), state.ended.values()))
    found.are_raw = False


def _shorten(orders: Iterable[Holder]) -> None:
    for order in orders:
        if not order.about.form:
            put_body(order, kept(order.own, decision=order.id))
        order.course = in_short(order.course)
        for basis in order.bases:
            _check(basis.worth, decision=order.id)


def _check(worth: Worth | None, *, decision: str) -> None:
    """Raises JournalFault if what an order that lives on was valued at is not three numbers."""
    for text in () if worth is None else (worth.value, worth.price, worth.multiplier):
        try:
            sound = Decimal(text).is_finite()
        except InvalidOperation:
            sound = False
        if not sound:
            raise JournalFault(f"decision {decision} was valued at {text[:40]!r}, which is no number")


def fold(found: Recovered, lines: Sequence[Entry]) -> None:
    """Folds some records. An unknown type is skipped; a known one must be complete and fit the records before it."""
    found.records += len(lines)
    try:
        for line in lines:
            found.seq = line.seq
            fold_record(found, line.typed() if type(line) is Line else line, line.ts)
    except (ValueError, AssertionError) as error:
        raise JournalFault(f"record {found.seq}: {error}") from error


def fold_record(found: Recovered, record: object, ts: str) -> None:
    """Folds one parsed record. Raises ValueError or AssertionError if it does not fit."""
    found.ts = ts
    t_us = getattr(record, "t", 0)
    if t_us > found.t_us:  # noqa: PLR1730 - `max` takes three times as long, for every record
        found.t_us = t_us
    folding = _FOLDING[type(record)]
    if folding is not None:
        folding(found, record)


class _Folding(dict[type, Callable[[Recovered, Any], None] | None]):
    """The function that folds records of a type; None: they change nothing."""

    def __missing__(self, kind: type) -> Callable[[Recovered, Any], None] | None:
        """For a subclass that of its base; looked for once."""
        self[kind] = found = next((folding for known, folding in self.items() if issubclass(kind, known)), None)
        return found


def _run(found: Recovered, record: Start | Stop | Vkey | TornTail) -> None:
    if isinstance(record, Vkey):
        found.vkey = record.vkey
    elif isinstance(record, Start):
        found.is_crashed, found.config_sha256, found.begun = True, record.config_sha256, Begun()
        found.is_lost = record.batch is not None
        found.told_seq = found.told_seq or found.seq
    elif isinstance(record, Stop):
        found.is_crashed = False
    elif record.signed is not None:
        earlier = None if 0 < found.told_seq <= record.signed else found.cut_short
        found.cut_short, found.told_seq = min(record.signed, record.signed if earlier is None else earlier), 0


def _outcome(found: Recovered, record: OutcomeRecord) -> None:
    order_ids = record.order_id, record.order_id_ex
    duration_us = record.duration_us or 0
    outcome = Outcome(
        record.verdict, record.status, record.ret_type, *order_ids, record.message, duration_us, record.err_code
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
        found.policy_change.fold(record)
        if record.result in {"applied", "reverted"}:
            found.policy_sha256 = record.sha256
        if record.carried:
            promote(found.state, record.carried, t_us=record.t)
    if record.result in {"applied", "reverted"}:
        if record.errors or record.batch is not None or bytes(record.targets):
            found.is_lost = bool(record.errors)
        parts = found.begun.of(record.batch)
        parts += [msgspec.json.decode(record.targets, type=Graft)] if bytes(record.targets) else []
        if parts:
            graft(found.state, merge_grafts(parts), t_us=record.t)


def _decision(found: Recovered, record: Decision) -> None:
    found.config_sha256 = record.config_sha256
    if record.key is not None and found.seq >= found.recent_from:
        name = record.key.partition("@")[0]
        known = RecentDecision(record.id, name, found.ts, record.endpoint, record.outcome, record.code, record.reasons)
        known.batch = record.batch
        known.retry_after_s, known.largest_qty = record.retry_after_s, record.largest_qty
        holder = found.state.holders.get(record.of or "") if record.effect == _CANCEL else None
        if holder is not None and record.outcome == "allow":
            known.order_id, known.order_id_ex = holder.order_id, holder.order_id_ex
        found.recent.put(known)
    if record.outcome != "allow" or record.effect not in _TRADES or record.replays is not None:
        return
    reserve(found.state, opening_of(record, is_raw=found.are_raw), t_us=record.t)


def opening_of(record: Decision, *, is_raw: bool = False) -> Opening:
    """What the ledger held for a decision, from its record alone. `is_raw`: a new order's body as it was sent."""
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
    account, name = _account_of(record), record.id
    if account is None:
        raise JournalFault(f"decision {name} opens an order without an account")
    return Opening(
        name,
        record.claims,
        name,
        key=(record.key or "").partition("@")[0],
        account=account,
        market=record.market or "",
        symbol=record.symbol or "",
        order=bytes(record.order) if is_raw else kept(bytes(record.order), decision=name),
        worth=_worth_of(record),
        is_raw=is_raw,
    )


def _account_of(record: Decision) -> Account | None:
    if record.environment is None or record.account is None:
        return None
    return _account(record.environment, record.account)


@lru_cache(maxsize=_ACCOUNTS_MAX)
def _account(environment: str, acc_id: int) -> Account:
    """One object for equal accounts, so that its hash is computed once."""
    return Account(ENV_OF[environment], acc_id)


def _worth_of(record: Decision) -> Worth | None:
    valued = record.valuation
    return None if valued is None else Worth.of(valued.value.amount, valued.price, valued.multiplier)


def _state(found: Recovered, record: StateRecord) -> None:
    if not record.halt_file:  # whether it stops trading hangs on the file itself
        set_trading(found.state, rule_of(record), t_us=record.t)


def rule_of(record: StateRecord) -> TradingRule:
    """The trading rule of a `state` record; a state unknown to this guard is taken for the strictest."""
    return TradingRule(
        state=record.state if record.state in STRICTNESS else "locked",
        keys=record.scope.keys,
        accounts=record.scope.accounts,
        markets=record.scope.markets,
        reason=record.reason,
        by=record.by or "",
        drill=record.drill,
        t=record.t,
    )


_FOLDING: Final = _Folding(
    {
        Decision: _decision,
        OutcomeRecord: _outcome,
        Order: lambda found, record: learned(found.state, found.recent, record),
        Reconciled: lambda found, record: reconciled(found.state, found.recent, record),
        StateRecord: _state,
        **dict.fromkeys((Policy, Keys, Counters), _change),
        **dict.fromkeys((Start, Stop, Vkey, TornTail), _run),
    }
)
