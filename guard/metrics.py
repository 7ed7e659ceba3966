"""Counters for Prometheus: plain integers on the hot path, families only at exposition, labels from closed sets.

Dashboards and alarms hang on names, labels and buckets, so these stay what they are. A label value that is not known
beforehand becomes `other`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from guard.catalogue import BY_PATH
from guard.loop.resting import uncollected
from guard.pauses import with_pauses

BUCKETS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Family(NamedTuple):
    """One metric: its kind, what it says, and its labels."""

    kind: str
    text: str
    labels: tuple[str, ...] = ()


FAMILIES: Final[dict[str, Family]] = {
    "guard_requests_total": Family(
        "counter", "Requests on the data listener; allowed means allowed by the guard.", ("endpoint", "outcome")
    ),
    "guard_refusals_total": Family(
        "counter", "Refusals by primary code and the policy that refused.", ("code", "policy")
    ),
    "guard_requests_by_key_total": Family("counter", "Requests by key id.", ("key", "outcome")),
    "guard_refusals_by_key_total": Family("counter", "Refusals by key id and primary code.", ("key", "code")),
    "guard_request_duration_seconds": Family("histogram", "From request read to answer written.", ("endpoint",)),
    "guard_overhead_seconds": Family("histogram", "Time of a request that was not the daemon's."),
    "guard_upstream_duration_seconds": Family("histogram", "Time the daemon took to answer."),
    "guard_order_outcomes_total": Family("counter", "Trade requests by what became of them.", ("outcome",)),
    "guard_unknown_orders": Family("gauge", "Trades that were sent and whose outcome is not known."),
    "guard_orders_outside_total": Family("counter", "Orders in the daemon's lists that were not placed through here."),
    "guard_limit_used_ratio": Family(
        "gauge",
        "Use of a limit, 1 is exhausted; per account at the first 32 a key may see. Keys beyond keys_max are left out.",
        ("policy", "limit", "key"),
    ),
    "guard_trading_state": Family("gauge", "1 for the trading state that applies to everyone.", ("state",)),
    "guard_policy_info": Family("gauge", "1 for the policies in force, by hash.", ("sha256",)),
    "guard_policy_reloads_total": Family("counter", "Policy reloads by result.", ("result",)),
    "guard_policy_last_reload_success": Family("gauge", "1 if the last policy reload was applied or unchanged."),
    "guard_policy_last_success_timestamp_seconds": Family(
        "gauge", "When policies were last loaded well; 0: not since the start."
    ),
    "guard_journal_records_total": Family("counter", "Records appended to the journal."),
    "guard_journal_fsync_seconds": Family("histogram", "Time of one journal fsync."),
    "guard_journal_queue": Family("gauge", "Records that wait to be written."),
    "guard_journal_failed": Family("gauge", "1 once the journal cannot be written; needs a restart."),
    "guard_journal_free_bytes": Family("gauge", "Free space where the journal lies."),
    "guard_journal_last_checkpoint_timestamp_seconds": Family("gauge", "When the record was last signed; 0: not yet."),
    "guard_shadow_divergence_total": Family(
        "counter", "Requests that passed and that a shadow policy would have refused.", ("policy", "code")
    ),
    "guard_config_drift": Family("gauge", "1 while what lies on the disk is not what is in force.", ("kind",)),
    "guard_clock_steps_total": Family("counter", "Steps of the wall clock of more than a second."),
    "guard_daemon_up": Family("gauge", "1 if the daemon answered the last time it was asked."),
    "guard_daemon_trade_unlocked": Family("gauge", "1 if the daemon's trading is unlocked, where it tells the guard."),
    "guard_breaker_open": Family("gauge", "1 while a circuit to the daemon is open: only cancels and probes pass."),
    "guard_reference_age_seconds": Family(
        "gauge", "Since the daemon last answered a question for reference data, by kind.", ("kind",)
    ),
    "guard_connections_open": Family("gauge", "Open connections to the data listener."),
    "guard_connections_total": Family("counter", "Connections that came to the data listener."),
    "guard_connections_cut_total": Family(
        "counter",
        "Connections that the data listener turned away, or ended: half-way, for newer ones, for answers not taken.",
        ("reason",),
    ),
    "guard_ws_connections": Family("gauge", "Open WebSocket connections of callers."),
    "guard_ws_frames_total": Family(
        "counter", "WebSocket frames by direction and what was done.", ("direction", "result")
    ),
    "guard_ws_closed_total": Family("counter", "WebSocket connections closed, by reason.", ("reason",)),
    "guard_upstream_dials_total": Family("counter", "Connections opened to the daemon."),
    "guard_steps_in_flight": Family("gauge", "Trades between decision and outcome."),
    "guard_key_expiry_timestamp_seconds": Family("gauge", "When a key expires.", ("key",)),
    "guard_tls_not_after_timestamp_seconds": Family("gauge", "When the certificate of the listeners ends."),
    "guard_build_info": Family("gauge", "1, with the version of the guard.", ("version",)),
}

_BY_POLICY: Final = {  # counters with a policy's id, and where among the labels it stands
    name: family.labels.index("policy")
    for name, family in FAMILIES.items()
    if family.kind == "counter" and "policy" in family.labels
}

Labels = tuple[str, ...]
Outcomes = dict[str, defaultdict[str, int]]  # by one label; nested, since a tuple as a key costs twice as much
Reading = Callable[[], Iterable[tuple[Labels, float]]]


def _pairs(counts: Outcomes) -> list[tuple[Labels, float]]:
    """As pairs, from copies: they are rendered in a thread while the loop goes on counting."""
    return [((label, outcome), count) for label, of in dict(counts).items() for outcome, count in dict(of).items()]


class _Histogram:
    """Counts by bucket and a sum, for one set of labels."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts as the exposition wants them."""
        total, rows = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


