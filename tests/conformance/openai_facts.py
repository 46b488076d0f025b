"""OpenAI's format as plain values: replies and chunks of its SDK, assembled by its documentation.

https://platform.openai.com/docs/api-reference/chat-streaming

Compatible servers have other names for a few members. One rule each normalizes them to OpenAI's, so that both results
can be compared. No code of this package is used.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from conformance.expected import DEFAULT_VALUES, FINISH_REASONS, LABELS, OLDER_LOGPROBS

Facts = dict[str, Any]


def normalized_completion(completion: Facts) -> Facts:
    """A complete reply with OpenAI's names."""
    choices = [
        {**_choice(choice), "message": _message(choice.get("message") or {})} for choice in completion["choices"]
    ]
    return {**completion, "choices": choices}


def normalized_chunk(chunk: Facts) -> Facts:
    """A chunk with OpenAI's names."""
    choices = [
        {**_choice(choice), "delta": _message(choice.get("delta") or {})} for choice in chunk.get("choices") or ()
    ]
    usage = chunk.get("usage")
    if usage is None and any(choice.get("finish_reason") for choice in choices):
        usage = _misplaced_usage(chunk)
    # OpenAI's `obfuscation` is padding.
    fields = {name: value for name, value in chunk.items() if name != "obfuscation"}
    return {**fields, "choices": choices, "usage": usage}


def _misplaced_usage(chunk: Facts) -> Any:
    """The usage in `x_groq` (Groq, unless the standard place was requested) or in a choice (others)."""
    places = [chunk.get("x_groq"), *chunk["choices"]]
    return next((place["usage"] for place in places if isinstance(place, dict) and place.get("usage")), None)


def _choice(choice: Facts) -> Facts:
    # Snowflake sends "" for no finish reason.
    reason = choice.get("finish_reason") or None
    if isinstance(choice.get("logprobs"), dict):
        choice = {**choice, "logprobs": _logprobs(choice["logprobs"])}
    if reason not in FINISH_REASONS:
        return {**choice, "finish_reason": reason}
    native = choice.get("native_finish_reason") or reason
    return {**choice, "finish_reason": FINISH_REASONS[reason], "native_finish_reason": native}


def _logprobs(logprobs: Facts) -> Facts:
    """Log probabilities with a list of tokens in place of the older form's parallel lists (Together)."""
    if logprobs.get("content") is not None or not isinstance(logprobs.get("tokens"), list):
        return logprobs
    columns = {new: logprobs[old] for old, new in OLDER_LOGPROBS.items() if isinstance(logprobs.get(old), list)}
    content = [{name: values[i] for name, values in columns.items()} for i in range(len(logprobs["tokens"]))]
    for token in content:
        rivals = token.get("top_logprobs")
        if isinstance(rivals, dict):
            token["top_logprobs"] = [{"token": name, "logprob": value} for name, value in rivals.items()]
    return {**{name: item for name, item in logprobs.items() if name not in OLDER_LOGPROBS}, "content": content}


def _message(message: Facts) -> Facts:
    normalized = dict(message)
    if isinstance(normalized.get("content"), list):
        # Mistral's content may be a list of parts, text and thinking.
        normalized |= _of_parts(normalized["content"])
    if isinstance(normalized.get("content"), dict):
        # Cloudflare's content is an object where the request asked for JSON.
        normalized["content"] = json.dumps(normalized["content"], ensure_ascii=False, separators=(",", ":"))
    if isinstance(normalized.get("reasoning"), str) and not normalized.get("reasoning_content"):
        normalized["reasoning_content"] = normalized.pop("reasoning")
    if normalized.get("tool_calls"):
        normalized["tool_calls"] = [_call(call) for call in normalized["tool_calls"]]
    return normalized


def _of_parts(parts: list[Facts]) -> Facts:
    if any(part["type"] not in ("text", "thinking") for part in parts):
        return {}
    texts = [part["text"] for part in parts if part["type"] == "text"]
    thoughts = [_thought(part["thinking"]) for part in parts if part["type"] == "thinking"]
    return {
        "content": "".join(texts) if texts else None,
        **({"reasoning_content": "".join(thoughts)} if thoughts else {}),
    }


def _thought(thinking: Any) -> str:
    return thinking if isinstance(thinking, str) else "".join(item.get("text", "") for item in thinking)


def _call(call: Facts) -> Facts:
    """A tool call without Snowflake's empty custom call."""
    if call.get("function") and not any((call.get("custom") or {}).values()):
        return {name: item for name, item in call.items() if name != "custom"}
    return dict(call)


# --- chunks → reply ---------------------------------------------------------------------------------------------------


def normalized_chunks(chunks: Iterable[Facts]) -> list[Facts]:
    """The chunks of a stream with OpenAI's names and a distinct index for each tool call.

    Gemini and Z.ai give all calls the same index: another id with a name is another call.
    """
    normalized = [normalized_chunk(chunk) for chunk in chunks]
    ids: dict[tuple[int, int], list[str | None]] = {}
    for chunk in normalized:
        for choice in chunk["choices"]:
            for call in choice["delta"].get("tool_calls") or ():
                if call.get("index") is None:
                    continue
                seen = ids.setdefault((choice.get("index") or 0, call["index"]), [])
                if not seen or (call.get("id") not in (None, "", seen[-1]) and call["function"].get("name")):
                    seen.append(call.get("id"))
                call["index"] = max(call["index"], 0) + len(seen) - 1
    return normalized


