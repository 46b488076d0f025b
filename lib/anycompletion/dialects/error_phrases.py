"""Errors that servers report in prose only: the phrases by which they are recognized."""

from __future__ import annotations

from collections.abc import Iterable

CONTEXT_LENGTH_PHRASES = (
    "maximum context length is",  # vLLM, DeepSeek, OpenRouter, older OpenAI models
    "longer than the maximum model length",  # vLLM
    "too long to fit into the model",  # vLLM
    "longer than the model's context length",  # SGLang, Together
    "exceeds the model's maximum context length",  # SGLang
    "exceeds the maximum allowed length",  # SGLang
    "exceeds the available context size",  # llama.cpp
    "context size has been exceeded",  # llama.cpp
    "exceed context window of",  # llama-cpp-python
    "`inputs` tokens + `max_new_tokens` must be",  # TGI
    "`inputs` must have less than",  # TGI
    "greater than the context length",  # LM Studio
    "with context length of only",  # LM Studio
    "cannot truncate prompt with n_keep",  # LM Studio
    "exceeded max context length",  # Ollama
    "input length exceeds the context length",  # Ollama
    "contextwindowexceedederror",  # the LiteLLM proxy, which quotes the upstream's error
    "prompt is too long",  # Anthropic behind a proxy, Fireworks
    "exceed context limit",  # Anthropic behind a proxy
    "input is too long for requested model",  # Bedrock behind a proxy
    "input tokens exceeds maximum length",  # Bedrock behind a proxy
    "exceeds the maximum number of tokens allowed",  # Gemini
    "exceeds the context window",  # OpenAI
    "input tokens exceed the configured limit",  # Azure
    "maximum prompt length is",  # xAI
    "reduce the length of the messages",  # Groq, Cerebras
    "range of input length should be",  # Alibaba
    "context window exceeds limit",  # MiniMax
    "exceeded model token limit",  # Moonshot
    "too large for model with",  # Mistral
)
"""Lower-case phrases of servers that report only in prose that the context window is exceeded.

Callers then shorten the prompt, which no other error of these statuses asks for, so the status is not enough.
"""

CONTEXT_LENGTH_STATUSES = (400, 413, 422)
"""Statuses of errors whose message may be about the context window."""


def has_phrase(message: str, phrases: Iterable[str] = CONTEXT_LENGTH_PHRASES) -> bool:
    """Whether a message contains one of the phrases, which are in lower case; by default those of context lengths."""
    folded = message.lower()
    return any(phrase in folded for phrase in phrases)
