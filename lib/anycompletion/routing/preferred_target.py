"""The target that a request prefers to what its route's strategy picks: a run of tools stays where it began.

Another target cannot read the thinking of the turns before, and has not cached their prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..records import ChatRequest
from .flat_route import FlatTarget, RouteGroup
from .strategies import Loads, pick


def pick_for(
    request: ChatRequest,
    group: RouteGroup,
    candidates: Collection[FlatTarget],
    loads: Loads,
    random: Callable[[], float],
) -> FlatTarget:
    """The target that the request prefers, where it is among the candidates; else the one that the strategy picks.

    A target that failed in this call, or may not be called now, is no candidate while there are others; so a preferred
    target is left when it fails.
    """
    if request.preferred_target is not None:
        for candidate in candidates:
            if candidate.name == request.preferred_target:
                return candidate
    return pick(group, candidates, loads, random)
