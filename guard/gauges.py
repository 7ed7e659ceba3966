"""Gauges that are read when Prometheus scrapes: one function for each, over the parts of the guard."""

import math
from collections.abc import Callable, Iterator

from guard import __version__
from guard.access import KeyRecord
from guard.admin.changes import Changes
from guard.admin.health import for_everyone
from guard.admin.watch import Watch
from guard.certificate import Certificate
from guard.limits import STRICTNESS, unknowns
from guard.metrics import Labels, Metrics
from guard.pauses import with_pauses
from guard.policy import Meter, meters
from guard.server import EdgeCounts
from guard.stream import Relay
from guard.upstream import Client
from guard.upstream.unlocked import Unlocked
from guard.walk.desk import Desk
from guard.walk.questions import accounts_told, used_of
from guard.walk.recorder import Recorder

Rows = Iterator[tuple[Labels, float]]


def register(recorder: Recorder, changes: Changes, watch: Watch) -> None:
    """Tells the metrics where to read each gauge."""
    desk = recorder.desk
    metrics, journal = desk.metrics, desk.journal
    one: dict[str, Callable[[], float]] = {
        "guard_unknown_orders": lambda: len(unknowns(desk.state)),
        "guard_policy_last_reload_success": lambda: changes.policies.last_ok,
        "guard_policy_last_success_timestamp_seconds": lambda: changes.policies.last_success_s,
        "guard_journal_records_total": lambda: journal.records_total,
        "guard_journal_queue": lambda: journal.queue_records,
        "guard_journal_failed": lambda: journal.failed is not None,
        "guard_journal_free_bytes": journal.free_bytes,
        "guard_journal_last_checkpoint_timestamp_seconds": lambda: journal.signed_us / 1e6,
        "guard_breaker_open": lambda: bool(desk.circuits.opened()),
        "guard_daemon_up": lambda: desk.circuits.is_answering is not False,
        "guard_steps_in_flight": lambda: len(desk.state.steps) - len(unknowns(desk.state)),
    }
    for name, read in one.items():
        _single(metrics, name, read)
    metrics.gauge("guard_policy_info", lambda: [((desk.config.policy_sha256,), 1.0)])
    metrics.gauge("guard_config_drift", lambda: _drift(changes, watch))
    metrics.gauge("guard_build_info", lambda: [((__version__,), 1.0)])
    metrics.gauge("guard_trading_state", lambda: _trading(desk))
    metrics.gauge("guard_key_expiry_timestamp_seconds", lambda: _expiries(desk))
    metrics.gauge("guard_reference_age_seconds", lambda: _ages(desk))
    metrics.gauge("guard_limit_used_ratio", lambda: _ratios(recorder))


def register_edges(
    metrics: Metrics, relay: Relay, unlocked: Unlocked, *, client: Client | None, certificate: Certificate | None
) -> None:
    """The same for the stream, the client and the certificate; where there is none its gauges are absent."""
    _single(metrics, "guard_ws_connections", lambda: relay.connections)
    _optional(metrics, "guard_upstream_dials_total", lambda: None if client is None else client.dials_total)
    _optional(metrics, "guard_daemon_trade_unlocked", lambda: unlocked.is_unlocked)
    _optional(metrics, "guard_tls_not_after_timestamp_seconds", lambda: _end_s(certificate))


def register_door(metrics: Metrics, counts: EdgeCounts) -> None:
    """The same for the data listener's connections, once it listens."""
    _single(metrics, "guard_connections_open", lambda: counts.open)
    _single(metrics, "guard_connections_total", lambda: counts.total)
    metrics.gauge("guard_connections_cut_total", lambda: [((why,), float(many)) for why, many in counts.cut.items()])


def _end_s(certificate: Certificate | None) -> float | None:
    return None if certificate is None else certificate.not_after.timestamp()


def _drift(changes: Changes, watch: Watch) -> Rows:
    """Files on disk that are not in force, and counters that differ from what the record shows."""
    for kind, is_so in watch.drift.items():
        yield (kind,), float(is_so)
    yield ("counters",), float(changes.recounting.lost is not None)


def _single(metrics: Metrics, name: str, read: Callable[[], float]) -> None:
    metrics.gauge(name, lambda: [((), float(read()))])


def _optional(metrics: Metrics, name: str, read: Callable[[], float | None]) -> None:
    metrics.gauge(name, lambda: [] if (value := read()) is None else [((), float(value))])


def _trading(desk: Desk) -> Rows:
    """The state that binds everyone; narrower rules are in `/status`."""
    present = for_everyone(desk)
    for state in STRICTNESS:
        yield (state,), float(state == present)


def _ages(desk: Desk) -> Rows:
    """Kinds that were never asked for have no age yet."""
    for kind, age_s in desk.reference.ages_s().items():
        yield (kind,), age_s
    if desk.accounts.age_s is not None:
        yield ("account",), desk.accounts.age_s


def _expiries(desk: Desk) -> Rows:
    """When the next key of a caller expires, of those that have not; when the last did, if all have."""
    now_s, ends, seen = desk.clock.wall().timestamp(), dict[str, list[float]](), dict[str, float]()
    for record in desk.config.keyring.records:
        end_s = math.inf if record.expires_at is None else record.expires_at.timestamp()
        ends.setdefault(record.name, []).append(end_s)
    for name, of_name in ends.items():
        label, end_s = desk.metrics.key(name), min((one for one in of_name if one > now_s), default=max(of_name))
        seen[label] = min(seen.get(label, math.inf), end_s)
    for label, end_s in seen.items():
        if end_s < math.inf:
            yield (label,), end_s


def _ratios(recorder: Recorder) -> Rows:
    """For each limit of each key that may be a label, the use of its fullest counter; further keys are left out.

    A counter of an account or of a policy belongs to no single key, and its label `key` is empty.
    """
    desk = recorder.desk
    policies = desk.config.policies
    if policies is None:
        return
    t_us, wall = desk.clock.t_us(), desk.clock.wall()
    fullest: dict[Labels, float] = {}
    for record in with_pauses(_labelled(desk)):
        principal = desk.config.keyring.principals[record.id]
        for meter in meters(policies, principal, wall=wall, listed=accounts_told(desk, principal)):
            labels = (meter.policy, _limit(meter), record.name if meter.subject.startswith("key=") else "")
            if meter.cap > 0:
                ratio = used_of(recorder, meter, t_us=t_us) / meter.cap
                fullest[labels] = max(ratio, fullest.get(labels, 0.0))
    yield from fullest.items()


def _labelled(desk: Desk) -> list[KeyRecord]:
    return [record for record in desk.config.keyring.records if desk.metrics.key(record.name) == record.name]


def _limit(meter: Meter) -> str:
    return f"{meter.rule} {meter.unit}" if meter.unit else meter.rule
