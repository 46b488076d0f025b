"""Spans and metrics by OpenTelemetry's conventions for generative AI (extra ``otel``); without prompts and replies.

``AsyncCompletion(middleware=[otel()])``. The conventions are those of opentelemetry-util-genai, the helper library of
the OpenTelemetry project: https://github.com/open-telemetry/semantic-conventions-genai. Text is captured only if the
standard variable OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT enables it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

try:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider, get_tracer

    # The helper library is typed, but has no py.typed marker.
    from opentelemetry.util.genai.handler import TelemetryHandler  # pyright: ignore[reportMissingTypeStubs]
    from opentelemetry.util.genai.invocation import InferenceInvocation  # pyright: ignore[reportMissingTypeStubs]
    from opentelemetry.util.genai.types import Error  # pyright: ignore[reportMissingTypeStubs]
except ImportError as missing:
    raise ImportError("telemetry needs an extra: pip install 'anycompletion[otel]'") from missing

from opentelemetry._logs import LoggerProvider

from .. import (
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    CompletionError,
    CompletionStream,
    StreamInterruptedError,
    __version__,
)
from ..errors import printable
from ..logs import observer_failed
from .otel_attributes import description, error_type, shown
from .otel_content import input_messages, output_messages, tool_definitions
from .tokens import billable_tokens

if TYPE_CHECKING:
    from ..tools import ToolEvent

PROVIDER_NAMES: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "gemini-openai": "gcp.gemini",
    "mistral": "mistral_ai",
    **dict.fromkeys(("vertex", "vertex-anthropic", "vertex-openai"), "gcp.vertex_ai"),
    "xai": "x_ai",
}
"""Provider → its name in the conventions, where that is another."""

T = TypeVar("T")


def otel(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> Telemetry:
    """Middleware that records one span and the metrics of every logical call, plain, streamed or in a batch.

    A span covers all attempts and branches of its call. A stream's span ends with the stream: at its end, when it
    fails, or when it is closed early. Errors of telemetry are logged and do not affect the call.

    Args:
        tracer_provider: receives spans; by default the global one.
        meter_provider: receives metrics; by default the global one.
        logger_provider: receives events, if they are enabled; by default the global one.
    """
    return Telemetry(tracer_provider, meter_provider, logger_provider)


def otel_tools(*, tracer_provider: TracerProvider | None = None) -> Callable[[ToolEvent], None]:
    """An observer that records one ``execute_tool`` span for each tool call of a run that has ended.

    ::

        await client.run_tools(model, messages, tools, on_event=otel_tools())

    Arguments and results are captured where those of messages are. The spans of the turns are those of `otel`. One
    observer serves any number of runs.

    Args:
        tracer_provider: receives spans; by default the global one.
    """
    from .otel_tools import ToolSpans  # noqa: PLC0415 (few services have tools)

    return ToolSpans(get_tracer("anycompletion", __version__, tracer_provider))


class Telemetry:
    """The middleware that `otel` returns."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
    ) -> None:
        self._providers = tracer_provider, meter_provider, logger_provider
        self._handler: TelemetryHandler | None = None

    def __reduce__(self) -> Any:
        if self._providers != (None, None, None):
            raise TypeError("telemetry with providers of its own does not pickle; set global ones")
        return otel, ()

    async def __call__(
        self, request: ChatRequest, options: CallOptions, call_next: CallNext
    ) -> ChatCompletion | CompletionStream:
        """Makes the call and records its span."""
        span = _log_errors(lambda: self._start(request, options, call_next))
        if span is None:
            return await call_next(request, options)
        try:
            reply = await call_next(request, options)
        except BaseException as error:  # a cancellation ends the span as well
            span.end(error.partial if isinstance(error, CompletionError) else None, error)
            raise
        if isinstance(reply, ChatCompletion):
            span.end(reply, None)
            return reply
        return span.watch(reply)

    def _start(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> _CallSpan:
        if self._handler is None:
            tracers, meters, loggers = self._providers
            self._handler = TelemetryHandler(
                tracers,
                meters,
                loggers,
                instrumentation_scope_name="anycompletion",
                instrumentation_scope_version=__version__,
            )
        try:
            target = call_next.target(request, options)
        except CompletionError:
            # The call will raise the same error.
            provider, _, model = request.model.rpartition("/")
            invocation = self._handler.inference(provider or "_OTHER", request_model=model)
        else:
            host, port = _address(target.base_url)
            invocation = self._handler.inference(
                PROVIDER_NAMES.get(target.provider, target.provider),
                request_model=target.model,
                server_address=host,
                server_port=port,
            )
        span = _CallSpan(invocation)
        _log_errors(lambda: span.record_request(request, options, stream=call_next.stream))
        return span


def _address(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)


class _CallSpan:
    """The span of one call; its public methods but `record_request` do not raise."""

    def __init__(self, invocation: InferenceInvocation) -> None:
        self._invocation = invocation

    def record_request(self, request: ChatRequest, options: CallOptions, *, stream: bool) -> None:
        """Records the request's parameters, and its content if that is captured."""
        invocation = self._invocation
        invocation.temperature = request.temperature
        invocation.top_p = request.top_p
        invocation.frequency_penalty = request.frequency_penalty
        invocation.presence_penalty = request.presence_penalty
        invocation.max_tokens = (
            request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
        )
        invocation.stop_sequences = [request.stop] if isinstance(request.stop, str) else request.stop
        invocation.seed = request.seed
        invocation.reasoning_level = request.reasoning_effort
        invocation.request_choice_count = request.n if request.n != 1 else None
        invocation.request_stream = stream or None
        invocation.output_type = _output_type(request)
        top_k: object = {**(options.get("extra_body") or {}), **(request.extra_body or {})}.get("top_k")
        invocation.top_k = top_k if type(top_k) is int else None
        for name, tag in (options.get("tags") or {}).items():
            invocation.attributes[f"anycompletion.tag.{printable(name)}"] = printable(tag)
        if invocation.provider == "openai":
            invocation.attributes["openai.api.type"] = "chat_completions"
            if request.service_tier is not None and request.service_tier != "auto":
                invocation.attributes["openai.request.service_tier"] = request.service_tier
        if invocation.should_capture_content:
            invocation.input_messages = input_messages(request)
            invocation.tool_definitions = tool_definitions(request) or None

    def watch(self, stream: CompletionStream) -> CompletionStream:
        """A stream in place of this one; the span ends when it ends."""
        # From here on the caller's own code runs, whose spans are not children of this one.
        _log_errors(self._invocation.suspend)
        stream.on_end(self.end)
        return stream.map(self._on_chunk)

    def _on_chunk(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        _log_errors(lambda: self._record_chunk(chunk))
        return chunk

    def _record_chunk(self, chunk: ChatCompletionChunk) -> None:
        if chunk.model and self._invocation.response_model_name is None:
            self._invocation.response_model_name = shown(chunk.model)  # the metrics of chunks have it as an attribute
        self._invocation.record_stream_chunk()

    def end(self, completion: ChatCompletion | None, error: BaseException | None) -> None:
        """Ends the span. A stream that was closed early is not an error."""
        if completion is not None:
            _log_errors(lambda: self._record_reply(completion))
        if error is None or (isinstance(error, StreamInterruptedError) and error.phase == "closed"):
            _log_errors(self._invocation.stop)
        else:
            _log_errors(lambda: self._invocation.fail(Error(description(error), error_type(error), error)))

    def _record_reply(self, completion: ChatCompletion) -> None:
        invocation = self._invocation
        invocation.response_id = shown(completion.id)
        invocation.response_model_name = shown(completion.model)
        if completion.choices:
            invocation.finish_reasons = [shown(choice.finish_reason) or "error" for choice in completion.choices]
        if completion.info.cached:
            invocation.attributes["anycompletion.cached"] = True  # its tokens were counted by the call that paid them
        if completion.info.target is not None:
            invocation.attributes["anycompletion.target"] = printable(completion.info.target)
            invocation.attributes["anycompletion.tried"] = len(completion.info.tried)
        if completion.info.route is not None:
            invocation.attributes["anycompletion.route"] = printable(completion.info.route)
        usage = None if completion.info.cached else completion.usage
        if usage is not None:
            invocation.input_tokens, invocation.output_tokens = billable_tokens(usage)
            if usage.prompt_tokens_details is not None:
                invocation.cache_read_input_tokens = usage.prompt_tokens_details.cached_tokens
                invocation.cache_write_input_tokens = usage.prompt_tokens_details.cache_write_tokens
                invocation.text_input_tokens = usage.prompt_tokens_details.text_tokens
                invocation.image_input_tokens = usage.prompt_tokens_details.image_tokens
                invocation.audio_input_tokens = usage.prompt_tokens_details.audio_tokens
            if usage.completion_tokens_details is not None:
                invocation.thinking_tokens = usage.completion_tokens_details.reasoning_tokens
                invocation.text_output_tokens = usage.completion_tokens_details.text_tokens
                invocation.audio_output_tokens = usage.completion_tokens_details.audio_tokens
        if invocation.provider == "openai":
            for name in ("service_tier", "system_fingerprint"):
                value = shown(getattr(completion, name))
                if value is not None:
                    invocation.attributes[f"openai.response.{name}"] = value
        if invocation.should_capture_content:
            invocation.output_messages = output_messages(completion)


def _output_type(request: ChatRequest) -> str | None:
    form: object = (request.response_format or {}).get("type")
    if form in ("json_object", "json_schema"):
        return "json"
    if "audio" in (request.modalities or ()):
        return "speech"
    return "text" if form == "text" else None


def _log_errors(action: Callable[[], T]) -> T | None:
    """The result of `action`; None if it raises, which is logged."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 (an error of an observer must not affect the call)
        observer_failed("otel", error)
        return None


__all__ = ["PROVIDER_NAMES", "Telemetry", "otel", "otel_tools"]
