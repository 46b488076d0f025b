"""The client: `client` has its methods, `dispatch` makes calls of requests, `planning` plans them."""

from .client import AsyncCompletion
from .stats import ProviderStats, Stats

__all__ = ["AsyncCompletion", "ProviderStats", "Stats"]
