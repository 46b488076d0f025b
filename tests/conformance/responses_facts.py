"""Responses as plain values with the chat API's names, from the objects of OpenAI's SDK, by OpenAI's documentation.

https://platform.openai.com/docs/api-reference/responses/object

No code of this package is used, except to see what of a reply is sent back.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from anycompletion import ChatCompletion, ChatRequest, UserMessage
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_responses.dialect import DIALECT
from anycompletion.http import HttpRequest

Facts = dict[str, Any]

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Reason of an incomplete response → finish reason."""

OWN_KINDS = ("message", "reasoning", "function_call", "custom_tool_call")
"""Types of items that can go back although the response was not stored."""

BLANK_LINE = "\n\n"


def assembled(events: Iterable[Facts]) -> Facts:
    """The response that the events of a stream describe: its items as they ended, its texts as they came in pieces.

    Some recordings have several streams in one body; the first one counts.
    """
    pieces: dict[tuple[int, int], str] = {}
    arguments: dict[int, str] = {}
    items: dict[int, Facts] = {}
    last: Facts = {}
    for event in events:
        at = event.get("output_index", 0)
        match event["type"]:
            case "response.output_text.delta":
                key = at, event["content_index"]
                pieces[key] = pieces.get(key, "") + event["delta"]
            case "response.function_call_arguments.delta":
                arguments[at] = arguments.get(at, "") + event["delta"]
            case "response.output_item.done":
                items[at] = event["item"]
            case "response.completed" | "response.incomplete":
                last = event["response"]
                break
    for (at, part), text in pieces.items():
        assert items[at]["content"][part]["text"] == text, "the pieces are not the text"
    for at, text in arguments.items():
        assert items[at]["arguments"] == text, "the pieces are not the arguments"
    return {**last, "output": [item for _, item in sorted(items.items())]}


