"""What the dashboard shows, as tables: figures for one glance, charts below them, marks across all charts.

In expressions `@` stands for the matchers of the chosen guards, `@key` for those and the chosen keys, with what several
keys share: its `key` is empty. The grid is 24 columns wide and all of it 24 rows high, which is one screen.
"""

from typing import Final, NamedTuple

TARGET: Final = 'job="guard",instance=~"$instance"'
RATE: Final = "[$__rate_interval]"


class Query(NamedTuple):
    """A PromQL expression, and how each of its series is called."""

    text: str
    legend: str

    @property
    def expr(self) -> str:
        """The expression with its matchers."""
        return self.text.replace("@key", f'{TARGET},key=~"$key|"').replace("@", TARGET)


class Figure(NamedTuple):
    """One number with a colour. `words` say what values mean; else from each bound of `steps` on a colour holds."""

    title: str
    query: Query
    says: str
    words: tuple[tuple[int, str, str], ...] = ()
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    unit: str = "short"


class Chart(NamedTuple):
    """Lines over time. `aside`: series (a regular expression on their names) that are counted on the right axis."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = "reqps"
    is_stacked: bool = False
    limit: float | None = None
    aside: str = ""


class Mark(NamedTuple):
    """Moments that are drawn across all charts."""

    name: str
    query: Query
    colour: str


def _quantiles(family: str, who: str) -> tuple[Query, ...]:
    return tuple(
        Query(f"histogram_quantile({share}, sum by (le) (rate({family}_bucket{{@}}{RATE})))", f"{who} {word}")
        for share, word in ((0.5, "p50"), (0.99, "p99"))
    )


_STATE: Final = " + ".join(
    f'{weight} * max without (state) (guard_trading_state{{@,state="{state}"}})'
    for weight, state in ((1, "reduce_only"), (2, "cancel_only"), (3, "locked"))
)
_BUDGETS: Final = 'limit=~"budgets[.].+|orders[.]per_day .+|max_daily_value .+"'
_RATES: Final = 'limit=~"rates[.].+|max_orders_per_minute .+"'

FIGURES: Final = (
    Figure(
        "Guard",
        Query("min(up{@})", "up"),
        "Whether Prometheus reaches every guard that is chosen.",
        words=((0, "down", "red"), (1, "up", "green")),
    ),
    Figure(
        "Trading",
        Query(f"max({_STATE})", "state"),
        "The state that binds everyone; the strictest of the guards chosen.",
        words=(
            (0, "active", "green"),
            (1, "reduce only", "orange"),
            (2, "cancel only", "orange"),
            (3, "locked", "red"),
        ),
    ),
    Figure(
        "Unknown orders",
        Query("sum(guard_unknown_orders{@})", "unknown"),
        "Trades that were sent and of which nobody knows what came.",
        steps=((None, "green"), (1, "red")),
    ),
    Figure(
        "Daemon",
        Query("min(guard_daemon_up{@})", "daemon"),
        "Whether it answered the last time it was asked.",
        words=((0, "silent", "red"), (1, "answers", "green")),
    ),
    Figure(
        "Record",
        Query("max(guard_journal_failed{@})", "journal"),
        "Whether the journal can be written; failed means that new orders are refused until a restart.",
        words=((0, "written", "green"), (1, "failed", "red")),
    ),
    Figure(
        "Disk left",
        Query("min(guard_journal_free_bytes{@})", "free"),
        "Free space where the journal lies.",
        steps=((None, "red"), (2.0**28, "orange"), (2.0**30, "green")),
        unit="bytes",
    ),
    Figure(
        "Policy reload",
        Query("min(guard_policy_last_reload_success{@})", "reload"),
        "Whether what the files say is what is in force.",
        words=((0, "refused", "red"), (1, "in force", "green")),
    ),
    Figure(
        "Next key expires in",
        Query("min(guard_key_expiry_timestamp_seconds{@key}) - time()", "expiry"),
        "The shortest life that is left of the keys chosen.",
        steps=((None, "red"), (7 * 86_400.0, "green")),
        unit="dtdurations",
    ),
)

CHARTS: Final = (
    Chart(
        "Decisions",
        "Requests by what the guard decided. failed: let through, and the daemon did not do it.",
        (Query(f"sum by (outcome) (rate(guard_requests_total{{@}}{RATE}))", "{{outcome}}"),),
        is_stacked=True,
    ),
    Chart(
        "Refusals by code",
        "The primary code of each refusal.",
        (Query(f"sum by (code) (rate(guard_refusals_total{{@}}{RATE}))", "{{code}}"),),
        is_stacked=True,
    ),
    Chart(
        "Refusals by policy",
        "The policy whose rule refused; key is the key's own limits, none is the guard itself.",
        (
            Query(f'sum by (policy) (rate(guard_refusals_total{{@,policy!=""}}{RATE}))', "{{policy}}"),
            Query(f'sum(rate(guard_refusals_total{{@,policy=""}}{RATE}))', "none"),
        ),
        is_stacked=True,
    ),
    Chart(
        "Refusals by key",
        "Whose requests are refused, and why. Click a series to see this key alone.",
        (Query(f"topk(10, sum by (key, code) (rate(guard_refusals_by_key_total{{@key}}{RATE})))", "{{key}} {{code}}"),),
        is_stacked=True,
    ),
    Chart(
        "Requests by key",
        "Who asks how much. Click a series to see this key alone.",
        (
            Query(
                f"topk(10, sum by (key, outcome) (rate(guard_requests_by_key_total{{@key}}{RATE})))",
                "{{key}} {{outcome}}",
            ),
        ),
    ),
    Chart(
        "Budgets",
        "What is used of each sum of a day and of what may be open; at 100 % orders that add risk are refused.",
        (Query(f"topk(10, guard_limit_used_ratio{{@key,{_BUDGETS}}})", "{{key}} {{limit}} ({{policy}})"),),
        unit="percentunit",
        limit=1,
    ),
    Chart(
        "Rates",
        "What is used of each rate; at 100 % the next one is told when to return.",
        (Query(f"topk(10, guard_limit_used_ratio{{@key,{_RATES}}})", "{{key}} {{limit}} ({{policy}})"),),
        unit="percentunit",
        limit=1,
    ),
    Chart(
        "Age of reference data",
        "Since the daemon last answered a question of each kind. It grows also while nobody asks.",
        (Query("max by (kind) (guard_reference_age_seconds{@})", "{{kind}}"),),
        unit="s",
    ),
    Chart(
        "Latency",
        "Of one request: the guard's own part, and the daemon's.",
        (*_quantiles("guard_overhead_seconds", "guard"), *_quantiles("guard_upstream_duration_seconds", "daemon")),
        unit="s",
    ),
    Chart(
        "Journal",
        "How long a sync takes, how old the last checkpoint is; on the right records a second, and those that wait.",
        (
            Query(
                f"histogram_quantile(0.99, sum by (le) (rate(guard_journal_fsync_seconds_bucket{{@}}{RATE})))",
                "fsync p99",
            ),
            Query("max(time() - (guard_journal_last_checkpoint_timestamp_seconds{@} > 0))", "checkpoint age"),
            Query(f"sum(rate(guard_journal_records_total{{@}}{RATE}))", "records a second"),
            Query("sum(guard_journal_queue{@})", "records that wait"),
        ),
        unit="s",
        aside="records.*",
    ),
    Chart(
        "Orders",
        "What came of trade requests, in a minute; on the right those in flight and those with an unknown end.",
        (
            Query(f"60 * sum by (outcome) (rate(guard_order_outcomes_total{{@}}{RATE}))", "{{outcome}}"),
            Query("sum(guard_steps_in_flight{@})", "now in flight"),
            Query("sum(guard_unknown_orders{@})", "now unknown"),
        ),
        unit="short",
        aside="now.*",
    ),
    Chart(
        "Sockets",
        "Open connections, WebSockets among them; on the right frames a second to callers, and what ended or was cut.",
        (
            Query("sum(guard_connections_open{@})", "all connections"),
            Query("sum(guard_ws_connections{@})", "open"),
            Query(
                f'sum by (result) (rate(guard_ws_frames_total{{@,direction="to_caller"}}{RATE}))', "frames {{result}}"
            ),
            Query(f"sum by (reason) (increase(guard_ws_closed_total{{@}}{RATE})) > 0", "ended {{reason}}"),
            Query(f"sum by (reason) (increase(guard_connections_cut_total{{@}}{RATE})) > 0", "cut {{reason}}"),
        ),
        unit="short",
        aside="(frames|ended|cut).*",
    ),
)

MARKS: Final = (
    Mark(
        "Policy versions",
        Query(
            "(guard_policy_info{@} unless guard_policy_info{@} offset 2m) "
            "and on (job, instance) guard_build_info{@} offset 2m",
            "policy {{sha256}}",
        ),
        "blue",
    ),
    Mark("Alerts", Query('ALERTS{@,alertstate="firing",severity=~"critical|warning"}', "{{alertname}} {{key}}"), "red"),
)
