"""Anthropic's message as a chat completion: no value is guessed, and none is lost.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_str,
    optional_int,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...http import HttpResponse
from ...records import (
    Annotation,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    FunctionCall,
    JsonObject,
    PromptTokensDetails,
    ToolCall,
    UrlCitation,
    Usage,
)
from ..base import EncodingReport, Target
from ..shared import as_text, unreadable_reply, uses_legacy_functions, without_nulls
from .errors import REQUEST_ID, error_from_body, error_in_reply, error_in_value
from .message_blocks import NATIVE_CONTENT, assistant_blocks, is_blank_block
from .reply_blocks import read_blocks
from .text_messages import AnthropicTextMessage, text_message

PAUSED = "pause_turn"
"""The stop reason of a reply that is to be sent back as it is, so that Anthropic's own tools go on."""

_FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    PAUSED: "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's stop reason → OpenAI's finish reason."""
MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_USAGE = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens_details",
    }
)
_THINKING_TOKENS = frozenset({"thinking_tokens"})
_URL_CITATION = frozenset({"type", "url", "title"})
_TYPE = frozenset({"type"})
_TEXT_BLOCK = frozenset({"type", "text"})


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the body is an error nevertheless.
        APIResponseError: the body does not have the format's shape.
    """
    plain = text_message(response.body)
    if plain is not None:
        return _text_completion(plain, response.body)
    failure: object = None
    problem = ""
    try:
        value = json.loads(response.body)
        failure = error_in_value(value)
        if failure is None:
            data = as_object(value, "body")
            failure = error_in_reply(data)
            if failure is None:
                return _completion(data, uses_legacy_functions(request), target.model)
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    # Raised here, so that the error's context and traceback do not hold the reply.
    if problem:
        raise unreadable_reply(f"Anthropic's reply cannot be read: {problem}", response, REQUEST_ID)
    raise error_from_body(failure, None, response.headers, as_text(response.body))


def _completion(data: JsonObject, legacy: bool, model: str) -> ChatCompletion:
    if data.get("content") is None:
        raise ShapeError("content", "an array", None)
    reason = optional_str(data.get("stop_reason"))
    message = read_message(read_blocks(data["content"]), legacy)
    message.refusal = refusal(reason, data.get("stop_details"))
    if reason is None and message == ChatCompletionMessage():
        raise ShapeError("stop_reason", "a text, because there is no content", data.get("stop_reason"))
    usage = optional_object(data.get("usage"))
    choice = Choice(
        0,
        message,
        finish_reason(reason, legacy),
        native_finish_reason=reason,
        paused=reason == PAUSED,
        extra=stop_extras(data),
    )
    completion = ChatCompletion(
        optional_str(data.get("id")) or "",
        [choice],
        optional_str(data.get("model")) or model,
        usage=None if usage is None else read_usage(usage),
        service_tier=None if usage is None else optional_str(usage.get("service_tier")),
        extra=without_nulls(unknown_fields(data, MESSAGE_FIELDS)),
    )
    completion.raw = data
    return completion


def _text_completion(message: AnthropicTextMessage, body: bytes) -> ChatCompletion:
    reason, usage = message.stop_reason, message.usage
    sequence = {} if message.stop_sequence is None else {"stop_sequence": message.stop_sequence}
    choice = Choice(0, ChatCompletionMessage(message.text), _FINISH[reason], None, reason, extra=sequence)
    tier = optional_str(usage.get("service_tier"))
    completion = ChatCompletion(message.id, [choice], message.model, usage=read_usage(usage), service_tier=tier)
    completion.keep_raw_json(body)
    return completion


def stop_extras(source: JsonObject) -> JsonObject:
    """What Anthropic reports of the end besides its reason, for the choice's `extra`."""
    return {name: source[name] for name in ("stop_sequence", "stop_details") if source.get(name) is not None}


def finish_reason(reason: str | None, legacy: bool) -> str | None:
    """OpenAI's finish reason for a stop reason; an unknown one passes unchanged."""
    if reason is None:
        return None
    return "function_call" if legacy and reason == "tool_use" else _FINISH.get(reason, reason)


def refusal(reason: str | None, details: object) -> str | None:
    """The explanation of a refusal, where Anthropic gives one."""
    found = None if details is None else optional_object(details)
    if found is None or "refusal" not in (reason, found.get("type")):
        return None
    return optional_str(found.get("explanation"))


