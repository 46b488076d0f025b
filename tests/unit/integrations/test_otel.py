"""Spans and metrics by OpenTelemetry's conventions: what they say, when they end, and what they never say."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from anycompletion import (
    PROVIDERS,
    AsyncCompletion,
    AuthenticationError,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    CompletionStream,
    ConfigurationError,
    Middleware,
    RateLimitError,
    StreamInterruptedError,
)
from anycompletion.integrations.otel import PROVIDER_NAMES, otel
from anycompletion.testing import Fault, SimulatorServer

PROMPT = "Prompt-that-nobody-may-see."
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@attrs.define
class Watch:
    """What telemetry was exported."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    logs: InMemoryLogRecordExporter = attrs.field(factory=InMemoryLogRecordExporter)

    def middleware(self) -> Middleware:
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        return otel(tracer_provider=tracers, meter_provider=meters, logger_provider=loggers)

    def ended(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())

    def span(self) -> ReadableSpan:
        (span,) = self.ended()
        return span

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Metric → attributes and data of its points."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = found.setdefault(metric.name, [])
                    points += [(dict(point.attributes or {}), point) for point in metric.data.data_points]
        return found

    def everything(self) -> str:
        """All that was exported, as text."""
        spans = [span.to_json() for span in self.ended()]
        logs = [repr(record.log_record) for record in self.logs.get_finished_logs()]
        return "\n".join([*spans, repr(self.metrics()), *logs])


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(server: SimulatorServer, watch: Watch) -> AsyncIterator[AsyncCompletion]:
    keys, urls = server.api_keys, server.base_urls
    async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=[watch.middleware()]) as client:
        yield client


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# --- what they say ---


async def test_a_plain_call_is_one_span_by_the_conventions(client: AsyncCompletion, watch: Watch) -> None:
    """A dashboard made for the conventions would find an attribute missing, or under another name."""
    reply = await client.create(
        "openai/gpt-4o",
        PROMPT,
        temperature=0.5,
        top_p=0.9,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        max_completion_tokens=100,
        stop=["END"],
        seed=7,
        reasoning_effort="low",
        response_format={"type": "json_object"},
    )
    span = watch.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "anycompletion"
    usage = reply.usage
    assert usage is not None
    attributes = said(span)
    assert attributes.pop("server.port") > 0
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "127.0.0.1",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "gen_ai.response.id": reply.id,
        "gen_ai.response.model": reply.model,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "openai.api.type": "chat_completions",
        **({"openai.response.service_tier": reply.service_tier} if reply.service_tier else {}),
        **({"openai.response.system_fingerprint": reply.system_fingerprint} if reply.system_fingerprint else {}),
    }


async def test_a_plain_call_has_its_metrics(client: AsyncCompletion, watch: Watch) -> None:
    """Nobody could see how long calls take and how many tokens they use."""
    reply = await client.create("anthropic/claude-haiku-4-5", "Hello!")
    assert reply.usage is not None
    metrics = watch.metrics()
    assert metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    ((attributes, duration),) = metrics["gen_ai.client.operation.duration"]
    assert duration.count == 1
    assert 0 < duration.sum < 60
    assert attributes.pop("server.port") > 0
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.response.model": reply.model,
        "server.address": "127.0.0.1",
    }
    assert attributes == common
    tokens = {point[0]["gen_ai.token.type"]: point[1].sum for point in metrics["gen_ai.client.token.usage"]}
    assert tokens == {"input": reply.usage.prompt_tokens, "output": reply.usage.completion_tokens}


