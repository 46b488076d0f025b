"""Gemini's replies as plain values with OpenAI's names, assembled from its SDK's objects by its documentation.

https://ai.google.dev/api/generate-content
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from anycompletion import ChatCompletion, Choice
from conformance.comparing import Facts

FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}
"""Gemini's recorded finish reason → OpenAI's; one with function calls ends with tool_calls."""

FAILURES = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")
"""Recorded finish reasons of a generation that failed."""


def by_rule(found: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """The differences but those of citations, of which the SDK reads those of the service that it asks only."""
    return {path: pair for path, pair in found.items() if not (".cited[" in path and pair[1] is None)}


NUMBERS = {1: "STOP"}
"""Finish reason as a number → its name."""


# --- Google's SDK -----------------------------------------------------------------------------------------------------


def of_responses(responses: Iterable[Facts]) -> Facts:
    """The reply that the SDK's responses, the events of a stream or one whole reply, add up to."""
    events = list(responses)
    candidates: dict[int, Facts] = {}
    for event in events:
        for candidate in event.get("candidates") or ():
            whole = candidates.setdefault(candidate.get("index") or 0, {"parts": []})
            whole["parts"] += (candidate.get("content") or {}).get("parts") or ()
            whole |= {name: value for name, value in candidate.items() if name not in ("content", "index") and value}
    feedback = next((found for event in events if (found := event.get("promptFeedback"))), None)
    choices = [_choice(candidate) for _, candidate in sorted(candidates.items())] or [_blocked(feedback or {})]
    counted = (event.get("usageMetadata") or {} for event in reversed(events))
    usage = next((found for found in counted if found.get("totalTokenCount")), {})
    return {
        "id": next((found for event in events if (found := event.get("responseId"))), None),
        "model": next((found for event in events if (found := event.get("modelVersion"))), None),
        "choices": choices,
        "usage": _usage(usage),
    }


def _blocked(feedback: Facts) -> Facts:
    return {
        "text": "",
        "reasoning": "",
        "finish_reason": "content_filter",
        "native_finish_reason": feedback.get("blockReason"),
    }


def _choice(candidate: Facts) -> Facts:
    parts = candidate["parts"]
    text = "".join(part.get("text") or "" for part in parts if not part.get("thought"))
    calls = _calls(parts)
    reason = candidate.get("finishReason")
    finish = FINISH.get(reason, reason)
    return {
        "text": text,
        "reasoning": "".join(part.get("text") or "" for part in parts if part.get("thought")),
        "tool_calls": calls,
        "finish_reason": "tool_calls" if calls and finish == "stop" else finish,
        "native_finish_reason": reason,
        "media": [_media(part["inlineData"]) for part in parts if part.get("inlineData")],
        "signatures": [_bytes(part["thoughtSignature"]) for part in parts if part.get("thoughtSignature")],
        "cited": _cited(candidate),
        "logprobs": _logprobs(candidate.get("logprobsResult") or {}),
    }


def _calls(parts: list[Facts]) -> list[Facts]:
    """The calls with their arguments, which may arrive as values at paths of one name."""
    calls: list[Facts] = []
    for part in parts:
        call = part.get("functionCall")
        if call is None:
            continue
        if call.get("name"):
            calls.append({"name": call["name"], "id": call.get("id"), "args": call.get("args") or {}})
        for piece in call.get("partialArgs") or ():
            args, name = calls[-1]["args"], piece["jsonPath"].removeprefix("$.")
            args[name] = args.get(name, "") + piece.get("stringValue", "")
    return [{**call, "args": json.dumps(call["args"], sort_keys=True)} for call in calls]


def _media(data: Facts) -> list[str]:
    return [data["mimeType"], _bytes(data["data"])]


def _bytes(text: str) -> str:
    """Base64 of either alphabet as one; the SDK changes the alphabet."""
    return base64.b64encode(base64.b64decode(text, altchars=b"-_" if {"-", "_"} & {*text} else None)).decode()


def _cited(candidate: Facts) -> list[list[str | None]]:
    """Address, title and text of each citation; a support's text may be missing from the reply."""
    grounding = candidate.get("groundingMetadata") or {}
    chunks = grounding.get("groundingChunks") or []
    sources = [chunk.get("web") or chunk.get("retrievedContext") or {} for chunk in chunks]
    found = [
        [sources[index]["uri"], sources[index].get("title") or "", support["segment"].get("text")]
        for support in grounding.get("groundingSupports") or ()
        for index in support.get("groundingChunkIndices") or ()
        if sources[index].get("uri")
    ]
    citations = (candidate.get("citationMetadata") or {}).get("citations") or ()
    return found + [[each["uri"], each.get("title") or "", None] for each in citations if each.get("uri")]


