"""What a reply cost, by genai-prices' price list; never asks the network (extra ``prices``).

https://github.com/pydantic/genai-prices: the list comes with the package and is as old as it. Its updater is not
started here; an app that wants today's prices starts it itself (`genai_prices.UpdatePrices`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

try:
    # The list itself, too: it is large, and the first call inside an event loop would hold up all others.
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
    "xai": "x-ai",
    "zai": "zai",
}
"""Our provider → genai-prices' name of its list. Whoever is not here has no prices: guessing is no pricing."""


def cost(reply: ChatCompletion, *, provider: str | None = None) -> float | None:
    """What `reply` cost, in US dollars: as the provider reported it, or else computed from its tokens.

    Args:
        reply: also one of several branches, or the final one of a stream.
        provider: whose prices hold, where ``reply.info.provider`` is a row of your own (``provider="azure"``).

    Returns:
        Dollars, as a float like `reply.usage.cost`, so that the two add up; None where the provider, the model or the
        tokens are unknown. Nothing is estimated, and prices are those of the day the reply was made.
    """
    usage = reply.usage
    if usage is None:
        return None
    if usage.cost is not None:
        return usage.cost
    prices = PRICE_LISTS.get(provider or reply.info.provider)
    amounts = _amounts(usage)
    if prices is None or amounts is None:
        return None
    # Branches are calls of their own with the same prompt: where the price depends on its length, that is one's.
    branches = len(reply.info.branches) or 1
    one = Amounts(**{name: Decimal(tokens) / branches for name, tokens in amounts.items()})
    context = {"service_tier": reply.service_tier} if reply.service_tier else None
    for model in dict.fromkeys((reply.model, reply.info.model)):
        try:
            price = calc_price(
                one, model, provider_id=prices, genai_request_timestamp=_when(reply.created), price_context=context
            )
        except (LookupError, ValueError):
            continue  # no such model in the list, or counts that contradict each other
        return float(price.total_price * branches)
    return None


def _when(created: int) -> datetime | None:
    """The day the provider names; None for today."""
    try:
        return datetime.fromtimestamp(created, UTC) if created else None
    except (OverflowError, ValueError, OSError):
        return None


def _amounts(usage: Usage) -> dict[str, int] | None:
    """What is paid for, under genai-prices' names; None where it is unknown."""
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
    for name, member in _WRITTEN.items():
        known[name] = count(usage.extra.get("cache_creation"), member)
    return {name: tokens for name, tokens in known.items() if tokens}


_WRITTEN = {
    "cache_write_5m_tokens": "ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "ephemeral_1h_input_tokens",
}
"""Anthropic's words for how long a cache holds, on which the price depends."""


__all__ = ["PRICE_LISTS", "cost"]