@pytest.mark.parametrize("lazy", [False, True])
async def test_a_stream_is_one_span_to_its_end_with_the_time_to_its_first_chunk(
    client: AsyncCompletion, watch: Watch, lazy: bool
) -> None:
    """A stream's span would end when it begins, or nobody would know how long its reader waited."""
    if lazy:
        stream = client.stream("openai/gpt-4o", "Hello!")
    else:
        stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    async with stream:
        assert watch.ended() == []
        chunks = [chunk async for chunk in stream]
    final = await stream.get_final_completion()
    assert final.usage is not None
    attributes = said(watch.span())
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.id"] == final.id
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.output_tokens"] == final.usage.completion_tokens
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    metrics = watch.metrics()
    assert metrics["gen_ai.client.operation.time_to_first_chunk"][0][1].count == 1
    assert metrics["gen_ai.client.operation.time_per_output_chunk"][0][1].count == len(chunks) - 1
    assert metrics["gen_ai.client.operation.duration"][0][1].count == 1
    assert len(metrics["gen_ai.client.token.usage"]) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_branches_are_one_span_with_their_sums(client: AsyncCompletion, watch: Watch, stream: bool) -> None:
    """Three choices would be three calls, or be counted as one."""
    reply = await client.create("anthropic/claude-haiku-4-5", "Hello!", n=3, stream=stream)
    final = await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply
    assert final.usage is not None
    attributes = said(watch.span())
    assert attributes["gen_ai.request.choice.count"] == 3
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",) * 3
    assert attributes["gen_ai.usage.input_tokens"] == final.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == final.usage.completion_tokens


async def test_an_error_is_said_by_its_class(client: AsyncCompletion, server: SimulatorServer, watch: Watch) -> None:
    """Failing calls would look like good ones, or have as many kinds as there are messages."""
    server.fault = "rate-limit"
    with pytest.raises(RateLimitError) as caught:
        await client.create("openai/gpt-4o", PROMPT, max_retries=0)
    span = watch.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == f"RateLimitError status_code=429 request_id={caught.value.request_id}"
    assert said(span)["error.type"] == "anycompletion.RateLimitError"
    ((attributes, _),) = watch.metrics()["gen_ai.client.operation.duration"]
    assert attributes["error.type"] == "anycompletion.RateLimitError"
    assert "gen_ai.client.token.usage" not in watch.metrics()


async def test_retries_are_within_one_span(client: AsyncCompletion, server: SimulatorServer, watch: Watch) -> None:
    """One call would be several, some of them failed."""
    server.fault = Fault.status(429, retry_after=0.01, times=1)
    reply = await client.create("openai/gpt-4o", "Hello!")
    assert reply.info.attempts == 2
    assert watch.span().status.status_code is StatusCode.UNSET