def read_usage(usage: JsonObject) -> Usage:
    """Token counts as OpenAI defines them: prompt tokens include those read from and written to the cache."""
    fresh = optional_int(usage.get("input_tokens"))
    read = optional_int(usage.get("cache_read_input_tokens"))
    written = optional_int(usage.get("cache_creation_input_tokens"))
    completion = optional_int(usage.get("output_tokens"))
    details = optional_object(usage.get("output_tokens_details"))
    prompt = None if fresh is None else fresh + (read or 0) + (written or 0)
    return Usage(
        prompt,
        completion,
        None if prompt is None or completion is None else prompt + completion,
        None if read is None and written is None else PromptTokensDetails(read, cache_write_tokens=written),
        None
        if details is None
        else CompletionTokensDetails(
            optional_int(details.get("thinking_tokens")),
            extra=unknown_fields(details, _THINKING_TOKENS),
        ),
        extra=without_nulls(unknown_fields(usage, _USAGE)),
    )


# --- the message -----------------------------------------------------------------------------------------------------


def read_message(content: list[JsonObject], legacy: bool) -> ChatCompletionMessage:
    """The message of content blocks, with the blocks themselves where its fields cannot express them exactly.

    Raises:
        ShapeError: a call's input is no object.
    """
    texts: list[str] = []
    thinking: list[JsonObject] = []
    calls: list[ToolCall] = []
    annotations: list[Annotation] = []
    length = 0
    for i, block in enumerate(content):
        match block.get("type"):
            case "text":
                piece: str = block["text"]
                cited = block.get("citations") or ()
                annotations += [annotation(citation, length, length + len(piece)) for citation in cited]
                texts.append(piece)
                length += len(piece)
            case "thinking" | "redacted_thinking":
                thinking.append(dict(block))
            case "tool_use":
                arguments = json.dumps(as_object(block.get("input") or {}, f"content[{i}].input")).decode()
                calls.append(ToolCall(block["id"], FunctionCall(block["name"], arguments)))
            case _:
                pass  # only the native block can express it
    message = ChatCompletionMessage(
        "".join(texts) or None,
        tool_calls=None if legacy else calls or None,
        function_call=calls[0].function if legacy and calls else None,
        annotations=annotations or None,
        reasoning_content="".join(as_str(block.get("thinking")) for block in thinking) or None,
        thinking_blocks=thinking or None,
    )
    if not _is_complete(message, content, legacy):
        message.provider_specific_fields = {NATIVE_CONTENT: content}
    return message


def annotation(citation: JsonObject, start: int, end: int) -> Annotation:
    """A citation of the content between `start` and `end`; a web page's has OpenAI's form."""
    kind = as_str(citation.get("type"))
    if kind != "web_search_result_location":
        place = {"content_start_index": start, "content_end_index": end}
        return Annotation(kind, extra=place | unknown_fields(citation, _TYPE))
    url, title = as_str(citation.get("url")), as_str(citation.get("title"))
    return Annotation(
        "url_citation", UrlCitation(url, title, start, end), extra=unknown_fields(citation, _URL_CITATION)
    )


def _is_complete(message: ChatCompletionMessage, content: list[JsonObject], legacy: bool) -> bool:
    """Whether encoding the message's fields gives the same blocks again."""
    is_one_text = len(content) == 1 and content[0].keys() == _TEXT_BLOCK and content[0]["text"] == message.content
    if is_one_text and not is_blank_block(content[0]):
        return True  # as nearly always
    rebuilt = assistant_blocks(message, 0, EncodingReport("drop"))
    native = [_essence(block) for block in content if not is_blank_block(block)]
    if legacy:
        # The legacy form has no ids: a call and its result get the same new one.
        rebuilt, native = [_without_id(block) for block in rebuilt], [_without_id(block) for block in native]
    return rebuilt == native


def _essence(block: JsonObject) -> JsonObject:
    """A block without fields that have their default: no citations, a call by the model itself."""
    match block:
        case {"type": "text", "citations": None | []}:
            return {name: value for name, value in block.items() if name != "citations"}
        case {"type": "tool_use", "caller": {"type": "direct"}}:
            return {name: value for name, value in block.items() if name != "caller"}
        case _:
            return block


def _without_id(block: JsonObject) -> JsonObject:
    return {name: value for name, value in block.items() if name != "id"}
