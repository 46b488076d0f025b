"""Spans of the tool calls of a run, by OpenTelemetry's conventions; without arguments and results.

https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

import json
import time

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

# The helper library is typed, but has no py.typed marker.
from opentelemetry.util.genai.types import ContentCapturingMode  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry.util.genai.utils import get_content_capturing_mode  # pyright: ignore[reportMissingTypeStubs]

from .. import Content
from ..tools import CallFinished, ToolEvent
from .otel_attributes import error_type, shown

_ON_SPANS = (ContentCapturingMode.SPAN_ONLY, ContentCapturingMode.SPAN_AND_EVENT)


class ToolSpans:
    """The observer of tool runs that `otel_tools` returns."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._captures = get_content_capturing_mode() in _ON_SPANS

    def __call__(self, event: ToolEvent) -> None:
        """Records the span of a call that has ended; ignores other events.

        A span begun at the call's start would never end if the run is cancelled.
        """
        if not isinstance(event, CallFinished):
            return
        outcome, function = event.outcome, event.call.function
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": shown(function.name) or "_OTHER",
            "gen_ai.tool.type": "function",
        }
        if event.call.id:
            attributes["gen_ai.tool.call.id"] = shown(event.call.id) or ""
        if self._captures:
            attributes["gen_ai.tool.call.arguments"] = function.arguments
            attributes["gen_ai.tool.call.result"] = _text(outcome.content)
        end = time.time_ns()
        name = f"execute_tool {attributes['gen_ai.tool.name']}"
        start = end - int(outcome.elapsed * 1e9)
        span = self._tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes, start_time=start)
        if outcome.error is not None:
            span.set_attribute("error.type", error_type(outcome.error))
            span.set_status(Status(StatusCode.ERROR, type(outcome.error).__name__))
        span.end(end)


def _text(content: Content) -> str:
    return content if isinstance(content, str) else json.dumps([part.to_dict() for part in content])
