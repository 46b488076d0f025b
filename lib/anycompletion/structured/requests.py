"""Requests for typed replies: the schema as `response_format`, as the tool `answer`, or in a system message.

Pure functions from one plain request to another; nothing here knows the type, or reads a reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never, cast

from ..codecs import json
from ..providers.structured_support import StructuredMode
from ..records import (
    AssistantMessage,
    ChatRequest,
    DeveloperMessage,
    FunctionDefinition,
    FunctionTool,
    Message,
    SystemMessage,
    UserMessage,
)

ANSWER = "answer"
"""Name of the tool whose arguments are the reply in tool mode."""

_INSTRUCTION = (
    "Reply with a single JSON object that is valid against this JSON Schema, and with nothing else: no explanation, "
    "no code fence."
)
_TOOL_INSTRUCTION = f"Reply by calling the tool {ANSWER}, once."


def typed_request(
    request: ChatRequest,
    name: str,
    schema: Mapping[str, Any],
    mode: StructuredMode,
    *,
    strict: bool | None,
    forced: bool = True,
) -> ChatRequest:
    """`request`, which asks for a value of the schema.

    Args:
        request: a validated request without tools and `response_format`.
        name: the name of the schema.
        schema: in the form that the provider accepts.
        mode: how the schema is sent.
        strict: the provider's flag of that name; None leaves it out.
        forced: for the mode "tool", whether the call is demanded; otherwise the prompt asks for it.
    """
    messages = cast("Sequence[Message]", request.messages)
    params = request.given().copy()
    match mode:
        case "schema":
            flag = {} if strict is None else {"strict": strict}
            params["response_format"] = {"type": "json_schema", "json_schema": {"name": name, **flag, "schema": schema}}
        case "tool":
            params["tools"] = [FunctionTool(FunctionDefinition(ANSWER, "Gives the answer.", schema, strict))]
            if forced:
                params["tool_choice"] = {"type": "function", "function": {"name": ANSWER}}
            else:
                messages = instructed(messages, _TOOL_INSTRUCTION)
        case "json" | "prompt":
            messages = instructed(messages, f"{_INSTRUCTION}\n\n{json.dumps(schema).decode()}")
            if mode == "json":
                params["response_format"] = {"type": "json_object"}
        case _:
            assert_never(mode)
    return with_params(request, params, messages)


def with_params(request: ChatRequest, params: dict[str, Any], messages: Sequence[Message] | None = None) -> ChatRequest:
    """A request with other parameters, and with other messages; `attrs.evolve` takes three times as long."""
    messages = cast("Sequence[Message]", request.messages) if messages is None else messages
    changed = ChatRequest(request.model, messages, **params, extra_body=request.extra_body, custom_id=request.custom_id)
    changed.reply_schema, changed.preferred_target = request.reply_schema, request.preferred_target
    changed.cache_given(params)
    return changed


def instructed(messages: Sequence[Message], text: str) -> list[Message]:
    """The messages with instructions after the leading ones."""
    leading = next(
        (at for at, each in enumerate(messages) if not isinstance(each, (SystemMessage, DeveloperMessage))),
        len(messages),
    )
    return [*messages[:leading], SystemMessage(text), *messages[leading:]]


def plain_request(request: ChatRequest) -> ChatRequest:
    """A typed request without what `typed_request` added."""
    messages = [each for each in cast("Sequence[Message]", request.messages) if not _is_instruction(each)]
    added = ("response_format", "tools", "tool_choice")
    params = {name: value for name, value in request.given().items() if name not in added}
    return with_params(request, params, messages)


def _is_instruction(message: Message) -> bool:
    text = message.content if isinstance(message, SystemMessage) else None
    return isinstance(text, str) and (text == _TOOL_INSTRUCTION or text.startswith(f"{_INSTRUCTION}\n\n"))


def sent_schema(request: ChatRequest) -> Mapping[str, Any] | None:
    """The schema in a typed request, in the form in which it is sent; None for a request of another kind."""
    format_: Mapping[str, Any] = request.response_format or {}
    if format_.get("type") == "json_schema":
        return cast("Mapping[str, Any]", format_["json_schema"].get("schema"))
    for tool in request.tools or ():
        if isinstance(tool, FunctionTool) and tool.function.name == ANSWER:
            return tool.function.parameters
    for message in request.messages:
        if isinstance(message, SystemMessage) and isinstance(message.content, str):
            instruction, _, schema = message.content.partition("\n\n")
            if instruction == _INSTRUCTION:
                return cast("Mapping[str, Any]", json.loads(schema.encode()))
    return None


def calls_answer(request: ChatRequest) -> bool:
    """Whether a request asks for a call of the tool `answer`."""
    return any(isinstance(tool, FunctionTool) and tool.function.name == ANSWER for tool in request.tools or ())


def reask_request(request: ChatRequest, reply: str, problem: str) -> ChatRequest:
    """A typed request, followed by the reply that does not fit and by what is wrong with it."""
    # Providers refuse an empty message.
    messages = [*request.messages, *([AssistantMessage(reply)] if reply.strip() else ()), UserMessage(problem)]
    return with_params(request, request.given(), cast("Sequence[Message]", messages))
