"""Budget of hedges: requests that are made while another one for the same call is under way.

Without it, a slow target would double the load of the others, and a part of the costs.
"""

from __future__ import annotations

_MOST_HEDGES = 10.0
"""Hedges that may be made at once after a time without any."""


class HedgeBudget:
    """A budget that bounds hedges to a share of the calls: each call adds to it, each hedge takes one.

    It begins full, except for a share of 0, which allows none.
    """

    __slots__ = ("_share", "_tokens")

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = _MOST_HEDGES if share else 0.0

    def deposit(self) -> None:
        """Counts one call."""
        self._tokens = min(self._tokens + self._share, _MOST_HEDGES)

    @property
    def allows_hedge(self) -> bool:
        """Whether there is a hedge to take."""
        return self._tokens >= 1.0

    def spend(self) -> None:
        """Takes one hedge."""
        self._tokens -= 1.0

    def refund(self) -> None:
        """Gives a hedge back that was not sent."""
        self._tokens = min(self._tokens + 1.0, _MOST_HEDGES)
