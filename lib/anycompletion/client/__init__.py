"""The front door, `AsyncCompletion`, and what is behind it.

`door` says what may be asked; `desk`, loaded with the first client, reads it and has it done; `plans` makes options
into plans of calls, `core` is what a client and its views share, `observer` tells `logger_fn`.
"""

from .client import AsyncCompletion

__all__ = ["AsyncCompletion"]
