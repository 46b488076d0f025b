"""Recorded requests of the Responses API, turned back into calls, and what may differ when they are sent again.

Tolerances, applied to the expected body: nothing is stored, and encrypted reasoning is asked for, unless the recorded
request decides; a function's `strict` is explicit; items of the assistant go without their ids and states; its plain
texts, and a text in place of one part, are in the short form; nothing is null.
"""

import re
from collections.abc import Iterable
from typing import Any

from anycompletion import PROVIDERS, Provider
from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.testing import Recording
from conformance.expected import ROW_NAMES
from conformance.recorded_format import RecordedAsCall

Fields = dict[str, Any]

ENCRYPTED = "reasoning.encrypted_content"

_PARAMS = ("temperature", "top_p", "parallel_tool_calls", "service_tier", "prompt_cache_key", "user", "store")
_OF_ASSISTANT = ("message", "function_call", "reasoning", "custom_tool_call", "web_search_call")
_STATEFUL = ("background", "previous_response_id", "conversation")


def _row_of(recording: Recording) -> Provider:
    """The recording's provider with the variant as its own format; OpenAI for one without a row of it."""
    name = ROW_NAMES.get(recording.provider, recording.provider)
    rows = [PROVIDERS[each] for each in (name, f"{name}-openai") if each in PROVIDERS]
    row = next((each for each in rows if "responses" in each.variants), PROVIDERS["openai"])
    return row.as_variant("responses")


def as_call(recording: Recording) -> RecordedAsCall | None:
    """A recorded request as a call, and the body that must be sent for it; None for items that no message has."""
    assert recording.request is not None
    body: Any = recording.request.body
    if not isinstance(body, dict) or "input" not in body or "model" not in body:
        return None
    if "function" in (body.get("tool_choice") or ()):
        return None  # in the chat API's form, and refused
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    row = _row_of(recording)
    messages = _messages(items, row)
    if messages is None:
        return None
    table = row.table
    call: Fields = {"model": f"{row.name}/responses/{body['model']}", "messages": messages}
    extra = {name: value for name, value in body.items() if name not in ("model", "input", "stream", "tools")}
    for name in _PARAMS:
        if name in extra and table[name].support != "unsupported":
            call[name] = extra.pop(name)
    if "max_output_tokens" in extra and extra["max_output_tokens"] >= (table["max_tokens"].minimum or 0):
        call["max_tokens"] = extra.pop("max_output_tokens")
    if body.get("tools"):
        call["tools"] = [_chat_tool(tool) for tool in body["tools"]]
    if extra.get("tool_choice") is not None and body.get("tools"):
        call["tool_choice"] = _chat_choice(extra.pop("tool_choice"))
    _take_options(extra, call)
    return RecordedAsCall({**call, "extra_body": extra}, _expected(body, items, call, row))


def _take_options(extra: Fields, call: Fields) -> None:
    """Moves the options that are parameters from the body's own objects to the call."""
    reasoning, text = dict(extra.pop("reasoning", None) or {}), dict(extra.pop("text", None) or {})
    if "effort" in reasoning and reasoning["effort"] is not None:
        call["reasoning_effort"] = reasoning.pop("effort")
    if text.get("verbosity") is not None:
        call["verbosity"] = text.pop("verbosity")
    form = text.get("format")
    if form and form["type"] == "json_schema":
        del text["format"]
        call["response_format"] = {
            "type": "json_schema",
            "json_schema": {name: value for name, value in form.items() if name != "type"},
        }
    extra |= {name: value for name, value in (("reasoning", reasoning), ("text", text)) if value}


# --- messages ---------------------------------------------------------------------------------------------------------


