"""The front door: `AsyncCompletion`."""

from .door import AsyncCompletion

__all__ = ["AsyncCompletion"]
