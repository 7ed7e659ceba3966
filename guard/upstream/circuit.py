"""The circuit to the daemon: after too many faults it opens, and only probes pass until one is answered. Pure.

A fault is a transport error or a 5xx. Closed, everything passes. Open, nothing but cancels does; each of them is a
probe too. Half-open, one request at a time may try. An answer closes it, a fault opens it again for twice as long.

A fault is evidence about the daemon, or about what one key asks of it: a daemon that breaks on one key's odd ids still
answers the others. So an open circuit holds back only the keys whose requests met a fault. Any other key may try, as a
probe: in a real outage that costs one request per key, and one answer is enough to close the circuit for all. A daemon
that cannot be connected to is no key's fault, and holds everybody back. `now_us` is monotonic.
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

EVERYBODY: Final = "*"  # no key's name

_FAULTS: Final = frozenset({"refused", "timeout", "reset", "bad_answer"})
_SERVER_ERROR: Final = 500


class Pass(Struct, frozen=True):
    """Leave to send one request of a key, and when it was given; `is_turn`: the one that a half-open circuit allows."""

    at_us: int
    owner: str = ""
    is_turn: bool = False


def fault_of(result: Answer | Failure) -> str | None:
    """What the result says against the daemon; "" if it says nothing either way; None: the daemon is well."""
    if isinstance(result, Answer):
        return f"it answered {result.status}" if result.status >= _SERVER_ERROR else None
    return result.message if result.kind in _FAULTS else ""


def is_unprovoked(result: Answer | Failure | None) -> bool:
    """Nothing of the request was sent, so the request cannot have caused the fault."""
    return isinstance(result, Failure) and not result.is_sent


class Circuit(Struct):
    """What the latest results were, and since when the circuit is open, if it is.

    `why`: the fault that opened it, or the latest probe's. `blamed`: the keys whose requests met the faults ("" the
    guard's own); `EVERYBODY` where no key can have brought one about.
    """

    results: deque[tuple[int, str | None]] = field(default_factory=lambda: deque(maxlen=SAMPLE_MAX))
    blamed: set[str] = field(default_factory=set)
    opened_us: int | None = None
    open_us: int = OPEN_MIN_US
    is_probing: bool = False
    why: str = ""

    @property
    def is_open(self) -> bool:
        """Open or half-open: the daemon has not been heard since it opened."""
        return self.opened_us is not None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it holds back, unless that is all of them; none if it is closed: then nobody is blamed."""
        return () if EVERYBODY in self.blamed else tuple(sorted(self.blamed - {""}))

    def wait_us(self, now_us: int, *, owner: str | None = None) -> int | None:
        """How long a request of this key, if it is no cancel, has to wait, at least 1; None: it may pass now.

        `owner` None: any key that is blamed.
        """
        if self.opened_us is None or not self._blames(owner):
            return None
        left_us = self.opened_us + self.open_us - now_us
        if left_us > 0:
            return left_us
        return OPEN_MIN_US if self.is_probing else None

    def _blames(self, owner: str | None) -> bool:
        return owner is None or owner in self.blamed or EVERYBODY in self.blamed

    def enter(self, now_us: int, *, is_cancel: bool, owner: str = "") -> Pass | None:
        """Leave to send a request, or None. Every pass is handed back to `leave`."""
        if self.opened_us is None or is_cancel or not self._blames(owner):
            return Pass(now_us, owner)
        if self.wait_us(now_us, owner=owner) is not None:
            return None
        self.is_probing = True
        return Pass(now_us, owner, is_turn=True)

    def refusal(self) -> Failure:
        """The refusal for a request that was given no leave."""
        return Failure("open", f"the circuit to the daemon is open: {self.why}", is_sent=False)

    def leave(self, way: Pass, result: Answer | Failure | None, *, now_us: int) -> bool:
        """Notes a result; None: nobody waited for the answer. Returns whether that opened or closed the circuit."""
        if way.is_turn:
            self.is_probing = False
        if self.opened_us is None and isinstance(result, Answer) and result.status < _SERVER_ERROR:
            self.results.append((now_us, None))
            return False
        fault = "" if result is None else fault_of(result)
        if fault == "":
            return False
        whose = None if fault is None else EVERYBODY if is_unprovoked(result) else way.owner
        was_us = self.opened_us
        if was_us is None:
            self.results.append((now_us, whose))
            if fault is not None:
                self._count(now_us, fault)
        elif way.at_us >= was_us:  # what was sent before is answered by the daemon of before
            self._probed(now_us, fault, whose)
        return (was_us is None) is not (self.opened_us is None)

    def _count(self, now_us: int, fault: str) -> None:
        while self.results[0][0] <= now_us - WINDOW_US:
            self.results.popleft()
        faults = [one for _, one in self.results if one is not None]
        if len(self.results) >= SAMPLE_MIN and 100 * len(faults) >= FAULTS_PERCENT * len(self.results):
            self.opened_us, self.open_us, self.why, self.blamed = now_us, OPEN_MIN_US, fault, set(faults)
            self.results.clear()

    def _probed(self, now_us: int, fault: str | None, whose: str | None) -> None:
        if fault is None or whose is None:
            self.opened_us, self.why = None, ""
            self.blamed.clear()
            return
        self.why = fault
        self.blamed.add(whose)
        if self.opened_us is not None and now_us >= self.opened_us + self.open_us:
            self.opened_us, self.open_us = now_us, min(2 * self.open_us, OPEN_MAX_US)


class Circuits(Struct):
    """One for trades and one for everything else, so that reads which fail or hang stop nobody from trading.

    A daemon that cannot be connected to opens both.
    `is_answering`: whether it answered the last time it was asked, by a caller or by the guard itself; None: not yet.
    """

    trades: Circuit = field(default_factory=Circuit)
    reads: Circuit = field(default_factory=Circuit)
    is_answering: bool | None = None

    def of(self, *, is_trade: bool) -> Circuit:
        """The circuit of such a request."""
        return self.trades if is_trade else self.reads

    def opened(self) -> tuple[tuple[str, Circuit], ...]:
        """Those that are open, each with what it is of, in words."""
        named = (("new orders and changes", self.trades), ("reads", self.reads))
        return tuple((name, circuit) for name, circuit in named if circuit.is_open)

    def leave(self, way: Pass, result: Answer | Failure | None, *, is_trade: bool, now_us: int) -> bool:
        """Notes the result of a request; returns whether a circuit opened or closed; see `Circuit.leave`."""
        circuit = self.trades if is_trade else self.reads
        has_turned = circuit.leave(way, result, now_us=now_us)
        if isinstance(result, Answer):
            self.is_answering = True
            return has_turned
        if result is not None and result.kind in _FAULTS:  # what was held back says nothing of the daemon
            self.is_answering = False
        if is_unprovoked(result):
            has_turned |= self.of(is_trade=not is_trade).leave(Pass(way.at_us), result, now_us=now_us)
        return has_turned
