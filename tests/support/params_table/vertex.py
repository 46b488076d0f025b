"""The column of Gemini on Vertex AI: Gemini's expectations, in a project, with labels and a header for the tier.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from support.params_notation import UNSENT, Expectation
from support.params_table import gemini

MODELS = "/vertex/v1beta1/projects/simulated/locations/global/publishers/google/models"
MODEL = gemini.COLUMN.model

EXPECTATIONS: Mapping[str, Expectation] = {
    **gemini.EXPECTATIONS,
    **dict.fromkeys(("service_tier='default'", "service_tier='standard'", "service_tier='flex'"), UNSENT),
    "metadata={'job': '7'}": {"labels": {"job": "7"}},
}

OWN: Mapping[str, Expectation] = {
    "service_tier='priority'": UNSENT,
    "tools: add, extra_body: search": {
        "tools": [{"functionDeclarations": [gemini.ADD_DECLARED]}, {"googleSearch": {}}]
    },
}
"""Name of a call of Gemini's column → what Vertex AI must receive instead."""

COLUMN = attrs.evolve(
    gemini.COLUMN,
    path=f"{MODELS}/{MODEL}:generateContent",
    stream_path=f"{MODELS}/{MODEL}:streamGenerateContent",
    bare_models=(),
    key_variables=("GOOGLE_VERTEX_API_KEY",),
    url_variables=(),
    expectations=EXPECTATIONS,
    own_expectations=tuple((each, OWN.get(each.name, expected)) for each, expected in gemini.OWN_EXPECTATIONS),
)
