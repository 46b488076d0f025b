"""Names of providers in LiteLLM that differ from those here, as data, and providers whose format does not exist yet."""

from __future__ import annotations

from collections.abc import Mapping

ALIASES: Mapping[str, str] = {
    "azure_ai": "azure",
    "cohere_chat": "cohere",
    "dashscope": "alibaba",
    "featherless_ai": "featherless",
    "fireworks_ai": "fireworks",
    "friendliai": "friendli",
    "github_copilot": "copilot",
    "hosted_vllm": "vllm",
    "litellm_proxy": "litellm",
    "lm_studio": "lmstudio",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "together_ai": "together",
    "veniceai": "venice",
    "vercel_ai_gateway": "vercel",
    "xiaomi_mimo": "xiaomi",
}
"""LiteLLM's name → the provider's name here."""

NOT_SUPPORTED_YET: Mapping[str, str] = {
    **dict.fromkeys(
        ("vertex", "vertex_ai", "vertex_ai_beta"), "gemini/... reaches Gemini's models with an API key of AI Studio"
    ),
    **dict.fromkeys(
        ("bedrock", "bedrock_converse", "bedrock_mantle"),
        "Bedrock's OpenAI-compatible endpoint works with a Provider of its own",
    ),
    **dict.fromkeys(
        (
            *("sagemaker", "sagemaker_chat", "sagemaker_nova", "watsonx", "watsonx_text", "oci", "sap"),
            *("ai21", "aleph_alpha", "anthropic_text", "azure_text", "clarifai", "codestral", "datarobot"),
            *("gigachat", "gradient_ai", "maritalk", "nlp_cloud", "oobabooga", "palm", "petals", "predibase"),
            *("text-completion-codestral", "text-completion-openai", "triton"),
        ),
        "",
    ),
}
"""A provider whose format does not exist here → what works instead, or ""."""


def canonical_name(name: str, known: Mapping[str, object]) -> str:
    """The name of a provider that a caller wrote: itself if it is `known`, else what it is an alias of."""
    return name if name in known else ALIASES.get(name, name)
