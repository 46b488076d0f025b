"""What bounds the exchanges of a pool, as the pool sees it."""

from __future__ import annotations

from typing import Protocol


class Slots(Protocol):
    """What bounds the exchanges of a pool."""

    def take_now(self) -> bool:
        """Takes a slot if there is one."""
        ...

    async def take(self) -> None:
        """Waits for a slot."""
        ...

    def give(self) -> None:
        """Gives a slot back."""
        ...

    def ran_out(self) -> None:
        """There are fewer than was thought."""
        ...