def of_reply(response: Facts) -> Facts:
    """A response of the SDK with the chat API's names."""
    custom = {tool.get("name") for tool in response.get("tools") or () if tool["type"] == "custom"}
    calls = [item for item in response["output"] if is_call(item, custom)]
    incomplete = (response.get("incomplete_details") or {}).get("reason")
    finish = INCOMPLETE.get(incomplete, "stop") if incomplete else "tool_calls" if calls else "stop"
    parts = [part for item in answers(response) for part in item["content"]]
    usage = response.get("usage") or {}
    return {
        "id": response["id"],
        "model": response["model"],
        "created": int(response["created_at"]),
        "text": BLANK_LINE.join(filter(None, map(text_of, answers(response)))),
        "refusal": "".join(part.get("refusal") or "" for part in all_parts(response)),
        "reasoning": BLANK_LINE.join(filter(None, thoughts(response))),
        "tool_calls": [[call["call_id"], call["name"], call.get("arguments", call.get("input"))] for call in calls],
        "annotations": list(annotations(response)),
        "logprobs": [token["token"] for part in parts for token in part.get("logprobs") or ()],
        "finish_reason": finish,
        "native_finish_reason": incomplete or "completed",
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "cached_tokens": (usage.get("input_tokens_details") or {}).get("cached_tokens"),
        "cache_write_tokens": (usage.get("input_tokens_details") or {}).get("cache_write_tokens"),
        "reasoning_tokens": (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        "service_tier": response.get("service_tier"),
        "sent_back": list(sent_back(response, custom)),
    }


def is_call(item: Facts, custom: set[Any]) -> bool:
    """Whether an item is a call of the caller's tools."""
    return item["type"] == "function_call" or (item["type"] == "custom_tool_call" and item["name"] in custom)


def messages(response: Facts) -> list[Facts]:
    """The messages of a response."""
    return [item for item in response["output"] if item["type"] == "message"]


def answers(response: Facts) -> list[Facts]:
    """The messages that are the answer, without the notes before it."""
    return [item for item in messages(response) if item.get("phase") != "commentary"]


def all_parts(response: Facts) -> list[Facts]:
    """The content parts of all messages."""
    return [part for item in messages(response) for part in item["content"]]


def text_of(item: Facts) -> str:
    """The text of a message."""
    return "".join(part.get("text") or "" for part in item["content"])


def thoughts(response: Facts) -> Iterator[str]:
    """The sections of the reasoning."""
    for item in response["output"]:
        if item["type"] == "reasoning":
            yield from (part["text"] for part in item.get("content") or item.get("summary") or ())
        elif item["type"] == "message" and item.get("phase") == "commentary":
            yield text_of(item)


def annotations(response: Facts) -> Iterator[Facts]:
    """The annotations; a web page has its place in the whole content."""
    start = 0
    for item in answers(response):
        for part in item["content"]:
            for found in part.get("annotations") or ():
                yield annotation(found, start)
            start += len(part.get("text") or "")
        start += len(BLANK_LINE) if start else 0


def annotation(found: Facts, start: int) -> Facts:
    """An annotation in the chat API's form."""
    if found["type"] != "url_citation":
        return found
    inner = {name: value for name, value in found.items() if name != "type"}
    for name in ("start_index", "end_index"):
        inner[name] += start
    return {"type": "url_citation", "url_citation": inner}


def sent_back(response: Facts, custom: set[Any]) -> Iterator[Facts]:
    """The items that the next request contains."""
    kept = [item for item in response["output"] if not needs_store(item, custom)]
    if response.get("store") and len(kept) < len(response["output"]):
        for item in response["output"]:
            left_out = ("status",) if item["type"] in OWN_KINDS and not is_server_call(item, custom) else ()
            yield sendable(item, *left_out)
        return
    for item in kept:
        yield simple(sendable(item, "status", "id"))


def is_server_call(item: Facts, custom: set[Any]) -> bool:
    """Whether an item is a call of one of the server's own tools."""
    return item["type"] == "custom_tool_call" and item["name"] not in custom


def needs_store(item: Facts, custom: set[Any]) -> bool:
    """Whether an item cannot go back by itself."""
    if item["type"] == "reasoning":
        return not (item.get("encrypted_content") or item.get("content"))
    return item["type"] not in OWN_KINDS or is_server_call(item, custom)


def sendable(item: Facts, *left_out: str) -> Facts:
    """An item without nulls, empty reasoning, log probabilities and the fields that do not go back."""
    fields = {name: value for name, value in item.items() if value is not None and name not in left_out}
    if item["type"] == "reasoning" and not fields.get("content"):
        fields.pop("content", None)
    if item["type"] == "message":
        fields["content"] = [
            {name: value for name, value in part.items() if name != "logprobs"} for part in item["content"]
        ]
    return fields


def simple(item: Facts) -> Facts:
    """A message in its simple form if it is one text; any other item unchanged."""
    if item["type"] == "message" and len(item["content"]) == 1:
        part = item["content"][0]
        if part["type"] == "output_text" and not part.get("annotations"):
            rest = {name: value for name, value in item.items() if name not in ("type", "content")}
            return {**rest, "content": part["text"]}
    return item


# --- this package -----------------------------------------------------------------------------------------------------


def of_ours(reply: ChatCompletion) -> Facts:
    """A reply of this package with the same names."""
    (choice,) = reply.choices
    message, usage = choice.message, reply.usage
    prompt = usage and usage.prompt_tokens_details
    completion = usage and usage.completion_tokens_details
    return {
        "id": reply.id,
        "model": reply.model,
        "created": reply.created,
        "text": reply.text,
        "refusal": message.refusal or "",
        "reasoning": message.reasoning_content or "",
        "tool_calls": [
            [call.id, call.custom.name, call.custom.input]
            if call.custom is not None
            else [call.id, call.function.name, call.function.arguments]
            for call in message.tool_calls or ()
        ],
        "annotations": [item.to_dict() for item in message.annotations or ()],
        "logprobs": [token.token for token in (choice.logprobs and choice.logprobs.content) or ()],
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
        "total_tokens": usage and usage.total_tokens,
        "cached_tokens": prompt and prompt.cached_tokens,
        "cache_write_tokens": prompt and prompt.cache_write_tokens,
        "reasoning_tokens": completion and completion.reasoning_tokens,
        "service_tier": reply.service_tier,
        "sent_back": items_sent_back(reply),
    }


def items_sent_back(reply: ChatCompletion) -> list[Any]:
    """The items of the next request that contains the reply."""
    provider = reply.info.provider
    request = ChatRequest("any", [UserMessage("Hello"), reply.message, UserMessage("And?")])
    target = Target(
        provider=provider, model="any", base_url="http://127.0.0.1", quirks=DIALECT.quirks_type(), on_unsupported="drop"
    )
    encoded = DIALECT.encode(request, target, {})
    assert isinstance(encoded, HttpRequest)
    assert encoded.body is not None
    return [item if isinstance(item, dict) else item.to_dict() for item in encoded.body["input"]][1:-1]
