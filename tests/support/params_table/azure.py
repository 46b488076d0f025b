"""Azure's column: OpenAI's expectations, at Azure's URLs and with Azure's variables."""

from __future__ import annotations

import attrs

from support.params_table import openai

COLUMN = attrs.evolve(
    openai.COLUMN,
    model="our-deployment",
    path="/azure/openai/v1/chat/completions",
    bare_models=(),
    key_header=("api-key", "the-key"),
    key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    url_variables=("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"),
)
