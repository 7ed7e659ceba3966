"""Traces: a span for each request and each step of its walk, the caller's trace carried on, and no secret in any."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.context import Context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guard.lifecycle import Guard
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.terms import Answer, Failure, Outbound
from guard.tracing import Tracing, tracing_of
from tests.support.guards import key, lay_out, order

CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = int("0af7651916cd43dd8448eb211c80319c", 16)


@asynccontextmanager
async def traced(folder: Path, tracing: Tracing, daemon: Simulator) -> AsyncIterator[str]:
    """The address of a guard that is traced."""
    settings = load(lay_out(folder), Overrides(), {"GUARD_DAEMON_KEY": "fc_test"})
    guard = Guard(settings, daemon=daemon)
    guard.tracing = tracing
    await guard.start()
    try:
        yield f"http://127.0.0.1:{guard.ports[0]}"
    finally:
        await guard.stop("test over")


async def post(url: str, body: object, *, who: str = "bot", **head: str) -> tuple[int, str]:
    """One order over the socket: the status and the decision."""
    headers = {"Authorization": f"Bearer {key(who)}", **head}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/order", json=body, headers=headers) as got:
        await got.read()
        return got.status, got.headers["Guard-Decision"]


class Told(Simulator):
    """A daemon that remembers of which trace it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: list[str | None] = []

    async def send(self, request: Outbound) -> Answer | Failure:
        """Answers as ever."""
        if request.path == "/api/order":
            self.parents.append(request.traceparent)
        return await super().send(request)


def in_memory() -> tuple[Tracing, InMemorySpanExporter]:
    """Tracing whose spans stay here."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider), exporter


def named(spans: tuple[ReadableSpan, ...], name: str) -> ReadableSpan:
    """The one span of this name."""
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_an_order_is_a_span_with_its_steps(tmp_path: Path) -> None:
    """The walk's steps in their order, within the request's span, which is a child of the caller's."""
    tracing, exporter = in_memory()
    daemon = Simulator()
    async with traced(tmp_path, tracing, daemon) as url:
        status, decision = await post(url, order(), traceparent=CALLERS)

    spans = exporter.get_finished_spans()
    root = named(spans, "POST /api/order")
    steps = [span.name for span in sorted(spans, key=lambda span: span.start_time or 0) if span is not root]
    assert status == 200
    assert steps == ["identify", "gather", "judge", "reserve", "record", "daemon"]
    assert root.context is not None
    assert root.context.trace_id == TRACE
    assert {span.parent.span_id for span in spans if span.parent and span is not root} == {root.context.span_id}
    assert dict(root.attributes or {}) == {
        "http.route": "/api/order",
        "http.response.status_code": 200,
        "guard.decision": decision,
        "guard.verdict": "accepted",
    }
    began, ended = root.start_time or 0, root.end_time or 0
    assert all(began <= (span.start_time or 0) <= (span.end_time or 0) <= ended for span in spans)


@pytest.mark.parametrize("at", ["on_start", "on_end"])
@pytest.mark.parametrize("step", ["POST /api/order", "identify", "gather", "judge", "reserve", "record", "daemon"])
async def test_a_span_that_fails_keeps_no_order_from_going_on(tmp_path: Path, step: str, at: str) -> None:
    """Whichever it is, that of the whole request too: the order is sent and answered."""

    class Failing(SimpleSpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            """It cannot be begun."""
            del parent_context
            if (span.name, at) == (step, "on_start"):
                raise RuntimeError

        def on_end(self, span: ReadableSpan) -> None:
            """It cannot be kept."""
            if (span.name, at) == (step, "on_end"):
                raise RuntimeError

    provider = TracerProvider()
    provider.add_span_processor(Failing(InMemorySpanExporter()))
    async with asyncio.timeout(60), traced(tmp_path, Tracing(provider), Simulator()) as url:
        status, _ = await post(url, order())
    assert status == 200


async def test_the_daemon_is_told_of_the_guards_span(tmp_path: Path) -> None:
    """What the daemon gets as `traceparent` is the caller's trace with the guard's span as the parent."""
    tracing, exporter = in_memory()
    daemon = Told()
    async with traced(tmp_path, tracing, daemon) as url:
        await post(url, order(), traceparent=CALLERS)

    root = named(exporter.get_finished_spans(), "POST /api/order")
    assert root.context is not None
    assert daemon.parents == [f"00-{TRACE:032x}-{root.context.span_id:016x}-01"]


async def test_requests_at_once_do_not_mix(tmp_path: Path) -> None:
    """Each request has its own steps, whatever else is under way in the same turn."""
    tracing, exporter = in_memory()
    async with traced(tmp_path, tracing, Simulator()) as url:
        await asyncio.gather(*(post(url, order(remark=str(n))) for n in range(20)))

    spans = exporter.get_finished_spans()
    roots = [span.context.span_id for span in spans if span.name == "POST /api/order" and span.context]
    assert len(roots) == 20
    for name in ("identify", "judge", "reserve", "record", "daemon"):
        assert sorted(span.parent.span_id for span in spans if span.name == name and span.parent) == sorted(roots)


async def test_no_secret_is_in_a_span(tmp_path: Path) -> None:
    """Paths that are none, keys and bodies are in no name and no attribute, as a collector receives them."""
    received: list[bytes] = []

    async def collect(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
        tracing = tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}"})
    assert tracing is not None
    async with traced(tmp_path, tracing, Simulator()) as url:
        await post(url, order(remark="canary-remark"))
        await post(url, order(price=-1))
        async with aiohttp.ClientSession() as session:
            await session.get(f"{url}/canary-path", headers={"Authorization": "Bearer canary-key"})
        await asyncio.to_thread(tracing.close)
    await runner.cleanup()

    parsed = [ExportTraceServiceRequest.FromString(body) for body in received]
    names = {span.name for one in parsed for all_ in one.resource_spans for s in all_.scope_spans for span in s.spans}
    assert {"POST /api/order", "GET other", "judge"} <= names
    raw = b"".join(received)
    assert not [word for word in (b"canary", key("bot").encode(), b"fc_test") if word in raw]


def test_tracing_is_off_unless_the_environment_names_an_endpoint() -> None:
    """Nothing of it is built then; a switch of OpenTelemetry's own turns it off too."""
    assert tracing_of({}) is None
    assert tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}) is None
