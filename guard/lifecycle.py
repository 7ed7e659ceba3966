"""The life of a guard: recover, build, open the doors, drain, close.

A guard starts only if it can keep its promises: settings and keys are whole, the state directory is its own, the record
is unbroken. Whatever the settings relax beyond that is listed as *weakened*: in the log at start, in `/status` and in
the record.
"""

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import structlog
from msgspec import Struct

from guard import logs
from guard.activeconfig import ActiveConfig, load_keys
from guard.admin import Changes, build_app
from guard.admin.change import Who
from guard.admin.haltfile import HaltFile
from guard.admin.rehearsal import Rehearsal
from guard.admin.runner import OpsRunner, site_of
from guard.admin.watch import Watch
from guard.admin.weakened import weakened, weakened_by_keys
from guard.certificate import certificate_of
from guard.clock import Clock, SystemClock, WallSteps
from guard.errors import JournalFault, SettingsFault, StateFault
from guard.gauges import register, register_door, register_edges
from guard.journal import ClockStep, Disk, Journal, OutcomeRecord, Stop, gaps
from guard.journal.configstore import ConfigStore
from guard.limits import unknowns
from guard.listeners import bounds_of, listening_on, opened, unopened
from guard.loop import heap
from guard.pipeline import Pipeline
from guard.policy import PolicyError
from guard.recovery.beginning import first_records, unsigned
from guard.recovery.groundwork import desk_over, read_back
from guard.recovery.keeper import Keeper
from guard.recovery.readback import Recovered
from guard.server import Begin, Listener, Wiring, serve
from guard.settings import Settings, address
from guard.startconfig import StartConfig, start_config
from guard.stream import SEEING, Relay, Seeing
from guard.supervisor import Supervisor
from guard.terms import Daemon
from guard.tracing import Tracing
from guard.tracking import Reconciler
from guard.upstream import Client, otherports
from guard.upstream.origin import parse_origin
from guard.upstream.trust import Trust
from guard.upstream.unlocked import Unlocked
from guard.walk.hooks import HOOKS, Hooks
from guard.walk.origins import with_origins
from guard.walk.recorder import Recorder

EVERY_S: Final = 1.0
TAKE_OVER_S: Final = 15.0  # how long the guard before this one may take to close, once it has drained
_log = structlog.get_logger("guard")


