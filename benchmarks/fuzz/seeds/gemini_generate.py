"""Valid responses of Gemini's generateContent."""

from __future__ import annotations

from typing import Any

from ..seed_types import Seeds

_GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 12,
    "thoughtsTokenCount": 3,
    "toolUsePromptTokenCount": 1,
    "cachedContentTokenCount": 2,
    "totalTokenCount": 25,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
    "serviceTier": "standard",
}
_GEMINI_SIGNED = {"functionCall": {"name": "look", "args": {"q": "x"}, "id": "f1"}, "thoughtSignature": "AA-_"}
_GEMINI_PARTS = [
    {"text": "Hm.", "thought": True},
    {"text": "Hi é\U0001f600"},
    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AA=="}},
    {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "AA"},
    _GEMINI_SIGNED,
]
_GEMINI_GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 3, "endIndex": 9, "text": "é\U0001f600"}, "groundingChunkIndices": [0]}
    ],
}
_GEMINI_LOGPROBS = {
    "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.1}],
    "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.1}]}],
}


def _gemini(*parts: Any, reason: str | None = None, **fields: Any) -> Any:
    end = {} if reason is None else {"finishReason": reason}
    candidate = {"content": {"role": "model", "parts": list(parts)}, **end, **fields}
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-3", "usageMetadata": _GEMINI_USAGE}


_GEMINI_BLOCKED = {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}}
_GEMINI_ENDS = {"groundingMetadata": _GEMINI_GROUNDING, "logprobsResult": _GEMINI_LOGPROBS, "avgLogprobs": -0.1}
SEEDS = Seeds(
    [
        [*(("", _gemini(part)) for part in _GEMINI_PARTS), ("", _gemini({"text": ""}, reason="STOP", **_GEMINI_ENDS))],
        [
            ("", _gemini({"functionCall": {"name": "look", "willContinue": True}})),
            ("", _gemini({"functionCall": {"partialArgs": [{"jsonPath": "$.a.b[0]", "stringValue": "x"}]}})),
            ("", _gemini({"functionCall": {}}, reason="STOP")),
        ],
        [("", _gemini({"text": "Hi"}, reason="MALFORMED_FUNCTION_CALL", finishMessage="Malformed."))],
        [("", _GEMINI_BLOCKED), ("", {"usageMetadata": _GEMINI_USAGE})],
        [("", _gemini({"text": "Hi"})), ("", {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})],
    ],
    [
        _gemini(*_GEMINI_PARTS, reason="STOP", citationMetadata={"citations": [{"uri": "https://b"}]}, **_GEMINI_ENDS),
        [_gemini({"text": "a"}), _gemini({"text": "b"}, reason="STOP")],
        _GEMINI_BLOCKED,
        _gemini(reason="UNEXPECTED_TOOL_CALL"),
    ],
    [
        {
            "error": {
                "code": 429,
                "message": "m",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "…QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
                    {"@type": "…RetryInfo", "retryDelay": "14s"},
                    {"@type": "…ErrorInfo", "reason": "API_KEY_INVALID"},
                ],
            }
        },
        [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}],
    ],
    {"content-type": "application/json", "date": "Tue, 21 Nov 2023 07:28:00 GMT", "retry-after": "5"},
)
