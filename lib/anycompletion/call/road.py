"""What all calls to one origin with one key share: the budget their retries are paid from, and their rests."""

from __future__ import annotations

import attrs

from ..limits import Rest
from ..retry import Budget


@attrs.define(eq=False)
class Road:
    """One origin with one key, as its calls have found it so far."""

    budget: Budget = attrs.field(factory=Budget)
    rest: Rest = attrs.field(factory=Rest)