def _logprobs(result: Facts) -> list[Any]:
    tops = result.get("topCandidates") or []
    return [
        [token["token"], token["logProbability"], [[e["token"], e["logProbability"]] for e in _top(tops, at)]]
        for at, token in enumerate(result.get("chosenCandidates") or ())
    ]


def _top(tops: list[Facts], at: int) -> list[Facts]:
    return (tops[at].get("candidates") or []) if at < len(tops) else []


def _usage(native: Facts) -> Facts | None:
    if not native:
        return None
    thoughts = native.get("thoughtsTokenCount") or 0
    return {
        "prompt_tokens": (native.get("promptTokenCount") or 0) + (native.get("toolUsePromptTokenCount") or 0),
        "completion_tokens": (native.get("candidatesTokenCount") or 0) + thoughts,
        "total_tokens": native["totalTokenCount"],
        "reasoning_tokens": thoughts,
        "cached_tokens": native.get("cachedContentTokenCount") or 0,
    }


# --- this package -----------------------------------------------------------------------------------------------------


def of_ours(reply: ChatCompletion) -> Facts:
    """A reply of this package with the same names."""
    usage = reply.usage
    prompt, completion = usage and usage.prompt_tokens_details, usage and usage.completion_tokens_details
    return {
        "id": reply.id or None,
        "model": None if reply.model == "any" else reply.model,
        "choices": [_our_choice(choice, f"call_{reply.id}_") for choice in reply.choices],
        "usage": usage
        and {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "reasoning_tokens": completion and completion.reasoning_tokens,
            "cached_tokens": prompt and prompt.cached_tokens,
        },
    }


def _our_choice(choice: Choice, made_id: str) -> Facts:
    """A choice; `made_id` is the beginning of ids that the model did not give."""
    message = choice.message
    text = message.content or ""
    native = (message.provider_specific_fields or {}).get("gemini_content") or ()
    images = [item["image_url"]["url"].removeprefix("data:") for item in message.extra.get("images") or ()]
    media = [[kind, _bytes(data)] for kind, _, data in (url.partition(";base64,") for url in images)]
    if message.audio is not None:
        media.append([message.audio.extra["mime_type"], _bytes(message.audio.data or "")])
    cited = [item.url_citation for item in message.annotations or () if item.url_citation is not None]
    return {
        "text": text,
        "reasoning": message.reasoning_content or "",
        "tool_calls": [
            {
                "name": call.function.name,
                "id": None if call.id.startswith((made_id, "call_0")) else call.id,
                "args": json.dumps(json.loads(call.function.arguments), sort_keys=True),
            }
            for call in message.tool_calls or ()
        ],
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "media": media,
        "signatures": [_bytes(part["thoughtSignature"]) for part in native if part.get("thoughtSignature")],
        "cited": [
            [each.url, each.title, None if each.end_index is None else text[each.start_index : each.end_index]]
            for each in cited
        ],
        "logprobs": [
            [token.token, token.logprob, [[each.token, each.logprob] for each in token.top_logprobs]]
            for token in (choice.logprobs and choice.logprobs.content) or ()
        ],
    }


# --- errors -----------------------------------------------------------------------------------------------------------


def failure_in(data: Mapping[str, Any]) -> Facts | None:
    """The candidate of a generation that failed."""
    return next((each for each in data.get("candidates") or () if each.get("finishReason") in FAILURES), None)


def of_failure(candidate: Facts) -> Facts:
    """The values of a generation that failed."""
    reason = candidate["finishReason"]
    message = candidate.get("finishMessage") or reason
    return {"status_code": 500, "code": reason, "type": reason, "message": message}


def of_error(error: Any) -> Facts:
    """The values of the SDK's exception; the reason in the details is the most precise code."""
    details = (error.details.get("error") or {}).get("details") or ()
    reason = next((detail["reason"] for detail in details if detail.get("reason")), None)
    return {
        "status_code": error.code,
        "code": reason or error.status,
        "type": error.status,
        "message": error.message,
    }
