"""What a start concludes from the record that it found, and writes before it accepts requests.

A decision without an outcome is *unknown*: its order may be at the daemon, so what it reserved stays held. Whatever was
in force only until a time that has passed ends, and limits that the last run did not have begin with what the record
shows.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from guard import __version__
from guard.activeconfig import ActiveConfig
from guard.journal import Counters, Keys, OutcomeRecord, Policy, Start, gaps
from guard.journal.checkpoints import checkpoints_path
from guard.journal.entries import ABSENT
from guard.limits import Graft, State, graft, missing_counters, settle, split_graft
from guard.recovery.readback import PART_ORDERS, PART_STAMPS, Recovered
from guard.terms import Outcome, Verdict, utc

NO_OUTCOME: Final = "no outcome on record when the guard started"


def doubt(found: Recovered, *, t_us: int) -> tuple[OutcomeRecord, ...]:
    """Settles every decision without an outcome as unknown; returns the records that say so.

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


def unsigned(found: Recovered, directory: Path, *, found_seq: int, signed_seq: int) -> tuple[str, ...]:
    """A sentence, if no checkpoint of the guard's own covers the end of the record, which this start is about to sign.

    A crash leaves its last second uncovered, a first run that was killed everything. So does anybody who cuts off the
    end together with its checkpoints, or adds records of his own; after this start has signed, nobody can tell.
    """
    when = "when the guard started"
    if found.cut_short is not None and not 0 < found.told_seq <= signed_seq:
        signed_seq, when = min(signed_seq, found.cut_short), f"{when}, or a start before it that was cut short"
    if found_seq <= signed_seq:
        return ()
    path, held = checkpoints_path(directory), "hold them against a checkpoint that was kept elsewhere"
    if not signed_seq:
        told = f"{path} signed nothing of the {found_seq} records that were found {when}, so more may have been cut off"
        return (f"{told}: {held}, guard audit verify --held FILE",)
    how = "a crash leaves those of its last second" if found.is_crashed else "and the last run had ended in order"
    told = f"records {signed_seq + 1} to {found_seq} were behind the last checkpoint {when}"
    return (f"{told}: {how}; look whether they are its own",)


class NewCounters(Protocol):
    """The counters of new policies, folded up to the end of the record."""

    @property
    def state(self) -> State:
        """Their ledger."""
        ...

    def fold(self, record: Struct, *, wall: datetime) -> None:
        """Folds one more record."""
        ...


def first_records(
    found: Recovered,
    config: ActiveConfig,
    directory: Path,
    *,
    weakened: tuple[str, ...],
    t_us: int,
    counts: NewCounters | None = None,
) -> list[tuple[str, Struct]]:
    """What a start writes: itself, cancels that an earlier run could not record, doubts, and what is new in force.

    `counts`: the counters of what is new, where these have to be made from the record.
    """
    doubts = doubt(found, t_us=t_us)
    told = [Raw(msgspec.json.encode(part)) for part in _counted(found, counts, doubts, t_us=t_us)]
    *parts, targets = told or [ABSENT]
    batch = f"start {t_us}" if told else None
    start = Start(
        t=t_us,
        version=__version__,
        config_sha256=config.config_sha256,
        policy_sha256=config.policy_sha256,
        weakened=weakened,
        pid=os.getpid(),
        batch=batch,
    )
    records: list[tuple[str, Struct]] = [("start", start)]
    missed = gaps.read(directory)
    if missed is not None:
        records.append(("gap", missed))
    records += [("outcome", record) for record in doubts]
    records += [("counters", Counters(t_us, batch, part)) for part in parts if batch is not None]
    return records + _new_in_force(found, config, t_us=t_us, targets=targets, batch=batch)


def _new_in_force(
    found: Recovered, config: ActiveConfig, *, t_us: int, targets: Raw, batch: str | None
) -> list[tuple[str, Struct]]:
    """What ended while no guard ran, policies that the record does not name, or keys that bring counters."""
    sha256, was = config.policy_sha256, found.policy_sha256
    keys, policies = list[Keys](), list[Policy]()
    if found.ended is not None:
        until = f"until {found.ended.until:%Y-%m-%dT%H:%M:%SZ}"
        back = Policy(
            t=t_us, result="reverted", sha256=was or "", from_sha256=found.ended.sha256, by="expiry", reason=until
        )
        policies.append(back)
    if config.policies is not None and sha256 != was:
        new = Policy(
            t=t_us, result="applied", sha256=sha256, from_sha256=was, reason="start", targets=targets, batch=batch
        )
        temporary = found.built_on
        policies.append(new if temporary is None else replace(new, until=temporary.until, back=temporary.back))
    elif bytes(targets):
        sha256 = config.keyring.sha256
        keys.append(Keys(t=t_us, result="applied", sha256=sha256, reason="start", targets=targets, batch=batch))
    for record in policies:
        found.policy_change.fold(record)
    return [*(("keys", record) for record in keys), *(("policy", record) for record in policies)]


def _counted(
    found: Recovered, counts: NewCounters | None, doubts: tuple[OutcomeRecord, ...], *, t_us: int
) -> tuple[Graft, ...]:
    """Puts on the ledger what counters that nobody kept stand at; returns it in parts fit for a record.

    What this start has just called unknown stands on both ledgers as it was sent: all of it is held. What it has called
    not sent gave its stamps back, which the counts of before would bring again.
    """
    if counts is None:
        return ()
    for record in doubts:
        if record.verdict is Verdict.NOT_SENT:
            counts.fold(record, wall=utc(t_us))
    new = missing_counters(found.state, counts.state)
    if new.is_empty:
        return ()
    graft(found.state, new, t_us=t_us)
    return tuple(split_graft(new, size=PART_ORDERS, stamps=PART_STAMPS))


def end_temporary(found: Recovered, wall: datetime) -> None:
    """Ends what was in force only until a time that has passed since."""
    found.ended = found.policy_change.end_if_due(wall)
    if found.ended is not None:
        found.policy_sha256 = found.ended.back
