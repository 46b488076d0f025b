"""Responses that are arrays: what a server sends for a stream that was not asked for as events. No I/O.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from typing import Any

from ...codecs.lenient import ShapeError, as_list, as_object, optional_object
from ...records import JsonObject
from .reply_parts import candidate_indexes, merged_texts, read_candidate, read_parts
from .token_counts import has_counts


def merged_response(responses: list[Any]) -> JsonObject:
    """One response with the parts of all candidates of several.

    Raises:
        ShapeError: there is none, or one of them is no object.
    """
    if not responses:
        raise ShapeError("body", "a response", responses)
    whole: JsonObject = {}
    candidates: dict[int, JsonObject] = {}
    for i, item in enumerate(responses):
        response = as_object(item, f"[{i}]")
        for name, value in response.items():
            if name == "candidates":
                place = f"[{i}].candidates"
                found = [read_candidate(candidate, place) for candidate in as_list(value, place)]
                for index, candidate in zip(candidate_indexes(found), found, strict=True):
                    _add(candidates.setdefault(index, {"index": index, "content": {"parts": []}}), candidate, i)
            elif name != "usageMetadata" or "usageMetadata" not in whole or has_counts(optional_object(value)):
                whole[name] = value
    for candidate in candidates.values():
        candidate["content"]["parts"] = merged_texts(candidate["content"]["parts"])
    return {**whole, "candidates": list(candidates.values())}


def _add(whole: JsonObject, candidate: JsonObject, number: int) -> None:
    whole["content"]["parts"] += read_parts(candidate.get("content"), f"[{number}].candidates.content")
    for name, value in candidate.items():
        if name != "content" and (value or name not in whole):
            whole[name] = value