def _messages(items: Iterable[Fields], row: Provider) -> list[Fields] | None:
    found: list[Fields] = []
    turn: list[Fields] = []
    for item in items:
        kind = item.get("type") or "message"
        if item.get("role") in ("user", "system", "developer") and kind == "message":
            _end_turn(turn, found, row)
            found.append({"role": item["role"], "content": _content(item["content"])})
        elif kind in ("function_call_output", "custom_tool_call_output"):
            _end_turn(turn, found, row)
            found.append({"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])})
        elif kind in _OF_ASSISTANT:
            turn.append({"type": kind, **item})
        else:
            return None
    _end_turn(turn, found, row)
    return found


def _end_turn(turn: list[Fields], found: list[Fields], row: Provider) -> None:
    """Adds the message of the assistant's items, which it has as a reply of the same provider has them."""
    if not turn:
        return
    items, stored = [*turn], any(_needs_store(item) for item in turn)
    turn.clear()
    texts = [_text(item) for item in items if item["type"] == "message" and item.get("phase") != "commentary"]
    calls = [_chat_call(item) for item in items if item["type"] in ("function_call", "custom_tool_call")]
    native = {"provider": row.name, "model": "any", "items": items, **({"stored": True} if stored else {})}
    found.append(
        {
            "role": "assistant",
            "content": "\n\n".join(filter(None, texts)) or None,
            **({"tool_calls": calls} if calls else {}),
            "provider_specific_fields": {"openai_responses": native},
        }
    )


def _needs_store(item: Fields) -> bool:
    if item["type"] == "reasoning":
        return not (item.get("encrypted_content") or item.get("content"))
    return item["type"] == "web_search_call"


def _text(item: Fields) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


def _chat_call(item: Fields) -> Fields:
    kind, field = ("custom", "input") if item["type"] == "custom_tool_call" else ("function", "arguments")
    return {"id": item["call_id"], "type": kind, kind: {"name": item["name"], field: item[field]}}


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else [_chat_part(part) for part in content]


def _chat_part(part: Fields) -> Fields:
    match part["type"]:
        case "input_text":
            return {**part, "type": "text"}
        case "input_image" if part.get("image_url"):
            url = {"url": part["image_url"], **({"detail": part["detail"]} if part.get("detail") else {})}
            return {"type": "image_url", "image_url": url}
        case "input_file" if not part.get("file_url"):
            return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
        case _:
            return part


def _chat_tool(tool: Fields) -> Fields:
    kind = tool["type"]
    if kind not in ("function", "custom"):
        return tool
    return {"type": kind, kind: {name: value for name, value in tool.items() if name != "type"}}


def _chat_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        return {"type": choice["type"], choice["type"]: {"name": choice["name"]}}
    return choice


# --- the expected body ------------------------------------------------------------------------------------------------


def _expected(recorded: Fields, items: list[Fields], call: Fields, row: Provider) -> Fields:
    body = {name: value for name, value in recorded.items() if value is not None and (name, value) != ("stream", False)}
    quirks = row.quirks
    assert isinstance(quirks, OpenAIResponsesQuirks)
    if quirks.store and not any(map(body.get, _STATEFUL)):
        body.setdefault("store", False)
    if _asks_for_reasoning(body, call, quirks):
        body["include"] = list(dict.fromkeys([ENCRYPTED, *body.get("include", ())]))
    if body.get("tools"):
        body["tools"] = [_declared_tool(tool) for tool in body["tools"]]
    else:
        body.pop("tools", None)
    if isinstance(body.get("text"), dict) and (form := body["text"].get("format")) and form["type"] == "json_schema":
        form = {name: value for name, value in form.items() if value is not None}
        body["text"] = {**body["text"], "format": {**form, "strict": bool(form.get("strict"))}}
    body["input"] = [_sent(item, quirks) for item in _in_turns(items)]
    return body


def _asks_for_reasoning(body: Fields, call: Fields, quirks: OpenAIResponsesQuirks) -> bool:
    if body.get("background"):
        return False
    if quirks.encrypted_reasoning is not None:
        return quirks.encrypted_reasoning
    if "reasoning_effort" in call:
        return call["reasoning_effort"] != "none"
    return re.search(r"(^|[/.])(gpt-[5-9]|o\d)(?!.*chat)", body["model"]) is not None


def _declared_tool(tool: Fields) -> Fields:
    if tool["type"] != "function":
        return tool
    given = {name: value for name, value in tool.items() if value is not None}
    return {"parameters": {"type": "object", "properties": {}}, **given, "strict": bool(tool.get("strict"))}


def _in_turns(items: list[Fields]) -> list[Fields]:
    """The items, marked with whether their turn goes back with its ids."""
    found: list[Fields] = []
    turn: list[Fields] = []
    for item in [*items, {}]:
        kind = item.get("type") or "message"
        if item and kind in _OF_ASSISTANT and item.get("role") in (None, "assistant"):
            turn.append({"type": kind, **item})
            continue
        with_ids = any(map(_needs_store, turn))
        found += [{**each, "with_ids": with_ids} for each in turn]
        turn = []
        found += [item] if item else []
    return found


def _sent(item: Fields, quirks: OpenAIResponsesQuirks) -> Fields:
    """An item as it goes back."""
    item = {name: value for name, value in item.items() if value is not None}
    with_ids = item.pop("with_ids", None)
    if with_ids is None:
        return _sent_input(item, quirks)
    if item["type"] == "web_search_call":
        return item
    for name in ("status",) if with_ids else ("status", "id"):
        item.pop(name, None)
    if item["type"] == "reasoning":
        if not item.get("content"):
            item.pop("content", None)
        return {**item, "summary": item.get("summary") or []}
    if item["type"] != "message":
        return item
    return _sent_message(item, with_ids=with_ids)


def _sent_message(item: Fields, *, with_ids: bool) -> Fields:
    content = item["content"]
    parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else content
    parts = [
        {"annotations": [], **{name: value for name, value in part.items() if value is not None and name != "logprobs"}}
        for part in parts
    ]
    if with_ids:
        return {**item, "content": parts}
    fields = {"phase": item["phase"]} if "phase" in item else {}
    if len(parts) == 1 and not parts[0]["annotations"]:
        return {"role": "assistant", "content": parts[0]["text"], **fields}
    return {"type": "message", "role": "assistant", "content": parts, **fields}


def _sent_input(item: Fields, quirks: OpenAIResponsesQuirks) -> Fields:
    kind = item.get("type") or "message"
    item = {name: value for name, value in item.items() if name not in ("id", "status")}
    if kind != "message":
        return item
    role = "system" if item["role"] == "developer" and not quirks.developer_role else item["role"]
    content = item["content"]
    if not isinstance(content, str):
        content = [{name: value for name, value in part.items() if value is not None} for part in content]
    return {"role": role, "content": content}
