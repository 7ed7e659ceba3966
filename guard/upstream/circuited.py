"""The daemon behind its circuits: while one is open, nothing except cancels is sent."""

from collections.abc import Callable
from typing import Final

import structlog

from guard.clock import Clock
from guard.terms import Answer, Daemon, Failure, Outbound
from guard.upstream.circuit import Circuit, Circuits

_log = structlog.get_logger("guard")


WITHDRAWN: Final = Failure("held", "it was withdrawn before it left", is_sent=False)


class CircuitLog:
    """Logs which circuits opened or closed since the last call."""

    def __init__(self, circuits: Circuits) -> None:
        self._circuits = circuits
        self._told: dict[str, Circuit] = {}

    def tell(self) -> None:
        """Logs what has opened or closed."""
        was, now = self._told, dict(self._circuits.opened())
        for name in now.keys() - was.keys():
            whose = now[name].keys or "everybody"
            _log.error("circuit_open", of=name, why=now[name].why, keys=whose, hint="they are refused, cancels pass")
        for name in was.keys() - now.keys():
            _log.warning("circuit_closed", of=name, hint="the daemon answers them again")
        self._told = now


class CircuitedDaemon:
    """Puts a daemon in memory, which has no circuits of its own, behind circuits; implements `terms.Daemon`."""

    def __init__(self, daemon: Daemon, circuits: Circuits, clock: Clock) -> None:
        self._daemon, self._circuits, self._clock = daemon, circuits, clock
        self._log = CircuitLog(circuits)

    def ask(self, _request: Outbound, _told: Callable[[Answer | Failure | None], None]) -> bool:
        """A daemon in memory is asked by `send` alone."""
        return False

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer; or at once, and nothing sent, that the circuit is open."""
        circuit = self._circuits.trades if request.is_trade else self._circuits.reads
        way = circuit.enter(self._clock.mono_us(), is_cancel=request.is_cancel, owner=request.owner)
        if way is None:
            return circuit.refusal()
        result: Answer | Failure | None = None
        try:
            is_wanted = request.may_leave is None or request.may_leave()
            result = await self._daemon.send(request) if is_wanted else WITHDRAWN
        finally:
            if self._circuits.leave(way, result, is_trade=request.is_trade, now_us=self._clock.mono_us()):
                self._log.tell()
        return result
