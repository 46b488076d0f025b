"""The client: `client` has its methods, `dispatch` makes calls of requests, `planning` plans them."""

from .client import AsyncCompletion

__all__ = ["AsyncCompletion"]
