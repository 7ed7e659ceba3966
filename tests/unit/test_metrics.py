"""Counters: closed labels, correct exposition."""

from prometheus_client.parser import text_string_to_metric_families

from guard.metrics import BUCKETS_S, FAMILIES, Metrics


def _samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_counts_and_durations_come_out_as_they_went_in() -> None:
    """A counter, a histogram and a gauge are exposed with their labels."""
    metrics = Metrics(keys_max=10)
    metrics.count("guard_order_outcomes_total", "accepted")
    metrics.count("guard_order_outcomes_total", "accepted", by=2)
    metrics.fsync.add(0.0003)
    metrics.fsync.add(99.0)
    metrics.gauge("guard_unknown_orders", lambda: [((), 4.0)])

    seen = _samples(metrics)

    assert seen["guard_order_outcomes_total", (("outcome", "accepted"),)] == 3
    assert seen["guard_journal_fsync_seconds_bucket", (("le", "0.00025"),)] == 0
    assert seen["guard_journal_fsync_seconds_bucket", (("le", "0.0005"),)] == 1
    assert seen["guard_journal_fsync_seconds_bucket", (("le", "+Inf"),)] == 2
    assert seen["guard_journal_fsync_seconds_sum", ()] == 99.0003
    assert seen["guard_unknown_orders", ()] == 4


def test_unknown_keys_and_paths_become_other() -> None:
    """Labels come from closed sets: 10,000 foreign names add no series (B32, gateways' cardinality bugs)."""
    metrics = Metrics(keys_max=2)
    metrics.know_keys(["a", "b", "c"])
    for number in range(10_000):
        metrics.answered(f"/api/{number}", f"k{number}", "refused", took_s=0.1, overhead_s=0.1)

    seen = _samples(metrics)

    assert [metrics.key(name) for name in ("a", "b", "c", "")] == ["a", "b", "other", ""]
    assert seen["guard_requests_by_key_total", (("key", "other"), ("outcome", "refused"))] == 10_000
    assert len([name for name, _ in seen if name == "guard_requests_total"]) == 1


def test_a_policy_that_is_gone_is_no_label() -> None:
    """A thousand reloads, each with a policy of another name, leave the names that are in force."""
    metrics = Metrics(keys_max=2)
    metrics.count("guard_refusals_total", "scope", "")
    metrics.count("guard_refusals_total", "rate", "key")
    for number in range(1000):
        metrics.count("guard_refusals_total", "side", f"p{number}")
        metrics.count("guard_shadow_divergence_total", f"s{number}", "side")
        metrics.keep_policies([f"p{number}", f"s{number}"])

    told = {
        (name, dict(labels)["policy"]) for name, labels in _samples(metrics) if dict(labels).get("policy") is not None
    }
    refusals, shadows = "guard_refusals_total", "guard_shadow_divergence_total"
    assert told == {(refusals, ""), (refusals, "key"), (refusals, "p999"), (shadows, "s999")}


def test_an_answered_request_is_counted_by_endpoint_and_by_key_and_its_times_are_kept() -> None:
    """All that the daemon did not take is overhead; a stranger counts for no key."""
    metrics = Metrics(keys_max=2)
    metrics.know_keys(["a"])
    metrics.answered("/api/order", "a", "allowed", took_s=0.25, overhead_s=0.125)
    metrics.answered("/api/order", None, "refused", took_s=0.5, overhead_s=0.5)

    seen = _samples(metrics)

    assert [
        seen["guard_requests_total", (("endpoint", "/api/order"), ("outcome", o))] for o in ("allowed", "refused")
    ] == [1, 1]
    by_key = {labels: value for (name, labels), value in seen.items() if name == "guard_requests_by_key_total"}
    assert by_key == {(("key", "a"), ("outcome", "allowed")): 1}
    assert seen["guard_request_duration_seconds_sum", (("endpoint", "/api/order"),)] == 0.75
    assert seen["guard_request_duration_seconds_bucket", (("endpoint", "/api/order"), ("le", "0.25"))] == 1
    assert (seen["guard_overhead_seconds_count", ()], seen["guard_overhead_seconds_sum", ()]) == (2, 0.625)


def test_buckets_span_what_the_contract_says() -> None:
    """Histogram buckets run from 0.0001 s to 10 s, and every metric has a text."""
    assert (BUCKETS_S[0], BUCKETS_S[-1]) == (0.0001, 10.0)
    assert all(family.text for family in FAMILIES.values())
