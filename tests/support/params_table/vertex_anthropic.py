"""The column of Claude on Vertex AI: Anthropic's expectations, with the model in the URL and the version in the body.

https://docs.anthropic.com/en/api/claude-on-vertex-ai
"""

from __future__ import annotations

from typing import Any

import attrs

from support.params_notation import Expectation, ParamsCall, Unsupported, call
from support.params_table import anthropic

MODELS = "/vertex-anthropic/v1/projects/simulated/locations/global/publishers/anthropic/models"
MODEL = "claude-haiku-4-5@20251001"
NEWER: Expectation = {"anthropic_version": "2026-10-21"}


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question; it names no model."""
    made = anthropic.body(model, stream) | {"anthropic_version": "vertex-2023-10-16"}
    del made["model"]
    return made


OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    *(each for each in anthropic.OWN_EXPECTATIONS if "api_version" not in each[0].params),
    (call(temperature=0.5, api_version="vertex-2023-10-16"), {"temperature": 0.5}),
    (call(temperature=0.5, api_version="2026-10-21"), Unsupported("temperature", NEWER)),
    (call(top_p=0.5, api_version="2026-10-21"), Unsupported("top_p", NEWER)),
)

COLUMN = attrs.evolve(
    anthropic.COLUMN,
    model=MODEL,
    path=f"{MODELS}/{MODEL}:rawPredict",
    stream_path=f"{MODELS}/{MODEL}:streamRawPredict",
    body=body,
    bare_models=(),
    key_header=("authorization", "Bearer the-key"),
    key_variables=("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"),
    url_variables=(),
    own_expectations=OWN_EXPECTATIONS,
)
