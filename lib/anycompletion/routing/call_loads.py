"""What strategies ask about one call: estimates of its tokens, its sticky key, and how busy its targets are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from ..codecs.json import dumps
from ..ratelimit.token_estimate import estimated_tokens
from ..records import ChatRequest, DeveloperMessage, SystemMessage, TextPart
from .flat_route import FlatTarget, RouteGroup
from .planned import PlannedRoute

_MOST_CHARACTERS_PER_TOKEN = 5
"""Prose has four characters per token and seldom more than five, so a prompt that exceeds a context window by this
measure does not fit into it."""


class CallLoads:
    """`strategies.Loads` of one call; each value is computed when it is first asked for."""

    __slots__ = ("_planned", "_request", "_size")

    def __init__(self, request: ChatRequest, planned: PlannedRoute) -> None:
        self._request = request
        self._planned = planned
        self._size: int | None = None

    def in_flight(self, target: FlatTarget) -> int:
        """Calls under way at a target; none at one that cannot be called."""
        planned = self._planned.by_target.get(target)
        return 0 if planned is None else planned.health.in_flight

    def latency(self, target: FlatTarget) -> float | None:
        """Mean latency of such calls at a target: to the first content of a stream, per token of a whole reply."""
        planned = self._planned.by_target.get(target)
        if planned is None:
            return None
        return planned.health.first_content if planned.plan.target.stream else planned.health.per_token

    def prompt_tokens(self) -> int:
        """Estimated tokens of the call's prompt."""
        return self.limit_tokens() - (self.reply_tokens() or 0) * (self._request.n or 1)

    def limit_tokens(self) -> int:
        """Estimated tokens of the prompt, and the limits of the replies: what the client's limits count."""
        return estimated_tokens(self._request, self._text_size())

    def fewest_prompt_tokens(self) -> int:
        """The tokens that the prompt has at least."""
        return self._text_size() // _MOST_CHARACTERS_PER_TOKEN

    def reply_tokens(self) -> int | None:
        """The limit of the call's reply, in tokens; None if it has none."""
        return self._request.max_completion_tokens or self._request.max_tokens

    def _text_size(self) -> int:
        """Characters of the texts of all messages."""
        if self._size is None:
            messages = self._request.messages
            self._size = len(messages) if isinstance(messages, str) else sum(map(_text_size, messages))
        return self._size

    def sticky_key(self, group: RouteGroup) -> str | None:
        """The key by which the call sticks to a target of the group; None if it does not."""
        sticky = group.route.sticky
        if sticky is None:
            return None
        if sticky == "prompt_cache":
            return prompt_cache_key(self._request)
        key: object = sticky(self._request)
        return None if key is None else str(key)


def _text_size(message: object) -> int:
    content: object = getattr(message, "content", None)  # a record, after validation
    if isinstance(content, str):
        return len(content)
    parts = cast("Sequence[object]", content) if isinstance(content, list | tuple) else ()
    return sum(len(part.text) for part in parts if isinstance(part, TextPart))


def prompt_cache_key(request: ChatRequest) -> str | None:
    """The key under which a provider caches the prompt: the caller's, or a hash of system messages and tools.

    None for a request that has neither.
    """
    if request.prompt_cache_key:
        return request.prompt_cache_key
    messages = () if isinstance(request.messages, str) else request.messages
    leading = [each for each in messages if isinstance(each, SystemMessage | DeveloperMessage)]
    if not leading and not request.tools:
        return None
    return hashlib.blake2b(dumps([leading, request.tools]), digest_size=16).hexdigest()