def assembled(chunks: Iterable[Facts]) -> Facts:
    """The reply assembled from its chunks."""
    reply: Facts = {"object": "chat.completion", "choices": []}
    choices: dict[int, Facts] = {}
    for chunk in normalized_chunks(chunks):
        for name in ("id", "model", "created"):
            reply[name] = reply.get(name) or chunk.get(name)
        for name, value in chunk.items():
            if name not in ("id", "model", "created", "object", "choices") and value is not None:
                reply[name] = _merged(reply.get(name), value)
        for choice in chunk["choices"]:
            _add_choice(choices.setdefault(choice.get("index") or 0, {"message": {}}), choice)
    for index, choice in sorted(choices.items()):
        message = choice["message"]
        if "tool_calls" in message:
            message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
        if "reasoning_details" in message:
            message["reasoning_details"] = list(message["reasoning_details"].values())
        reply["choices"].append({"index": index, **choice})
    return reply


def _add_choice(mine: Facts, choice: Facts) -> None:
    for name, value in choice.items():
        # Some servers repeat each delta as a message or a text.
        if name not in ("index", "delta", "message", "text") and value is not None:
            lists = isinstance(value, list) and isinstance(mine.get(name), list)
            mine[name] = [*mine[name], *value] if lists else _merged(mine.get(name), value, lists=True)
    _add_delta(mine["message"], choice["delta"])


def _merged(old: Any, value: Any, *, lists: bool = False) -> Any:
    """Two values of a field: objects are merged, and lists in them appended; of others the last one is kept."""
    if not isinstance(value, dict) or not isinstance(old, dict):
        return value
    appended = {
        name: [*old[name], *item]
        for name, item in value.items()
        if lists and isinstance(item, list) and isinstance(old.get(name), list)
    }
    items = {name: _merged(old.get(name), item) for name, item in value.items() if item is not None}
    return {**old, **items, **appended}


def _add_delta(message: Facts, delta: Facts) -> None:
    for name, value in delta.items():
        match name, value:
            case _, None:
                continue
            case "role", str():
                message[name] = value or message.get(name)
            case "function_call", dict():
                _add_function(message.setdefault(name, {}), value)
            case "tool_calls", list():
                for call in value:
                    _add_call(message.setdefault(name, {}), call)
            case "reasoning_details", list():
                for block in value:
                    _add_block(message.setdefault(name, {}), block)
            case "audio", dict():
                _add_audio(message.setdefault(name, {}), value)
            case _, str() if name not in LABELS:
                message[name] = (message.get(name) or "") + value
            case _, list():
                message[name] = [*(message.get(name) or ()), *value]
            case _:
                message[name] = _merged(message.get(name), value)


def _add_call(calls: dict[int, Facts], call: Facts) -> None:
    index = call.get("index")
    if index is None:
        # Mistral can leave it out; a new id is a new call.
        last = max(calls, default=-1)
        index = last if last >= 0 and call.get("id") in (None, calls[last]["id"]) else last + 1
    mine = calls.setdefault(index, {})
    for name in ("id", "type"):
        mine[name] = mine.get(name) or call.get(name)
    for name, value in call.items():
        if name in ("function", "custom"):
            if value:
                _add_function(mine.setdefault(name, {}), value)
        elif name not in ("index", "id", "type") and value is not None:
            mine[name] = _merged(mine.get(name), value)


def _add_function(function: Facts, piece: Facts) -> None:
    function["name"] = function.get("name") or piece.get("name")
    for name in ("arguments", "input"):
        if piece.get(name) is not None:
            function[name] = function.get(name, "") + piece[name]


def _add_block(blocks: dict[Any, Facts], block: Facts) -> None:
    """Adds a piece of a reasoning block: pieces of one index and type are one block, and texts are appended."""
    index, kind = block.get("index"), block.get("type")
    mine = blocks.setdefault(len(blocks) if index is None else (index, kind), {})
    for name, value in block.items():
        pieces = name in ("text", "summary", "signature", "data") and isinstance(value, str)
        if value is not None:
            mine[name] = (mine.get(name) or "") + value if pieces else value


def _add_audio(audio: Facts, piece: Facts) -> None:
    for name, value in piece.items():
        audio[name] = audio.get(name, "") + value if name in ("data", "transcript") else value


# --- permitted differences --------------------------------------------------------------------------------------------


Pairs = dict[str, tuple[Any, Any]]


def by_rule(differences: Pairs) -> Pairs:
    """The differences that no rule explains."""
    return {
        path: pair for path, pair in differences.items() if not _is_default(path, pair) and not _is_cost(path, pair)
    }


def _is_cost(path: str, pair: tuple[Any, Any]) -> bool:
    """Whether this is the cost in dollars that the package computes from xAI's ticks."""
    ours, theirs = pair
    return path.endswith("usage.cost") and theirs is None and isinstance(ours, float)


def _is_default(path: str, pair: tuple[Any, Any]) -> bool:
    ours, theirs = pair
    name = path.rpartition(".")[2]
    if name == "created":
        return not theirs and ours > 0  # the time of the response
    return theirs in (None, "") and ours in DEFAULT_VALUES.get(name, ())


def texts_in(value: Any) -> Iterator[str]:
    """The strings of a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from texts_in(item)
        case list():
            for item in value:
                yield from texts_in(item)