async def test_a_call_that_has_nowhere_to_go_is_an_error_span(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key would leave no trace, or telemetry would stumble over it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with AsyncCompletion(middleware=[watch.middleware()]) as client:
        with pytest.raises(ConfigurationError):
            await client.create("openai/gpt-4o", "Hello!")
    assert watch.span().name == "chat gpt-4o"
    assert said(watch.span())["gen_ai.provider.name"] == "openai"
    assert said(watch.span())["error.type"] == "anycompletion.ConfigurationError"


async def test_each_item_of_a_batch_has_its_span(client: AsyncCompletion, watch: Watch) -> None:
    """A batch would be one big unknown."""
    requests = [ChatRequest("openai/gpt-4o", f"Question {i}", custom_id=str(i)) for i in range(5)]
    async with client.batch(requests) as run:
        results = [result async for result in run]
    assert all(result.ok for result in results)
    ids = {result.unwrap().id for result in results}
    assert {said(span)["gen_ai.response.id"] for span in watch.ended()} == ids
    assert len(ids) == 5
    assert watch.metrics()["gen_ai.client.operation.duration"][0][1].count == 5


async def test_a_span_of_the_app_is_the_parent_and_stays_the_current_one(
    client: AsyncCompletion, watch: Watch, server: SimulatorServer
) -> None:
    """Calls would hang loose in a trace, or an app's own work would be hung below a stream's span."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("app")
    with tracer.start_as_current_span("request") as parent:
        await client.create("openai/gpt-4o", "Hello!")
        async with client.stream("openai/gpt-4o", "Hello!") as stream:
            async for _ in stream:
                assert get_current_span() is parent
        server.fault = "authentication"
        with pytest.raises(AuthenticationError):
            await client.stream("openai/gpt-4o", "Hello!").get_final_completion()
        assert get_current_span() is parent
    assert [span.parent and span.parent.span_id for span in watch.ended()] == [parent.get_span_context().span_id] * 3


# --- when a stream's span ends ---


async def test_a_closed_stream_ends_its_span_without_an_error(client: AsyncCompletion, watch: Watch) -> None:
    """A reader who has enough would leave a span open for ever, or be counted as a failure."""
    stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    await anext(stream)
    await stream.aclose()
    assert watch.span().status.status_code is StatusCode.UNSET
    assert said(watch.span())["gen_ai.response.finish_reasons"] == ("error",)


async def test_a_dropped_stream_ends_its_span(client: AsyncCompletion, watch: Watch) -> None:
    """A forgotten stream would be a span without an end."""
    stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    await anext(stream)
    del stream
    gc.collect()
    assert len(watch.ended()) == 1


async def test_a_cut_stream_ends_its_span_with_an_error(
    client: AsyncCompletion, server: SimulatorServer, watch: Watch
) -> None:
    """Half an answer would look like a whole one."""
    server.fault = "cut-after-3-events"
    stream = client.stream("openai/gpt-4o", "Hello!")
    with pytest.raises(StreamInterruptedError):
        await stream.get_final_completion()
    assert watch.span().status.status_code is StatusCode.ERROR
    assert said(watch.span())["error.type"] == "anycompletion.StreamInterruptedError"
    assert said(watch.span())["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_ends_its_span(
    client: AsyncCompletion, server: SimulatorServer, watch: Watch, stream: bool
) -> None:
    """A user who leaves would leave a span open for ever."""
    server.fault = "hang"
    task = asyncio.ensure_future(client.create("openai/gpt-4o", "Hello!", stream=stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(watch.span())["error.type"] == "asyncio.exceptions.CancelledError"


async def test_a_closed_client_ends_the_spans_of_its_streams(server: SimulatorServer, watch: Watch) -> None:
    """A shutdown would lose the spans of all that was under way."""
    client = AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys, middleware=[watch.middleware()])
    server.fault = "stall-after-2-events"
    stream = client.stream("openai/gpt-4o", "Hello!")
    task = asyncio.ensure_future(stream.get_final_completion())
    while not stream.snapshot.choices:
        await asyncio.sleep(0.001)
    await client.aclose()
    with pytest.raises(Exception, match="closed"):
        await task
    assert len(watch.ended()) == 1


# --- what they never say ---


async def test_nothing_that_was_asked_or_told_is_exported(
    client: AsyncCompletion, server: SimulatorServer, watch: Watch
) -> None:
    """Prompts, replies or keys would go to whoever can read traces."""
    server.reply = "Reply-that-nobody-may-see."
    tool = {"type": "function", "function": {"name": "f", "description": "Description-nobody-may-see."}}
    await client.create("openai/gpt-4o", PROMPT, n=2)
    await client.create("anthropic/claude-haiku-4-5", [{"role": "system", "content": PROMPT}, *user(PROMPT)])
    async with client.stream("openai/gpt-4o", PROMPT, tools=[tool], tool_choice="none") as stream:
        await stream.get_final_completion()
    server.fault = "bad-request"
    with pytest.raises(Exception, match=r"."):
        await client.create("openai/gpt-4o", PROMPT, extra_headers={"X-Mark": "Header-nobody-may-see."})
    exported = watch.everything()
    assert "gpt-4o" in exported
    for secret in (PROMPT, "nobody-may-see", *server.api_keys.values()):
        assert secret not in exported


async def test_an_error_of_somebody_elses_is_told_by_its_class_alone(server: SimulatorServer, watch: Watch) -> None:
    """The text of an error from other middleware would be exported, and it may hold anything."""

    async def fails(request: ChatRequest, options: CallOptions, call_next: CallNext) -> ChatCompletion:
        raise LookupError(f"nothing known of {request.messages}")

    keys, urls = server.api_keys, server.base_urls
    async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=[watch.middleware(), fails]) as client:
        with pytest.raises(LookupError):
            await client.create("openai/gpt-4o", PROMPT)
    assert said(watch.span())["error.type"] == "LookupError"
    assert watch.span().status.description == "LookupError"
    assert PROMPT not in watch.everything()


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


async def test_text_is_exported_where_the_standard_variable_says_so(
    client: AsyncCompletion, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wants prompts and replies in traces, and says so in the standard way, would not get them."""
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    pixels = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    messages = [
        {"role": "system", "content": "Be brief."},
        *user([{"type": "text", "text": "What is this?"}, image, pixels]),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        *user("And now?"),
    ]
    reply = await client.create("openai/gpt-4o", messages, tools=[weather], tool_choice="none")
    attributes = said(watch.span())
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "system", "name": None, "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "name": None,
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://example.com/a.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
            ],
        },
        {
            "role": "assistant",
            "name": None,
            "parts": [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}],
        },
        {"role": "tool", "name": None, "parts": [{"type": "tool_call_response", "id": "call_1", "response": "Rain."}]},
        {"role": "user", "name": None, "parts": [{"type": "text", "content": "And now?"}]},
    ]
    (told,) = json.loads(attributes["gen_ai.output.messages"])
    assert told["parts"] == [{"type": "text", "content": reply.text}]
    assert json.loads(attributes["gen_ai.tool.definitions"])[0]["name"] == "weather"


