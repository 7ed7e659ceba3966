"""The daemon behind a circuit: the same port, but while the circuit is open nothing except cancels is sent."""

import structlog

from guard.clock import Clock
from guard.terms import Answer, Daemon, Failure, Outbound
from guard.upstream.circuit import Circuit

_log = structlog.get_logger("guard")


class Fused:
    """A daemon that is left alone while it fails; implements `terms.Daemon`."""

    def __init__(self, daemon: Daemon, circuit: Circuit, clock: Clock) -> None:
        self._daemon = daemon
        self._circuit = circuit
        self._clock = clock

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer; or at once, and nothing sent, that the circuit is open."""
        circuit = self._circuit
        way = circuit.enter(self._clock.mono_us(), is_cancel=request.is_cancel)
        if way is None:
            return Failure("open", f"the circuit to the daemon is open: {circuit.why}", is_sent=False)
        result: Answer | Failure | None = None
        try:
            result = await self._daemon.send(request)
        finally:
            was_open = circuit.is_open
            circuit.leave(way, result, now_us=self._clock.mono_us())
            if circuit.is_open and not was_open:
                _log.error("circuit_open", why=circuit.why, hint="orders and reads are refused, cancels pass")
            elif was_open and not circuit.is_open:
                _log.warning("circuit_closed", hint="the daemon answers again")
        return result
