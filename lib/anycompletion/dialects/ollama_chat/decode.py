"""Ollama's reply as a chat completion. A field of an unexpected type costs no other field.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import msgspec

from ...codecs import json
from ...codecs.lenient import NotJSONError, ShapeError, as_object, as_str, optional_str
from ...http import HttpResponse
from ...records import ChatCompletion, ChatCompletionMessage, ChatRequest, Choice, JsonObject
from ..base import Target
from ..shared import unreadable_reply, uses_legacy_functions
from .errors import REQUEST_ID, error_of_reply
from .ollama_fields import (
    created_of,
    finish_reasons,
    is_done,
    message_extra,
    native_fields,
    read_calls,
    read_logprobs,
    read_message,
    read_usage,
    reply_extra,
    reply_id,
)
from .ollama_texts import OllamaTextReply, text_reply


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion:
    """The completion in a response with a good status.

    Raises:
        APIStatusError: the body is an error.
        APIResponseError: the body does not have the format's shape, or is the beginning of a stream.
    """
    plain = text_reply(response.body)
    if plain is not None:
        return _text_completion(plain, response.body)
    problem = ""
    try:
        body = json.loads(response.body)
        failure = error_of_reply(body, response.body, response.headers)
        if failure is None:
            return _completion(as_object(body, "body"), uses_legacy_functions(request), target.model)
    except (ShapeError, NotJSONError) as exc:
        problem, failure = str(exc), None
    # Raised here, so that the error's context and traceback do not hold the reply.
    raise failure or unreadable_reply(f"Ollama's reply cannot be read: {problem}", response, REQUEST_ID)


def _text_completion(reply: OllamaTextReply, body: bytes) -> ChatCompletion:
    time: JsonObject = {"created_at": reply.created_at}
    message = ChatCompletionMessage(reply.message.content or None, reasoning_content=reply.message.thinking or None)
    choice = Choice(0, message, reply.done_reason)
    usage = read_usage(msgspec.structs.asdict(reply))
    completion = ChatCompletion(reply_id(time), [choice], reply.model, created_of(time), usage=usage)
    completion.keep_raw_json(body)
    return completion


def _completion(data: JsonObject, legacy: bool, model: str) -> ChatCompletion:
    if data.get("done") is False and not is_done(data):
        raise ShapeError("done", "the end of a reply", data["done"])
    source = read_message(data)
    calls = read_calls(source, data, 0)
    message = ChatCompletionMessage(
        as_str(source.get("content")) or None,
        tool_calls=None if legacy else calls or None,
        function_call=calls[0].function if legacy and calls else None,
        reasoning_content=as_str(source.get("thinking")) or None,
        provider_specific_fields=native_fields(calls, legacy),
        extra=message_extra(source),
    )
    finish_reason, native_reason = finish_reasons(data, has_calls=bool(calls), legacy=legacy)
    completion = ChatCompletion(
        reply_id(data),
        [Choice(0, message, finish_reason, read_logprobs(data.get("logprobs")), native_reason)],
        optional_str(data.get("model")) or model,
        created_of(data),
        usage=read_usage(data),
        extra=reply_extra(data),
    )
    completion.raw = data
    return completion
