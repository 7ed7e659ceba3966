"""The circuit to the daemon: what opens it, who passes meanwhile, and what closes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.terms import Answer, Failure
from guard.upstream.circuit import (
    OPEN_MAX_US,
    OPEN_MIN_US,
    SAMPLE_MAX,
    SAMPLE_MIN,
    WINDOW_US,
    Circuit,
    Circuits,
    fault_of,
)

WELL = Answer(200, "application/json", b"{}")
BROKEN = Answer(502, "application/json", b"{}")
LOST = Failure("reset", "it was reset", is_sent=True)


def tell(
    circuit: Circuit, result: Answer | Failure | None, *, at_us: int, is_cancel: bool = False, owner: str = ""
) -> bool:
    """One request that is answered at once; False where it may not be sent."""
    way = circuit.enter(at_us, is_cancel=is_cancel, owner=owner)
    if way is not None:
        was_open = circuit.is_open
        assert circuit.leave(way, result, now_us=at_us) is (circuit.is_open != was_open)
    return way is not None


def opened(at_us: int = 0) -> Circuit:
    """A circuit that has just opened."""
    circuit = Circuit()
    for _ in range(SAMPLE_MIN):
        tell(circuit, LOST, at_us=at_us)
    assert circuit.is_open
    return circuit


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (WELL, None),
        (Answer(404, "", b""), None),
        (Answer(429, "", b""), None),
        (Answer(500, "", b""), "it answered 500"),
        (Answer(503, "", b""), "it answered 503"),
        (LOST, "it was reset"),
        (Failure("refused", "no", is_sent=False), "no"),
        (Failure("timeout", "late", is_sent=True), "late"),
        (Failure("bad_answer", "odd", is_sent=True), "odd"),
        (Failure("too_large", "big", is_sent=True), ""),
        (Failure("held", "busy", is_sent=False), ""),
        (Failure("open", "open", is_sent=False), ""),
    ],
)
def test_what_counts_against_the_daemon(result: Answer | Failure, expected: str | None) -> None:
    """Transport errors and 5xx do, 4xx are answers, and what the guard did itself says nothing."""
    assert fault_of(result) == expected


def test_it_opens_at_ten_results_that_are_faults() -> None:
    """Nine faults are too few to tell; the tenth result opens it, and the eleventh request is not sent."""
    circuit = Circuit()
    for _ in range(SAMPLE_MIN - 1):
        assert tell(circuit, LOST, at_us=1)
    assert not circuit.is_open
    tell(circuit, BROKEN, at_us=1)
    assert (circuit.is_open, circuit.why) == (True, "it answered 502")
    assert not tell(circuit, WELL, at_us=2)


def test_a_daemon_that_answers_one_request_in_four_is_not_left_alone() -> None:
    """Three faults in four are not four in five; four in five are."""
    circuit = Circuit()
    for _ in range(20 * SAMPLE_MAX):
        assert tell(circuit, WELL, at_us=1)
        for _ in range(3):
            assert tell(circuit, LOST, at_us=1)
    assert not circuit.is_open
    assert len(circuit.results) <= SAMPLE_MAX
    while not circuit.is_open:
        tell(circuit, WELL, at_us=2)
        for _ in range(4):
            tell(circuit, LOST, at_us=2)


def test_what_is_old_does_not_count() -> None:
    """A fault every two seconds never makes ten within the window."""
    circuit = Circuit()
    for second in range(0, 1000, 2):
        assert tell(circuit, LOST, at_us=second * 1_000_000)
    assert not circuit.is_open


def test_the_guards_own_reasons_never_open_it() -> None:
    """Requests that were held back or cancelled are no evidence."""
    circuit = Circuit()
    for _ in range(100):
        tell(circuit, Failure("held", "busy", is_sent=False), at_us=1)
        tell(circuit, None, at_us=1)
    assert not circuit.is_open


def test_one_probe_at_a_time_and_an_answer_closes_it() -> None:
    """After five seconds one request passes, a second does not while it is under way, and its answer lets all pass."""
    circuit = opened()
    assert circuit.wait_us(1_000_000) == OPEN_MIN_US - 1_000_000
    assert not tell(circuit, WELL, at_us=OPEN_MIN_US - 1)
    probe = circuit.enter(OPEN_MIN_US, is_cancel=False)
    assert probe is not None
    assert circuit.enter(OPEN_MIN_US, is_cancel=False) is None
    circuit.leave(probe, WELL, now_us=OPEN_MIN_US + 5)
    assert not circuit.is_open
    assert tell(circuit, WELL, at_us=OPEN_MIN_US + 6)


def test_a_probe_whose_caller_left_is_not_waited_for() -> None:
    """Nothing is known of it, so the next request may try."""
    circuit = opened()
    assert tell(circuit, None, at_us=OPEN_MIN_US)
    assert circuit.is_open
    assert tell(circuit, WELL, at_us=OPEN_MIN_US)
    assert not circuit.is_open


def test_each_failed_probe_doubles_the_wait_up_to_a_minute() -> None:
    """5, 10, 20, 40, 60, 60 seconds; and after an answer it begins with 5 again."""
    circuit, now_us, waits = opened(), 0, []
    for _ in range(6):
        wait_us = circuit.wait_us(now_us)
        assert wait_us is not None
        waits.append(wait_us // 1_000_000)
        now_us += wait_us
        assert tell(circuit, LOST, at_us=now_us)
    assert waits == [5, 10, 20, 40, 60, 60]
    assert circuit.open_us == OPEN_MAX_US
    now_us += OPEN_MAX_US
    assert tell(circuit, WELL, at_us=now_us)
    for _ in range(SAMPLE_MIN):
        tell(circuit, LOST, at_us=now_us)
    assert circuit.wait_us(now_us) == OPEN_MIN_US


def test_a_cancel_always_passes_and_its_answer_closes_the_circuit() -> None:
    """It is a probe whenever it comes; one that fails before the time changes nothing."""
    circuit = opened()
    assert tell(circuit, LOST, at_us=1, is_cancel=True)
    assert circuit.wait_us(1) == OPEN_MIN_US - 1
    assert tell(circuit, WELL, at_us=2, is_cancel=True)
    assert not circuit.is_open


def test_a_probe_that_fails_otherwise_says_why_it_stays_open() -> None:
    """Whoever is not sent is told the latest fault, not the one of an hour ago."""
    circuit = opened()
    assert tell(circuit, BROKEN, at_us=OPEN_MIN_US)
    assert (circuit.is_open, circuit.why) == (True, "it answered 502")


def test_an_answer_to_what_was_sent_before_does_not_close_it() -> None:
    """A slow answer from before is the daemon of before."""
    circuit = Circuit()
    slow = circuit.enter(0, is_cancel=False)
    assert slow is not None
    for _ in range(SAMPLE_MIN):
        tell(circuit, LOST, at_us=5)
    circuit.leave(slow, WELL, now_us=6)
    assert circuit.is_open


STEP = st.tuples(
    st.integers(0, 4_000_000), st.booleans(), st.sampled_from([WELL, BROKEN, LOST, Failure("held", "", is_sent=False)])
)


@given(st.lists(STEP, max_size=120))
def test_it_does_as_a_model_that_keeps_everything(steps: list[tuple[int, bool, Answer | Failure]]) -> None:
    """Sequential requests pass exactly when a model over the whole history says so."""
    circuit, now_us = Circuit(), 1
    history: list[tuple[int, bool]] = []
    opened_us, open_us = -1, OPEN_MIN_US
    for gap_us, is_cancel, result in steps:
        now_us += gap_us
        may = opened_us < 0 or is_cancel or now_us >= opened_us + open_us
        assert tell(circuit, result, at_us=now_us, is_cancel=is_cancel) == may
        fault = fault_of(result)
        if not may or fault == "":
            continue
        if opened_us >= 0:
            if fault is None:
                opened_us = -1
            elif now_us >= opened_us + open_us:
                opened_us, open_us = now_us, min(2 * open_us, OPEN_MAX_US)
            continue
        history.append((now_us, fault is not None))
        recent = [bad for at_us, bad in history if at_us > now_us - WINDOW_US][-SAMPLE_MAX:]
        if fault is not None and len(recent) >= SAMPLE_MIN and 5 * sum(recent) >= 4 * len(recent):
            opened_us, open_us = now_us, OPEN_MIN_US
            history.clear()
    assert circuit.is_open == (opened_us >= 0)


def test_trades_and_reads_are_counted_apart_and_a_failed_connect_for_both() -> None:
    """A read that times out says nothing of trades; a connection that was refused does, whoever tried."""
    circuits = Circuits()
    for number, (failure, expected) in enumerate([(LOST, 1), (Failure("refused", "no", is_sent=False), 2)]):
        for _ in range(SAMPLE_MIN):
            way = circuits.reads.enter(number, is_cancel=True)
            assert way is not None
            circuits.leave(way, failure, is_trade=False, now_us=number)
        assert len(circuits.opened()) == expected
    assert (circuits.of(is_trade=True), circuits.of(is_trade=False)) == (circuits.trades, circuits.reads)


@pytest.mark.parametrize("is_cancel", [False, True])
def test_whose_requests_meet_the_faults_is_kept_back_and_nobody_else(is_cancel: bool) -> None:
    """One key's failing requests, or its cancels, open the circuit to that key; another's order passes and is heard."""
    circuit = Circuit()
    for _ in range(SAMPLE_MIN):
        assert tell(circuit, BROKEN, at_us=0, is_cancel=is_cancel, owner="odd")
    assert (circuit.is_open, circuit.keys) == (True, ("odd",))
    assert not tell(circuit, WELL, at_us=1, owner="odd")
    assert circuit.wait_us(1, owner="odd") == circuit.wait_us(1) == OPEN_MIN_US - 1
    assert circuit.wait_us(1, owner="bot") is None

    assert tell(circuit, WELL, at_us=2, owner="bot")
    assert (circuit.is_open, circuit.keys, circuit.blamed) == (False, (), set())


def test_an_outage_costs_one_request_a_key() -> None:
    """Each key that was not heard of yet tries once, and is kept back when that fails too."""
    circuit = Circuit()
    for _ in range(SAMPLE_MIN):
        tell(circuit, LOST, at_us=0, owner="first")
    for name in ("second", "third"):
        assert [tell(circuit, LOST, at_us=1, owner=name) for _ in range(3)] == [True, False, False]
    assert circuit.keys == ("first", "second", "third")
    assert circuit.wait_us(1, owner="second") == OPEN_MIN_US - 1


def test_that_nobody_listens_is_nobodys_doing() -> None:
    """A connection that was refused keeps everybody back, whoever tried."""
    circuit, refused = Circuit(), Failure("refused", "no", is_sent=False)
    for _ in range(SAMPLE_MIN):
        tell(circuit, refused, at_us=0, owner="first")
    assert (tell(circuit, WELL, at_us=1, owner="second"), circuit.keys) == (False, ())
