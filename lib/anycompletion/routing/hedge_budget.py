"""Budget of hedges: requests that are made while another one for the same call is under way.

Without it, a slow target would double the load of the others, and a part of the costs.
"""

from __future__ import annotations

_MOST_HEDGES = 10.0
"""Hedges that may be made at once after a time without any."""


class HedgeBudget:
    """A budget that bounds hedges to a share of the calls: each call adds to it, each hedge takes one."""

    __slots__ = ("_share", "_tokens")

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = _MOST_HEDGES

    def deposit(self) -> None:
        """Counts one call."""
        self._tokens = min(self._tokens + self._share, _MOST_HEDGES)

    def spend(self) -> bool:
        """Takes one hedge; False where there is none."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
