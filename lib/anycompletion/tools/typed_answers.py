"""Typed answers of tool runs, ``into=``: how a model that has tools is asked for a value, and how its reply is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs
import msgspec

from ..errors import CompletionError, InvalidRequestError, ReplyValidationError
from ..options import OptionValues
from ..providers import Provider
from ..providers.structured_support import StructuredMode, is_model_of
from ..records import (
    ChatCompletion,
    ChatRequest,
    FunctionTool,
    Message,
    SystemMessage,
    ToolCall,
    UserMessage,
)
from ..structured import ParsedCompletion
from ..structured.parse import ProviderLookup, checked_reasks
from ..structured.reasks import add_mode_note, problem_text
from ..structured.reply_type import ReplyType, TypedRequest, reply_type
from ..structured.requests import ANSWER, instructed, typed_request
from ..structured.schemas import forces_tool
from ..structured.schemas.prepared_schema import support_of
from .call_outcome import ToolOutcome
from .running_call import error_outcome
from .tool_errors import ArgumentMismatch
from .tool_results import invalid_arguments
from .tool_set import ToolSet

_INSTRUCTION = f"When you have the answer, give it by calling the tool {ANSWER}, once and alone."

_RECEIVED = "The answer was received."
"""Result of the tool `answer`, so that the conversation can go on."""


@attrs.frozen(eq=False)
class TypedAnswer:
    """How the answer of a run is asked for and read."""

    asked: ReplyType[Any]
    typed: TypedRequest
    """The first request, with what asks for the answer but for the instruction."""
    instruction: str | None
    """A system message of the requests that is no part of the conversation."""
    max_reasks: int
    is_forced: bool
    """Whether the model has to call a tool in each turn, of which `answer` is one."""

    @property
    def is_call(self) -> bool:
        """Whether the answer is a call of `answer`; otherwise it is a text."""
        return self.typed.mode == "tool"

    @property
    def last_choice(self) -> str | Mapping[str, Any] | None:
        """The `tool_choice` of a turn that has to answer; None where it is that of the other turns."""
        if not self.is_call:
            return "none"
        return {"type": "function", "function": {"name": ANSWER}} if self.is_forced else None

    def with_instruction(self, messages: list[Message]) -> list[Message]:
        """The messages of a request, with the instruction."""
        return messages if self.instruction is None else instructed(messages, self.instruction)

    def is_answer(self, call: ToolCall) -> bool:
        """Whether a call gives the answer."""
        return self.is_call and call.function.name == ANSWER

    def with_name(self, tools: ToolSet) -> ToolSet:
        """The tools of the run, with the name of `answer` where the model may call it."""
        return attrs.evolve(tools, names=[*tools.names, ANSWER]) if self.is_call else tools

    def try_read(self, reply: ChatCompletion) -> ParsedCompletion[Any] | ReplyValidationError:
        """The last reply with its value, or the error of one that does not fit.

        Raises:
            ReplyError: it was refused or cut.
        """
        try:
            return self.asked.read(reply, self.typed)
        except ReplyValidationError as error:
            return error.with_traceback(None)

    def outcome(self, call: ToolCall, read: ParsedCompletion[Any] | ReplyValidationError) -> ToolOutcome:
        """What the model gets for a call of `answer`."""
        if isinstance(read, ReplyValidationError):
            mismatch = ArgumentMismatch(read.path, read.expected)
            return error_outcome(call, invalid_arguments(mismatch), mismatch)
        return ToolOutcome(call, _RECEIVED)

    def explain(self, error: CompletionError) -> None:
        """Adds to the refusal of a schema what to try."""
        add_mode_note(error, self.typed)

    def problem(self, error: ReplyValidationError) -> UserMessage:
        """What the model gets of a text that does not fit."""
        return UserMessage(problem_text(error, self.typed.request))


def typed_answer(
    lookup: ProviderLookup,
    request: ChatRequest,
    options: OptionValues,
    arguments: Mapping[str, Any],
) -> TypedAnswer:
    """How the answer of a run is asked for.

    Args:
        lookup: knows the provider.
        request: the first request, validated.
        options: of the call.
        arguments: `into`, `mode`, `strict`, `max_reasks` and `validate`, as the caller wrote them.

    Raises:
        InvalidRequestError: an argument is invalid, or a tool has the name of the one that gives the answer.
        UnsupportedParameterError: the provider has no such mode, or cannot be strict with this type.
    """
    reasks = checked_reasks(arguments["max_reasks"])
    asked = reply_type(arguments["into"], arguments)
    provider, model, is_routed = lookup.provider_of(request.model, options)
    asked = msgspec.structs.replace(asked, mode=_mode_with_tools(asked, provider, model, is_routed=is_routed))
    if is_routed and asked.strict is None:
        asked = msgspec.structs.replace(asked, strict=False)  # which not every target of the route may take
    mode, prepared = asked.prepared(provider, model)
    only = typed_request(ChatRequest(request.model, []), asked.plan.name, prepared.schema, mode, strict=prepared.strict)
    params, instruction, is_forced = dict(request.given()), _text_of(only), False
    if mode == "tool":
        params["tools"] = _with_answer(request, cast("Sequence[FunctionTool]", only.tools))
        is_forced = request.tool_choice in (None, "required") or isinstance(request.tool_choice, Mapping)
        is_forced = is_forced and not is_routed and forces_tool(provider, model, request.given())
        if is_forced:
            params.setdefault("tool_choice", "required")
        else:
            instruction = _INSTRUCTION
    elif only.response_format is not None:
        params["response_format"] = only.response_format
    first = ChatRequest(request.model, request.messages, **params)
    first.cache_given(params)
    return TypedAnswer(asked, TypedRequest(first, mode, prepared.notes), instruction, reasks, is_forced)


def _mode_with_tools(asked: ReplyType[Any], provider: Provider, model: str, *, is_routed: bool) -> StructuredMode:
    """The mode in which a model that has tools is asked for its answer, in place of "auto"."""
    if asked.mode != "auto":
        return asked.mode
    if is_routed:
        return "tool"
    mode, _ = asked.prepared(provider, model)
    _, support, own = support_of(provider, model)
    takes_both = mode == "schema" and any(is_model_of(own, start) for start in support.schema_with_tools)
    return "schema" if takes_both else "tool"


def _text_of(request: ChatRequest) -> str | None:
    """The instruction in a typed request without other messages."""
    return next((each.content for each in request.messages if isinstance(each, SystemMessage)), None)  # type: ignore[return-value]


def _with_answer(request: ChatRequest, answer: Sequence[FunctionTool]) -> list[Any]:
    tools = list(request.tools or ())
    if any(isinstance(each, FunctionTool) and each.function.name == ANSWER for each in tools):
        raise InvalidRequestError(
            f"tools: with into=, the answer is a call of the tool {ANSWER!r}; give yours another name", param="tools"
        )
    return [*tools, *answer]
