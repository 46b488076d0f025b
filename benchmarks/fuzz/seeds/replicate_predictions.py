"""Valid responses of Replicate's predictions."""

from __future__ import annotations

from ..seed_types import Seeds

_PREDICTION = {
    "id": "gm3qorzdhgbfurvjtvhg6dckhu",
    "model": "meta/meta-llama-3-8b-instruct",
    "version": "a" * 64,
    "input": {"prompt": "Hi"},
    "logs": "",
    "output": ["Hi", " there"],
    "error": None,
    "status": "succeeded",
    "created_at": "2023-11-21T07:28:00.123Z",
    "started_at": "2023-11-21T07:28:01.1+00:00",
    "metrics": {"predict_time": 1.5, "input_token_count": 9, "output_token_count": 12},
    "urls": {
        "get": "https://api.replicate.com/v1/predictions/gm3",
        "cancel": "https://api.replicate.com/v1/predictions/gm3/cancel",
        "stream": "https://stream.replicate.com/v1/files/x",
    },
}
SEEDS = Seeds(
    [
        [("output", "Hi"), ("output", " the\nre é\U0001f600"), ("logs", "l"), ("done", {})],
        [("output", "Hi"), ("done", {"reason": "canceled"})],
        [("output", "Hi"), ("error", {"detail": "E6716: it broke"})],
        [("error", "An error: context length"), ("done", {"reason": "error"})],
    ],
    [
        _PREDICTION,
        {**_PREDICTION, "status": "starting", "output": None},
        {**_PREDICTION, "status": "processing", "urls": {}},
        {**_PREDICTION, "status": "failed", "error": "E1001: out of memory"},
        {**_PREDICTION, "status": "canceled"},
        {**_PREDICTION, "output": {"a": [1, "b"]}},
    ],
    [
        {"title": "Throttled", "detail": "Your rate limit resets in ~30s", "status": 429, "retry_after": 12},
        {"detail": "Invalid token", "title": "Unauthenticated", "type": "about:blank"},
        {"title": "Bad", "detail": "bad", "invalid_fields": [{"field": "input.prompt", "description": "missing"}]},
        {"detail": [{"loc": ["input"], "msg": "no"}]},
    ],
    {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "ratelimit-reset": "12",
        "ratelimit-remaining": "0",
        "date": "Tue, 21 Nov 2023 07:28:30 GMT",
        "retry-after": "5",
    },
)
