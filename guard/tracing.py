"""Spans of the walk for OpenTelemetry (extra `otel`): one for each request, one for each step in it, sent by OTLP.

On where the environment names an endpoint, as every OpenTelemetry program is switched on; off, nothing of this is in
the way. The walk knows nothing of it: the hooks that it asks are timed around. What a span holds is closed: path
constant, decision, key id, code, status; never a header, a body, a key or a token.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from guard.errors import JournalFault
from guard.metrics import Metrics
from guard.server import Asker, Begin
from guard.terms import Answer, Failure, Reply
from guard.walk.carrier import Carrying, OnRecord
from guard.walk.hooks import Hooks
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending
from guard.walk.visit import Visit

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVER_FAULT: Final = 500
_log = structlog.get_logger("guard.tracing")


class _Trip:
    """One request that is being traced, as the walk's asker; `last_ns` is where its latest step ended."""

    def __init__(self, tracing: "Tracing", asker: Asker, span: "Span") -> None:
        self._tracing = tracing
        self._asker = asker
        self.call = asker.call
        self.span = span
        self.last_ns = time.time_ns()

    def answer(self, reply: Reply) -> None:
        """The span ends with it."""
        self._tracing.end(self, reply)
        self._asker.answer(reply)

    def fail(self) -> None:
        """The walk failed."""
        self._tracing.end(self)
        self._asker.fail()

    def cut(self) -> None:
        """Nobody will answer it."""
        self._tracing.end(self)
        self._asker.cut()


class Tracing:
    """Traces what passes through `begin` and `hooks`, on one event loop; the exporter has a thread of its own."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra that need not be there
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - likewise

        self._provider = provider
        self._tracer = provider.get_tracer("opend-guard")
        self._api = trace
        self._propagator = TraceContextTextMapPropagator()
        self._trips: dict[int, _Trip] = {}

    def begin(self, begin: Begin) -> Begin:
        """The walk within spans, children of the callers' `traceparent` and the parents that the daemon is told of."""
        return lambda askers: begin([self._begun(asker) for asker in askers])

    def _begun(self, asker: Asker) -> Asker:
        """A tracer that fails stands in nobody's way: its request is not traced."""
        call = asker.call
        try:
            parent = self._propagator.extract({k: call.head[k] for k in ("traceparent",) if k in call.head})
            kind, name = self._api.SpanKind.SERVER, f"{call.method} {Metrics.endpoint(call.path)}"
            span = self._tracer.start_span(name, context=parent, kind=kind)
            own: dict[str, str] = {}
            self._propagator.inject(own, context=self._api.set_span_in_context(span))
        except Exception:  # noqa: BLE001 - whatever a tracer raises
            _log.exception("span_failed")
            return asker
        call.head = {**call.head, **own}
        trip = self._trips[id(call)] = _Trip(self, asker, span)
        return trip

    def end(self, trip: _Trip, reply: Reply | None = None) -> None:
        """Ends the span of a request; `reply`: its answer, if it has one."""
        del self._trips[id(trip.call)]
        try:
            if reply is not None:
                self._tell(trip.span, Metrics.endpoint(trip.call.path), reply)
            trip.span.end()
        except Exception:  # noqa: BLE001 - likewise
            _log.exception("span_failed")

    def hooks(self, hooks: Hooks) -> Hooks:
        """The same hooks, each within a span."""
        carrying = Carrying(
            when_recorded=self._timed_until_told("record", hooks.carrying.when_recorded),
            verdict=self._told(hooks.carrying.verdict),
        )
        return Hooks(
            find=hooks.find,
            identify=self._timed("identify", hooks.identify),
            parse=hooks.parse,
            own_orders_only=hooks.own_orders_only,
            revoked=hooks.revoked,
            judge=self._timed("judge", hooks.judge),
            rights=hooks.rights,
            ownership=hooks.ownership,
            in_the_way=hooks.in_the_way,
            state=hooks.state,
            hold=self._timed("reserve", hooks.hold),
            carrying=carrying,
            judge_passing=self._timed("judge", hooks.judge_passing),
            pass_on=hooks.pass_on,
            answer_view=self._timed("cut", hooks.answer_view),
        )

    def close(self) -> None:
        """Sends what is left, blocking, for as long as the exporter's own timeout allows."""
        self._provider.shutdown()

    # ------------------------------------------------------------ inside

    def _timed(self, name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            trip, began_ns = self._trip(args), time.time_ns()
            found = hook(*args, **named)
            if trip is not None:
                if name == "judge":
                    self._step(trip, "gather", began_ns=trip.last_ns, ended_ns=began_ns)
                self._step(trip, name, began_ns=began_ns, ended_ns=time.time_ns())
            return found

        return timed

    def _timed_until_told(
        self, name: str, hook: Callable[[Recorder, Sending, OnRecord], None]
    ) -> Callable[[Recorder, Sending, OnRecord], None]:
        def timed(recorder: Recorder, sending: Sending, told: OnRecord) -> None:
            trip, began_ns = self._trip((sending,)), time.time_ns()

            def heard(fault: JournalFault | None) -> None:
                if trip is not None:
                    self._step(trip, name, began_ns=began_ns, ended_ns=time.time_ns())
                told(fault)

            hook(recorder, sending, heard)

        return timed

    def _told(self, verdict: Callable[..., Any]) -> Callable[..., Any]:
        """The time since the record was on the disk was the daemon's."""

        def told(*args: Any) -> Any:
            outcome, trip = verdict(*args), self._trip(args)
            if trip is not None:
                took_ns = sum(arg.duration_us * 1000 for arg in args if isinstance(arg, Answer | Failure))
                ended_ns = time.time_ns()
                self._step(trip, "daemon", began_ns=ended_ns - took_ns, ended_ns=ended_ns)
                trip.span.set_attribute("guard.verdict", outcome.verdict.value)
            return outcome

        return told

    def _trip(self, args: tuple[Any, ...]) -> _Trip | None:
        for arg in args:
            if isinstance(arg, Visit):
                return self._trips.get(id(arg.call))
            if isinstance(arg, Sending):
                return self._trips.get(id(arg.visit.call))
        return None

    def _step(self, trip: _Trip, name: str, *, began_ns: int, ended_ns: int) -> None:
        trip.last_ns = ended_ns
        try:
            context = self._api.set_span_in_context(trip.span)
            self._tracer.start_span(name, context=context, start_time=began_ns).end(end_time=ended_ns)
        except Exception:  # noqa: BLE001 - whatever a tracer raises, the request goes on
            _log.exception("span_failed")

    def _tell(self, span: "Span", path: str, reply: Reply) -> None:
        told = dict(reply.headers)
        span.set_attribute("http.route", path)
        span.set_attribute("http.response.status_code", reply.status)
        if "Guard-Decision" in told:
            span.set_attribute("guard.decision", told["Guard-Decision"])
        if reply.status >= SERVER_FAULT:
            span.set_status(self._api.StatusCode.ERROR)


def tracing_of(environ: Mapping[str, str]) -> Tracing | None:
    """Tracing as the OpenTelemetry variables want it; None where they name no endpoint, or the extra is missing.

    That a trace cannot be had is told, and stands in nobody's way.
    """
    if not any(environ.get(name) for name in ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - likewise
    except ImportError as error:
        _log.warning("tracing_off", why=str(error), hint="pip install '.[otel]' where the guard was cloned")
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": "opend-guard"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
