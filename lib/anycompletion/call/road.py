"""What all calls to one origin with one key share: the budget their retries are paid from, and their rests."""

from __future__ import annotations

from ..limits import Rest
from ..retry import Budget


class Road:
    """One origin with one key, as its calls have found it so far."""

    __slots__ = ("__weakref__", "budget", "rest")

    def __init__(self) -> None:
        self.budget = Budget()
        self.rest = Rest()
