"""What stops a key by itself."""

import pytest

from guard.codes import Code
from guard.limits import State, post, used
from guard.policy import COUNTED, breaker_limits, outcome_claim
from guard.terms import Account, Env, Reason, Verdict
from tests.support.policy import FRIDAY, PAPER, REAL, caller, policies

RULES = '[breaker]\nunknowns = "3/300s"\ndaemon_refusals = ["20/60s", "100/3600s"]'


def test_each_kind_of_outcome_has_its_own_limits() -> None:
    """Unknowns and refusals by the daemon; what is accepted or never sent stops nobody."""
    rules = policies(RULES)

    def names(verdict: Verdict, account: Account = REAL) -> list[tuple[str, str]]:
        found = breaker_limits(rules.on(caller(), account, wall=FRIDAY), verdict)
        return [(limit.name, limit.claim("bot-a").counter) for limit in found]

    assert names(Verdict.UNKNOWN) == [("breaker.unknowns", "breaker_unknowns/key=bot-a")]
    assert names(Verdict.REFUSED) == [("breaker.daemon_refusals", "breaker_daemon_refusals/key=bot-a")] * 2
    assert names(Verdict.ACCEPTED) == names(Verdict.NOT_SENT) == []


@pytest.mark.parametrize(("count", "stops"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_nth_outcome_stops_the_key(count: int, *, stops: bool) -> None:
    """3/300s: the third unknown within five minutes."""
    (limit,) = breaker_limits(policies(RULES).on(caller(), REAL, wall=FRIDAY), Verdict.UNKNOWN)
    reason = limit.tripped(count)

    assert (reason is not None) is stops
    if isinstance(reason, Reason):
        assert (reason.code, reason.policy, reason.rule) == (Code.HALTED, "p0", "breaker.unknowns")
        assert (reason.observed, reason.limit, reason.unit) == (str(count), "3", "unknown outcomes/300s")
        assert reason.message == (f"{count} unknown outcomes in 300s: the key is stopped until a person sets it active")


@pytest.mark.parametrize("text", ["0/60s", "1/60s"])
def test_a_count_of_zero_or_one_stops_at_the_first(text: str) -> None:
    """Nothing is allowed to happen even once."""
    rules = policies(f'[breaker]\nunknowns = "{text}"')
    (limit,) = breaker_limits(rules.on(caller(), REAL, wall=FRIDAY), Verdict.UNKNOWN)

    assert limit.tripped(1) is not None
    assert limit.tripped(0) is None


def test_outcomes_are_counted_in_an_exact_window() -> None:
    """The claims are stamps without a cap: posted when the outcome is known, counted with `used`."""
    (limit,) = breaker_limits(policies(RULES).on(caller(), REAL, wall=FRIDAY), Verdict.UNKNOWN)
    claim, state, count = limit.claim("bot-a"), State(), 0
    assert (claim.kind, claim.amount, claim.cap, claim.window_ms) == ("rate", 1, None, 300_000)
    for at_s in (0, 299, 300):
        post(state, (claim,), t_us=at_s * 1_000_000)
        count = used(state, claim.counter, t_us=at_s * 1_000_000, window_ms=claim.window_ms)
    assert count == 2
    assert limit.tripped(count) is None


def test_selectors_choose_whom_a_breaker_stops() -> None:
    """Another key, environment or account has none."""
    rules = policies('[applies_to]\nkeys = ["bot-*"]\nenvironments = ["real"]\naccounts = [1]\n' + RULES)

    def found(name: str, account: Account) -> int:
        return len(breaker_limits(rules.on(caller(name), account, wall=FRIDAY), Verdict.UNKNOWN))

    assert found("bot-a", REAL) == 1
    assert found("agent", REAL) == found("bot-a", PAPER) == found("bot-a", Account(Env.REAL, 2)) == 0


@pytest.mark.parametrize(
    ("verdict", "counter"),
    [
        (Verdict.UNKNOWN, "breaker_unknowns/key=bot-a"),
        (Verdict.REFUSED, "breaker_daemon_refusals/key=bot-a"),
        (Verdict.ACCEPTED, None),
        (Verdict.NOT_SENT, None),
    ],
)
def test_an_outcome_is_counted_where_no_limit_asks_for_it(verdict: Verdict, counter: str | None) -> None:
    """On the counter that a limit would use, for a minute; what stops nobody is not counted."""
    claim = outcome_claim(verdict, "bot-a") if verdict in COUNTED else None
    assert (None if claim is None else claim.counter) == counter
    assert claim is None or (claim.cap, claim.window_ms) == (None, 60_000)