class _Samples(list[Sample]):
    """The samples of one family, with a pause after each: the library turns each into a line of text."""

    def __iter__(self) -> Iterator[Sample]:
        return with_pauses(super().__iter__())


class Metrics(Collector):
    """All counters of one guard. `keys_max`: how many key ids may be labels, in the order they were made known.

    Attributes:
        daemon, fsync: how long the daemon took, answer by answer; how long the disk.
    """

    def __init__(self, *, keys_max: int) -> None:
        self._keys_max = keys_max
        self._counters: dict[str, defaultdict[Labels, float]] = {
            name: defaultdict(int, {} if family.labels else {(): 0})
            for name, family in FAMILIES.items()
            if family.kind == "counter"
        }
        self._histograms: dict[str, defaultdict[Labels, _Histogram]] = {
            name: defaultdict(_Histogram, {} if family.labels else {(): _Histogram()})
            for name, family in FAMILIES.items()
            if family.kind == "histogram"
        }
        self._requests: Outcomes = defaultdict(lambda: defaultdict(int))  # of each endpoint, and of each key
        self._others: defaultdict[str, int] = defaultdict(int)
        self._by_key: Outcomes = {"": defaultdict(int), "other": self._others}
        self._took: dict[str, _Histogram] = {}
        self._overhead = self._histograms["guard_overhead_seconds"][()]
        self.daemon = self._histograms["guard_upstream_duration_seconds"][()]
        self.fsync = self._histograms["guard_journal_fsync_seconds"][()]
        self._readings: dict[str, Reading] = {
            "guard_requests_total": lambda: _pairs(self._requests),
            "guard_requests_by_key_total": lambda: _pairs(self._by_key),
        }
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def know_keys(self, names: Iterable[str]) -> None:
        """Key ids that may stand in labels."""
        for name in names:
            if len(self._by_key) < self._keys_max + 2:
                self._by_key.setdefault(name, defaultdict(int))

    def keep_policies(self, ids: Iterable[str]) -> None:
        """Policies that may stand in labels; what was counted of others is let go, or each reload could add some."""
        kept = {"", "key", "flags", *ids}
        for name, place in _BY_POLICY.items():
            counts = self._counters[name]
            for labels in [each for each in counts if each[place] not in kept]:
                del counts[labels]

    def key(self, name: str) -> str:
        """The id as a label, or `other`."""
        return name if name in self._by_key else "other"

    @staticmethod
    def endpoint(path: str) -> str:
        """The catalogue's path as a label, or `other`."""
        return path if path in BY_PATH else "other"

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """One more."""
        self._counters[name][labels] += by

    def answered(self, path: str, key: str | None, outcome: str, *, took_s: float, overhead_s: float) -> None:
        """One request, what became of it and how long it took; `key` None: nobody's."""
        endpoint = path if path in BY_PATH else "other"
        self._requests[endpoint][outcome] += 1
        if key is not None:
            self._by_key.get(key, self._others)[outcome] += 1
        took = self._took.get(endpoint)
        if took is None:
            took = self._took[endpoint] = self._histograms["guard_request_duration_seconds"][endpoint,]
        took.add(took_s)
        self._overhead.add(overhead_s)

    def gauge(self, name: str, read: Reading) -> None:
        """A figure that is read at exposition; `read` gives (label values, value) pairs."""
        if name not in FAMILIES:
            raise AssertionError(f"{name} is not in the table")
        self._readings[name] = read

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry need not scrape at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every family of the table that has something to say."""
        for metric in self._families():
            metric.samples = _Samples(metric.samples)
            yield metric

    def _families(self) -> Iterator[Metric]:
        for name, family in FAMILIES.items():
            if name in self._readings:
                yield self._read(name, family)
            elif family.kind == "counter":
                counter = CounterMetricFamily(name, family.text, labels=family.labels)
                for labels, value in dict(self._counters[name]).items():
                    counter.add_metric(labels, value)
                yield counter
            elif family.kind == "histogram":
                timing = HistogramMetricFamily(name, family.text, labels=family.labels)
                for labels, histogram in with_pauses(dict(self._histograms[name]).items()):
                    timing.add_metric(labels, histogram.buckets(), histogram.sum_s)
                yield timing

    def _read(self, name: str, family: Family) -> Metric:
        kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = kind(name, family.text, labels=family.labels)
        for labels, value in with_pauses(self._readings[name]()):
            metric.add_metric(labels, value)
        return metric

    def render(self) -> bytes:
        """The exposition in text format 0.0.4. Takes milliseconds: call it beside the loop."""
        with uncollected():
            return generate_latest(self._registry)
