"""The daemon behind a circuit: the same port, but while the circuit is open nothing except cancels is sent."""

import structlog

from guard.clock import Clock
from guard.terms import Answer, Daemon, Failure, Outbound
from guard.upstream.circuit import Circuit, Circuits

_log = structlog.get_logger("guard")


class Fused:
    """A daemon that is left alone while it fails; implements `terms.Daemon`."""

    def __init__(self, daemon: Daemon, circuits: Circuits, clock: Clock) -> None:
        self._daemon = daemon
        self._circuits = circuits
        self._clock = clock
        self._told: dict[str, Circuit] = {}

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer; or at once, and nothing sent, that the circuit is open."""
        circuit = self._circuits.of(is_trade=request.is_trade)
        way = circuit.enter(self._clock.mono_us(), is_cancel=request.is_cancel, owner=request.owner)
        if way is None:
            return Failure("open", f"the circuit to the daemon is open: {circuit.why}", is_sent=False)
        result: Answer | Failure | None = None
        try:
            result = await self._daemon.send(request)
        finally:
            if self._circuits.leave(way, result, is_trade=request.is_trade, now_us=self._clock.mono_us()):
                self._tell()
        return result

    def _tell(self) -> None:
        """What opened or closed just now, for the log."""
        was, now = self._told, dict(self._circuits.opened())
        for name in now.keys() - was.keys():
            whose = now[name].keys or "everybody"
            _log.error("circuit_open", of=name, why=now[name].why, keys=whose, hint="they are refused, cancels pass")
        for name in was.keys() - now.keys():
            _log.warning("circuit_closed", of=name, hint="the daemon answers them again")
        self._told = now
