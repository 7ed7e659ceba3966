"""What the log says of a circuit that opens and closes."""

from msgspec.structs import replace
from structlog.testing import capture_logs

from guard.terms import Answer, Failure, Outbound
from guard.upstream.circuit import OPEN_MIN_US, SAMPLE_MIN, Circuits
from guard.upstream.circuited import CircuitedDaemon
from tests.support.clock import ManualClock

READ = Outbound("POST", "/api/quote", b"{}", timeout_s=1, owner="bot")
WELL = Answer(200, "application/json", b"{}")


class Scripted:
    """A daemon that answers each request with what stands in `answer`."""

    answer: Answer | Failure = WELL

    async def send(self, request: Outbound) -> Answer | Failure:
        """The answer."""
        assert request is READ
        return self.answer


async def test_a_circuit_that_opens_or_closes_is_told_once() -> None:
    """Both open where nobody can connect and stay so over a failed probe; each is closed by an answer of its own."""
    daemon, clock = Scripted(), ManualClock()
    fused = CircuitedDaemon(daemon, Circuits(), clock)
    with capture_logs() as logs:
        await fused.send(READ)
        daemon.answer = Failure("refused", "no", is_sent=False)
        for _ in range(SAMPLE_MIN + 1):
            await fused.send(READ)
        clock.advance(us=OPEN_MIN_US)
        await fused.send(READ)
        assert [(log["event"], log["of"]) for log in logs] == [
            ("circuit_open", "reads"),
            ("circuit_open", "new orders and changes"),
        ]
        daemon.answer = WELL
        clock.advance(us=2 * OPEN_MIN_US)
        for _ in range(2):
            assert await fused.send(READ) is WELL
        assert [(log["event"], log["of"]) for log in logs[2:]] == [("circuit_closed", "reads")]


async def test_what_may_not_leave_is_not_sent() -> None:
    """As the client does it: asked in the step in which it would be sent."""
    fused = CircuitedDaemon(Scripted(), Circuits(), ManualClock())
    kept = await fused.send(replace(READ, may_leave=lambda: False))
    assert isinstance(kept, Failure)
    assert (kept.kind, kept.is_sent) == ("held", False)


async def test_whoever_asks_hears_whether_the_daemon_answers() -> None:
    """What was held back here says nothing of it, nor does a circuit that is open."""
    daemon, circuits, clock = Scripted(), Circuits(), ManualClock()
    fused = CircuitedDaemon(daemon, circuits, clock)
    assert circuits.is_answering is None
    heard: list[bool | None] = []
    for answer in (
        Failure("refused", "no", is_sent=False),
        WELL,
        Failure("timeout", "late", is_sent=True),
        Answer(502, "text/html", b""),
        Failure("held", "no room", is_sent=False),
        Failure("reset", "gone", is_sent=True),
        Failure("held", "no room", is_sent=False),
    ):
        daemon.answer = answer
        await fused.send(READ)
        heard.append(circuits.is_answering)
    assert heard == [False, True, False, True, True, False, False]
