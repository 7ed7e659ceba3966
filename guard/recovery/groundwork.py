"""What every request needs, prepared at a start: the record read back, and the desk in the state that it leads to."""

import gc
from pathlib import Path
from typing import NamedTuple

import structlog

from guard.activeconfig import ActiveConfig
from guard.clock import Clock
from guard.errors import JournalFault, StateFault
from guard.journal import Disk, Journal
from guard.journal.runs import Run
from guard.journal.writer import JournalBounds
from guard.listeners import link_of
from guard.metrics import Metrics
from guard.recovery.readback import Recovered
from guard.recovery.snapshots import resume
from guard.reference import AccountList, Reference
from guard.settings import Settings
from guard.supervisor import Supervisor
from guard.terms import Daemon
from guard.upstream import CircuitedDaemon, Circuits, Client
from guard.upstream.trust import Trust
from guard.walk.desk import Desk, Services

_log = structlog.get_logger("guard")


class ReadBack(NamedTuple):
    """The open journal, what its records tell, and the run of snapshots that was read instead of what is older."""

    journal: Journal
    recovered: Recovered
    run: Run | None


def read_back(settings: Settings, directory: Path, *, clock: Clock, disk: Disk | None, lock_wait_s: float) -> ReadBack:
    """Opens the record and folds it; blocking. StateFault (exit 3) where it cannot be opened, or is not whole."""
    bounds = JournalBounds(segment_bytes_max=settings.journal.segment_bytes_max)
    try:
        journal = Journal.open(directory, clock=clock, disk=disk, bounds=bounds, lock_wait_s=lock_wait_s)
    except JournalFault as fault:
        raise StateFault(str(fault)) from fault
    gc.disable()  # what is read back stays: looking through it as it grows takes a tenth of the start
    try:
        recovered, run = resume(directory) if journal.last_seq else (Recovered(), None)
    except JournalFault as fault:
        journal.shut()
        raise StateFault(f"{directory}: {fault}; `guard audit verify` shows where") from fault
    finally:
        gc.enable()
    return ReadBack(journal, recovered, run)


def desk_over(
    found: tuple[Journal, Recovered],
    config: ActiveConfig,
    directory: Path,
    *,
    daemon: Daemon | Trust,
    clock: Clock,
    supervisor: Supervisor,
) -> tuple[Desk, Client | None]:
    """What is shared by all requests. Where whom to trust is given it is the settings' daemon, with its client."""
    (journal, recovered), settings = found, config.settings
    metrics, circuits, client = Metrics(keys_max=settings.metrics.keys_max), Circuits(), None
    metrics.know_keys(record.name for record in config.keyring.records)
    if isinstance(daemon, Trust):
        keys = {"key": settings.daemon_key, "public_key": settings.public_key}
        daemon = client = Client(link_of(settings), **keys, clock=clock, circuits=circuits, trust=daemon)
    else:
        daemon = CircuitedDaemon(daemon, circuits, clock)
    services = Services(
        journal=journal,
        daemon=daemon,
        accounts=AccountList(daemon, clock, supervisor),
        reference=Reference(daemon, clock, supervisor),
        clock=clock,
        metrics=metrics,
        supervisor=supervisor,
        circuits=circuits,
    )
    journal.on_sync = metrics.fsync.add
    journal.on_checkpoint = lambda note: _log.info("checkpoint", note=note)
    desk = Desk(services, config=config, state=recovered.state, directory=directory)
    desk.recent = recovered.recent
    for symbol, currency in recovered.state.currencies.items():
        desk.reference.observe_currency(symbol, currency)
    return desk, client