class Guard:
    """One guard, from its settings to its end. Tests and the demo bring a daemon, clock or disk of their own."""

    def __init__(  # noqa: PLR0913 - what tests and the selftest bring, each by its name
        self,
        settings: Settings,
        *,
        daemon: Daemon | None = None,
        clock: Clock | None = None,
        disk: Disk | None = None,
        sockets: Mapping[str, socket.socket] | None = None,
        hooks: Hooks = HOOKS,
        seeing: Seeing = SEEING,
    ) -> None:
        self.settings = listening_on(settings, sockets or {})
        self._hooks = hooks
        self._seeing = seeing
        self.tracing: Tracing | None = None  # to be set before the start
        self._sockets = sockets or {}
        self._disk = disk
        self.clock = clock or SystemClock()
        self._wall = WallSteps(self.clock)
        self.directory = settings.path(settings.state.dir)
        self.store = ConfigStore(self.directory / "config", disk=disk)
        self.supervisor = Supervisor()
        self.policy_errors: list[PolicyError] = []
        self._uncounted: str | None = None
        self._daemon = daemon
        self._client: Client | None = None
        self._listener: Listener | None = None
        self._ops: OpsRunner | None = None
        self.hurry = asyncio.Event()
        self._begun = asyncio.Event()

    # ------------------------------------------------------------ start

    async def start(self) -> None:
        """Recovers and opens both doors. Raises SettingsFault (exit 2) or StateFault (exit 3).

        Keys are read again once the record is this guard's own: it may have waited for another guard to end, and a key
        may have been revoked meanwhile.
        """
        _ = await asyncio.to_thread(load_keys, self.settings)  # keys that cannot be used end the start at once
        self.certificate = certificate_of(self.settings)
        self.trust = Trust(self.settings.daemon.url, ca_file=self.settings.ca_file)
        self.journal, recovered = await asyncio.to_thread(self._recover)
        try:
            found = await asyncio.to_thread(
                start_config, self.store, recovered, self.settings, last_seq=self.journal.last_seq, clock=self.clock
            )
            self.policy_errors, self._uncounted = found.policy_errors, found.uncounted
            self._build(found.config, recovered)
            await self._record_start(found, recovered)
            await self._open()
        except BaseException:
            await self.journal.close()
            raise
        self._begun.set()

    @property
    def _lock_wait_s(self) -> float:
        """A guard that was handed its sockets takes over from another one, and waits until that one has drained."""
        return self.settings.bounds.drain_timeout_s + TAKE_OVER_S if self._sockets else 0.0

    def _recover(self) -> tuple[Journal, Recovered]:
        """Opens the record and folds it; the clocks go on from its end."""
        journal, recovered, self._run = read_back(
            self.settings, self.directory, clock=self.clock, disk=self._disk, lock_wait_s=self._lock_wait_s
        )
        self.clock.resume(recovered.t_us)
        if recovered.ts:
            self._wall.goes_on_from(datetime.fromisoformat(recovered.ts))
        return journal, recovered

    def _build(self, config: ActiveConfig, recovered: Recovered) -> None:
        self.desk, self._client = desk_over(
            (self.journal, recovered),
            config,
            self.directory,
            daemon=self.trust if self._daemon is None else self._daemon,
            clock=self.clock,
            supervisor=self.supervisor,
        )
        self.desk.policy_change = recovered.policy_change
        self.pipeline = Pipeline(self.desk, self._hooks if self.tracing is None else self.tracing.hooks(self._hooks))
        self.recorder: Recorder = self.pipeline.recorder
        self.reconciler = self.desk.order_lists = Reconciler(self.recorder)
        self.unlocked = Unlocked(self.desk.daemon)
        self.desk.reference.hear_positions(self.reconciler.note_positions)
        self.relay = Relay(self.recorder, self.trust, on_trade=self.reconciler.traded, seeing=self._seeing)
        self.changes = Changes(
            self.desk,
            self.store,
            cancelling=self.pipeline.cancelling,
            policy_change=recovered.policy_change,
            rehearse=Rehearsal(self.directory, self.clock),
            after_keys=self.relay.revalidate,
        )
        if self.policy_errors or config.policies is None:
            self.changes.policies.last_ok, self.changes.policies.last_success_s = False, 0.0
        self.watch = Watch(self.desk, self.changes.policies)
        self._halt = HaltFile(self.desk)
        self.desk.concerns += [self.watch.concerns, self.changes.recounting.concerns, self._wall.concerns]
        self.desk.concerns += [self.reconciler.concerns, logs.concerns, self._concerns, self.trust.concerns]
        self.desk.concerns.append(self.supervisor.concerns)
        if self.certificate is not None:
            self.desk.concerns.append(self.certificate.concerns)
        register(self.recorder, self.changes, self.watch)
        register_edges(self.desk.metrics, self.relay, self.unlocked, client=self._client, certificate=self.certificate)

    def _concerns(self) -> tuple[str, ...]:
        """Why no policies are in force although their files are right."""
        return (self._uncounted,) if self._uncounted and self.desk.config.policies is None else ()

    async def _record_start(self, found: StartConfig, recovered: Recovered) -> None:
        """Records the start, what was found and what is in force, on the disk before the doors open.

        A disk that fails does not keep the doors shut: new orders are refused then, and cancels pass.
        """
        journal = self.journal
        ends = {"found_seq": journal.found_seq, "signed_seq": journal.signed_seq}
        unproven = unsigned(recovered, self.directory, **ends)
        keyed = weakened_by_keys(self.settings, found.config.keyring)
        loose = self.desk.weakened = (*weakened(self.settings), *keyed, *await self._other_ports(), *unproven)
        records = first_records(
            recovered, found.config, self.directory, weakened=loose, t_us=self.clock.t_us(), counts=found.counts
        )
        if recovered.vkey != journal.vkey:
            records.insert(0, ("vkey", journal.introduction()))
        try:
            for type_, record in records:
                journal.append(type_, record)
                if isinstance(record, OutcomeRecord):  # of what a crash cut off
                    self.desk.metrics.count("guard_order_outcomes_total", record.verdict)
            await journal.checkpoint()
        except JournalFault as fault:
            if journal.failed is None:
                raise StateFault(f"{self.directory}: the start cannot be recorded: {fault}") from fault
            _log.error(
                "start_not_recorded", why=str(fault), hint="new orders are refused until a restart; cancels pass"
            )
        else:
            gaps.forget(self.directory)
        for sentence in loose:
            _log.warning("weakened", control=sentence)
        _log.info(
            "recovered", records=recovered.records, unknown=len(unknowns(recovered.state)), crash=recovered.is_crashed
        )

    async def _other_ports(self) -> tuple[str, ...]:
        """The daemon's other listeners that this host can reach; a daemon in memory has none."""
        if self._client is None:
            return ()
        daemon = parse_origin(self.settings.daemon.url)
        found = await otherports.open_beside(daemon)
        return (otherports.walks_past(found, daemon),) if found else ()

    async def _open(self) -> None:
        settings = self.settings
        tls = self.certificate.context if self.certificate is not None else None
        begin: Begin = self.pipeline.begin
        if self.tracing is not None:
            begin = self.tracing.begin(begin)
        wiring = Wiring(
            begin=with_origins(begin, frozenset(settings.listen.allowed_origins), new_id=self.clock.new_id),
            new_id=self.clock.new_id,
            upgrade=self.relay.upgrade,
            refused=self.recorder.refused_at_edge,
        )
        bounds = bounds_of(settings)
        runner = OpsRunner(build_app(self.recorder, self.changes, bounds), bounds)
        await runner.setup()
        self._ops = runner
        door: Literal["data", "ops"] = "ops"
        try:
            await site_of(runner, settings.listen.ops, tls=tls, bounds=bounds, given=self._sockets.get("ops")).start()
            door = "data"
            place = self._sockets.get("data") or address(settings.listen.data)
            at = Path(place) if isinstance(place, str) else place
            self._listener = await serve(wiring, at=at, bounds=bounds, tls=tls)
            register_door(self.desk.metrics, self._listener.counts)
        except OSError as error:
            await runner.cleanup()
            told = unopened(settings, door, error)
            self._note("stop", Stop(t=self.clock.t_us(), reason=told, unfinished=()))  # or it would look like a crash
            raise SettingsFault([told]) from error
        self.desk.is_open = True
        self._begin_services()
        data = opened(each.getsockname() for each in self._listener.sockets)
        self.desk.listening = {"data": data, "ops": opened(runner.addresses)}
        _log.info("open", **self.desk.listening, daemon=settings.daemon.url)

    def _begin_services(self) -> None:
        retention = timedelta(days=self.settings.journal.retention_days)
        self.keeper = Keeper(
            self.journal,
            self.directory,
            clock=self.clock,
            retention=retention,
            run=self._run,
            in_force=lambda: self.desk.config.named,
        )
        services = {
            "reconcile": self.reconciler.run,
            "unlocked": self.unlocked.watch,
            "sweep": self._every_second,
            "watch": self.watch.run,
            "heap": heap.give_back,
            "keeper": self.keeper.serve,
            "authorities": self.trust.watch,
        }
        if self.certificate is not None:
            services["certificate"] = self.certificate.watch
        for name, begin in services.items():
            self.supervisor.keep(begin, name)

    async def _every_second(self) -> None:
        """Each second: writes sums, ends stale subscriptions and temporary policies; notices what else has changed."""
        while True:
            await asyncio.sleep(min(EVERY_S, self.desk.policy_change.left_s(self.clock.wall()) or EVERY_S))
            self.recorder.floods.sum_up(self.clock.wall_us())
            self.relay.tick()
            self.keeper.tell_space()
            halted = self._halt.changed()
            if halted is not None:
                self._note("state", halted)
            await self.changes.policies.tick()
            step_us = self._wall.stepped_us()
            if not step_us:
                continue
            self.desk.metrics.count("guard_clock_steps_total")
            _log.warning("clock_step", step_us=step_us)
            self._note("clock", ClockStep(t=self.clock.t_us(), step_us=step_us))

    def _note(self, type_: str, record: Struct) -> None:
        """Appends a record that nothing depends on, after outcomes that a full queue turned away."""
        try:
            self.recorder.catch_up()
            self.journal.append(type_, record)
        except JournalFault as fault:
            _log.error("not_recorded", type=type_, why=str(fault))

    # ------------------------------------------------------------ run

    @property
    def ports(self) -> tuple[int, int]:
        """The TCP ports of data and ops, for those who asked for port 0."""
        if self._listener is None or self._ops is None:
            raise AssertionError("the guard is not open")
        return self._listener.sockets[0].getsockname()[1], self._ops.addresses[0][1]

    async def reload(self) -> None:
        """SIGHUP: reloads certificate, authorities, keys and policies, each by itself.

        During a start it waits for the end of that, since the start may have read the files before they changed.
        """
        await self._begun.wait()
        if self.certificate is not None:
            await self.certificate.renew()
        await self.trust.renew()
        await self.changes.reload_keys(Who(reason="SIGHUP"))
        await self.changes.policies.reload(Who(reason="SIGHUP"))

    # ------------------------------------------------------------ stop

    async def stop(self, reason: str) -> Sequence[str]:
        """Drains and closes; the names of work that had to be cut off, none at a clean end.

        At once the guard is not ready and takes no new orders. The doors stay open for `pre_stop_s`; then what is under
        way may end within `drain_timeout_s`. Setting `hurry` ends both waits. Trades that are cut off are unknown
        once a byte may have left, else not sent.
        """
        bounds, loop = self.settings.bounds, asyncio.get_running_loop()
        self.desk.is_draining = True
        _log.info("draining", reason=reason, doors_close_in_s=bounds.pre_stop_s)
        await self._pre_stop(bounds.pre_stop_s)
        ends_s = loop.time() + bounds.drain_timeout_s
        self.relay.end_all()  # before the listener, which waits for every connection to end
        if self._listener is not None:
            await self._listener.close(grace_s=bounds.drain_timeout_s, hurry=self.hurry)
        unfinished = await self.supervisor.drain(max(0.0, ends_s - loop.time()), hurry=self.hurry)
        if self._ops is not None:
            await self._ops.cleanup(self.hurry)
        self.recorder.floods.sum_up()
        self._note("stop", Stop(t=self.clock.t_us(), reason=reason, unfinished=unfinished))
        await self.journal.close()
        await self.relay.close()
        if self._client is not None:
            await self._client.close()
        if self.journal.failed is not None or self.journal.written_seq < self.journal.last_seq:
            why = str(self.journal.failed or "the disk did not take it in time")
            _log.error("record_not_whole", why=why, hint="the next start tells of a crash, and of what became unknown")
        _log.info("closed", reason=reason, unfinished=unfinished)
        return unfinished

    async def _pre_stop(self, wait_s: float) -> None:
        """Gives load balancers time to see that the guard is not ready; cancels still pass."""
        if wait_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.hurry.wait()
