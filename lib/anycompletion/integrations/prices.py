"""What replies cost, and models by their providers' price lists (genai-prices); uses no network (extra ``prices``).

https://github.com/pydantic/genai-prices: the lists are part of that package, as of its release. Its updater is not
started here; an application that wants current prices starts it itself (`genai_prices.UpdatePrices`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

try:
    # The lists are imported here as well: they are large, and loading them at the first call would block an event loop.
    import genai_prices.data as _  # noqa: F401
    from genai_prices import Usage as Amounts
    from genai_prices import calc_price
except ImportError as missing:
    raise ImportError("prices need an extra: pip install 'anycompletion[prices]'") from missing

from .. import ChatCompletion, Usage
from .tokens import billable_tokens, count

PRICE_LISTS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "gemini-openai": "google",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together": "together",
    "vertex": "google",
    "vertex-anthropic": "google",
    "xai": "x-ai",
    "zai": "zai",
}
"""Provider → genai-prices' name of its list. Providers without an entry have no prices; none are guessed."""


def cost(reply: ChatCompletion, *, provider: str | None = None) -> float | None:
    """What `reply` cost, in US dollars: as the provider reported it, or else computed from its tokens.

    Args:
        reply: also one of several branches, or the final one of a stream.
        provider: whose prices apply, where ``reply.info.provider`` is a `Provider` of your own (``provider="azure"``).

    Returns:
        Dollars, as a float like `reply.usage.cost`, so that the two add up; None where the provider, the model or the
        tokens are unknown, and 0.0 for a reply from a cache. Nothing is estimated, and prices are those of the day the
        reply was made.
    """
    if reply.info.cached:
        return 0.0
    usage = reply.usage
    if usage is None:
        return None
    if usage.cost is not None:
        return usage.cost
    prices = PRICE_LISTS.get(provider or reply.info.provider)
    amounts = _billed_amounts(usage)
    if prices is None or amounts is None:
        return None
    # Branches are calls of their own with the same prompt: a price that depends on its length is computed for one.
    branches = len(reply.info.branches) or 1
    branch = Amounts(**{name: Decimal(tokens) / branches for name, tokens in amounts.items()})
    context = {"service_tier": reply.service_tier} if reply.service_tier else None
    for model in dict.fromkeys((reply.model, reply.info.model)):
        try:
            price = calc_price(
                branch, model, provider_id=prices, genai_request_timestamp=_date(reply.created), price_context=context
            )
        except (LookupError, ValueError):
            continue  # no such model in the list, or counts that contradict each other
        return float(price.total_price * branches)
    return None


def list_price(provider: str, model: str) -> tuple[float, float] | None:
    """What a model costs by its provider's price list, as `RouteTarget` takes it.

    Args:
        provider: name of a built-in provider.
        model: the provider's own name of the model.

    Returns:
        US dollars per million tokens of prompts and of replies, for short prompts; None where they are unknown.
    """
    prices = PRICE_LISTS.get(provider)
    if prices is None:
        return None
    try:
        found = calc_price(Amounts(input_tokens=_SHORT_PROMPT, output_tokens=_SHORT_PROMPT), model, provider_id=prices)
    except (LookupError, ValueError):
        return None
    per_million = 1_000_000 / _SHORT_PROMPT
    return float(found.input_price) * per_million, float(found.output_price) * per_million


_SHORT_PROMPT = 1000
"""Tokens of a prompt that is short enough for the lowest tier of each list."""


def _date(created: int) -> datetime | None:
    """The time the provider reported; None, which stands for now, where there is none."""
    try:
        return datetime.fromtimestamp(created, UTC) if created else None
    except (OverflowError, ValueError, OSError):
        return None


def _billed_amounts(usage: Usage) -> dict[str, int] | None:
    """The billed tokens under genai-prices' names; None where they are unknown."""
    prompt, completion = billable_tokens(usage)
    if prompt is None or completion is None:
        return None
    known: dict[str, int | None] = {"input_tokens": prompt, "output_tokens": completion}
    details = usage.prompt_tokens_details
    if details is not None:
        known["cache_read_tokens"] = details.cached_tokens
        known["cache_write_tokens"] = details.cache_write_tokens
        known["input_audio_tokens"] = details.audio_tokens
    if usage.completion_tokens_details is not None:
        known["output_audio_tokens"] = usage.completion_tokens_details.audio_tokens
    for name, key in _CACHE_WRITES.items():
        known[name] = count(usage.extra.get("cache_creation"), key)
    return {name: tokens for name, tokens in known.items() if tokens}


_CACHE_WRITES = {
    "cache_write_5m_tokens": "ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "ephemeral_1h_input_tokens",
}
"""genai-prices' name → Anthropic's name of tokens written to a cache; the price depends on the cache's lifetime."""


__all__ = ["PRICE_LISTS", "cost", "list_price"]
