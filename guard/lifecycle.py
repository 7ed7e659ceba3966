"""Build, recover, open the door, drain, close: in that order and its reverse.

A guard starts only when it can keep its promises: settings and keys whole, the state directory its own, the record
unbroken. Everything it then relaxes by setting is told as *weakened* at start, in `/status` and in the record.
"""

import asyncio
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import web

from guard import __version__
from guard.admin import Changes, build_app
from guard.admin.changes import Who
from guard.admin.health import weakened
from guard.clock import Clock, SystemClock
from guard.errors import JournalFault, SettingsFault, StateFault
from guard.gauges import Dials, register
from guard.journal import Clock as ClockStep
from guard.journal import Journal, OutcomeRecord, Policy, Start, Stop, gaps
from guard.journal.shelf import Shelf
from guard.journal.writer import Bounds as JournalBounds
from guard.metrics import Metrics
from guard.pipeline import Pipeline
from guard.policy import PolicyError, PolicySet
from guard.recovery import Recovered, recover
from guard.reference import AccountBook
from guard.server import Bounds, Listener, Wiring, serve, socket_file
from guard.settings import Settings, address
from guard.standing import Standing, build_policies, load_keys, parse_texts, read_texts, stand
from guard.stream import Relay
from guard.supervisor import Supervisor
from guard.terms import Call, Daemon, Refusal, Verdict
from guard.upstream import Client, Link
from guard.walk.desk import Desk, Parts
from guard.walk.recorder import Recorder

CLOCK_STEP_US: Final = 1_000_000
_log = structlog.get_logger("guard")


