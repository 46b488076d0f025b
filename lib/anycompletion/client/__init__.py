"""The client: `client` has its methods, `dispatch` makes calls of requests, `planning` plans them."""

from .client import AsyncCompletion
from .configuration import ClientOptions

__all__ = ["AsyncCompletion", "ClientOptions"]
