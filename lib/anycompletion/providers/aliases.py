"""LiteLLM's names of providers: those that differ from the names here, and those of formats not supported yet."""

from __future__ import annotations

from collections.abc import Mapping

ALIASES: Mapping[str, str] = {
    "azure_ai": "azure",
    "bedrock_converse": "bedrock",
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

ALIASES_BY_MODEL: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = dict.fromkeys(
    ("vertex_ai", "vertex_ai_beta"),
    (
        (("gemini", "gemma", "endpoints/", "projects/", "publishers/google/"), "vertex"),
        (("claude",), "vertex-anthropic"),
        (("",), "vertex-openai"),
    ),
)
"""LiteLLM's name of several providers → beginnings of models' names, and the provider of such models; the first that
fits counts."""

NOT_SUPPORTED_YET: Mapping[str, str] = {
    "bedrock_mantle": "bedrock-openai/... and bedrock-anthropic/... reach the same models",
    **dict.fromkeys(
        (
            *("aiml", "anyscale", "cometapi", "docker_model_runner", "empower", "galadriel", "github", "heroku"),
            *("lambda_ai", "llamafile", "meta_llama", "morph", "nscale", "volcengine", "xinference"),
            *("custom_openai", "openai_like", "openai_compatible"),
        ),
        "it speaks OpenAI's format: a Provider of its own with its base URL works",
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
"""Provider whose format is not supported → what works instead, or ""."""


def canonical_name(name: str, known: Mapping[str, object], model: str = "") -> str:
    """The provider's name for one that a caller wrote; a name that is neither known nor an alias is unchanged.

    Args:
        name: as the caller wrote it.
        known: names that are no aliases.
        model: the model that the provider has, for a name of several providers.
    """
    if name in known:
        return name
    several = ALIASES_BY_MODEL.get(name, ())
    return next((each for beginnings, each in several if model.startswith(beginnings)), ALIASES.get(name, name))


def canonical_names(name: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """The names of all providers that a name stands for, whatever the model; most stand for one."""
    several = () if name in known else ALIASES_BY_MODEL.get(name, ())
    return tuple(each for _, each in several) or (canonical_name(name, known),)
