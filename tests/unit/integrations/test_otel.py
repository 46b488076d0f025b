"""Spans and metrics by OpenTelemetry's conventions: their attributes, when they end, and what they never contain."""

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
    APIError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
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
from anycompletion.caching import MemoryStore, cached
from anycompletion.integrations.otel import PROVIDER_NAMES, otel
from anycompletion.routing import Route, RouteTarget
from anycompletion.testing import Fault, SimulatorServer
from support.raw_server import REQUEST, RawServer, answer, head, piece

PROMPT = "Prompt-that-must-not-be-exported."
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@attrs.define
class Exported:
    """The telemetry that was exported."""

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
def exported() -> Exported:
    return Exported()


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(server: SimulatorServer, exported: Exported) -> AsyncIterator[AsyncCompletion]:
    keys, urls = server.api_keys, server.base_urls
    async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=[exported.middleware()]) as client:
        yield client


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# --- attributes ---


async def test_a_plain_call_is_one_span_that_follows_the_conventions(
    client: AsyncCompletion, exported: Exported
) -> None:
    """A dashboard made for the conventions would find an attribute missing, or under another name."""
    reply = await client.create(
        "openai/gpt-4o",
        f"{PROMPT} Answer in JSON.",
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
    span = exported.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "anycompletion"
    usage = reply.usage
    assert usage is not None
    attributes = attributes_of(span)
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


@pytest.mark.parametrize("of_view", [False, True])
async def test_a_span_has_the_tags_of_its_call(client: AsyncCompletion, exported: Exported, of_view: bool) -> None:
    """Traces could not be searched for the customer of a call, or each customer would make metrics of its own."""
    tags = {"customer": "c-7", "feature": "search"}
    if of_view:
        await client.with_options(tags=tags).create("openai/gpt-4o", PROMPT)
    else:
        await client.create("openai/gpt-4o", PROMPT, tags=tags)
    found = {name: value for name, value in attributes_of(exported.span()).items() if "tag" in name}
    assert found == {"anycompletion.tag.customer": "c-7", "anycompletion.tag.feature": "search"}
    assert "c-7" not in repr(exported.metrics())


async def test_a_plain_call_has_its_metrics(client: AsyncCompletion, exported: Exported) -> None:
    """The duration of calls and their tokens would be unknown."""
    reply = await client.create("anthropic/claude-haiku-4-5", "Hello!")
    assert reply.usage is not None
    metrics = exported.metrics()
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


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_reply_is_marked_and_its_tokens_are_not_counted_again(
    stream: bool, server: SimulatorServer, exported: Exported
) -> None:
    """A dashboard would show tokens that were not paid for, or no difference between stored and new replies."""
    middleware = [exported.middleware(), cached(MemoryStore())]
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys, middleware=middleware) as client:
        for _ in range(2):
            reply = await client.create("openai/gpt-4o", "Hello!", stream=stream)
            if isinstance(reply, CompletionStream):
                await reply.get_final_completion()
    first, second = [attributes_of(span) for span in exported.ended()]
    assert "anycompletion.cached" not in first
    assert second["anycompletion.cached"] is True
    assert first["gen_ai.usage.output_tokens"] > 0
    assert "gen_ai.usage.output_tokens" not in second
    assert first["gen_ai.response.id"] == second["gen_ai.response.id"]
    assert [point[1].count for point in exported.metrics()["gen_ai.client.token.usage"]] == [1, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_over_a_route_shows_its_route_and_target(
    stream: bool, server: SimulatorServer, exported: Exported
) -> None:
    """Traces could not tell which target of a route has answered, and that another one was tried before."""
    server.fault = Fault.status(500, provider="anthropic")
    routes = {"fast": Route(["anthropic/claude-haiku-4-5", RouteTarget("openai/gpt-4o", name="backup")])}
    middleware = [exported.middleware(), cached(MemoryStore())]
    urls, keys = server.base_urls, server.api_keys
    async with AsyncCompletion(base_urls=urls, api_keys=keys, routes=routes, middleware=middleware) as client:
        for _ in range(2):
            reply = await client.create("fast", "Hello!", stream=stream)
            if isinstance(reply, CompletionStream):
                await reply.get_final_completion()
        with pytest.raises(APIError):
            await client.create("anthropic/claude-haiku-4-5", PROMPT, fallbacks=["anthropic/claude-sonnet-4-5"])
    first, stored, failed = [attributes_of(span) for span in exported.ended()]
    assert (first["anycompletion.route"], first["anycompletion.target"]) == ("fast", "backup")
    assert first["anycompletion.tried"] == 2
    assert (stored["anycompletion.target"], stored["anycompletion.cached"]) == ("backup", True)
    assert failed["error.type"] == "anycompletion.AllTargetsFailedError"
    assert PROMPT not in exported.everything()
    assert not any(key in exported.everything() for key in keys.values())


@pytest.mark.parametrize("lazy", [False, True])
async def test_a_stream_is_one_span_until_its_end_with_the_time_to_its_first_chunk(
    client: AsyncCompletion, exported: Exported, lazy: bool
) -> None:
    """A stream's span would end when the stream opens, or lack the time to the first chunk."""
    if lazy:
        stream = client.stream("openai/gpt-4o", "Hello!")
    else:
        stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    async with stream:
        assert exported.ended() == []
        chunks = [chunk async for chunk in stream]
    final = await stream.get_final_completion()
    assert final.usage is not None
    attributes = attributes_of(exported.span())
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.id"] == final.id
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.output_tokens"] == final.usage.completion_tokens
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    metrics = exported.metrics()
    assert metrics["gen_ai.client.operation.time_to_first_chunk"][0][1].count == 1
    assert metrics["gen_ai.client.operation.time_per_output_chunk"][0][1].count == len(chunks) - 1
    assert metrics["gen_ai.client.operation.duration"][0][1].count == 1
    assert len(metrics["gen_ai.client.token.usage"]) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_branches_are_one_span_with_their_sums(client: AsyncCompletion, exported: Exported, stream: bool) -> None:
    """Three choices would be three calls, or be counted as one."""
    reply = await client.create("anthropic/claude-haiku-4-5", "Hello!", n=3, stream=stream)
    final = await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply
    assert final.usage is not None
    attributes = attributes_of(exported.span())
    assert attributes["gen_ai.request.choice.count"] == 3
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",) * 3
    assert attributes["gen_ai.usage.input_tokens"] == final.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == final.usage.completion_tokens


async def test_a_description_does_not_quote_a_provider(exported: Exported) -> None:
    """A prompt that a provider repeats as the parameter at fault would be exported."""
    error = {"error": {"message": "no", "param": PROMPT, "type": PROMPT, "code": PROMPT}}
    async with (
        RawServer((REQUEST, answer(error, 400))) as server,
        AsyncCompletion(
            base_urls={"openai": server.url}, api_keys={"openai": "k"}, middleware=[exported.middleware()]
        ) as client,
    ):
        with pytest.raises(BadRequestError):
            await client.create("openai/gpt-4o", PROMPT)
    assert exported.span().status.description == "BadRequestError status_code=400"


@pytest.mark.parametrize("streamed", [False, True])
async def test_texts_of_a_server_are_short_printable_attributes(streamed: bool, exported: Exported) -> None:
    """A server could fill the backend of telemetry, or send commands to the terminal on which it is read."""
    long = "\x1b[2J" + "x" * 100_000
    fields: dict[str, Any] = dict.fromkeys(("id", "model", "system_fingerprint", "service_tier"), long)
    choice: dict[str, Any] = {"index": 0, "finish_reason": long}
    if streamed:
        events = {**fields, "choices": [{**choice, "delta": {"content": "Hi."}}]}
        reply = head(200, {"content-type": "text/event-stream"}) + piece(
            b"data: " + json.dumps(events).encode() + b"\n\n"
        )
        reply += piece(b"data: [DONE]\n\n") + piece(b"")
    else:
        reply = answer({**fields, "choices": [{**choice, "message": {"role": "assistant", "content": "Hi."}}]})
    async with (
        RawServer((REQUEST, reply)) as server,
        AsyncCompletion(
            base_urls={"openai": server.url}, api_keys={"openai": "k"}, middleware=[exported.middleware()]
        ) as client,
    ):
        if streamed:
            assert (await client.stream("openai/gpt-4o", "Hello!").get_final_completion()).text == "Hi."
        else:
            assert (await client.create("openai/gpt-4o", "Hello!")).text == "Hi."
    assert attributes_of(exported.span())["gen_ai.response.id"].startswith("\\x1b[2Jx")
    assert len(exported.everything()) < 20_000
    assert "\x1b" not in repr(attributes_of(exported.span()))


async def test_an_error_is_recorded_by_its_class(
    client: AsyncCompletion, server: SimulatorServer, exported: Exported
) -> None:
    """Failed calls would look successful, or have as many error types as there are messages."""
    server.fault = "rate-limit"
    with pytest.raises(RateLimitError) as caught:
        await client.create("openai/gpt-4o", PROMPT, max_retries=0)
    span = exported.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == f"RateLimitError status_code=429 request_id={caught.value.request_id}"
    assert attributes_of(span)["error.type"] == "anycompletion.RateLimitError"
    ((attributes, _),) = exported.metrics()["gen_ai.client.operation.duration"]
    assert attributes["error.type"] == "anycompletion.RateLimitError"
    assert "gen_ai.client.token.usage" not in exported.metrics()


async def test_retries_are_within_one_span(
    client: AsyncCompletion, server: SimulatorServer, exported: Exported
) -> None:
    """One call would be several spans, some of them failed."""
    server.fault = Fault.status(429, retry_after=0.01, times=1)
    reply = await client.create("openai/gpt-4o", "Hello!")
    assert reply.info.attempts == 2
    assert exported.span().status.status_code is StatusCode.UNSET


async def test_a_call_without_a_key_is_a_span_with_an_error(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing key would not be recorded, or telemetry would fail on it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with AsyncCompletion(middleware=[exported.middleware()]) as client:
        with pytest.raises(ConfigurationError):
            await client.create("openai/gpt-4o", "Hello!")
    assert exported.span().name == "chat gpt-4o"
    assert attributes_of(exported.span())["gen_ai.provider.name"] == "openai"
    assert attributes_of(exported.span())["error.type"] == "anycompletion.ConfigurationError"


async def test_each_item_of_a_batch_has_its_span(client: AsyncCompletion, exported: Exported) -> None:
    """The calls of a batch would not be recorded."""
    requests = [ChatRequest("openai/gpt-4o", f"Question {i}", custom_id=str(i)) for i in range(5)]
    async with client.batch(requests) as run:
        results = [result async for result in run]
    assert all(result.ok for result in results)
    ids = {result.unwrap().id for result in results}
    assert {attributes_of(span)["gen_ai.response.id"] for span in exported.ended()} == ids
    assert len(ids) == 5
    assert exported.metrics()["gen_ai.client.operation.duration"][0][1].count == 5


async def test_the_current_span_is_the_parent_and_stays_current(
    client: AsyncCompletion, exported: Exported, server: SimulatorServer
) -> None:
    """Calls would not belong to their trace, or the application's spans would become children of a stream's span."""
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
    assert [span.parent and span.parent.span_id for span in exported.ended()] == [parent.get_span_context().span_id] * 3


# --- when a stream's span ends ---


async def test_a_closed_stream_ends_its_span_without_an_error(client: AsyncCompletion, exported: Exported) -> None:
    """A stream that is closed early would leave its span open for ever, or be counted as a failure."""
    stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    await anext(stream)
    await stream.aclose()
    assert exported.span().status.status_code is StatusCode.UNSET
    assert attributes_of(exported.span())["gen_ai.response.finish_reasons"] == ("error",)


async def test_a_dropped_stream_ends_its_span(client: AsyncCompletion, exported: Exported) -> None:
    """The span of a garbage-collected stream would never end."""
    stream = await client.create("openai/gpt-4o", "Hello!", stream=True)
    await anext(stream)
    del stream
    gc.collect()
    assert len(exported.ended()) == 1


async def test_a_cut_stream_ends_its_span_with_an_error(
    client: AsyncCompletion, server: SimulatorServer, exported: Exported
) -> None:
    """A partial reply would look complete."""
    server.fault = "cut-after-3-events"
    stream = client.stream("openai/gpt-4o", "Hello!")
    with pytest.raises(StreamInterruptedError):
        await stream.get_final_completion()
    assert exported.span().status.status_code is StatusCode.ERROR
    assert attributes_of(exported.span())["error.type"] == "anycompletion.StreamInterruptedError"
    assert attributes_of(exported.span())["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_ends_its_span(
    client: AsyncCompletion, server: SimulatorServer, exported: Exported, stream: bool
) -> None:
    """A cancelled call would leave its span open for ever."""
    server.fault = "hang"
    task = asyncio.ensure_future(client.create("openai/gpt-4o", "Hello!", stream=stream))
    while not server.requests:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attributes_of(exported.span())["error.type"] == "asyncio.exceptions.CancelledError"


async def test_a_closed_client_ends_the_spans_of_its_streams(server: SimulatorServer, exported: Exported) -> None:
    """A shutdown would lose the spans of all open streams."""
    client = AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys, middleware=[exported.middleware()])
    server.fault = "stall-after-2-events"
    stream = client.stream("openai/gpt-4o", "Hello!")
    task = asyncio.ensure_future(stream.get_final_completion())
    while not stream.snapshot.choices:
        await asyncio.sleep(0.001)
    await client.aclose()
    with pytest.raises(Exception, match="closed"):
        await task
    assert len(exported.ended()) == 1


# --- content ---


async def test_prompts_replies_and_keys_are_not_exported(
    client: AsyncCompletion, server: SimulatorServer, exported: Exported
) -> None:
    """Prompts, replies or keys would be visible to everyone with access to traces."""
    server.reply = "Reply-that-must-not-be-exported."
    tool = {"type": "function", "function": {"name": "f", "description": "Description-that-must-not-be-exported."}}
    await client.create("openai/gpt-4o", PROMPT, n=2)
    await client.create("anthropic/claude-haiku-4-5", [{"role": "system", "content": PROMPT}, *user(PROMPT)])
    async with client.stream("openai/gpt-4o", PROMPT, tools=[tool], tool_choice="none") as stream:
        await stream.get_final_completion()
    server.fault = "bad-request"
    with pytest.raises(Exception, match=r"."):
        await client.create("openai/gpt-4o", PROMPT, extra_headers={"X-Mark": "Header-that-must-not-be-exported."})
    text = exported.everything()
    assert "gpt-4o" in text
    for secret in (PROMPT, "must-not-be-exported", *server.api_keys.values()):
        assert secret not in text


async def test_an_error_of_user_code_is_recorded_by_its_class_alone(
    server: SimulatorServer, exported: Exported
) -> None:
    """The message of an error from other middleware would be exported, and it may contain prompts."""

    async def fails(request: ChatRequest, options: CallOptions, call_next: CallNext) -> ChatCompletion:
        raise LookupError(f"nothing known of {request.messages}")

    keys, urls = server.api_keys, server.base_urls
    async with AsyncCompletion(base_urls=urls, api_keys=keys, middleware=[exported.middleware(), fails]) as client:
        with pytest.raises(LookupError):
            await client.create("openai/gpt-4o", PROMPT)
    assert attributes_of(exported.span())["error.type"] == "LookupError"
    assert exported.span().status.description == "LookupError"
    assert PROMPT not in exported.everything()


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


async def test_text_is_exported_if_the_standard_variable_enables_it(
    client: AsyncCompletion, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts and replies would be missing in traces although capturing them is enabled in the standard way."""
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
    attributes = attributes_of(exported.span())
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
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": reply.text}]
    assert json.loads(attributes["gen_ai.tool.definitions"])[0]["name"] == "weather"


async def test_captured_streams_have_their_text(
    client: AsyncCompletion, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replies of streams would be missing although those of plain calls are captured."""
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    async with client.stream("openai/gpt-4o", "Hello!") as stream:
        final = await stream.get_final_completion()
    (message,) = json.loads(attributes_of(exported.span())["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": final.text}]


# --- failures of telemetry ---


async def test_failing_telemetry_does_not_affect_calls(
    server: SimulatorServer, exported: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in an exporter would be an outage."""

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


async def test_telemetry_that_fails_during_a_call_does_not_affect_it(
    client: AsyncCompletion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A span that cannot be written would lose the reply."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(PROMPT)

    monkeypatch.setattr("opentelemetry.util.genai.invocation.InferenceInvocation._apply_finish", fail)
    monkeypatch.setattr("opentelemetry.util.genai.invocation.InferenceInvocation.record_stream_chunk", fail)
    with caplog.at_level(logging.WARNING, "anycompletion"):
        assert (await client.create("openai/gpt-4o", "Hello!")).text
        async with client.stream("openai/gpt-4o", "Hello!") as stream:
            assert (await stream.get_final_completion()).text
    assert PROMPT not in caplog.text
    assert {record.__dict__["ac_event"] for record in caplog.records} == {"observer_failed"}


def test_a_client_with_telemetry_pickles() -> None:
    """A client with telemetry could not be sent to a worker."""
    client = AsyncCompletion(middleware=[otel()])
    copy: AsyncCompletion = pickle.loads(pickle.dumps(client))  # noqa: S301 (our own bytes)
    assert repr(copy) == repr(client)
    with pytest.raises(TypeError, match="set global ones"):
        pickle.dumps(AsyncCompletion(middleware=[Exported().middleware()]))


def test_every_provider_name_exists() -> None:
    """A typing error would give a provider two names."""
    assert PROVIDER_NAMES.keys() <= PROVIDERS.keys()


def test_deep_arguments_of_a_call_are_exported_as_text() -> None:
    """A model could end the process where the recursion limit is high and text is captured."""
    script = """
import sys, threading
from anycompletion import ChatCompletion
from anycompletion.integrations.otel_content import output_messages
sys.setrecursionlimit(10**7)
deep = "[" * 300_000
function = {"name": "f", "arguments": deep}
message = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]}
reply = ChatCompletion.from_dict({"choices": [{"message": message}]})
threading.stack_size(128 * 1024)
thread = threading.Thread(target=lambda: print(deep in repr(output_messages(reply))))
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_nothing_is_imported_without_telemetry() -> None:
    """Every import and every call would pay for telemetry that is not used."""
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


def test_without_the_extra_the_error_names_it() -> None:
    """A user without the helper library would not know what to install."""
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
