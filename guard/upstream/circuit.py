"""The circuit to the daemon: after too many faults it opens, and only probes pass until one is answered. Pure.

A fault is a transport error or a 5xx: evidence about the daemon, not about one request. Closed, everything passes.
Open, nothing but cancels does; each of them is a probe too. Half-open, one request at a time may try. An answer closes
it, a fault opens it again for twice as long. `now_us` is monotonic.
"""

from collections import deque
from typing import Final

from msgspec import Struct, field

from guard.terms import Answer, Failure

SAMPLE_MIN: Final = 10  # fewer results say nothing
SAMPLE_MAX: Final = 100
FAULTS_PERCENT: Final = 80  # of the results within the window
WINDOW_US: Final = 10_000_000
OPEN_MIN_US: Final = 5_000_000
OPEN_MAX_US: Final = 60_000_000

_FAULTS: Final = frozenset({"refused", "timeout", "reset", "bad_answer"})
_SERVER_ERROR: Final = 500


class Pass(Struct, frozen=True):
    """Leave to send one request, given when; `is_turn`: it is the one that a half-open circuit lets through."""

    at_us: int
    is_turn: bool = False


def fault_of(result: Answer | Failure) -> str | None:
    """What the result says against the daemon; "" where it says nothing for or against it; None: the daemon is well."""
    if isinstance(result, Answer):
        return f"it answered {result.status}" if result.status >= _SERVER_ERROR else None
    return result.message if result.kind in _FAULTS else ""


class Circuit(Struct):
    """What the latest results were, and since when the circuit is open, if it is.

    `why`: the fault that opened it, or the latest probe's. `trips_total` counts how often it opened.
    """

    results: deque[tuple[int, bool]] = field(default_factory=lambda: deque(maxlen=SAMPLE_MAX))
    opened_us: int | None = None
    open_us: int = OPEN_MIN_US
    is_probing: bool = False
    why: str = ""
    trips_total: int = 0

    @property
    def is_open(self) -> bool:
        """Open or half-open: the daemon has not been heard since it opened."""
        return self.opened_us is not None

    def wait_us(self, now_us: int) -> int | None:
        """How long a request that is no cancel has to wait, at least 1; None: it may pass now."""
        if self.opened_us is None:
            return None
        left_us = self.opened_us + self.open_us - now_us
        if left_us > 0:
            return left_us
        return OPEN_MIN_US if self.is_probing else None

    def enter(self, now_us: int, *, is_cancel: bool) -> Pass | None:
        """Leave to send a request, or None. Every pass is handed back to `leave`."""
        if self.opened_us is None:
            return Pass(now_us)
        if is_cancel:
            return Pass(now_us)
        if self.wait_us(now_us) is not None:
            return None
        self.is_probing = True
        return Pass(now_us, is_turn=True)

    def leave(self, way: Pass, result: Answer | Failure | None, *, now_us: int) -> None:
        """What came of a request; None where nobody waited for its answer."""
        if way.is_turn:
            self.is_probing = False
        fault = "" if result is None else fault_of(result)
        if fault == "":
            return
        if self.opened_us is None:
            self._count(now_us, fault)
        elif way.at_us >= self.opened_us:  # what was sent before is answered by the daemon of before
            self._probed(now_us, fault)

    def _count(self, now_us: int, fault: str | None) -> None:
        self.results.append((now_us, fault is not None))
        if fault is None:
            return
        while self.results[0][0] <= now_us - WINDOW_US:
            self.results.popleft()
        faults = sum(is_fault for _, is_fault in self.results)
        if len(self.results) >= SAMPLE_MIN and 100 * faults >= FAULTS_PERCENT * len(self.results):
            self.opened_us, self.open_us, self.why = now_us, OPEN_MIN_US, fault
            self.trips_total += 1
            self.results.clear()

    def _probed(self, now_us: int, fault: str | None) -> None:
        if fault is None:
            self.opened_us, self.why = None, ""
            return
        self.why = fault
        if self.opened_us is not None and now_us >= self.opened_us + self.open_us:
            self.opened_us, self.open_us = now_us, min(2 * self.open_us, OPEN_MAX_US)


class Circuits(Struct):
    """One for trades and one for everything else, so that reads which fail or hang stop nobody from trading.

    That the daemon cannot be connected to is true for both.
    """

    trades: Circuit = field(default_factory=Circuit)
    reads: Circuit = field(default_factory=Circuit)

    def of(self, *, is_trade: bool) -> Circuit:
        """The circuit of such a request."""
        return self.trades if is_trade else self.reads

    def opened(self) -> tuple[tuple[str, Circuit], ...]:
        """Those that are open, each with what it is of, in words."""
        named = (("new orders and changes", self.trades), ("reads", self.reads))
        return tuple((name, circuit) for name, circuit in named if circuit.is_open)

    def leave(self, way: Pass, result: Answer | Failure | None, *, is_trade: bool, now_us: int) -> None:
        """What came of a request; see `Circuit.leave`."""
        self.of(is_trade=is_trade).leave(way, result, now_us=now_us)
        if isinstance(result, Failure) and not result.is_sent:
            self.of(is_trade=not is_trade).leave(Pass(way.at_us), result, now_us=now_us)
