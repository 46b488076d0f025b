"""Who waits for a turn, first come, first served; cancelling is leaving."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TypeAlias

Line: TypeAlias = "OrderedDict[asyncio.Future[None], None]"
"""Who waits, in the order of asking. Who gives up is taken out at once: thousands may, and those behind them must not
wait for their turns."""


def first(line: Line) -> asyncio.Future[None]:
    """Takes out the first."""
    return line.popitem(last=False)[0]


def let_go(waiter: asyncio.Future[None]) -> bool:
    """False where nobody waits any more."""
    if waiter.done():
        return False
    waiter.set_result(None)
    return True
