"""Spans of tool calls: their attributes and times, which span they belong to, and what they never contain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from anycompletion import AsyncCompletion
from anycompletion.integrations.otel import otel, otel_tools
from anycompletion.testing import FakeProvider, tool_call
from anycompletion.tools import ToolError, tool

MODEL = "openai/gpt-4o"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CANARY = "Canary-that-must-not-be-exported"


@tool
async def weather(city: str) -> str:
    """The weather."""
    return f"{CANARY}: rain in {city}"


@tool
async def broken() -> str:
    """Fails."""
    raise RuntimeError(CANARY)


@tool
async def closed() -> str:
    """Reports an error to the model."""
    raise ToolError(CANARY)


class Exported:
    """The spans that were exported."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self._spans.get_finished_spans() if span.name.startswith(start)]

    def everything(self) -> str:
        return "".join(span.to_json() for span in self._spans.get_finished_spans())


@pytest.fixture
def exported() -> Exported:
    return Exported()


@pytest.fixture
async def client(exported: Exported) -> AsyncIterator[AsyncCompletion]:
    """A client whose model calls all three tools at once."""
    fake = FakeProvider([tool_call("weather", city=CANARY), tool_call("broken"), tool_call("closed")], "Done.")
    middleware = [otel(tracer_provider=exported.tracers)]
    async with AsyncCompletion(providers=[fake], middleware=middleware) as client:
        yield client


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def run(client: AsyncCompletion, exported: Exported, *, streamed: bool = False) -> None:
    observer = otel_tools(tracer_provider=exported.tracers)
    running = client.run_tools(MODEL, "Hello!", [weather, broken, closed], on_event=observer)
    if streamed:
        assert "".join([text async for text in running.text]) == "Done."
    assert (await running).text == "Done."


@pytest.mark.parametrize("streamed", [False, True])
async def test_each_call_is_a_span_of_its_caller(client: AsyncCompletion, exported: Exported, streamed: bool) -> None:
    """A trace would lack the tools of a run, or show them as traces of their own."""
    with exported.tracers.get_tracer("caller").start_as_current_span("request") as parent:
        await run(client, exported, streamed=streamed)
    spans = {span.name.partition(" ")[2]: span for span in exported.named("execute_tool")}
    assert spans.keys() == {"weather", "broken", "closed"}
    assert {span.kind for span in spans.values()} == {SpanKind.INTERNAL}
    assert {span.parent and span.parent.span_id for span in spans.values()} == {parent.get_span_context().span_id}
    assert len(exported.named("chat")) == 2
    for span in spans.values():
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "anycompletion"
    found = attributes_of(spans["weather"])
    assert found.pop("gen_ai.tool.call.id")
    assert found == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
    }
    assert spans["weather"].status.status_code is StatusCode.UNSET


async def test_failed_calls_have_the_class_of_their_error(client: AsyncCompletion, exported: Exported) -> None:
    """Failed tools would look successful, or a secret in an exception's text would be exported."""
    await run(client, exported)
    errors = {
        span.name: (attributes_of(span)["error.type"], span.status.description)
        for span in exported.named("execute_tool")
        if span.status.status_code is StatusCode.ERROR
    }
    assert errors == {
        "execute_tool broken": ("RuntimeError", "RuntimeError"),
        "execute_tool closed": ("anycompletion.tools.ToolError", "ToolError"),
    }
    assert CANARY not in exported.everything()


async def test_content_is_captured_where_it_is_switched_on(
    client: AsyncCompletion, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who switched content on for messages would not see what the tools got and returned."""
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    await run(client, exported)
    (span,) = exported.named("execute_tool weather")
    found = attributes_of(span)
    assert found["gen_ai.tool.call.arguments"] == f'{{"city": "{CANARY}"}}'
    assert found["gen_ai.tool.call.result"] == f"{CANARY}: rain in {CANARY}"


async def test_a_cancelled_call_leaves_no_open_span(exported: Exported) -> None:
    """A trace of a run that was cancelled would wait for a span that never ends."""
    started = asyncio.Event()

    @tool
    async def wait() -> None:
        """Waits."""
        started.set()
        await asyncio.Event().wait()

    observer = otel_tools(tracer_provider=exported.tracers)
    async with AsyncCompletion(providers=[FakeProvider(tool_call("wait"))]) as client:
        running = asyncio.ensure_future(_outcome(client, wait, observer))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert exported.named("execute_tool") == []


async def _outcome(client: AsyncCompletion, wait: Any, observer: Any) -> None:
    await client.run_tools(MODEL, "Wait.", [wait], on_event=observer)


async def test_a_name_of_a_model_is_a_short_printable_attribute(exported: Exported) -> None:
    """A model could fill the backend of telemetry, or send commands to the terminal on which it is read."""
    long = "\x1b[2J" + "x" * 10_000
    async with AsyncCompletion(providers=[FakeProvider(tool_call(long), "Done.")]) as client:
        observer = otel_tools(tracer_provider=exported.tracers)
        await client.run_tools(MODEL, "Hello!", [weather], on_event=observer)
    assert len(exported.everything()) < 5_000
    assert "\\u001b" not in exported.everything()
