"""Names of the built-in providers, by which a row is found without making all of them.

A provider's name stands here once and in its row; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, ...]] = {
    "openai_rows": ("openai",),
    "azure_rows": ("azure",),
    "vendor_rows": ("anthropic", "cohere", "replicate"),
    "google_rows": ("gemini", "vertex", "vertex-anthropic", "vertex-openai", "gemini-openai"),
    "aws_rows": ("bedrock", "bedrock-anthropic", "bedrock-openai"),
    "host_rows": (
        *("openrouter", "groq", "mistral", "deepseek", "xai", "together", "fireworks", "cerebras"),
        *("perplexity", "moonshot", "zai", "huggingface", "nvidia", "writer", "snowflake", "alibaba"),
        *("crusoe", "deepinfra", "sambanova", "hyperbolic", "novita", "nebius", "siliconflow", "baseten"),
        *("featherless", "friendli", "vercel", "minimax", "scaleway", "ovhcloud", "databricks"),
        *("cloudflare", "doubleword", "venice", "xiaomi", "pollinations", "copilot"),
    ),
    "own_server_rows": ("ollama", "ollama-openai", "vllm", "lmstudio", "llamacpp", "gpustack", "litellm", "mistralrs"),
}
"""Module of this folder → names of the providers in its `ROWS`, in their order."""
