"""Differences between servers of the Responses API and OpenAI. Contains no provider's data.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import attrs

from ..base import DialectQuirks


@attrs.frozen(eq=False, repr=False)
class OpenAIResponsesQuirks(DialectQuirks):
    """Differences between a server of the Responses API and OpenAI; the default has none."""

    store: bool = True
    """Send ``store: false`` unless the caller sets it, because OpenAI stores by default."""
    encrypted_reasoning: bool | None = None
    """Ask for encrypted reasoning. None: for models whose name is that of a reasoning model of OpenAI's, and where a
    reasoning effort is asked for; other models refuse it."""
    developer_role: bool = True
    """The server supports the role developer; if not, it is sent as system."""
    calls_last: bool = False
    """Items between two calls of one turn would divide it: its calls are sent after its other items."""
    logprobs_flag: bool = False
    """Log probabilities need ``logprobs: true`` as well."""
    search_context_size: bool = True
    """The server's web search has a context size."""
    azure_urls: bool = False
    """Azure's URLs, which contain the API version."""