class Guard:
    """One guard, from its settings to its closed doors. `daemon` and `clock` are given by tests and the demo."""

    def __init__(self, settings: Settings, *, daemon: Daemon | None = None, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.directory = settings.path(settings.state.dir)
        self.shelf = Shelf(self.directory / "config")
        self.supervisor = Supervisor()
        self.policy_errors: list[PolicyError] = []
        self._daemon = daemon
        self._client: Client | None = None
        self._listener: Listener | None = None
        self._ops: web.AppRunner | None = None

    # ------------------------------------------------------------ start

    async def start(self) -> None:
        """Recover and open both doors. Raises SettingsFault (exit 2) or StateFault (exit 3)."""
        keyring, issuers = await asyncio.to_thread(load_keys, self.settings)
        self.journal, recovered = await asyncio.to_thread(self._recover)
        try:
            policies = await asyncio.to_thread(self._policies, recovered, keyring)
            standing = stand(self.settings, keyring, issuers, policies)
            self._build(standing, recovered)
            await self._record_start(standing, recovered)
            await self._open()
        except BaseException:
            await self.journal.close()
            raise

    def _recover(self) -> tuple[Journal, Recovered]:
        bounds = JournalBounds(segment_bytes_max=self.settings.journal.segment_bytes_max)
        try:
            journal = Journal.open(self.directory, clock=self.clock, bounds=bounds)
        except JournalFault as fault:
            raise StateFault(str(fault)) from fault
        try:
            recovered = recover(self.directory) if journal.last_seq else Recovered()
        except JournalFault as fault:
            journal.shut()
            raise StateFault(f"{self.directory}: {fault}; `guard audit verify` shows where") from fault
        self.clock.resume(recovered.t_us)
        return journal, recovered

    def _policies(self, recovered: Recovered, keyring: object) -> PolicySet | None:
        """The policies of the directory; where they are wrong the last good ones of the record, else none."""
        texts, self.policy_errors = read_texts(self.settings.path(self.settings.policies.dir))
        found = self._compiled(texts, keyring)
        if found is not None:
            self.shelf.put(found.sha256, msgspec.json.encode(texts))
            return found
        for error in self.policy_errors:
            _log.error("policy_refused", error=str(error))
        kept = self.shelf.get(recovered.policy_sha256) if recovered.policy_sha256 else None
        if kept is None:
            _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
            return None
        _log.warning("policy_last_good", sha256=recovered.policy_sha256)
        errors, self.policy_errors = self.policy_errors, []
        last = self._compiled(msgspec.json.decode(kept, type=dict[str, str]), keyring)
        self.policy_errors = errors
        return last

    def _compiled(self, texts: dict[str, str], keyring: object) -> PolicySet | None:
        docs, errors = parse_texts(texts)
        self.policy_errors += errors
        built = build_policies(self.settings, keyring, docs, now=self.clock.wall())  # type: ignore[arg-type]
        if isinstance(built, list):
            self.policy_errors += built
            return None
        return None if self.policy_errors else built

    def _build(self, standing: Standing, recovered: Recovered) -> None:
        settings, daemon = self.settings, self._daemon
        metrics = Metrics(keys_max=settings.metrics.keys_max)
        metrics.know_keys(record.name for record in standing.keyring.records)
        if daemon is None:
            daemon = self._client = Client(
                _link(settings), key=settings.daemon_key, public_key=settings.public_key, clock=self.clock
            )
        parts = Parts(
            journal=self.journal,
            daemon=daemon,
            book=AccountBook(daemon, self.clock, self.supervisor),
            clock=self.clock,
            metrics=metrics,
            supervisor=self.supervisor,
        )
        self.desk = Desk(parts, standing=standing, state=recovered.state, directory=self.directory)
        self.desk.recent = recovered.recent
        self.pipeline = Pipeline(self.desk)
        self.recorder: Recorder = self.pipeline.recorder
        self.relay = Relay(self.recorder)
        self.changes = Changes(self.desk, self.shelf, after_keys=self.relay.revalidate)
        self.changes.last_reload_ok = not self.policy_errors
        self.journal.on_sync = lambda seconds: metrics.observe("guard_journal_fsync_seconds", seconds)
        dials: Dials | None = self._client
        register(self.recorder, self.changes, dials=dials)
        metrics.gauge("guard_ws_connections", lambda: [((), float(self.relay.connections))])

    async def _record_start(self, standing: Standing, recovered: Recovered) -> None:
        """The start, what was found, and what is in force; on the disk before the door opens."""
        journal, t_us = self.journal, self.clock.t_us()
        try:
            self.shelf.put(standing.config_sha256, standing.config)
            self.shelf.put(standing.keyring.sha256, standing.keyring.source())
            journal.append(
                "start",
                Start(
                    t=t_us,
                    version=__version__,
                    config_sha256=standing.config_sha256,
                    policy_sha256=standing.policy_sha256,
                    weakened=weakened(self.settings),
                    pid=os.getpid(),
                ),
            )
            missed = gaps.read(self.directory)
            if missed is not None:
                journal.append("gap", missed)
            for decision in recovered.unknown:
                message = "no outcome on record when the guard started"
                journal.append(
                    "outcome", OutcomeRecord(decision=decision, t=t_us, verdict=Verdict.UNKNOWN, message=message)
                )
            if standing.policies is not None and standing.policy_sha256 != recovered.policy_sha256:
                record = Policy(
                    t=t_us,
                    result="applied",
                    sha256=standing.policy_sha256,
                    from_sha256=recovered.policy_sha256,
                    reason="start",
                )
                journal.append("policy", record)
            await journal.durable(journal.last_seq)
        except (JournalFault, OSError) as fault:
            raise StateFault(f"{self.directory}: the start cannot be recorded: {fault}") from fault
        gaps.forget(self.directory)
        for sentence in weakened(self.settings):
            _log.warning("weakened", control=sentence)
        _log.info("recovered", records=recovered.records, unknown=len(recovered.unknown), crash=recovered.is_crashed)

    async def _open(self) -> None:
        settings = self.settings
        tls = _tls(settings)
        wiring = Wiring(
            handler=self.pipeline.handle,
            start=self.supervisor.start,
            new_id=self.clock.new_id,
            upgrade=self.relay.upgrade,
            refused=self._edge_refused,
        )
        runner = web.AppRunner(build_app(self.desk, self.changes), access_log=None, handle_signals=False)
        await runner.setup()
        self._ops = runner
        try:
            await _site(runner, settings.listen.ops, tls).start()
            place = address(settings.listen.data)
            at = Path(place) if isinstance(place, str) else place
            self._listener = await serve(wiring, at=at, bounds=_bounds(settings), tls=tls)
        except OSError as error:
            await runner.cleanup()
            raise SettingsFault([f"listen: {error}; is another guard running?"]) from error
        self._sweep = self.supervisor.start(self._every_second(), "sweep", service=True)
        _log.info("open", data=settings.listen.data, ops=settings.listen.ops, daemon=settings.daemon.url)

    def _edge_refused(self, decision: str, refusal: Refusal, peer: str) -> None:
        """What the edge refused by itself is counted and recorded like any other refusal."""
        visit = self.desk.open_visit(Call(method="", path="other", head={}, body=b"", peer=peer))
        visit.id = decision
        self.recorder.refused(visit, refusal)
        self.recorder.finished(visit)

    async def _every_second(self) -> None:
        """Sums up floods of the second that is over, and notices steps of the wall clock."""
        apart_us = self.clock.wall_us() - self.clock.mono_us()
        while True:
            await asyncio.sleep(1)
            self.recorder.floods.sum_up(self.clock.wall_us() // 1_000_000)
            step_us = self.clock.wall_us() - self.clock.mono_us() - apart_us
            if abs(step_us) < CLOCK_STEP_US:
                continue
            apart_us += step_us
            self.desk.metrics.count("guard_clock_steps_total")
            _log.warning("clock_step", step_us=step_us)
            if self.journal.failed is None:
                self.journal.append("clock", ClockStep(t=self.clock.t_us(), step_us=step_us))

    # ------------------------------------------------------------ run

    @property
    def ports(self) -> tuple[int, int]:
        """The TCP ports of data and ops, for those who asked for port 0."""
        if self._listener is None or self._ops is None:
            raise AssertionError("the guard is not open")
        return self._listener.sockets[0].getsockname()[1], self._ops.addresses[0][1]

    async def reload(self) -> None:
        """SIGHUP: policies and keys, each by itself."""
        await self.changes.reload_keys(Who(reason="SIGHUP"))
        await self.changes.reload_policies(Who(reason="SIGHUP"))

    # ------------------------------------------------------------ stop

    async def stop(self, reason: str) -> Sequence[str]:
        """Drain and close; the work that had to be cut off, empty at a clean end."""
        grace_s = self.settings.bounds.drain_timeout_s
        self.desk.is_draining = True
        _log.info("draining", reason=reason)
        await self.relay.close_all(1001)  # before the listener, which waits for every connection to end
        if self._listener is not None:
            await self._listener.close(grace_s=grace_s)
        unfinished = await self.supervisor.drain(grace_s)
        if self._ops is not None:
            await self._ops.cleanup()
        self.recorder.floods.sum_up(-1)
        if self.journal.failed is None:
            self.journal.append("stop", Stop(t=self.clock.t_us(), reason=reason, unfinished=unfinished))
        await self.journal.close()
        await self.relay.close()
        if self._client is not None:
            await self._client.close()
        _log.info("closed", reason=reason, unfinished=unfinished)
        return unfinished


def _link(settings: Settings) -> Link:
    daemon = settings.daemon
    return Link(
        url=daemon.url,
        ca_file=str(settings.path(daemon.ca_file)) if daemon.ca_file else None,
        connect_timeout_s=daemon.connect_timeout_s,
        connections_max=daemon.connections_max,
        answer_bytes_max=settings.bounds.answer_bytes_max,
    )


def _bounds(settings: Settings) -> Bounds:
    bounds = settings.bounds
    return Bounds(
        body_bytes_max=bounds.body_bytes_max,
        connections_max=bounds.connections_max,
        header_timeout_s=bounds.request_timeout_s,
        body_timeout_s=bounds.request_timeout_s,
        idle_timeout_s=bounds.idle_timeout_s,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.3 for both listeners, where a certificate is set."""
    listen = settings.listen
    if listen.tls_cert is None or listen.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(settings.path(listen.tls_cert), settings.path(listen.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise SettingsFault([f"listen.tls_cert: cannot be loaded: {error}"]) from error
    return context


def _site(runner: web.AppRunner, listen: str, tls: ssl.SSLContext | None) -> web.BaseSite:
    place = address(listen)
    if isinstance(place, str):
        return web.SockSite(runner, socket_file(Path(place)))
    return web.TCPSite(runner, *place, ssl_context=tls)