async def test_captured_streams_have_their_text(
    client: AsyncCompletion, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream's reply would be missing where a plain one's is captured."""
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    async with client.stream("openai/gpt-4o", "Hello!") as stream:
        final = await stream.get_final_completion()
    (told,) = json.loads(said(watch.span())["gen_ai.output.messages"])
    assert told["parts"] == [{"type": "text", "content": final.text}]


# --- what it may not do ---


async def test_failing_telemetry_breaks_no_call(
    server: SimulatorServer, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """A collector's bug would be an outage."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(PROMPT)

    keys, urls = server.api_keys, server.base_urls
    broken: Any = Broken()
    async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=[otel(tracer_provider=broken)]) as client:
        with caplog.at_level(logging.WARNING, "anycompletion"):
            assert (await client.create("openai/gpt-4o", "Hello!")).text
            async with client.stream("openai/gpt-4o", "Hello!") as stream:
                assert (await stream.get_final_completion()).text
    assert [record.getMessage() for record in caplog.records] == ["otel failed with RuntimeError"] * 2


async def test_telemetry_that_fails_half_way_breaks_no_call(
    client: AsyncCompletion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A span that cannot be written to would take the reply with it."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(PROMPT)

    monkeypatch.setattr("opentelemetry.util.genai.invocation.InferenceInvocation._apply_finish", fail)
    monkeypatch.setattr("opentelemetry.util.genai.invocation.InferenceInvocation.record_stream_chunk", fail)
    with caplog.at_level(logging.WARNING, "anycompletion"):
        assert (await client.create("openai/gpt-4o", "Hello!")).text
        async with client.stream("openai/gpt-4o", "Hello!") as stream:
            assert (await stream.get_final_completion()).text
    assert PROMPT not in caplog.text
    assert {record.__dict__["event"] for record in caplog.records} == {"observer_failed"}


def test_a_client_with_telemetry_pickles() -> None:
    """Who sends its client to a worker could not watch it."""
    client = AsyncCompletion(middleware=[otel()])
    copy: AsyncCompletion = pickle.loads(pickle.dumps(client))  # noqa: S301 (our own bytes)
    assert repr(copy) == repr(client)
    with pytest.raises(TypeError, match="set global ones"):
        pickle.dumps(AsyncCompletion(middleware=[Watch().middleware()]))


def test_names_are_of_providers_there_are() -> None:
    """A typing error would give a provider two names."""
    assert PROVIDER_NAMES.keys() <= PROVIDERS.keys()


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    """Everybody's import and every call would pay for telemetry nobody reads."""
    program = """
import asyncio, sys
from anycompletion import AsyncCompletion
from anycompletion.testing import SimulatorServer

async def main():
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        await client.create("openai/gpt-4o", "Hello!", n=2)
        async with client.stream("anthropic/claude-haiku-4-5", "Hello!", n=2) as stream:
            await stream.get_final_completion()

asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    assert run(program) == "[]\n"


def test_without_the_extra_its_name_is_told() -> None:
    """Someone without the helper would not know what to install."""
    program = """
import sys
sys.modules["opentelemetry.util.genai.handler"] = None
try:
    import anycompletion.integrations.otel
except ImportError as error:
    print(error)
"""
    assert "pip install 'anycompletion[otel]'" in run(program)


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
