"""The SDKs of providers whose format is OpenAI's, as oracles for their own recordings.

They are part of the extra `conformance`. Together's is not, because it needs an older version of a package of ours;
Replicate's returns the JSON, and Fireworks', Perplexity's and Writer's are generated from OpenAI's by the same program
as Groq's and Cerebras'.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from anycompletion.testing import Recording
from conformance import openai_facts, traffic
from conformance.comparing import Facts, plain
from conformance.recorded_format import module

_ARGUMENTS: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


async def facts_of(recording: Recording, url: str) -> Facts:
    """The reply as the provider's own SDK reads it, with OpenAI's names.

    Raises:
        Exception: an error of the SDK's own; `status_of` reads its status.
    """
    stream = traffic.is_stream(recording)
    client, call = SDKS[recording.provider](url)
    async with client:
        answer = await call(client, stream)
        if not stream:
            return openai_facts.normalized_completion(plain(answer))
        # Some SDKs wrap each chunk in an event.
        async with answer:
            return openai_facts.assembled([plain(getattr(chunk, "data", chunk)) async for chunk in answer])


DECLARED_ONLY = {"mistral", "openrouter"}
"""Providers whose SDK leaves out fields that its models do not declare."""


def status_of(error: Exception) -> int | None:
    """The status of an SDK's error; None for an error that came in a good response."""
    return getattr(error, "status_code", None)


Call = Callable[[Any, bool], Awaitable[Any]]


def _create(client: Any, stream: bool) -> Awaitable[Any]:
    answer: Awaitable[Any] = client.chat.completions.create(**_ARGUMENTS, stream=stream)
    return answer


def _groq(url: str) -> tuple[Any, Call]:
    return module("groq").AsyncGroq(api_key="key", base_url=url, max_retries=0), _create


def _cerebras(url: str) -> tuple[Any, Call]:
    sdk = module("cerebras.cloud.sdk")
    return sdk.AsyncCerebras(api_key="key", base_url=url, max_retries=0, warm_tcp_connection=False), _create


def _mistral(url: str) -> tuple[Any, Call]:
    def call(client: Any, stream: bool) -> Any:
        return (client.chat.stream_async if stream else client.chat.complete_async)(**_ARGUMENTS)

    return module("mistralai.client").Mistral(api_key="key", server_url=url), call


def _openrouter(url: str) -> tuple[Any, Call]:
    def call(client: Any, stream: bool) -> Any:
        return client.chat.send_async(**_ARGUMENTS, stream=stream)

    return module("openrouter").OpenRouter(api_key="key", server_url=url), call


SDKS: Mapping[str, Callable[[str], tuple[Any, Call]]] = {
    "cerebras": _cerebras,
    "groq": _groq,
    "mistral": _mistral,
    "openrouter": _openrouter,
}
"""Provider → a client of its SDK for a URL, with the function that makes a call."""
